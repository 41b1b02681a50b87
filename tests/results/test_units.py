"""What is said of a study does not depend on the units of y, nor on the order in which numbers are added."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import make_scorer, mean_squared_error

import regsearch
from regsearch import Float, InvalidInput, Results, Study, spaces
from regsearch.metrics.huber import huber_center
from regsearch.metrics.statistics import Estimate
from regsearch.results.comparison import compare
from regsearch.results.plots.history import history_record
from regsearch.study.proposals.gaussian_process import standardized

SMALL = 1e-9  # nanometres in metres
PENALTIES = regsearch.Choice("l1", "l2", "adaptive_lasso")  # whose paths are the same in all units
RULES = ("best", "one_se", "paired", "pareto", "percent_loss=0", "gap_budget=1e9")


def searched(root: Path, name: str, unit: float, space: Any = None, **options: Any) -> Results:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(60, 6))
    y = 2 * X[:, 0] + X[:, 1] + rng.normal(size=60)
    given = {"scoring": "neg_mean_squared_error", "cv": 10, "test": 0.3, "tracking": False, "seed": 0, **options}
    study = Study(name, X, unit * y, space=space or regsearch.Linear(PENALTIES), root=root, **given)
    return study.run(5, quiet=True)


@pytest.mark.slow
def test_units_of_y_change_no_choice_and_no_verdict(tmp_path: Path) -> None:
    """Of targets in small units the same is chosen, and the same is said of differences, luck and overtuning."""
    usual, small = (searched(tmp_path, name, unit) for name, unit in (("usual", 1.0), ("small", SMALL)))
    for rule in RULES:
        one, other = usual.choose(rule), small.choose(rule)
        assert (one.number, one.step) == (other.number, other.step), rule
    assert small.corrected.optimism == pytest.approx(usual.corrected.optimism * SMALL**2, rel=1e-4)
    assert usual.overtuning is not None
    assert small.overtuning is not None
    assert small.overtuning.lost == pytest.approx(usual.overtuning.lost * SMALL**2, rel=1e-4)
    assert small.overtuning.why[:12] == usual.overtuning.why[:12]
    strong = {unit: regsearch.Linear("l1", Float(1e2 * unit, 1e3 * unit, log=True)) for unit in (1.0, SMALL)}
    constants = [searched(tmp_path, f"none-{unit:g}", unit, space) for unit, space in strong.items()]
    tests = [compare(one, none).differences[0].score for one, none in zip((usual, small), constants, strict=True)]
    assert tests[1].p == pytest.approx(tests[0].p, rel=1e-4)
    assert tests[0].p < 0.05


def test_a_scorer_that_likes_errors_is_refused_in_any_units(tmp_path: Path) -> None:
    """A loss that was not turned round is told from a score where all its values are tiny, too."""
    for unit in (1.0, SMALL):
        with pytest.raises(InvalidInput, match="Larger must be better"):
            searched(tmp_path, "wrong", unit, scoring=make_scorer(mean_squared_error))


def test_centres_and_spreads_have_no_units() -> None:
    """What models of scores and Huber's loss are told is the same in all units."""
    rng = np.random.default_rng(0)
    y, weights = rng.normal(size=40), np.full(40, 1 / 40)
    for unit in (SMALL**2, 1e12):
        assert huber_center(unit * y, weights, 0.5 * unit) == pytest.approx(unit * huber_center(y, weights, 0.5))
        np.testing.assert_allclose(standardized(unit * y), standardized(y), rtol=1e-9)
    assert np.isfinite(standardized(np.zeros(3))).all()


def test_the_best_so_far_is_what_may_be_chosen(tmp_path: Path) -> None:
    """A reference that diverges to a perfect score is no best, and what comes after it is an improvement."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5))
    y = (X[:, 0] > 0).astype(int)
    X[:, 0] += np.sign(X[:, 0]) * 2
    options: dict[str, Any] = {"space": spaces.linear(), "cv": 5, "scoring": "neg_log_loss", "tracking": False}
    results = Study("apart", X, y, root=tmp_path, **options).run(12, patience=4, quiet=True)
    record = history_record(results)
    assert record is not None
    assert record.best[-1] == results.best.score < results.point(results.reference).val
    own = [results.point(trial).val for trial in sorted(results.complete, key=lambda trial: trial.number)[1:]]
    improved = int(np.argmax(own)) + 2  # trials that there were then, the reference among them
    assert len(results.all) == min(12, improved + 4)


def test_no_difference_is_sure_of_two_folds_that_agree() -> None:
    """What a sentence calls clear needs more than two folds that lie apart by the same."""
    assert not Estimate(0.1, 0.0, 2, 1).beyond(2.0)
    assert Estimate(0.1, 0.0, 6, 5).beyond(2.0)
