"""Rules: what each one chooses, checked against its definition."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import regression, study
from scipy import stats
from sklearn.linear_model import Ridge

from regsearch import Choice, Estimator, Float, InvalidInput, Linear, NotFound, Pick, SearchFailed, spaces
from regsearch import Path as Axis
from regsearch.folds import overlap
from regsearch.path import resampled_se
from regsearch.results import Results
from regsearch.rules import RULES, _undominated, find, front, gap_budget
from regsearch.trials import Trial


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A study with every family."""
    return study(tmp_path_factory.mktemp("rules"), space=spaces.linear(), cv=5).run(25, quiet=True)


def test_best_is_the_highest_point_of_all(results: Results) -> None:
    """No point on any path has a better mean validation score than the best."""
    top = max(float(results.curves(trial.number).val.mean(axis=0).max()) for trial in results.complete)
    best = results.choose("best")
    assert best.score == pytest.approx(top, rel=1e-12)
    assert best == results.best
    assert (best.number, best.step) == (results.complete[0].number, results.complete[0].step)
    assert f"best {results.metric} of {len(results.complete)} complete trials" in best.why


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_one_se_is_glmnets_on_a_single_path(tmp_path: Path, seed: int, penalty: str) -> None:
    """On one path the one-SE choice is the largest lambda with a mean error within one standard error of the least."""
    space = Linear(penalty=penalty, lambda_=Axis(60))
    one = study(tmp_path, data=regression(40, 15, seed), space=space, cv=5, seed=seed).run(2, quiet=True)
    (trial,) = [trial for trial in one.complete if trial.role != "reference"]
    arrays = one.store.arrays(trial.number)
    errors = -arrays[f"val/{one.metric}"]  # glmnet's cvm, cvsd, lambda.min, lambda.1se
    cvm, cvsd = errors.mean(axis=0), errors.std(axis=0, ddof=1) / np.sqrt(len(errors))
    least = int(cvm.argmin())
    lambda_1se = arrays["axis"][cvm <= cvm[least] + cvsd[least]].max()
    chosen = one.choose("one_se")
    assert one.complete[0].number == chosen.number == trial.number
    assert chosen.lambda_ == pytest.approx(lambda_1se)
    assert chosen.config.lambda_ == chosen.params["lambda"] == chosen.lambda_


def test_one_se_is_within_one_se_and_fits_least(results: Results) -> None:
    """The one-SE choice is never better than the best, within its standard error, and fits training least of those."""
    best, chosen = results.best, results.choose("one_se")
    floor = best.score - best.point.val_se
    assert floor <= chosen.score <= best.score
    for trial in results.complete:
        curves = results.curves(trial.number)
        train, val = curves.train.mean(axis=0), curves.val.mean(axis=0)
        assert not (train[val >= floor] < chosen.point.train - 1e-12).any()


def test_one_se_without_folds_to_judge(tmp_path: Path) -> None:
    """A single fold has no standard error: the one-SE choice is the best."""
    one = study(tmp_path, cv=[(np.arange(40), np.arange(40, 60))]).run(6, quiet=True)
    assert np.isnan(one.best.point.val_se)
    chosen = one.choose("one_se")
    assert (chosen.number, chosen.step) == (one.best.number, one.best.step)
    assert "as good, on a single fold, as the best" in chosen.why


def test_rules_on_a_study_without_paths(tmp_path: Path) -> None:
    """Trials of a single point are chosen from alike."""
    space = Estimator(Ridge(), {"alpha": Float(1e-3, 1e3, log=True)})
    one = study(tmp_path, space=space).run(10, quiet=True)
    chosen = one.choose("one_se")
    assert chosen.step == 0
    assert chosen.lambda_ is None
    assert chosen.score <= one.best.score
    assert chosen.point.train <= one.best.point.train


def points(results: Results) -> list[tuple[int, int, float, float]]:
    """Number, step, score and gap of every point of every path."""
    found = []
    for trial in results.complete:
        curves = results.curves(trial.number)
        for step in range(trial.steps):
            val, train = curves.val[:, step].mean(), curves.train[:, step].mean()
            found.append((trial.number, step, float(val), float(train - val)))
    return found


