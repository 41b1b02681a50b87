"""Preparation inside the folds: a transformer learns of training rows alone, and ships with the model."""

from __future__ import annotations

from pathlib import Path as Folder
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Lasso, Ridge
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, SplineTransformer, StandardScaler, TargetEncoder

from regsearch import MLP, Choice, Estimator, Int, InvalidInput, Linear, Net, Path, Prepare, Study, load, load_config
from regsearch import nn_techniques as t
from regsearch.data.prepared import prepare_rows
from regsearch.data.problem import make_problem
from regsearch.export.code import code
from regsearch.export.retrain import retrain
from regsearch.export.verify import Evidence, verify
from regsearch.models.base import Candidate
from regsearch.models.linear.convert import to_ridge_alpha
from regsearch.space.config import identities_kept
from regsearch.space.sampling import default

RANDOM = np.random.default_rng(0)
N = 60
WORDS = np.array(["cat", "dog", "bird", "mat", "red", "blue", "old", "new", "near", "far"])
X = pd.DataFrame({
    "text": [" ".join(RANDOM.choice(WORDS, 5)) for _ in range(N)],
    "size": np.where(np.arange(N) % 9, RANDOM.normal(size=N), np.nan),
    "day": pd.date_range("2026-01-01", periods=N),
})  # fmt: skip
Y = X["text"].str.count("cat") - X["text"].str.count("dog") + X["size"].fillna(0) + RANDOM.normal(size=N) / 4
NUMBERS = np.column_stack([np.arange(N, dtype=float), X["size"].fillna(0)])
TINY = Net(MLP((4,)), lr=Choice(0.01, 0.02), precision="float64", early_stopping=t.FixedEpochs(4))


def columns(vectorizer: Any) -> Any:
    """Words, and the size with its holes."""
    return make_column_transformer((vectorizer, "text"), ("passthrough", ["size"]), sparse_threshold=0)


TEXT = columns(TfidfVectorizer())


class Recorder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Numbers as they are, and the rows that it was fitted to, which its clones tell the class."""

    seen: ClassVar[list[set[float]]] = []

    def fit(self, X: Any, y: Any = None) -> Any:
        Recorder.seen.append(set(np.asarray(X)[:, 0].tolist()))
        return self

    def transform(self, X: Any) -> Any:
        return np.asarray(X)


def study(root: Folder, space: Any, data: Any = X, y: Any = Y, **options: Any) -> Study:
    return Study("s", data, y, space=space, root=root, **{"cv": 3, "tracking": False} | options)


@pytest.mark.parametrize("model", [Linear("l2", Path(3)), TINY], ids=["linear", "net"])
def test_no_fold_learns_of_rows_outside_its_training(model: Any, tmp_path: Folder) -> None:
    """Whatever a search fits a transformer to is the training rows of a fold, each of them once for all trials."""
    made = study(tmp_path, model.replace(prepare=Recorder()), NUMBERS, n_jobs=1)
    config = default(made.space)
    Recorder.seen.clear()
    with identities_kept({}):  # as in a run: what the class has seen does not make it another
        outcomes = list(made.space.backend(made.setup).stream([Candidate(number, config) for number in range(3)]))
    assert [one.state for one in outcomes] == ["complete"] * 3
    assert sorted(map(sorted, Recorder.seen)) == sorted(train.tolist() for train in made.folds.train)


@pytest.mark.slow
@pytest.mark.parametrize(("penalty", "sparse"), [("l1", 0.0), ("l2", 0.0), ("l2", 1.0)])
def test_scores_are_those_of_a_pipeline(penalty: str, sparse: float, tmp_path: Folder) -> None:
    """A trial's scores are those of transformer, imputer, scaler and model fitted by scikit-learn, fold by fold."""
    front = make_column_transformer((TfidfVectorizer(), "text"), ("passthrough", ["size"]), sparse_threshold=sparse)
    data = X.assign(size=X["size"].fillna(0)) if sparse else X
    made = study(
        tmp_path, Linear(penalty, 0.05, prepare=Prepare(front, {"tfidfvectorizer__min_df": Choice(1, 4)})), data
    )
    results = made.run(2, quiet=True)
    trial = results.best
    for k, (train, val) in enumerate(zip(made.folds.train, made.folds.val, strict=True)):
        model = Lasso(0.05) if penalty == "l1" else Ridge(to_ridge_alpha(0.05, len(train)))
        own = clone(front).set_params(tfidfvectorizer__min_df=trial.params["tfidfvectorizer__min_df"])
        steps = [own, *([] if sparse else [SimpleImputer()]), StandardScaler(with_mean=not sparse), model]
        fitted = make_pipeline(*steps).fit(data.iloc[train], Y[train])
        error = -root_mean_squared_error(Y[val], fitted.predict(data.iloc[val]))
        np.testing.assert_allclose(results.curves(trial.number).val[k, trial.step], error, rtol=1e-3)


