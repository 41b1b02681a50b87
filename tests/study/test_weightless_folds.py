"""A study whose rows of weight zero fill whole folds is the study of the other rows: nothing else is there."""

from __future__ import annotations

import json
from pathlib import Path as Folder
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneGroupOut, LeaveOneOut

from regsearch import Choice, Estimator, Float, InvalidInput, Linear, Path, Study
from regsearch.export.bundle.folding import folds_like
from regsearch.results.advice.more_folds import more_folds
from regsearch.results.results import Results

X, Y = (np.asarray(one)[:40] for one in load_diabetes(return_X_y=True))
LABELS = np.where(np.arange(40) % 3, "a", "b")
WEIGHT = np.r_[np.zeros(5), 1, 1, 0, np.tile([1.0, 2.0], 16)]  # what weighs nothing lies together, and apart
GROUPS = np.arange(40) // 3  # the first of which weighs nothing

LINEAR = Linear(Choice("l1", "l2"), Path(8, 0.01), scale="standard")
CASES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "left one out": (Y, LINEAR, {"cv": LeaveOneOut()}),
    "pooled": (Y, LINEAR, {"cv": LeaveOneOut(), "scoring": "r2"}),
    "classes": (LABELS, LINEAR, {"cv": LeaveOneOut(), "scoring": "accuracy"}),
    "estimator": (Y, Estimator(Ridge(), {"alpha": Float(0.01, 10, log=True)}), {"cv": LeaveOneOut()}),
    "groups by size": (Y, LINEAR, {"cv": LeaveOneGroupOut(), "groups": GROUPS, "fold_weights": "size"}),
}


def study(root: Folder, y: Any, space: Any, rows: Any, options: dict[str, Any]) -> Study:
    groups = {"groups": GROUPS[rows]} if "groups" in options else {}
    return Study(
        "s", X[rows], y[rows], space=space, sample_weight=WEIGHT[rows], root=root, tracking=False, **options | groups
    )


def said(results: Results) -> list[Any]:
    """All that the trials scored, and what the best score is worth."""
    found = results.corrected
    assert found.interval is not None, found.why
    figures = [figure for one in results.top(9) for figure in vars(one.point).values()]
    return [found.score, *found.interval, *figures]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_study_is_that_of_the_rows_that_weigh(case: str, tmp_path: Folder) -> None:
    """Scores, errors and corrected scores of folds with rows of weight zero alone are those of a study without them."""
    y, space, options = CASES[case]
    whole, left = study(tmp_path / "whole", y, space, np.arange(40), options), WEIGHT > 0
    expected = study(tmp_path / "left", y, space, left, options).run(4, quiet=True)
    found = whole.run(4, quiet=True)
    np.testing.assert_allclose(np.array(said(found), dtype=float), np.array(said(expected), dtype=float), rtol=1e-6)
    assert whole.folds.weightless == (1 if "groups" in options else (~left).sum())


def test_it_is_said_once(tmp_path: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """A run says in one line how many folds are left out, and only where some are."""
    for rows, lines in ((np.arange(40), 1), (WEIGHT > 0, 0)):
        study(tmp_path / str(lines), Y, LINEAR, rows, {"cv": LeaveOneOut()}).run(2)
        assert capsys.readouterr().err.count("6 of the 40 folds validate rows of weight zero alone") == lines


def test_a_bundle_knows_its_folds(tmp_path: Folder) -> None:
    """Folds that were left out are left out again of all rows of the study, and counted when more are proposed."""
    weight = np.where(in_the_first_fold(8), 0.0, WEIGHT + 1)
    made = Study("s", X, Y, space=LINEAR, sample_weight=weight, cv=8, seed=13, root=tmp_path, tracking=False)
    made.run(1, quiet=True)
    folds = made.results().folds
    assert folds is not None
    assert (len(folds), folds.weightless, made.folds.weightless) == (7, 1, 1)
    assert "n_splits=8" in more_folds(folds, made.problem)
    provenance = json.loads((made.export(tmp_path / "bundle") / "provenance.json").read_text())
    assert folds_like(provenance["folds"], made.problem, 13).digest == made.folds.digest


def in_the_first_fold(cv: Any) -> Any:
    """``[n]``: whether a row validates in the first fold."""
    folds = Study("s", X, Y, space=LINEAR, cv=cv, seed=13, tracking=False).folds
    return np.isin(np.arange(40), folds.val[0])


def test_one_row_that_weighs_is_no_study(tmp_path: Folder) -> None:
    """Where one fold is left there is nothing to average."""
    with pytest.raises(InvalidInput, match="1 of 40 does; shuffle the rows, or drop"):
        Study("s", X, Y, space=LINEAR, cv=LeaveOneOut(), score_weight=np.eye(40)[3], root=tmp_path, tracking=False)
