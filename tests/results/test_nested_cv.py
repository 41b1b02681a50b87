"""Nested cross-validation: against a loop written out, its leaks, its resumption and its record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from samples import finished, regression, study
from scipy import stats
from sklearn.linear_model import Ridge
from sklearn.metrics import get_scorer
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut, TimeSeriesSplit

from regsearch import Choice, Estimator, InvalidInput, Study
from regsearch.data.folds import Folds, make_folds
from regsearch.data.problem import Problem, make_problem
from regsearch.errors import StudyMismatch
from regsearch.metrics.averaging import Averaging
from regsearch.progress import Progress
from regsearch.results.nested_cv import FINDING, NestedCV, NestedResult, OuterFold, outer_folds
from regsearch.results.results import Results, load_results
from regsearch.storage.store import Store

ALPHAS = (0.01, 1.0, 30.0, 1000.0)
RIDGE = Estimator(Ridge(), {"alpha": Choice(*ALPHAS)})
METRICS = ["r2", "neg_mean_absolute_error"]


def ridge(root: Path, name: str = "nest", **options: Any) -> Study:
    return study(
        root, name, **({"space": RIDGE, "scoring": METRICS, "prune": False, "data": regression(60, 20)} | options)
    )


@pytest.mark.slow
def test_nested_is_the_loop_written_out(tmp_path: Path) -> None:
    """Scores, choices and inner scores are those of two nested loops of scikit-learn on the same folds."""
    rng = np.random.default_rng(0)
    X, y = regression(60, 20)
    weight = rng.uniform(0.5, 2, len(y))
    found = ridge(tmp_path, sample_weight=weight).nested(4, 10, quiet=True)
    problem = make_problem(X, y, sample_weight=weight)
    outer = make_folds(4, problem, 0)
    for k, (train, test) in enumerate(zip(outer.train, outer.val, strict=True)):
        inner = make_folds(3, problem.take(train), 0)
        means = {}
        for alpha in (1.0, *ALPHAS):
            fits = [
                get_scorer("r2")(
                    Ridge(alpha=alpha).fit(X[train][a], y[train][a], sample_weight=weight[train][a]),
                    X[train][b], y[train][b], sample_weight=weight[train][b],
                )
                for a, b in zip(inner.train, inner.val, strict=True)
            ]  # fmt: skip
            means[alpha] = float(np.mean(fits))
        alpha = max(means, key=lambda one: means[one])
        fitted = Ridge(alpha=alpha).fit(X[train], y[train], sample_weight=weight[train])
        assert found.params[k]["alpha"] == alpha
        assert found.inner[k] == pytest.approx(means[alpha])
        for metric in METRICS:
            expected = get_scorer(metric)(fitted, X[test], y[test], sample_weight=weight[test])
            assert found.of(metric)[k] == pytest.approx(expected)
    assert (found.metric, found.outer, found.rule, found.complete) == ("r2", 4, "best", True)


@pytest.mark.slow
def test_what_is_kept(tmp_path: Path) -> None:
    """The finished record is the finding ``nested``, its figures follow from its scores, and no MLflow is written."""
    one = ridge(tmp_path, tracking=True)
    found = one.nested(3, 4, rule="one_se", quiet=True)
    stored = one.store.finding(FINDING)
    assert stored is not None
    assert set(stored) == {"metric", "weighted", "outer", "scores", "inner", "mean", "se", "params", "rule"}
    assert (stored["metric"], stored["outer"], stored["rule"]) == ("r2", 3, "one_se")
    assert stored["scores"] == list(found.scores)
    assert stored["inner"] == list(found.inner)
    assert stored["mean"] == pytest.approx(np.mean(found.scores))
    assert stored["se"] == pytest.approx(stats.sem(found.scores))
    assert [params["alpha"] for params in stored["params"]] == [params["alpha"] for params in found.params]
    assert found.optimism == pytest.approx(np.mean(found.inner) - np.mean(found.scores))
    half = stats.t.ppf(0.975, 2) * np.sqrt((1 / 3 + 1 / 2) * np.var(found.scores, ddof=1))
    np.testing.assert_allclose(found.interval, [found.mean - half, found.mean + half])
    assert found.summary in str(found)
    assert not (tmp_path / "mlflow.db").exists()
    assert sorted(folder.name for folder in (tmp_path / "studies").iterdir() if (folder / "journal.log").exists()) == [
        f"nest.outer{k}" for k in range(3)
    ]


def nesting(one: Study, search: Any) -> NestedCV:
    folds = outer_folds(3, one.options.cv, one.problem, 0)
    return NestedCV(one.store, one.problem, one.setup.metrics, 0, folds, "equal", search, "best")


def test_no_outer_row_is_searched(tmp_path: Path) -> None:
    """Each inner study sees exactly the outer training rows, with their groups, weights and labels."""
    X, y = regression(60)
    groups = np.repeat(np.arange(12), 5)
    one = ridge(tmp_path, data=(X, y), groups=groups, sample_weight=np.linspace(1, 2, 60))
    seen: list[Problem] = []

    def search(number: int, part: Problem) -> Results:
        inner = one._inner(number, part)
        seen.append(inner.problem)
        assert inner.folds.name == "3-fold GroupKFold"
        return inner.run(2, quiet=True)

    run = nesting(one, search)
    run.run(Progress(quiet=True))
    assert run.outer.name == "3-fold GroupKFold"
    for problem, train, test in zip(seen, run.outer.train, run.outer.val, strict=True):
        np.testing.assert_array_equal(problem.X, X[train])
        np.testing.assert_array_equal(problem.y, y[train])
        np.testing.assert_array_equal(problem.groups, groups[train])
        np.testing.assert_array_equal(problem.sample_weight, np.linspace(1, 2, 60)[train])
        assert not set(groups[train]) & set(groups[test])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["binary", "strings", "several targets", "held out"])
def test_every_task(kind: str, tmp_path: Path) -> None:
    """Labels of any kind, several targets, and a study with a held-out set, which stays untouched."""
    X, y = regression(80)
    cases: dict[str, dict[str, Any]] = {
        "binary": {"data": (X, y > 0)},
        "strings": {"data": (X, np.array(["a", "b", "c"])[np.digitize(y, [-1, 1])])},
        "several targets": {"data": (X, np.column_stack([y, X[:, 3] - y])), "space": RIDGE},
        "held out": {"data": (X, y), "test": 0.25},
    }
    one = study(tmp_path, **cases[kind])
    found = one.nested(3, 3, quiet=True)
    assert found.complete
    assert np.isfinite(found.scores).all()
    if kind == "held out":
        inner = one._inner(0, one.problem.take(np.arange(40))).problem
        assert (inner.rows, inner.test) == (40, None)


@pytest.mark.slow
def test_time_runs_forward_outside_too(tmp_path: Path) -> None:
    """Where the study's folds run forward in time the outer ones do, with the same gap between them."""
    one = ridge(tmp_path, cv=TimeSeriesSplit(3, gap=2))
    folds = outer_folds(4, one.options.cv, one.problem, 0)
    assert len(folds) == 4
    assert all(train.max() + 2 < test.min() for train, test in zip(folds.train, folds.val, strict=True))
    assert one.nested(4, 2, quiet=True).complete


