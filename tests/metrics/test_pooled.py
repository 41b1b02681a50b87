"""Pooled scores: one score of all rows outside training, and the error of leaving folds out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, explained_variance_score, r2_score, roc_auc_score
from sklearn.model_selection import KFold, LeaveOneOut, RepeatedKFold, ShuffleSplit, StratifiedKFold

from regsearch.data.folds import make_folds
from regsearch.data.problem import Problem, make_problem
from regsearch.metrics.averaging import Averaging
from regsearch.metrics.pooled import MOST_GROUPS, pooled_metrics, pooled_scores
from regsearch.metrics.scorer import known, resolve

ORACLES: dict[str, Any] = {
    "r2": r2_score, "explained_variance": explained_variance_score, "roc_auc": roc_auc_score,
    "average_precision": average_precision_score,
}  # fmt: skip


def equal(val: Any) -> Averaging:
    return Averaging.equal(len(val))


def problem(task: str, n: int, seed: int = 0) -> Problem:
    rng = np.random.default_rng(seed)
    y: Any = rng.normal(size=n) if task == "regression" else rng.permutation(np.arange(n) % 2)
    return make_problem(rng.normal(size=(n, 2)), y)


@pytest.mark.slow
@given(st.sampled_from(sorted(ORACLES)), st.integers(0, 999), st.integers(2, 12))
def test_the_mean_is_the_score_of_all_rows_and_the_error_is_the_jackknifes(name: str, seed: int, k: int) -> None:
    """Over folds the values average to scikit-learn's score of all decisions, with the delete-one-fold error."""
    p = problem("regression" if name in ("r2", "explained_variance") else "binary", 36, seed)
    (metric,) = resolve(name, p)
    folds = make_folds(KFold(k, shuffle=True, random_state=seed), p, 0)
    decision = np.random.default_rng(seed).normal(size=(p.rows, 3, 1))
    found = pooled_scores(metric, p, folds.val, [decision[rows] for rows in folds.val], equal(folds.val))
    assert found.shape == (k, 3)
    for step in range(3):
        score = decision[:, step, 0]
        assert found[:, step].mean() == pytest.approx(ORACLES[name](p.y, score))
        without = np.array([ORACLES[name](np.delete(p.y, v), np.delete(score, v)) for v in folds.val])
        jackknife = np.sqrt((k - 1) / k * ((without - without.mean()) ** 2).sum())
        assert found[:, step].std(ddof=1) / np.sqrt(k) == pytest.approx(jackknife)


@pytest.mark.parametrize("by", ["equal", "size"])
def test_folds_of_other_sizes_change_no_pooled_score(by: Any) -> None:
    """However folds are averaged, the mean of the values is the score of all rows."""
    p = problem("regression", 30)
    (metric,) = resolve("r2", p)
    folds = make_folds([(np.arange(12, 30), np.arange(12)), (np.arange(28), np.arange(28, 30)),
                        (np.r_[:12, 28:30], np.arange(12, 28))], p, 0)  # fmt: skip
    averaging = Averaging.of(folds, by=by)
    decision = np.random.default_rng(0).normal(size=(30, 1, 1))
    found = pooled_scores(metric, p, folds.val, [decision[rows] for rows in folds.val], averaging)
    assert averaging.mean(found)[0] == pytest.approx(r2_score(p.y, decision[:, 0, 0]))


@pytest.mark.parametrize("n", [MOST_GROUPS + 1, 2 * MOST_GROUPS, 173])
def test_many_folds_are_left_out_in_groups(n: int) -> None:
    """With a fold for each of many rows, the mean stays the score, and the error is nearly that of single rows."""
    p = problem("regression", n, 1)
    (metric,) = resolve("r2", p)
    folds = make_folds(LeaveOneOut(), p, 0)
    noise = np.random.default_rng(1).normal(size=n)
    decision = (p.y + noise)[:, None, None]
    found = pooled_scores(metric, p, folds.val, [decision[rows] for rows in folds.val], equal(folds.val))[:, 0]
    assert found.mean() == pytest.approx(r2_score(p.y, decision[:, 0, 0]), abs=0.02)
    without = np.array([r2_score(np.delete(p.y, i), np.delete(p.y + noise, i)) for i in range(n)])
    jackknife = np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    assert found.std(ddof=1) / np.sqrt(n) == pytest.approx(jackknife, rel=0.3)


