"""Rules: what each one chooses, checked against its definition."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import regression, study
from scipy import stats
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer

from regsearch import Choice, Estimator, Float, InvalidInput, Linear, NotFound, Pick, SearchFailed, spaces
from regsearch import Path as Axis
from regsearch.models.path import Curves, Trajectory
from regsearch.results import rules
from regsearch.results.results import Results
from regsearch.results.rules import RULES, find_rule
from regsearch.results.rules.gap_budget import gap_budget
from regsearch.results.rules.pareto import _undominated, front
from regsearch.results.rules.points import least_cost, path_points
from regsearch.storage.trial import Trial


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A study with every family."""
    return study(tmp_path_factory.mktemp("rules"), space=spaces.linear(), cv=5).run(25, quiet=True)


@pytest.mark.slow
def test_best_is_the_highest_point_of_all(results: Results) -> None:
    """No point on any path has a better mean validation score than the best."""
    top = max(float(results.curves(trial.number).val.mean(axis=0).max()) for trial in results.candidates)
    best = results.choose("best")
    assert best.score == pytest.approx(top, rel=1e-12)
    assert best == results.best
    assert (best.number, best.step) == (results.candidates[0].number, results.candidates[0].step)
    assert f"best {results.metric} of {len(results.candidates)} trials" in best.why


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_one_se_is_glmnets_on_a_single_path(tmp_path: Path, seed: int, penalty: str) -> None:
    """On one path the one-SE choice is the largest lambda with a mean error within one standard error of the least."""
    space = Linear(penalty=penalty, lambda_=Axis(60))
    one = study(tmp_path, data=regression(40, 15, seed), space=space, cv=5, seed=seed).run(2, quiet=True)
    (trial,) = [trial for trial in one.complete if trial.role != "reference"]
    trajectory = one.trajectory(trial.number)
    errors = -trajectory.curves[one.metric].val  # glmnet's cvm, cvsd, lambda.min, lambda.1se
    cvm, cvsd = errors.mean(axis=0), errors.std(axis=0, ddof=1) / np.sqrt(len(errors))
    least = int(cvm.argmin())
    lambda_1se = trajectory.axis[cvm <= cvm[least] + cvsd[least]].max()
    chosen = one.choose("one_se")
    assert one.complete[0].number == chosen.number == trial.number
    assert chosen.lambda_ == pytest.approx(lambda_1se)
    assert chosen.config.lambda_ == chosen.params["lambda"] == chosen.lambda_


def test_one_se_is_within_one_se_and_fits_least(results: Results) -> None:
    """The one-SE choice is never better than the best, within its standard error, and fits training least of those."""
    best, chosen = results.best, results.choose("one_se")
    floor = best.score - best.point.val_se
    assert floor <= chosen.score <= best.score
    for trial in results.candidates:
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
    for trial in results.candidates:
        curves = results.curves(trial.number)
        for step in range(trial.steps):
            val, train = curves.val[:, step].mean(), curves.train[:, step].mean()
            found.append((trial.number, step, float(val), float(train - val)))
    return found


@pytest.mark.parametrize("percent", [0, 3, 50])
def test_percent_loss_is_the_most_regularized_within_it(results: Results, percent: float) -> None:
    """No point of any path whose score is at most so many percent below the best fits training less than the choice."""
    chosen = results.choose(f"percent_loss={percent}")
    floor = results.best.score - percent / 100 * abs(results.best.score)
    assert chosen.score >= floor - 1e-9
    for trial in results.candidates:
        curves = results.curves(trial.number)
        train, val = curves.train.mean(axis=0), curves.val.mean(axis=0)
        assert not (train[val >= floor + 1e-9] < chosen.point.train - 1e-9).any()
    assert f"within {percent} % of the best" in chosen.why


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