def test_columns_stand_under_their_names() -> None:
    """Folds with other words have columns of one meaning: what a fold lacks is 0 there in all of its rows."""
    problem = make_problem(X, Y)
    train = [np.arange(0, 2), np.arange(20, 22)]
    made = prepare_rows(lambda: columns(CountVectorizer()), problem, train)
    for rows, matrix in zip(train, made.matrices, strict=True):
        alone = columns(CountVectorizer()).fit(X.iloc[rows])
        own = list(alone.get_feature_names_out())
        expected = np.zeros((N, len(made.names)))
        expected[:, [made.names.index(name) for name in own]] = alone.transform(X)
        np.testing.assert_array_equal(matrix, expected)
    assert set(made.names) > set(own)


def test_columns_are_named_as_the_transformer_names_them(tmp_path: Folder) -> None:
    """An unpenalized column is one that the transformer gives; a name that it does not give is refused with a hint."""
    own = Linear("l1", 10.0, prepare=TEXT, unpenalized=["tfidfvectorizer__cat"], scale=Choice("standard", "none"))
    model = own.replace(scale="standard").refit(make_problem(X, Y), 0)
    names = list(model[0].get_feature_names_out())
    assert [names[j] for j in np.flatnonzero(model[-1].coef_)] == ["tfidfvectorizer__cat"]
    with pytest.raises(InvalidInput, match="got 'tfidfvectorizer__cats'; did you mean 'tfidfvectorizer__cat'"):
        study(tmp_path, own.replace(unpenalized=["tfidfvectorizer__cats"]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "front"),
    [(Linear("l2", Path(4)), TEXT), (Linear("l2", Path(4)), make_column_transformer((TfidfVectorizer(), "text"))),
     (TINY.replace(lr=0.01), TEXT)], ids=["linear", "sparse", "net"],
)  # fmt: skip
def test_a_bundle_takes_raw_rows(model: Any, front: Any, tmp_path: Folder) -> None:
    """Loading, verifying by data, retraining and fitting the config again all take the rows as they were given."""
    space = model.replace(prepare=Prepare(front, {"tfidfvectorizer__min_df": Int(1, 2)}))
    made = study(tmp_path / "runs", space)
    best = made.run(3, quiet=True).best
    assert made.space.cannot_be_exported() == ""
    bundle = made.export(tmp_path / "bundle")
    expected = best.config.refit(made.problem, 0).predict(X)
    np.testing.assert_allclose(load(bundle).predict(X), expected)
    verdict = verify(bundle, Evidence(made.problem))
    assert verdict.holds, str(verdict)
    again = load_config(bundle).build().fit(X, Y)
    np.testing.assert_allclose(again.predict(X), expected)
    retrained = retrain(bundle, X[::-1], Y[::-1], tmp_path / "new")
    assert verify(retrained.folder, Evidence(make_problem(X[::-1], Y[::-1]))).holds
    start = study(tmp_path / "again", space, start_from=bundle).run(2, quiet=True)
    assert any(one.config["prepare"]["params"] == best.trial.config["prepare"]["params"] for one in start.all)


