"""A strength that follows the distance of two losses: what moves it, what it moves, and where it is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss, mean_squared_error

from regsearch import Choice, InvalidInput, Study
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.data.target_transforms import TargetTransform
from regsearch.export.code.nets import net_code
from regsearch.mirror.content import trial_record
from regsearch.models.base import Setup
from regsearch.models.neural import techniques as t
from regsearch.models.neural.training.block import Block
from regsearch.testing.nets import block, net, setup, setup_for

GAIN, TARGET, SHARE, EPOCHS = 2.0, 0.1, 0.25, 5
ADAPTIVE = t.AdaptiveStrength(GAIN, TARGET, SHARE)
HELD = t.EarlyStopping(EPOCHS, inner=SHARE)  # holds out the same rows, and does nothing else here
TARGETS: dict[str, Any] = {"weight_decay": 0.3, "dropout": 0.3, "penalty": t.ElasticNetPenalty(0.02, 0.5)}


def factors(made: Block, task: str, epochs: int = EPOCHS) -> Any:
    """``[epochs, R]``: what the formula makes of the losses, as scikit-learn has them."""
    evaluator, factor, found = made.evaluators[1], np.ones(len(made.rows)), []
    y = evaluator.fold.data.problem.y
    for _ in range(epochs):
        made.advance(1)
        losses = []
        for part in ("inner", "train"):
            ((out, rows),) = evaluator.outputs(made.theta, part)
            said = evaluator.fold.decisions(out).numpy()[:, 0]
            said, true = said if task == "regression" else 1 / (1 + np.exp(-said)), y[rows.numpy()]
            losses.append([(mean_squared_error if task == "regression" else log_loss)(true, one) for one in said])
        inner, train = np.array(losses)
        factor = factor * np.exp(GAIN * ((inner - train) / (inner + train) - TARGET))
        found.append(factor)
    return np.array(found)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("task", ["regression", "binary"])
def test_a_strength_is_what_the_losses_make_of_it(task: str, target: str) -> None:
    """After each epoch it moves by the distance of the losses on rows that are held out and that are trained on, and
    the next epoch is that of a net that is given what it came to."""
    of, options = setup(task), {target: TARGETS[target]}
    configs = [net(**options, **{f"{target}_schedule": ADAPTIVE}, lr=lr) for lr in (0.05, 0.1)]
    followed = block(of, configs).advance(EPOCHS)
    recorded = followed.recorded[f"{target}_schedule"]
    np.testing.assert_allclose(recorded, factors(block(of, configs), task).T, rtol=1e-9)
    assert np.ptp(recorded) > 0.01
    plain = block(of, [net(**options, early_stopping=HELD, lr=lr) for lr in (0.05, 0.1)])
    (active,) = [one for one in plain.techniques if one.key[0] == target]
    for epoch in range(EPOCHS):
        if epoch:
            active.v.strength = plain.lr.new_tensor(recorded[:, epoch - 1])
        weights = plain.advance(1).weights[0]
        np.testing.assert_allclose(weights, followed.weights[epoch], atol=1e-9)


def test_rows_that_score_a_trial_have_no_part_in_it() -> None:
    """Other labels of validation rows move no strength, and change nothing that is learned."""
    of = setup("binary")
    val, y = of.folds.val[1], of.problem.labels.copy()
    y[val] = 1 - y[val]
    made = make_problem(of.problem.X, y)
    pairs = list(zip(of.folds.train, of.folds.val, strict=True))
    config = net(weight_decay=0.3, weight_decay_schedule=ADAPTIVE)
    ours, theirs = (
        block(one, [config]).advance(3) for one in (of, Setup(made, make_folds(pairs, made, 0), of.metrics))
    )
    np.testing.assert_array_equal(ours.recorded["weight_decay_schedule"], theirs.recorded["weight_decay_schedule"])
    np.testing.assert_array_equal(ours.weights, theirs.weights)


def test_the_losses_are_those_that_are_trained_by() -> None:
    """The unit of a target, weights that rows are scored by and how a transformed target is undone move no strength;
    weights that rows are trained by do."""
    of, config = setup("regression", targets=2), net(weight_decay=0.3, weight_decay_schedule=ADAPTIVE)
    problem = of.problem
    logs = problem.y / problem.y.std(axis=0)
    held = block(of, [config]).evaluators[1].fold.parts["inner"]
    scored, trained = np.ones(problem.rows), np.linspace(0.1, 2.0, problem.rows)
    scored[held] = 0.0

    def strengths(y: Any, target: str | None = None, **weights: Any) -> Any:
        made = make_problem(problem.X, y, **weights)
        made = replace(made, transform=target and TargetTransform.named(target, made.rows))
        return block(setup_for(made), [config]).advance(3).recorded["weight_decay_schedule"]

    plain = strengths(problem.y)
    assert np.isfinite(plain).all()
    np.testing.assert_allclose(strengths(problem.y * [1.0, 1e-8], score_weight=scored), plain, rtol=1e-9)
    np.testing.assert_allclose(strengths(np.exp(logs), "log"), plain, rtol=1e-6)
    assert np.abs(strengths(problem.y, sample_weight=trained, score_weight=None) - plain).max() > 1e-3


def test_a_refit_does_what_the_folds_did() -> None:
    """A refit moves the strength by rows of its own that it holds out: the same to the bit each time, not what it is
    without, and by its config and seed alone."""
    of = setup("binary").problem
    config = net(weight_decay=2.0, weight_decay_schedule=ADAPTIVE)
    one, same, other, held = (
        made.refit(of, seed).decision_function(of.X)
        for made, seed in ((config, 0), (config, 0), (config, 1), (net(weight_decay=2.0), 0))
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).min() > 0
    assert np.abs(one - held).min() > 0


@pytest.mark.slow
def test_what_became_of_it_is_a_curve_of_the_trial(tmp_path: Path) -> None:
    """The factors of all folds are in the record of each trial that has them, and their mean is a metric in MLflow."""
    of = setup("binary", n=90).problem
    schedule, stop = Choice(None, t.AdaptiveStrength()), t.EarlyStopping(8, 8)
    space = net(weight_decay=0.3, weight_decay_schedule=schedule, early_stopping=stop)
    study = Study("adaptive", of.X, of.labels, space=space, cv=3, root=tmp_path, tracking=False)
    results = study.run(6, quiet=True)
    seen = {"adaptive_strength": 0, "none": 0}
    for trial in results.complete:
        path, kind = results.trajectory(trial.number), trial.params["weight_decay_schedule"]
        series = trial_record(trial, path, results.metric, "adaptive").series
        seen[kind] += 1
        if kind == "none":
            assert not path.followed
            continue
        values = path.followed["weight_decay_strength"]
        assert values.shape == path.deciding.val.shape
        assert np.isfinite(values).all()
        np.testing.assert_allclose(series["path/weight_decay_strength"].values, values.mean(0), rtol=1e-5)
    assert all(seen.values())
    again = study.results().trajectory(results.complete[-1].number)
    assert again.followed.keys() == results.trajectory(results.complete[-1].number).followed.keys()


def tiny() -> Setup:
    """A problem of more classes than a tenth of a fold's rows."""
    made = make_problem(np.random.default_rng(0).normal(size=(36, 2)), np.arange(36) % 4)
    return Setup(made, make_folds(3, made, 0), setup("multiclass").metrics)