@pytest.mark.parametrize("budget", [0.0, 0.03, 2.0])
def test_gap_budget_passes_over_undefined_points(tmp_path: Path, budget: float) -> None:
    """Points whose score is not defined in some fold are not chosen, whether or not a point keeps the budget."""

    def correlation(y: Any, predicted: Any) -> float:
        return float(np.corrcoef(y, predicted)[0, 1]) if np.ptp(predicted) else math.nan

    options: dict[str, Any] = {"scoring": make_scorer(correlation), "cv": 5, "space": Linear("l1", lambda_=Axis(20))}
    one = study(tmp_path, data=regression(40, 20), **options).run(2, quiet=True)
    (trial,) = one.candidates
    curves = one.curves(trial.number)
    assert np.isnan(curves.mean()).any()
    gaps = curves.average(curves.train) - curves.mean()
    kept = np.flatnonzero(gaps <= budget)
    expected = kept[curves.mean()[kept].argmax()] if len(kept) else np.nanargmin(gaps)
    assert one.choose(gap_budget(budget)).step == expected


def test_rules_that_take_a_number_go_by_name(results: Results) -> None:
    """``gap_budget=2`` is the rule made by that number, and is called so; what is no number is refused."""
    assert find_rule("gap_budget=2") is gap_budget(2.0)
    chosen = results.choose("gap_budget=2")
    assert chosen == results.choose(gap_budget(2.0))
    assert chosen.rule == "gap_budget=2"
    for wrong in ("gap_budget", "gap_budget=", "gap_budget=wide"):
        with pytest.raises(InvalidInput, match=f"needs a number, got {re.escape(repr(wrong))}"):
            results.choose(wrong)
    for wrong in ("percent_loss=-1", "percent_loss=100", "percent_loss=nan"):
        with pytest.raises(InvalidInput, match="must be a percentage from 0 to below 100"):
            find_rule(wrong)
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
    """The front begins with the best score, gives up score for less gap or freedom, and the knee is a member."""
    members = front(results)
    trials = {trial.number: trial for trial in results.complete}
    assert members[0].number == results.best.number
    assert all(pick.step == trials[pick.number].step for pick in members)
    scores = [results.point(trials[pick.number]).val for pick in members]
    assert scores == sorted(scores, reverse=True)
    least = min(max(results.point(trial).gap, 0) for trial in results.candidates)
    assert least in [max(results.point(trials[pick.number]).gap, 0) for pick in members]
    knee = results.choose("pareto")
    assert (knee.number, knee.step) in [(pick.number, pick.step) for pick in members]
    assert f"among {len(members)} of the " in knee.why


def test_front_without_complexity(tmp_path: Path) -> None:
    """Where degrees of freedom are not known, score and gap make the front."""
    one = study(tmp_path, space=Estimator(Ridge(), {"alpha": Float(1e-3, 1e3, log=True)})).run(10, quiet=True)
    found = [(results_point.val, max(results_point.gap, 0)) for results_point in map(one.point, one.candidates)]
    members = {pick.number for pick in front(one)}
    for trial, (score, gap) in zip(one.candidates, found, strict=True):
        beaten = any(s >= score and g <= gap and (s, g) != (score, gap) for s, g in found)
        assert (trial.number in members) == (not beaten)


def test_paired_is_the_simplest_that_is_not_worse(results: Results) -> None:
    """Of the trials within an error of the best that the paired t-test lets pass, it has the least freedom."""
    best = results.best
    k = 5
    top = results.curves(best.number).val[:, best.step]
    passed = []
    for trial in results.candidates:
        trajectory = results.trajectory(trial.number)
        curves = trajectory.curves[results.metric]
        val = curves.val
        with np.errstate(divide="ignore", invalid="ignore"):
            plain = stats.ttest_rel(top[:, None], val, axis=0).statistic  # its variance is 1/k of the differences'
        values = stats.t.sf(np.nan_to_num(plain) * np.sqrt((1 / k) / (1 / k + 12 / 48)), k - 1)
        step = trial.step
        near = val[:, step].mean() >= best.score - best.point.val_se and not (val[:, step] < top - 1e-9).all()
        if values[step] >= 0.05 and near:
            train = curves.train[:, step].mean()
            passed.append((trajectory.complexity[:, step].mean(), train, trial.number, step, values[step]))
    complexity, _, number, step, value = min(passed)
    chosen = results.choose("paired")
    assert (chosen.number, chosen.step) == (number, step)
    assert f"{len(passed)} trials" in chosen.why
    assert f"p = {value:.2g}" in chosen.why
    assert complexity <= results.trajectory(best.number).complexity[:, best.step].mean()