@pytest.mark.parametrize("repeats", [1, 2, 3])
def test_repetitions_are_scored_one_by_one(repeats: int) -> None:
    """Where folds are repeated, each repetition is one score, and their mean counts."""
    p = problem("binary", 30)
    (metric,) = resolve("roc_auc", p)
    folds = make_folds(RepeatedKFold(n_splits=5, n_repeats=repeats, random_state=0), p, 0)
    decisions = [np.random.default_rng(k).normal(size=(len(rows), 1, 1)) for k, rows in enumerate(folds.val)]
    expected = []
    for r in range(repeats):
        some = range(5 * r, 5 * r + 5)
        y = np.concatenate([p.y[folds.val[k]] for k in some])
        expected.append(roc_auc_score(y, np.concatenate([decisions[k][:, 0, 0] for k in some])))
    assert pooled_scores(metric, p, folds.val, decisions, equal(folds.val)).mean() == pytest.approx(np.mean(expected))


def test_folds_that_share_rows_at_random_are_scored_together() -> None:
    """Of random splits of few rows no one has a score of its own: all their decisions have one."""
    p = problem("binary", 20)
    (metric,) = resolve("roc_auc", p)
    val = make_folds(ShuffleSplit(12, test_size=2, random_state=0), p, 0).val
    decisions = [np.random.default_rng(k).normal(size=(len(rows), 1, 1)) for k, rows in enumerate(val)]
    expected = roc_auc_score(p.y[np.concatenate(val)], np.concatenate(decisions)[:, 0, 0])
    assert pooled_scores(metric, p, val, decisions, equal(val)).mean() == pytest.approx(expected)


def test_a_score_that_needs_a_fold_is_kept() -> None:
    """Where a score is not defined without a fold, as without the only positives, the fold counts as no influence."""
    p = make_problem(np.zeros((6, 1)) + np.arange(6)[:, None], [1, 0, 0, 0, 0, 0])
    (metric,) = resolve("roc_auc", p)
    val = [np.array([k]) for k in range(6)]
    decision = np.array([2.0, 3.0, 1.0, 0.0, 0.0, 5.0])
    found = pooled_scores(metric, p, val, [decision[rows][:, None, None] for rows in val], equal(val))
    assert np.isfinite(found).all()
    assert found.mean() == pytest.approx(roc_auc_score(p.y, decision))


@pytest.mark.parametrize(
    ("task", "cv", "pooled"),
    [
        ("regression", LeaveOneOut(), ["r2"]),
        ("regression", KFold(4), []),
        ("binary", LeaveOneOut(), ["roc_auc", "average_precision", "f1"]),
        ("binary", StratifiedKFold(3), []),
        ("binary", ShuffleSplit(3, test_size=0.5, random_state=0), []),
    ],
)
def test_by_itself_only_where_it_must_be(task: str, cv: Any, pooled: list[str]) -> None:
    """Without a word from the user, the scores are pooled that some fold alone does not define, and no others."""
    p = problem(task, 40)
    names = ["r2", "neg_mean_squared_error", "neg_mean_absolute_error"]
    names = names if task == "regression" else ["roc_auc", "neg_log_loss", "accuracy", "average_precision", "f1"]
    metrics, folds = resolve(names, p), make_folds(cv, p, 0)
    assert [metric.name for metric in pooled_metrics(metrics, p, folds, None) if metric.pooled] == pooled
    assert all(metric.pooled for metric in pooled_metrics(metrics, p, folds, True))
    assert not any(metric.pooled for metric in pooled_metrics(metrics, p, folds, False))
    for metric in pooled_metrics(metrics, p, folds, None):
        again = known(metric.name, metric.identity, p)
        assert again is not None
        assert again.pooled == metric.pooled
