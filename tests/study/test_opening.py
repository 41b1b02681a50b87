"""A stored study by its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from samples import outcomes, regression, study
from sklearn.model_selection import TimeSeriesSplit

import regsearch
from regsearch import Choice, InvalidInput, Linear, NotFound, Results, Study, StudyMismatch, column_transformer, spaces
from regsearch import Path as LambdaPath
from regsearch.space.config import digest


def own_score(estimator: object, X: object, y: object) -> float:
    return 1.0


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{"test": 0.2, "cv": TimeSeriesSplit(3)}, {"scoring": ["r2", "neg_max_error"], "pooled": True, "seed": 5}],
)
def test_a_study_goes_on_without_its_script(tmp_path: Path, options: dict[str, object]) -> None:
    """With its data, what is opened is the study: the same folds, scores, held-out rows, and the trials to come."""
    whole = study(tmp_path / "whole", **options).run(6, quiet=True)
    study(tmp_path / "part", **options).run(3, quiet=True)
    opened = regsearch.open("small", *regression(), root=tmp_path / "part")
    assert isinstance(opened, Study)
    assert outcomes(opened.run(6, quiet=True)) == outcomes(whole)
    assert isinstance(found := regsearch.open("small", root=tmp_path / "part"), Results)
    assert outcomes(found) == outcomes(whole)


def test_a_study_that_is_older_than_defaults_for_columns_goes_on(tmp_path: Path) -> None:
    """One whose identity says nothing of columns was prepared by nothing: it opens with its data, to run on."""
    study(tmp_path).run(1, quiet=True)
    (log,) = tmp_path.rglob("journal.log")
    told = log.read_text()
    assert ',"column_roles":[]' in told
    log.write_text(told.replace(',"column_roles":[]', ""))
    assert len(regsearch.open("small", *regression(), root=tmp_path).run(2, quiet=True).trials) == 2


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    """Another study's data are refused, and what only a script has is asked for by its name."""
    X, y = regression()
    study(tmp_path).run(1, quiet=True)
    with pytest.raises(StudyMismatch, match="the same data only"):
        regsearch.open("small", X, y + 1, root=tmp_path)
    with pytest.raises(StudyMismatch, match="'small' has 60 rows, got 20; pass its own"):
        regsearch.open("small", X[:20], y[:20], root=tmp_path)
    with pytest.raises(NotFound, match="no study 'absent'"):
        regsearch.open("absent", root=tmp_path)
    with pytest.raises(InvalidInput, match="Options are those of a study with its data"):
        regsearch.open("small", root=tmp_path, seed=3)  # type: ignore[call-overload]
    study(tmp_path, "own", scoring={"own": own_score}).run(1, quiet=True)
    with pytest.raises(InvalidInput, match="scoring="):
        regsearch.open("own", X, y, root=tmp_path)
    assert regsearch.open("own", X, y, root=tmp_path, scoring={"own": own_score}, space=spaces.linear())
    assert np.isfinite(regsearch.open("own", root=tmp_path).best.score)


def test_a_table_that_was_prepared_by_default_goes_on_without_its_space(tmp_path: Path) -> None:
    """Its columns are prepared as they were, also of a study made from it; one that is taken for another is named."""
    n = 40
    X = pd.DataFrame({
        "town": ["Rome", "Bern"] * (n // 2), "day": [f"2026-01-{1 + k % 28:02}" for k in range(n)],
        "size": np.random.default_rng(0).normal(size=n),
    })  # fmt: skip
    y = X["size"] + (X["town"] == "Rome")
    space = Linear(Choice("l1", "l2"), LambdaPath(5))
    made = Study("table", X, y, space=space, cv=3, root=tmp_path, tracking=False)
    made.run(2, quiet=True)
    opened = regsearch.open("table", X, y, root=tmp_path)
    assert digest(opened.space) == digest(made.space)
    assert len(opened.run(3, quiet=True).trials) == 3
    other = tmp_path / "other"
    assert "Prepared inside each fold: town: 2 categories" in str(opened.replace(root=other, seed=1))
    opened.replace(root=other, seed=1).run(1, quiet=True)
    assert digest(regsearch.open("table", X, y, root=other).space) == digest(made.space)
    for changed, said in (
        (X.assign(town=X["town"] + [f" by the lake number {k}" for k in range(n)]), "'town': then text, 2 cat.* words"),
        (X.drop(columns="day"), "'day': then text, date in parts, read as %Y-%m-%d, now no such column"),
        (X.assign(day=pd.to_datetime(X["day"])), "'day': then text, .* now date in parts; pass its data as"),
    ):
        with pytest.raises(InvalidInput, match=said):
            regsearch.open("table", changed, y, root=tmp_path)
    own = Linear(prepare=column_transformer(X, {"town": "drop"}))
    Study("own", X, y, space=own, cv=3, root=tmp_path, tracking=False).run(1, quiet=True)
    with pytest.raises(InvalidInput, match="known to its script alone"):
        regsearch.open("own", X, y, root=tmp_path)