def test_paired_without_folds_to_judge(tmp_path: Path) -> None:
    """With a single fold nothing can be tested: only a point with the best score passes."""
    one = study(tmp_path, cv=[(np.arange(40), np.arange(40, 60))]).run(6, quiet=True)
    chosen = one.choose("paired")
    assert chosen.score == pytest.approx(one.best.score, rel=1e-9)
    assert "single fold" in chosen.why


# --- equal scores ----------------------------------------------------------------------------------------------

KNOWN = {"best", "one_se", "paired", "pareto"}
NAMES = [*RULES, "gap_budget=0", "gap_budget=2"]


@dataclass(frozen=True)
class Written:
    """A store of curves that were written down."""

    curves_of: Mapping[int, Curves]
    complexity: Mapping[int, Any]
    averaging: None = None

    def curves(self, number: int, metric: str) -> Curves:
        return self.curves_of[number]

    def trajectory(self, number: int) -> Trajectory:
        curves = self.curves_of[number]
        return Trajectory(np.geomspace(1, 1e-3, curves.val.shape[1]), {"score": curves}, self.complexity[number])

    def load_folds(self, name: str) -> None:
        return None


def written(val: Any, train: Any, complexity: Any) -> Results:
    """Results of scores and complexities ``[T, K, S]``; the first trial is the reference, each at its best step."""
    curves = {number: Curves(*parts) for number, parts in enumerate(zip(train, val, strict=True))}
    store = Written(curves, dict(enumerate(complexity)))

    def trial(number: int, own: Curves) -> Trial:
        mean = own.val.mean(axis=0)
        step = int(np.argmax(mean >= mean.max() - 1e-12 * abs(mean.max())))
        return Trial(
            number, "complete", "" if number else "reference", config=number, key=str(number), axis="lambda",
            value=float(store.trajectory(number).axis[step]), step=step, steps=len(mean),
            points={"score": own.point(step)}, complexity=float(complexity[number][:, step].mean()),
        )  # fmt: skip

    identity = {"study": "written", "metric": "score", "cv": "3-fold", "folds": len(val[0]), "reference": "none"}
    return Results(cast(Any, store), identity, tuple(trial(*own) for own in curves.items()))


def test_the_least_cost_is_that_of_a_point_that_may_be_chosen() -> None:
    """Whatever a reference costs, the choice is of the others; a rule of one's own need not tell them apart."""
    val = np.random.default_rng(0).normal(size=(4, 3, 6))
    results = written(val, val + 0.1, np.ones((4, 3, 6)))
    rows = [path_points(trial, np.arange(6), np.arange(6) + 10.0 * trial.number) for trial in results.complete]
    assert {trial.number for trial in results.complete} == {0, 1, 2, 3}
    assert least_cost(results, np.concatenate(rows)) == (1, 0)


@pytest.mark.parametrize("rule", [*sorted(KNOWN), "gap_budget=0", "gap_budget=2"])
def test_no_rule_chooses_what_is_not_solved(rule: str) -> None:
    """A point that its solver did not finish is never chosen where another is, however well it scores."""
    rng = np.random.default_rng(0)
    val = rng.normal(size=(4, 3, 6))
    results = written(val, val + 0.1, np.ones((4, 3, 6)))
    store = cast(Any, results.store)
    leaders = [results.choose(rule)]
    curves = dict(store.curves_of)
    for _ in range(3 * 6 - 1):
        chosen = leaders[-1]
        before = curves[chosen.number].unsolved
        marks = np.zeros(6, dtype=bool) if before is None else before.copy()
        marks[chosen.step] = True
        curves[chosen.number] = replace(curves[chosen.number], unsolved=marks)
        marked = replace(store, curves_of=curves)
        trials = [
            results.all[0],
            *(one.on(marked.trajectory(one.number), curves[one.number].best_step()) for one in results.all[1:]),
        ]
        now = replace(results, store=cast(Any, marked), all=tuple(trials))
        if all(one.unsolved is not None and one.unsolved.all() for number, one in curves.items() if number):
            break
        leaders.append(now.choose(rule))
        assert not leaders[-1].unsolved
        assert "not solved" not in str(leaders[-1])
    seen = {(one.number, one.step) for one in leaders}
    assert len(seen) == len(leaders)