def test_gap_budget_is_the_best_that_keeps_it(results: Results) -> None:
    """The budget's choice keeps it and no point of any path that does is better; a wider budget is never worse."""
    every = points(results)
    budgets = np.quantile([gap for *_, gap in every if gap > 0], [0.1, 0.4, 0.7, 1.0])
    scores = []
    for budget in budgets:
        chosen = results.choose(gap_budget(float(budget)))
        assert chosen.gap <= budget + 1e-9
        assert chosen.score == pytest.approx(max(score for *_, score, gap in every if gap <= budget), rel=1e-9)
        assert f"a gap of at most {budget:g}" in chosen.why
        scores.append(chosen.score)
    assert all(narrow <= wide + 1e-12 for narrow, wide in pairwise(scores))
    assert scores[-1] == pytest.approx(results.best.score)


def test_gap_budget_that_nothing_keeps(tmp_path: Path) -> None:
    """Where no point keeps the budget the smallest gap is chosen, and the reason says so."""
    space = Estimator(Ridge(), {"alpha": Float(1e-6, 1e-3, log=True)})
    one = study(tmp_path, data=regression(30, 15), space=space).run(5, quiet=True)
    chosen = one.choose("gap_budget=0")
    assert chosen.gap == pytest.approx(min(gap for *_, gap in points(one)))
    assert chosen.gap > 0
    assert chosen.why.startswith("No point has a gap of at most 0; this one has the smallest")


def test_rules_that_take_a_number_go_by_name(results: Results) -> None:
    """``gap_budget=2`` is the rule made by that number, and is called so; what is no number is refused."""
    assert find("gap_budget=2") is gap_budget(2.0)
    chosen = results.choose("gap_budget=2")
    assert chosen == results.choose(gap_budget(2.0))
    assert chosen.rule == "gap_budget=2"
    for wrong in ("gap_budget", "gap_budget=", "gap_budget=wide"):
        with pytest.raises(InvalidInput, match=f"needs a number, got {re.escape(repr(wrong))}"):
            results.choose(wrong)
    for wrong in ("gap_budget=-1", "gap_budget=nan", "gap_budget=inf"):
        with pytest.raises(InvalidInput, match="at least 0"):
            results.choose(wrong)


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=30))
def test_what_stays_on_the_front(costs: list[tuple[int, ...]]) -> None:
    """No trial beats one of the front, one of it equals or beats every other, and none is there twice."""
    trials = [Trial(number, "complete") for number in range(len(costs))]
    kept = {trial.number for trial in _undominated(trials, np.array(costs, dtype=float))[0]}

    def as_good(one: int, other: int) -> bool:
        return all(a <= b for a, b in zip(costs[one], costs[other], strict=True))

    for i in range(len(costs)):
        beaten = any(as_good(j, i) and not as_good(i, j) for j in range(len(costs)))
        assert not (i in kept and beaten)
        assert i in kept or any(as_good(j, i) for j in kept)
    assert len({costs[i] for i in kept}) == len(kept)


def test_front_and_its_knee(results: Results) -> None:
    """The front begins with the best score, gives up score for less gap or complexity, and the knee is a member."""
    members = front(results)
    trials = {trial.number: trial for trial in results.complete}
    assert members[0].number == results.best.number
    assert all(pick.step == trials[pick.number].step for pick in members)
    scores = [results.point(trials[pick.number]).val for pick in members]
    assert scores == sorted(scores, reverse=True)
    least = min(max(results.point(trial).gap, 0) for trial in results.complete)
    assert least in [max(results.point(trials[pick.number]).gap, 0) for pick in members]
    knee = results.choose("pareto")
    assert (knee.number, knee.step) in [(pick.number, pick.step) for pick in members]
    assert f"among the {len(members)} trials" in knee.why


def test_front_without_complexity(tmp_path: Path) -> None:
    """Where complexity is not known, score and gap make the front."""
    one = study(tmp_path, space=Estimator(Ridge(), {"alpha": Float(1e-3, 1e3, log=True)})).run(10, quiet=True)
    found = [(results_point.val, max(results_point.gap, 0)) for results_point in map(one.point, one.complete)]
    members = {pick.number for pick in front(one)}
    for trial, (score, gap) in zip(one.complete, found, strict=True):
        beaten = any(s >= score and g <= gap and (s, g) != (score, gap) for s, g in found)
        assert (trial.number in members) == (not beaten)