@pytest.mark.slow
def test_plain_code_prepares_rows() -> None:
    """The printed pipeline, fitted to raw rows, predicts what the refitted config does."""
    config = Linear("l2", 0.1, prepare=Prepare(TEXT, {"tfidfvectorizer__min_df": 3}))
    problem = make_problem(X, Y)
    scope: dict[str, Any] = {}
    exec(code(config, problem, "sklearn"), scope)
    expected = config.refit(problem, 0).predict(X)
    np.testing.assert_allclose(scope["model"].fit(X, Y).predict(X), expected, atol=1e-6)
    net = TINY.replace(lr=0.01, prepare=TEXT)
    exec(code(net, problem, "torch"), scope)
    np.testing.assert_allclose(scope["fit"](X, Y)(X), net.refit(problem, 0).predict(X), atol=0.2)


REFUSED: dict[str, tuple[Any, str]] = {
    "no transformer": (lambda: Linear(prepare=Ridge()), "must be an unfitted transformer of scikit-learn, got Ridge"),
    "a class": (lambda: Linear(prepare=SplineTransformer), "must be an unfitted transformer"),
    "no parameter": (lambda: Prepare(TEXT, {"min_df": 2}), "no parameter 'min_df'; did you mean"),
    "a bad range": (
        lambda: study(Folder("x"), Linear(prepare=Prepare(SplineTransformer(), {"n_knots": Int(0, 3)})), X[["size"]]),
        "'n_knots' does not",
    ),
    "text alone": (lambda: study(Folder("x"), Linear(prepare=TfidfVectorizer())), "cannot prepare|name the columns"),
    "no numbers": (
        lambda: study(Folder("x"), Linear(prepare=make_column_transformer(("passthrough", ["text"])))),
        "must give numbers, ColumnTransformer gave object",
    ),
    "its own error": (lambda: study(Folder("x"), Linear(prepare=StandardScaler())), "cannot prepare the training rows"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_prepare_is_refused(case: str) -> None:
    """Before any trial, naming the transformer and what to do."""
    make, message = REFUSED[case]
    with pytest.raises(InvalidInput, match=message):
        make()


def test_what_cannot_be_exported_is_said() -> None:
    """A transformer with a function that no file can name is known not to be exportable before anything is fitted."""
    front = make_column_transformer((FunctionTransformer(lambda x: x), ["size"]))
    assert "lambda" in Linear(prepare=front).cannot_be_exported()


def test_weights_reach_it() -> None:
    """Rows of weight zero are not there; holes are filled by weighted means."""
    weight = np.r_[np.zeros(20), np.ones(20), np.full(20, 2.0)]
    config = Linear("l2", 0.1, prepare=TEXT)
    whole = config.refit(make_problem(X, Y, sample_weight=weight), 0)
    left = config.refit(make_problem(X[20:], Y[20:], sample_weight=weight[20:]), 0)
    np.testing.assert_allclose(whole.predict(X), left.predict(X))


@pytest.mark.filterwarnings("ignore:`TargetEncoder:FutureWarning")
@pytest.mark.parametrize("inside", [False, True])
def test_what_draws_draws_the_same(inside: bool) -> None:
    """Fits of a config are the same again, those of an encoder too that splits the rows at random by itself."""
    rows = pd.DataFrame({"c": np.array(list("abc"))[np.arange(60) % 3], "a": np.arange(60.0) % 7})
    y = np.arange(60) % 11 / 2 + np.cos(np.arange(60)) + (rows["c"] == "a")
    encode = make_column_transformer((TargetEncoder(), ["c"]), remainder="passthrough")
    pipeline = Estimator(make_pipeline(encode, Ridge()), {"ridge__alpha": 0.1})
    config = pipeline if inside else Linear("l2", 0.1, prepare=Prepare(encode))
    one, two = (config.refit(make_problem(rows, y), 0).predict(rows) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    model: dict[str, Any] = {}
    exec(code(config, make_problem(rows, y), "sklearn"), model)
    np.testing.assert_allclose(model["model"].fit(rows, y).predict(rows), one)