class Later:
    """Trains on the first half and validates on the second: forward in time, without a number of folds."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        half = len(X) // 2
        yield np.arange(half), np.arange(half, len(X))


def test_no_number_shuffles_time(tmp_path: Path) -> None:
    """A number of any integer type keeps outer folds forward; where a splitter has no number, one is asked for."""
    one = ridge(tmp_path, cv=TimeSeriesSplit(3))
    folds = outer_folds(np.int64(4), one.options.cv, one.problem, 0)
    assert all(train.max() < test.min() for train, test in zip(folds.train, folds.val, strict=True))
    with pytest.raises(InvalidInput, match="Later run forward in time"):
        outer_folds(4, Later(), one.problem, 0)
    assert len(outer_folds(TimeSeriesSplit(2), Later(), one.problem, 0)) == 2


def test_outer_folds_may_be_given(tmp_path: Path) -> None:
    """The outer folds are whatever folds may be: a splitter, or index pairs."""
    groups = np.repeat(np.arange(3), 20)
    one = ridge(tmp_path, groups=groups, cv=GroupKFold(2))
    by_group = outer_folds(LeaveOneGroupOut(), one.options.cv, one.problem, 0)
    assert [set(groups[test]) for test in by_group.val] == [{0}, {1}, {2}]
    pairs = [(np.arange(40), np.arange(40, 60))]
    found = ridge(tmp_path, "given").nested(pairs, 2, quiet=True)
    assert (found.outer, len(found.scores), found.complete) == (1, 1, True)
    assert np.isnan(found.se)
    assert found.row()["se"] is None


def test_what_cannot_be_nested_says_so_before_any_fit(tmp_path: Path) -> None:
    """Folds given as indices, too many outer folds, and inner folds that are impossible are refused at once."""
    pairs = [(np.arange(40), np.arange(40, 60))]
    with pytest.raises(InvalidInput, match="cv is a list of given folds"):
        ridge(tmp_path, cv=pairs).nested(quiet=True)
    with pytest.raises(InvalidInput, match="cv must not exceed the number of rows"):
        ridge(tmp_path).nested(100, quiet=True)
    with pytest.raises(InvalidInput, match="number of groups"):
        ridge(tmp_path, groups=np.repeat(np.arange(4), 15), cv=3).nested(2, quiet=True)
    assert not (tmp_path / "studies").exists()


@pytest.mark.slow
def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    """After Ctrl-C the finished outer folds are there, nothing is kept as finished, and the next run ends the same."""
    one, whole = ridge(tmp_path / "one"), ridge(tmp_path / "whole").nested(3, 4, quiet=True)
    searched: list[int] = []

    def tired(number: int, part: Problem) -> Results:
        results = one._inner(number, part).run(4 if number == 0 else 2, quiet=True)
        searched.append(number)
        return results if number == 0 else replace(results, stopped="interrupted")

    found = nesting(one, tired).run(Progress(quiet=True))
    assert searched == [0, 1]
    assert not found.complete
    assert found.folds == whole.folds[:1]
    assert "1 of 3 outer folds are finished" in str(found)
    assert one.store.finding(FINDING) is None
    again = one.nested(3, 4, quiet=True)
    assert again == whole
    inner = load_results(Store(tmp_path / "one", "nest.outer0"))
    assert len(finished(inner)) == 4


def test_ctrl_c_amid_a_refit(tmp_path: Path) -> None:
    """Ctrl-C that comes between searches leaves what is finished too, be it nothing."""
    one = ridge(tmp_path)

    def stop(number: int, part: Problem) -> Results:
        raise KeyboardInterrupt

    found = nesting(one, stop).run(Progress(quiet=True))
    assert found.scores == ()
    assert np.isnan([found.mean, found.se, found.optimism]).all()


@pytest.mark.slow
def test_other_data_under_the_same_name_is_refused(tmp_path: Path) -> None:
    """An outer fold's study goes on with its own rows only."""
    ridge(tmp_path).nested(3, 2, quiet=True)
    with pytest.raises(StudyMismatch, match=r"nest\.outer0"):
        ridge(tmp_path, data=regression(60, 20, seed=1)).nested(3, 2, quiet=True)


