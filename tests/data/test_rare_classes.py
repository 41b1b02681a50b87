"""Classes with fewer rows than folds: they are learned in every fold, and score in none."""

from __future__ import annotations

import json
from pathlib import Path as Folder
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, LeaveOneOut, StratifiedKFold, TimeSeriesSplit

from regsearch import Choice, Estimator, InvalidInput, Linear, Path, RegSearchCV, Study
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.export.bundle.folding import folds_like
from regsearch.results.report.sentences import about

N = 36
X = np.random.default_rng(0).normal(size=(N, 3))
Y = np.array(["a", "b"])[(X[:, 0] > 0).astype(int)].astype(object)
Y[[4, 20]], Y[9] = "c", "d"
RARE = np.array([4, 9, 20])
GROUPS = np.arange(N) // 2
SAID = "Classes 'c' (2 rows) and 'd' (1 row) are too rare for these folds: their rows always train and never score."
LINEAR = Linear("l2", Path(5))


@pytest.mark.parametrize(
    ("cv", "rare"), [(3, "cd"), (KFold(4, shuffle=True, random_state=1), "d"), (LeaveOneOut(), "d")], ids=str
)
def test_rare_classes_train_in_every_fold_and_score_in_none(cv: Any, rare: str) -> None:
    """Rows of a class that some training rows would lack train everywhere; all others validate as often as before."""
    folds = make_folds(cv, make_problem(X, Y), 0)
    rows = np.flatnonzero(np.isin(Y, list(rare)))
    assert all(np.isin(rows, train).all() for train in folds.train)
    assert sorted(np.concatenate(folds.val)) == sorted(set(range(N)) - set(rows.tolist()))
    assert folds.rare is not None
    assert "".join(folds.rare.rows) == rare
    assert folds.weightless == isinstance(cv, LeaveOneOut)


def test_groups_stay_together() -> None:
    """Of groups with a rare class no row scores: it would score beside rows of its own group."""
    folds = make_folds(3, make_problem(X, Y, groups=GROUPS), 0)
    for train, val in zip(folds.train, folds.val, strict=True):
        assert not np.intersect1d(GROUPS[train], GROUPS[val]).size
        assert np.isin(RARE, train).all()
    assert "their rows and 3 others of the same groups always train" in str(folds.rare)


def test_what_is_not_rare_is_refused_or_left(tmp_path: Folder) -> None:
    """Time is never turned round, given folds and splitters with every class are as they are; one class is no task."""
    late = np.sort(Y)
    for cv in (TimeSeriesSplit(3), list(KFold(3).split(X))):
        with pytest.raises(InvalidInput, match="is absent in fold"):
            make_folds(cv, make_problem(X, late), 0)
    twice = np.where(Y == "d", "c", Y)
    kept = make_folds(StratifiedKFold(3), make_problem(X, twice), 0)
    assert kept.rare is None
    assert sorted(np.concatenate(kept.val)) == list(range(N))
    with pytest.raises(InvalidInput, match="At least two classes must score"):
        make_folds(3, make_problem(X, np.where(Y == "d", "d", "a")), 0)
    with pytest.raises(InvalidInput, match="'roc_auc_ovr' is not defined for rows that lack a class"):
        Study("s", X, Y, space=LINEAR, cv=3, scoring="roc_auc_ovr", root=tmp_path, tracking=False)


def test_a_class_of_one_row_is_never_held_out() -> None:
    """A drawn test set has rows of the classes that can spare one, and the training rows all others."""
    problem = make_problem(X, Y, test=0.25)
    assert problem.test is not None
    assert problem.test.rows + problem.rows == N
    assert set(problem.labels) == set("abcd")
    assert "d" not in problem.test.labels


def test_scores_are_those_of_the_rows_that_score(tmp_path: Folder) -> None:
    """A fold's log-loss is scikit-learn's of a fit to its training rows, told of the classes that it cannot see.

    The warning names the line of the user's that ran the study, not one of the package.
    """
    space = Estimator(LogisticRegression(), {"C": Choice(0.5, 1.0)})
    study = Study("s", X, Y, space=space, cv=3, root=tmp_path, tracking=False, prune=False)
    with pytest.warns(UserWarning, match="too rare") as warned:
        results = study.run(2, quiet=True)
    assert warned[0].filename == __file__
    val = results.curves(results.best.number).val[:, 0]
    C = results.best.params["C"]
    for k, (train, rows) in enumerate(zip(study.folds.train, study.folds.val, strict=True)):
        fitted = LogisticRegression(C=C, random_state=0).fit(X[train], Y[train])
        expected = -log_loss(Y[rows], fitted.predict_proba(X[rows]), labels=fitted.classes_)
        np.testing.assert_allclose(val[k], expected)


@pytest.mark.slow
def test_it_is_said_wherever_the_score_is(tmp_path: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """The progress, the report, the card and what is stored name the classes; a bundle's folds come out again."""
    study = Study("s", X, Y, space=LINEAR, cv=3, root=tmp_path, tracking=False)
    results = study.run(2)
    assert SAID in capsys.readouterr().err
    assert about(results).endswith(SAID)
    assert results.folds is not None
    assert results.folds.rare == study.folds.rare
    bundle = study.export(tmp_path / "bundle")
    assert SAID.replace("'", "") in (bundle / "README.md").read_text().replace("'", "").replace("\\", "")
    said = json.loads((bundle / "provenance.json").read_text())["folds"]
    assert folds_like(said, study.problem, 0).digest == study.folds.digest


@pytest.mark.slow
def test_what_searches_inside_says_it_too(tmp_path: Folder) -> None:
    """Nested cross-validation and learning curves keep rare classes in training; `RegSearchCV` warns."""
    study = Study("s", X, Y, space=LINEAR, cv=3, root=tmp_path, tracking=False)
    with pytest.warns(UserWarning, match="too rare"):
        study.run(2, quiet=True)
    with pytest.warns(UserWarning, match="too rare"):
        nested = study.nested(2, n_trials=2, quiet=True)
    assert nested.complete
    assert np.isfinite(study.learning_curve((0.5, 1.0), quiet=True).val).all()
    with pytest.warns(UserWarning, match="too rare"):
        search = RegSearchCV(LINEAR, cv=KFold(3, shuffle=True, random_state=0), n_trials=2).fit(X, Y)
    assert list(search.classes_) == list("abcd")
