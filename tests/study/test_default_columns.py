"""An estimator gets columns as it takes them, and numbers where it takes nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVR

from regsearch import Choice, Estimator, Float, Int, Linear, RegSearchCV, SearchFailed, Study, column_transformer, load
from regsearch import Path as LambdaPath
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Candidate, Setup
from regsearch.models.estimator import EstimatorBackend
from regsearch.space.config import digest

N = 90
RANDOM = np.random.default_rng(0)
X = pd.DataFrame({
    "size": RANDOM.normal(size=N),
    "town": RANDOM.choice(["Rome", "Bern"], N),
    "day": pd.date_range("2026-01-30", periods=N).astype(str),
    "note": [f"this house number {k} is {RANDOM.choice(['old and dark', 'new'])} inside" for k in range(N)],
    "kind": pd.Categorical(RANDOM.choice(["a", "b"], N)),
})  # fmt: skip
Y = X["size"] + X["note"].str.contains("dark") + RANDOM.normal(size=N) / 5
HOLES = X.assign(size=X["size"].where(X.index % 9 > 0))
TOWN = make_column_transformer((OneHotEncoder(), ["town", "kind"]))
TREES = HistGradientBoostingRegressor(max_iter=3)
ALPHA = {"alpha": Float(0.1, 10)}


def study_of(table: Any, space: Any, root: Path, y: Any = Y) -> Study:
    return Study("columns", table, y, space=space, cv=3, root=root, tracking=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "space", "said"),
    [
        (X, Estimator(make_pipeline(TOWN, Ridge()), {"ridge__alpha": Float(0.1, 1)}), ""),
        (X, Estimator(make_pipeline("passthrough", Ridge()), {"passthrough": Choice(TOWN)}), ""),
        (X[["size", "kind"]], Estimator(TREES, {"max_depth": Int(2, 4)}), ""),
        (HOLES[["size"]], Estimator(RandomForestRegressor(2), {"max_depth": Int(2, 4)}), ""),
        (HOLES[["size"]].to_numpy(), Estimator(RandomForestRegressor(2), {"max_depth": Int(2, 4)}), ""),
        (HOLES[["size"]].to_numpy(), Estimator(Ridge(), ALPHA), "missing numbers of x0: their means"),
        (np.asfortranarray(HOLES[["size"]].fillna(0)), Estimator(Ridge(), ALPHA), ""),
        (HOLES[["size"]], Estimator(Ridge(), ALPHA), "missing numbers of size: their means"),
        (HOLES, Estimator(TREES, {"max_depth": Int(2, 4)}), "note: words (tf-idf); kind: category"),
        (HOLES, Estimator(Ridge(), ALPHA), "note: words (tf-idf); kind: category; missing numbers of size: their"),
        (X, Estimator(make_pipeline(StandardScaler(), SVR()), {"svr__C": Float(1, 2)}), "note: words (tf-idf)"),
        (X, Choice(Estimator(Ridge(), ALPHA), Linear("l2", LambdaPath(3))), "town: 2 categories; day: date"),
    ],
)
def test_an_estimator_that_takes_columns_gets_them_and_another_gets_numbers(
    tmp_path: Path, table: Any, space: Any, said: str
) -> None:
    """What encodes columns itself stays as it is; else the study says what is made of them, missing numbers filled."""
    study = study_of(table, space, tmp_path)
    lines = [line for line in str(study).splitlines() if line.startswith("Prepared")]
    assert len(lines) == bool(said)
    assert said in "".join(lines)
    families = getattr(study.space, "families", {"": study.space}).values()
    assert [one.fields()["prepare"] is not None for one in families] == [bool(said)] * len(families)
    if said:
        again = study_of(table, study.space, tmp_path)
        assert digest(again.space) == digest(study.space)
        assert lines[0] in str(again)


def test_an_array_with_holes_is_filled_by_the_means_of_each_fold(tmp_path: Path) -> None:
    """An estimator that takes no holes has the scores, and fitted to all rows the predictions, of such a pipeline."""
    numbers = RANDOM.normal(size=(N, 2))
    numbers[::9, 1] = np.nan
    filled = make_pipeline(SimpleImputer(), Ridge())
    own = study_of(numbers, Estimator(filled, {"ridge__alpha": Float(0.1, 10)}), tmp_path / "own").run(1, quiet=True)
    found = study_of(numbers, Estimator(Ridge(), ALPHA), tmp_path).run(1, quiet=True)
    assert found.best.score == own.best.score
    search = RegSearchCV(space=Estimator(Ridge(), {"copy_X": Choice(True, False)}), cv=3, n_trials=1).fit(numbers, Y)
    np.testing.assert_allclose(search.predict(numbers), filled.fit(numbers, Y).predict(numbers))


@pytest.mark.slow
def test_an_estimator_behind_a_transformer_is_the_pipeline_of_both() -> None:
    """Scores, curves along rounds and predictions are those of scikit-learn's pipeline, under the names of its own."""
    front = column_transformer(X, {"note": "category"})
    problem = make_problem(X, Y, sample_weight=RANDOM.uniform(0.5, 2, N))
    setup = Setup(problem, make_folds(3, problem, 0), resolve(None, problem))
    pipe = make_pipeline(front, TREES)
    step = "histgradientboostingregressor__"
    pairs = [
        (Estimator(TREES, {"max_depth": 3}, "max_iter", front), pipe, {f"{step}max_depth": 3}, f"{step}max_iter"),
        (Estimator(Ridge(), {"alpha": 2.0}, prepare=front), make_pipeline(front, Ridge()), {"ridge__alpha": 2.0}, None),
        (
            Estimator(make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": 2.0}, prepare=front),
            make_pipeline(front, StandardScaler(), Ridge()), {"ridge__alpha": 2.0}, None,
        ),
    ]  # fmt: skip
    for ours, own, params, path in pairs:
        found = [
            next(iter(EstimatorBackend(setup).stream([Candidate(0, config)])))
            for config in (ours, Estimator(own, params, path))
        ]
        assert [one.state for one in found] == ["complete"] * 2
        np.testing.assert_array_equal(*(one.trajectory.deciding.val for one in found))
        np.testing.assert_array_equal(*(one.predictions for one in found))


@pytest.mark.slow
def test_what_numbers_do_not_help_fails_with_its_own_words(tmp_path: Path) -> None:
    """Where prepared columns cannot be fitted either, the error is that of numbers and not of text."""
    negative = Estimator(MultinomialNB(), {"alpha": Float(0.1, 1)})
    with pytest.raises(SearchFailed, match="Negative values in data passed to MultinomialNB"):
        study_of(X, negative, tmp_path, Y > 0).run(1, quiet=True)


@pytest.mark.slow
def test_the_bundle_of_an_estimator_takes_raw_rows(tmp_path: Path) -> None:
    """A sparse model of words is written, loads without trust and predicts from the table."""
    study = study_of(HOLES, Estimator(SVR(), {"C": Float(0.1, 10)}), tmp_path)
    study.run(2, quiet=True)
    model = load(study.export(out=tmp_path / "bundle"))
    assert model.predict(HOLES.head(3).assign(town="Oslo", note=None)).shape == (3,)


@pytest.mark.slow
def test_a_search_tries_configs_first(tmp_path: Path) -> None:
    """`RegSearchCV(try_first=)` is that of a study: the first trial after the reference."""
    search = RegSearchCV(Estimator(Ridge(), ALPHA), n_trials=2, cv=3, try_first={"alpha": 7.0}).fit(X, Y)
    assert [one["alpha"] for one in search.cv_results_["params"]] == [1.0, 7.0]
    assert search.predict(X.head(2)).shape == (2,)
