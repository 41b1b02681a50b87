"""Classes with fewer rows than folds: they are learned in every fold, and score in none."""

from __future__ import annotations

import json
from pathlib import Path as Folder
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    LeaveOneOut,
    StratifiedKFold,
    TimeSeriesSplit,
)

from regsearch import Choice, Estimator, InvalidInput, Linear, Path, RegSearchCV, Study
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.data.rare import RareClasses
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
    assert "".join(one.label for one in folds.rare.classes) == rare
    assert folds.weightless == isinstance(cv, LeaveOneOut)


def test_rare_classes_of_each_of_several_targets() -> None:
    """A row whose class is rare in one target trains everywhere and scores for none, as of one target alone; a class
    that folds lack by chance is kept, too, and a target of which one class would be left is refused by name."""
    other = np.where(np.arange(N) == 30, "u", np.where(np.arange(N) % 2, "v", "w"))
    both = pd.DataFrame({"kind": Y, "size": X[:, 1], "sort": other})
    tasks = ["multiclass", "regression", "multiclass"]
    made = make_problem(X, both, task=tasks)
    folds = make_folds(3, made, 0)
    kept = [*RARE, 30]
    assert all(np.isin(kept, train).all() for train in folds.train)
    assert sorted(np.concatenate(folds.val)) == sorted(set(range(N)) - set(kept))
    assert str(folds.rare) == (
        "Classes 'c' of target 'kind' (2 rows), 'd' of target 'kind' (1 row) and 'u' of target 'sort' (1 row) are too "
        "rare for these folds: their rows always train and never score."
    )
    assert folds.rare is not None
    assert folds.rare == RareClasses.of_data(json.loads(json.dumps(folds.rare.data())))
    for cv in (LeaveOneOut(), KFold(4, shuffle=True, random_state=1)):
        assert all(not one.absent(train).size for one in made.coded for train in make_folds(cv, made, 0).train)
    for seed in range(20):  # three rows that other targets spread as they like may all validate in one fold
        few = both.assign(sort=np.where(np.isin(np.arange(N), [1, 2, 3]), "u", other))
        pairs = make_folds(3, make_problem(X, few, task=tasks), seed).train
        assert all({"u", "v", "w"} <= set(few["sort"].iloc[train]) for train in pairs)
    flags = both[["size"]].assign(kind=Y, flag=np.arange(N) == 3)
    with pytest.raises(InvalidInput, match=r"classes of target 'flag' must score.* class True has 1; use fewer"):
        make_folds(3, make_problem(X, flags, task=["regression", "multiclass", "binary"]), 0)


@pytest.mark.parametrize("cv", [3, GroupKFold(3), LeaveOneGroupOut()], ids=str)
def test_a_class_of_one_group_stays_in_training(cv: Any) -> None:
    """However many rows it has: folds that keep groups together would lack it. Folds that part groups need not."""
    groups = np.arange(N) // 6
    y = np.where(groups == 2, "z", np.where(np.arange(N) % 2, "a", "b"))
    folds = make_folds(cv, make_problem(X, y, groups=groups), 0)
    assert all("z" in y[train] and "z" not in y[val] for train, val in zip(folds.train, folds.val, strict=True))
    assert "Class 'z' (6 rows in 1 group) is too rare" in str(folds.rare)
    with pytest.warns(UserWarning, match="groups parameter is ignored"):
        assert make_folds(KFold(3, shuffle=True, random_state=0), make_problem(X, y, groups=groups), 0).rare is None
    lone = np.where(groups == 2, "z", "a")
    with pytest.raises(InvalidInput, match=r"as many groups as there are folds .* class 'z' has 1"):
        make_folds(cv, make_problem(X, lone, groups=groups), 0)


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


@pytest.mark.parametrize("seed", range(6))
def test_a_class_is_never_held_out_whole(seed: int) -> None:
    """Nor are the rows of one of several targets, those of a group with all of a class, or all that weigh anything."""
    other = np.where(np.isin(np.arange(N), [7, 8]), "u", "v")
    both = pd.DataFrame({"kind": np.arange(N) % 2, "sort": other, "size": X[:, 1]})
    weight = np.where(np.arange(N) == 8, 0.0, 1.0)
    made = make_problem(X, both, task=["binary", "binary", "regression"], sample_weight=weight, test=0.6, seed=seed)
    assert "u" in made.labels["sort"].to_numpy()[made.sample_weight > 0]
    groups = np.arange(N) // 6
    y = np.where(groups == 2, "z", np.where(np.arange(N) % 2, "a", "b"))
    grouped = make_problem(X, y, groups=groups, test=0.6, seed=seed)
    assert set(grouped.labels) == set("abz")
    assert grouped.test is not None
    assert not set(grouped.groups) & set(grouped.test.groups)


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