def test_optimism_shows(tmp_path: Path) -> None:
    """Of settings that are all worth nothing, the inner scores of the best promise more than the outer ones keep."""
    folds = tuple(OuterFold({"r2": score}, inner, {}) for score, inner in ((0.1, 0.5), (-0.1, 0.7)))
    found = NestedResult("r2", 2, "best", Averaging(2, 2, 1.0), 1.0, folds)
    assert found.optimism == pytest.approx(0.6)
    assert "promised 0.6 more" in found.summary
    folds = tuple(OuterFold({"r2": score}, 0.9, {}) for score in (0.98, 1.0))
    found = NestedResult("r2", 2, "best", Averaging(2, 2, 1.0), 1.0, folds)
    assert found.interval[1] == 1.0, "no score is better than perfect"
    assert "promised 0.09 less" in found.summary
    for score in (0.0, 0.9):  # of every outer fold
        found = NestedResult("r2", 2, "best", Averaging(2, 2, 1.0), 1.0, (OuterFold({"r2": score}, 0.9, {}),) * 2)
        assert np.isnan(found.interval).all()
        assert "95 %" not in found.summary, "folds that agree tell of no error"


def test_before_the_first_fold() -> None:
    """A result of no outer fold yet, as after Ctrl-C, has figures that are NaN, and no warning."""
    found = NestedResult("r2", 2, "best", Averaging(2, 2, 1.0), 1.0, ())
    assert np.isnan([found.mean, found.se, found.optimism, *found.interval]).all()


def test_progress_names_the_fold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is said while it runs names the outer fold, the study inside it, and the result."""
    found = ridge(tmp_path).nested(2, 2)
    said = capsys.readouterr().err
    assert "nest: outer fold 1 (2 of 2)" in said
    assert "nest.outer1: 2 complete" in said
    assert found.summary in said


def test_folds_are_a_record() -> None:
    """Outer folds by an int are those of a study with that many folds."""
    X, y = regression(30)
    problem = make_problem(X, y)
    made: Folds = outer_folds(3, 5, problem, 7)
    assert made.digest == make_folds(3, problem, 7).digest