@st.composite
def scores(draw: st.DrawFn) -> tuple[Any, Any, Any, Any]:
    """Few different scores and complexities of a few trials, folds and steps, and factors that are rounding."""
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([1e-8, 1.0, 1e8]))
    few = draw(st.integers(1, 3))
    val, train = -scale * rng.integers(1, few + 1, shape), -scale * rng.integers(1, few + 1, shape)
    return val, train, rng.integers(1, 3, shape).astype(float), 1 + 1e-15 * rng.integers(-4, 5, (2, *shape))


@pytest.mark.slow
@pytest.mark.parametrize("rule", NAMES)
@given(given=scores())
def test_no_rule_goes_by_rounding(rule: str, given: tuple[Any, Any, Any, Any]) -> None:
    """In any unit, a rule chooses the same point whether or not scores are off by rounding."""
    val, train, complexity, off = given
    exact = written(val, train, complexity).choose(rule)
    rounded = written(val * off[0], train * off[1], complexity).choose(rule)
    assert (exact.number, exact.step) == (rounded.number, rounded.step)


def order(results: Results, number: int, step: int) -> tuple[float, ...]:
    """What decides between equal points of different trials."""
    trajectory = results.trajectory(number)
    complexity, plain = float(trajectory.complexity[:, step].mean()), number == 0
    return plain, complexity, -float(trajectory.axis[step]), number


@pytest.mark.parametrize("rule", NAMES)
@given(given=scores())
def test_equal_points_go_to_the_most_regularized(rule: str, given: tuple[Any, Any, Any, Any]) -> None:
    """Of points that are equal in all folds the first of a path is chosen, the simpler one, and no reference."""
    val, train, complexity, _ = given
    results = written(val, train, complexity)
    chosen = results.choose(rule)
    for number, own in enumerate(results.all):
        steps = [own.step] if rule in ("best", "paired", "pareto") else range(own.steps)
        equal = [
            step for step in steps
            if (val[number, :, step] == val[chosen.number, :, chosen.step]).all()
            and (train[number, :, step] == train[chosen.number, :, chosen.step]).all()
        ]  # fmt: skip
        if equal and number == chosen.number:
            assert chosen.step == equal[0]
        elif equal and len(steps) == 1:  # else an earlier point may stand for the path, by its mean
            assert order(results, chosen.number, chosen.step) <= order(results, number, equal[0])


@pytest.mark.slow
@pytest.mark.parametrize("scoring", ["roc_auc", "accuracy"])
@pytest.mark.parametrize("seed", range(3))
def test_the_reference_does_not_win_by_rounding(tmp_path: Path, scoring: str, seed: int) -> None:
    """Where a column gives the labels away, and all score alike, no rule chooses the reference."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(90, 4)), np.arange(90) % 2
    X[:, 2] = y + 0.01 * rng.normal(size=90)
    weight = rng.uniform(0.5, 2, 90)
    one = study(tmp_path, data=(X, y), scoring=scoring, sample_weight=weight, cv=4).run(5, quiet=True)
    assert one.best.score == one.point(one.reference).val == 1.0
    for rule in NAMES:
        assert one.choose(rule).number != one.reference.number


@pytest.mark.slow
def test_units_do_not_matter(tmp_path: Path) -> None:
    """The same data in other units give the same choices, however small their scores become."""
    X, y = regression()
    space, choices = Estimator(Ridge(), {"alpha": Float(1e-2, 1e6, log=True)}), []
    for scale in (1.0, 2.0**-30):
        one = study(tmp_path, f"by{scale}", data=(X, y * scale), space=space).run(12, quiet=True)
        choices.append([(one.choose(rule).number, one.choose(rule).step) for rule in ("best", "paired", "pareto")])
    assert choices[0] == choices[1]


@pytest.mark.slow
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
        axis = results.trajectory(chosen.number).axis
        assert chosen.lambda_ == chosen.config.lambda_ == axis[0]
    assert results.choose(lambda table: Pick(table.complete[0].number, 0, "")).number == results.best.number


@pytest.mark.parametrize(("number", "step"), [(10_000, 0), (-1, 0), (0, 500), (0, -1), (0, "0"), (0, None), ("0", 0)])
def test_a_pick_that_is_not_there(results: Results, number: Any, step: Any) -> None:
    """A rule that picks a trial or a step that is not there is told so."""
    with pytest.raises(NotFound, match="A rule picks a complete trial"):
        results.choose(lambda table: Pick(number, step, ""))


def test_unknown_rule(results: Results) -> None:
    """An unknown rule is not found, and the known ones are named."""
    with pytest.raises(NotFound, match=r"No rule is called 'bset'; did you mean 'best'\? There are best, .*one_se"):
        results.choose("bset")


def test_no_complete_trial(tmp_path: Path) -> None:
    """Nothing can be chosen before a trial is complete, by any rule."""
    space = Estimator(Ridge(alpha=-1.0), {"fit_intercept": Choice(True, False)})
    failing = study(tmp_path, space=space)
    with pytest.raises(SearchFailed, match=r"Every trial failed, all with: .*alpha"):
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


# --- rules of the user's own ---------------------------------------------------------------------------------------


def test_a_rule_is_one_function(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function with the decorator is found by its name, by itself or with a number, and defined again it is anew."""
    monkeypatch.setattr(rules.registry, "RULES", dict(RULES))
    monkeypatch.setattr(rules.registry, "RULES_WITH_NUMBER", dict(rules.RULES_WITH_NUMBER))
    for step in (0, 1):

        @rules.rule
        def second(results: Results, step: int = step) -> Pick:
            return Pick(results.complete[1].number, step, "It comes second.")

        chosen = results.choose("second")
        assert (chosen.number, chosen.step, chosen.rule) == (results.complete[1].number, step, "second")
        assert results.choose(second) == chosen

    @rules.rule_with_number
    def place(number: float) -> rules.Rule:
        return lambda results: Pick(results.complete[int(number)].number, 0, "It has this place.")

    assert results.choose("place=2").number == results.complete[2].number
    assert {"second", "place=NUMBER"} <= set(rules.rule_names())
    with pytest.raises(NotFound, match="place=NUMBER"):
        results.choose("place2")