def test_what_it_needs_is_said() -> None:
    """Rows that cannot be held out, and a target that has no strength, are refused; off, it holds nothing out."""
    with pytest.raises(InvalidInput, match=r"inner part of 0\.1 cannot be split off the 24 training rows"):
        net(weight_decay=0.1, weight_decay_schedule=t.AdaptiveStrength(1.0, share=Choice(0.1, 0.5))).check(tiny())
    one = setup().problem
    grouped = make_problem(one.X, one.y, groups=np.arange(one.rows) // 2)
    with pytest.raises(InvalidInput, match="no AdaptiveStrength beside groups"):
        net_code(net(weight_decay=0.1, weight_decay_schedule=ADAPTIVE).at(3), grouped, 0)
    with pytest.raises(InvalidInput, match="changes the rate of penalty, got no penalty"):
        net(penalty_schedule=ADAPTIVE).check(setup())
    of, scored = setup(), np.zeros(36)
    scored[[val[0] for val in of.folds.val]] = 1.0
    silent = setup_for(make_problem(of.problem.X, of.problem.y, score_weight=scored))
    with pytest.raises(InvalidInput, match=r"of fold \d have a score_weight of 0; hold out a larger share, or none"):
        net(early_stopping=t.EarlyStopping(3, inner=0.2)).check(silent)
    net(weight_decay=0.1, weight_decay_schedule=ADAPTIVE).check(silent)
    assert net(weight_decay=0.1, weight_decay_schedule=t.AdaptiveStrength(0.0)).inner == 0
    stop = t.EarlyStopping(3, inner=0.4)
    assert net(weight_decay=0.1, weight_decay_schedule=ADAPTIVE, early_stopping=stop).inner == 0.4