def test_paired_is_the_simplest_that_is_not_worse(results: Results) -> None:
    """The choice is, of the trials that the corrected paired t-test lets pass, the one of least complexity."""
    best = results.best
    k = 5
    top = results.curves(best.number).val[:, best.step]
    passed = []
    for trial in results.complete:
        arrays = results.arrays(trial.number)
        val = arrays[f"val/{results.metric}"]
        with np.errstate(divide="ignore", invalid="ignore"):
            plain = stats.ttest_rel(top[:, None], val, axis=0).statistic  # its variance is 1/k of the differences'
        values = stats.t.sf(np.nan_to_num(plain) * np.sqrt((1 / k) / (1 / k + 12 / 48)), k - 1)
        step = trial.step
        if values[step] >= 0.05:
            train = arrays[f"train/{results.metric}"][:, step].mean()
            passed.append((arrays["complexity"][:, step].mean(), train, trial.number, step, values[step]))
    complexity, _, number, step, value = min(passed)
    chosen = results.choose("paired")
    assert (chosen.number, chosen.step) == (number, step)
    assert f"{len(passed)} trials" in chosen.why
    assert f"p = {value:.2g}" in chosen.why
    assert complexity <= results.arrays(best.number)["complexity"][:, best.step].mean()


def test_paired_without_folds_to_judge(tmp_path: Path) -> None:
    """With a single fold nothing can be tested: only a point with the best score passes."""
    one = study(tmp_path, cv=[(np.arange(40), np.arange(40, 60))]).run(6, quiet=True)
    chosen = one.choose("paired")
    assert chosen.score == pytest.approx(one.best.score, rel=1e-9)
    assert "single fold" in chosen.why


def test_resampled_standard_error() -> None:
    """If training sets share nothing the corrected error is the plain one; of K-fold it is wider by a known part."""
    values = np.random.default_rng(0).normal(size=(10, 3))
    plain = values.std(axis=0, ddof=1) / np.sqrt(10)
    np.testing.assert_allclose(resampled_se(values, 0.0), plain)
    np.testing.assert_allclose(resampled_se(values, overlap(None, 10)), plain * np.sqrt(1 + 10 / 9))
    assert np.isnan(resampled_se(values[:1], 0.1)).all()


def test_custom_rule(results: Results) -> None:
    """A function from results to a pick is a rule; its name and its reason go along."""

    def third(table: Any) -> Pick:
        return Pick(table.complete[2].number, 0, "because it is third")

    chosen = results.choose(third)
    assert (chosen.rule, chosen.why, chosen.step) == ("third", "because it is third", 0)
    assert chosen.number == results.complete[2].number
    curves = results.curves(chosen.number)
    assert chosen.score == pytest.approx(curves.val[:, 0].mean())
    assert chosen.gap == pytest.approx((curves.train - curves.val)[:, 0].mean())
    if chosen.step != results.complete[2].step:
        axis = results.store.arrays(chosen.number)["axis"]
        assert chosen.lambda_ == chosen.config.lambda_ == axis[0]
    assert results.choose(lambda table: Pick(table.complete[0].number, 0, "")).number == results.best.number


@pytest.mark.parametrize(("number", "step"), [(10_000, 0), (-1, 0), (0, 500), (0, -1)])
def test_a_pick_that_is_not_there(results: Results, number: int, step: int) -> None:
    """A rule that picks a trial or a step that is not there is told so."""
    with pytest.raises(NotFound, match="A rule picks a complete trial"):
        results.choose(lambda table: Pick(number, step, ""))


def test_unknown_rule(results: Results) -> None:
    """An unknown rule is not found, and the known ones are named."""
    with pytest.raises(NotFound, match=r"No rule is called 'bset'; there are best, one_se"):
        results.choose("bset")


def test_no_complete_trial(tmp_path: Path) -> None:
    """Nothing can be chosen before a trial is complete, by any rule."""
    space = Estimator(Ridge(alpha=-1.0), {"fit_intercept": Choice(True, False)})
    failing = study(tmp_path, space=space)
    with pytest.raises(SearchFailed, match=r"Every trial failed, the last with: .*alpha"):
        failing.run(2, quiet=True)
    one = failing.results()
    assert not one.complete
    for rule in RULES:
        with pytest.raises(NotFound, match=r"'small' has no complete trial to choose from"):
            one.choose(rule)
    with pytest.raises(NotFound):
        _ = one.best
    assert one.top(3) == []
    assert one.reference is None