def test_no_rule_takes_the_name_of_another() -> None:
    """The package's own rules cannot be replaced."""

    def best(results: Results) -> Pick:
        return Pick(0, 0, "")

    with pytest.raises(InvalidInput, match="'best' is one of regsearch's"):
        rules.rule(best)
    assert RULES["best"] is not best


def test_every_rule_says_what_it_chooses() -> None:
    """Each rule has a docstring, which the documentation shows, and the name of its function."""
    named: dict[str, Any] = {**RULES, **rules.RULES_WITH_NUMBER}
    assert set(RULES) >= KNOWN
    for name, one in named.items():
        assert one.__name__ == name
        assert one.__doc__


@dataclass
class Worst:
    """A rule with a setting: how many of the worst trials to leave out."""

    left_out: int = 0

    def __call__(self, results: Results) -> Pick:
        trial = results.complete[-1 - self.left_out]
        return Pick(np.int64(trial.number), np.int64(trial.step), "it is among the worst")  # type: ignore[arg-type]

    def method(self, results: Results) -> Pick:
        return self(results)


def numbered(results: Results, place: int) -> Pick:
    return Pick(results.complete[place].number, results.complete[place].step, "of that place")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "place", "name"),
    [
        (Worst(), -1, "Worst"), (Worst(2), -3, "Worst"), (Worst(1).method, -2, "method"),
        (partial(numbered, place=2), 2, "numbered"), (lambda results: numbered(results, 3), 3, "<lambda>"),
    ],
)  # fmt: skip
def test_a_rule_may_be_any_callable(results: Results, rule: Any, place: int, name: str) -> None:
    """An object that can be called is a rule, with the name of its class, whether or not it has a hash."""
    chosen = results.choose(rule)
    assert (chosen.number, chosen.rule) == (results.complete[place].number, name)
    assert json.dumps({"step": chosen.step, **chosen.row()})
    assert results.correct(rule).plain == pytest.approx(chosen.score)


def test_a_changed_rule_chooses_anew(results: Results) -> None:
    """What a rule that is an object chose is not kept: it may have been changed since."""
    rule = Worst()
    first = results.choose(rule).number
    rule.left_out = 1
    assert (first, results.choose(rule).number) == tuple(results.complete[-k].number for k in (1, 2))


def test_an_object_is_registered_by_its_class() -> None:
    """`@rule` names an object, too."""
    made = Worst(1)
    try:
        assert rules.rule(made) is made
        assert find_rule("Worst") is made
    finally:
        del RULES["Worst"]
