"""Rules: what each one chooses, checked against its definition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from samples import regression, study
from sklearn.linear_model import Ridge

from regsearch import Choice, Estimator, Float, Linear, NotFound, Pick, SearchFailed, spaces
from regsearch import Path as Axis
from regsearch.results import Results
from regsearch.rules import RULES


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


def test_rules_on_a_study_without_paths(tmp_path: Path) -> None:
    """Trials of a single point are chosen from alike."""
    space = Estimator(Ridge(), {"alpha": Float(1e-3, 1e3, log=True)})
    one = study(tmp_path, space=space).run(10, quiet=True)
    chosen = one.choose("one_se")
    assert chosen.step == 0
    assert chosen.lambda_ is None
    assert chosen.score <= one.best.score
    assert chosen.point.train <= one.best.point.train


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
