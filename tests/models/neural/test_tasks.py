"""Nets of several targets: what they share, by formulas and torch's own modules, and what is known of each target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.linalg import solve, sqrtm
from scipy.optimize import minimize
from scipy.spatial.distance import squareform
from sklearn.datasets import load_linnerud
from sklearn.metrics import make_scorer, mean_squared_error
from torch import nn

import regsearch
from regsearch import CNN, Choice, InvalidInput, Study
from regsearch.data.problem import make_problem
from regsearch.export.code import code
from regsearch.models.base import Candidate
from regsearch.models.neural import techniques as t
from regsearch.models.neural.layout import Layout, Part
from regsearch.models.neural.technique import Columns
from regsearch.models.neural.techniques.adaptive_sharing import _merged
from regsearch.models.neural.training.stack import Stack
from regsearch.testing.nets import block, net, setup, setup_for, shared_parts, train

SEPARATE = t.SoftSharing(0.0)


def plain(of: Any, config: Any) -> Any:
    made: nn.Module = shared_parts(of).structure(config).module.module((5,), 3, config.norm).double().eval()
    return made


@pytest.mark.parametrize("tasks", [t.SoftSharing(0.1), t.CrossStitch(0.8), t.TaskRelation(0.1)])
@pytest.mark.parametrize("norm", [None, "batch_norm"])
def test_the_stack_computes_what_the_plain_module_does(tasks: Any, norm: Any) -> None:
    """Rows of trained nets return what torch's module with their parameters does, behind an embedding, too."""
    of = setup("regression", targets=3)
    for embedding in (None, t.PiecewiseLinear(3)):
        configs = [net(tasks=tasks, norm=norm, embedding=embedding, dropout=0.2, lr=lr) for lr in (0.02, 0.05)]
        made = block(of, configs)
        made.advance(2)
        evaluator, module = made.evaluators[1], plain(of, configs[0])
        x = evaluator.fold.scaling.apply(evaluator.fold.data.take(evaluator.fold.rows["val"]))[0]
        ((out, _),) = evaluator.outputs(made.theta, "val")
        for row in range(2):
            state = {name: view[row] for name, view in evaluator.network.layout.views(made.theta).items()}
            module.load_state_dict(state, strict=False)
            torch.testing.assert_close(module(x).T, out[row], rtol=1e-9, atol=1e-11)


def test_nets_that_share_nothing_are_separate_nets() -> None:
    """Without a strength, and without mixing, each target's output is that of a perceptron with its own parameters."""
    of = setup("regression", targets=3)
    for tasks in (SEPARATE, t.CrossStitch(1.0)):
        made = block(of, [net(tasks=tasks)])
        views = {name: view[0] for name, view in made.network.layout.views(made.theta).items()}
        x = torch.randn(4, 5, generator=torch.Generator().manual_seed(0)).double()
        module = plain(of, net(tasks=tasks))
        module.load_state_dict(views, strict=False)
        for task in range(3):
            h = x
            for name, units in (("linear0", 6), ("linear1", 5), ("out", 1)):
                own = slice(task * units, (task + 1) * units)
                h = nn.functional.linear(h, views[f"{name}.weight"][own], views[f"{name}.bias"][own])
                h = h.relu() if name != "out" else h
            torch.testing.assert_close(module(x)[:, task], h[:, 0])


def test_soft_sharing_is_the_proximal_map_of_its_penalty() -> None:
    """After a step kernels are what is best of ``|u - w|^2 / (2 step) + lambda / 2 |u - mean u|^2``, in each row by its
    lambda; with much of it, the nets of all targets have one kernel in each layer but the last."""
    w = np.random.default_rng(0).normal(size=(2, 3, 4))
    layers = Layout([("linear1.weight", (3, 4), "kernel"), ("out.weight", (3, 1), "kernel")])
    theta = torch.from_numpy(np.c_[w.reshape(2, 12), np.ones((2, 3))])
    v = Columns(
        lambda_=torch.tensor([0.0, 2.0]).double(), tasks=torch.arange(3.0).expand(2, 3), part=Part(layers.params)
    )
    t.SoftSharing.on_stepped(v, theta, torch.full((2, 15), 0.3, dtype=torch.float64))
    np.testing.assert_array_equal(theta[0, :12].numpy(), w[0].ravel())
    assert (theta[:, 12:] == 1).all()

    def cost(flat: Any) -> float:
        u = flat.reshape(3, 4)
        return float(((u - w[1]) ** 2).sum() / 0.6 + ((u - u.mean(0)) ** 2).sum())

    best = minimize(cost, w[1].ravel(), tol=1e-12).x
    np.testing.assert_allclose(theta[1, :12].numpy(), best, atol=1e-5)
    made = block(setup("regression", targets=3), [net(tasks=t.SoftSharing(1e6)), net(tasks=SEPARATE)])
    made.advance(2)
    kernels = {param.name: param.view(made.theta) for param in made.network.layout.part("kernel").params}
    apart = {name: w.view(2, 3, -1).std(1).amax(1) for name, w in kernels.items()}
    assert (apart["linear1.weight"] < torch.tensor([1e-4, np.inf])).all()
    assert apart["linear1.weight"][1] > 0.05
    assert apart["out.weight"].min() > 0.05


def test_stitches_start_as_is_said_and_are_learned() -> None:
    """A task's own share is that of its row, the others have even parts of the rest; training moves them."""
    made = block(
        setup("regression", targets=3), [net(tasks=t.CrossStitch(own), weight_decay=5.0) for own in (0.7, 1.0)]
    )
    alpha = made.network.layout.named("stitch0.alpha").params[0]
    start = alpha.view(made.theta).view(2, 3, 3).clone()
    expected = torch.full((3, 3), 0.15).double().fill_diagonal_(0.7)
    torch.testing.assert_close(start[0], expected)
    assert torch.equal(start[1], torch.eye(3).double())
    made.advance(3)
    assert not torch.equal(alpha.view(made.theta).view(2, 3, 3), start)
    assert alpha.role == "bias"


def test_relations_are_the_best_of_their_kernels() -> None:
    """The covariance is the root of the kernels' products, of mean variance 1, and a step solves for the penalty by it;
    before the first epoch's end it is the identity, an L2 penalty."""
    rng = np.random.default_rng(0)
    w = rng.normal(size=(1, 3, 6)) * [[[3], [1], [1]]]
    theta, rate = torch.from_numpy(w.reshape(1, 18).copy()), torch.full((1, 18), 0.2, dtype=torch.float64)
    part = Part(Layout([("out.weight", (3, 6), "kernel")]).params)
    v = Columns(lambda_=torch.tensor([0.5]).double(), part=part)
    t.TaskRelation.init_state(v, theta)
    t.TaskRelation.on_stepped(v, theta, rate)
    np.testing.assert_allclose(theta.numpy(), w.reshape(1, 18) / (1 + 0.2 * 0.5))
    before = theta.numpy().reshape(3, 6).copy()
    t.TaskRelation.on_epoch(v, theta, torch.ones(1), torch.ones(1))
    root = sqrtm(before @ before.T)
    covariance = root / np.trace(root) * 3
    t.TaskRelation.on_stepped(v, theta, rate)
    expected = solve(np.eye(3) + 0.1 * np.linalg.inv(covariance), before)
    np.testing.assert_allclose(theta.numpy().reshape(3, 6), expected, rtol=1e-9)


def twins(targets: int = 4) -> Any:
    """Three folds of targets of which each follows another one closely: the first two, the next two, ..."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 5))
    own = [np.tanh(X @ rng.normal(size=5)) + rng.normal(size=90) for _ in range(targets // 2)]
    y = np.column_stack([one + 0.01 * rng.normal(size=90) for one in own for _ in range(2)])
    return setup_for(make_problem(X, y))


def test_all_on_one_path_is_hard_sharing() -> None:
    """At an affinity of 0 tasks never branch: from one start, towers train as the one net that they are copies of does,
    with batch norm, a penalty and decay, and it is as complex."""
    of = setup("regression", targets=3)
    how: dict[str, Any] = {"norm": "batch_norm", "penalty": t.L2Penalty(0.1), "weight_decay": 0.1}
    shared, towers = block(of, [net(**how)]), block(of, [net(tasks=t.AdaptiveSharing(0.0), **how)])
    one = {param.name: param.view(shared.theta)[0] for param in shared.network.layout.params}
    for param in towers.network.layout.params:
        view = param.view(towers.theta)[0]
        view.copy_(one[param.name].repeat(len(view) // len(one[param.name]), *[1] * (view.dim() - 1)))
    for made in (shared, towers):
        nonzero = made.advance(3).nonzero
        assert nonzero[0, -1] == 6 * 5 + 5 * 6 + 3 * 5  # of one net: copies count once
    ((first, _),), ((second, _),) = (made.evaluators[1].outputs(made.theta, "val") for made in (shared, towers))
    torch.testing.assert_close(first, second, rtol=1e-8, atol=1e-9)


def test_branches_are_found_from_the_last_layer_down() -> None:
    """Targets that are hard in the same samples share a branch, whose towers have one set of weights; others part with
    the weights that they had. A layer is decided on after its part of the horizon, and never splits what is together
    above. A row with a net for each target is what it is alone, to the bit."""
    of, slow = twins(), t.AdaptiveSharing(0.75, 1.0)
    alone, both = (block(of, configs) for configs in ([net(tasks=SEPARATE)], [net(tasks=slow), net(tasks=SEPARATE)]))
    layers, pairs = ("linear0.weight", "linear1.weight"), [[0, 1], [2, 3]]
    for epoch, together in enumerate([(1, 1), (1, 1), (1, 1), (1, 2), (1, 2), (2, 2)]):
        for name, branches in zip(layers, together, strict=True):
            (param,) = both.network.layout.named(name).params
            found = param.view(both.theta)[0].reshape(4, -1)
            assert len(found.unique(dim=0)) == branches, (epoch, name)
            assert all((found[group] == found[group[0]]).all() for group in pairs)
        for made in (alone, both):
            segment = made.advance(1)
    np.testing.assert_array_equal(alone.theta.numpy()[0], both.theta.numpy()[1])
    assert segment.recorded["tasks"][0, -1] == 2
    assert segment.recorded["tasks"][1, -1] == 4


def test_samples_count_as_they_weigh() -> None:
    """How alike tasks are is the same by a sample of weight two as by two of them."""
    theta, errors = torch.zeros(1, 4).double(), torch.rand(1, 3, 8, generator=torch.Generator().manual_seed(0)).double()
    found = []
    part = Part(Layout([("linear0.weight", (3, 1), "kernel")]).params)
    for seen, weight in ((errors, [1.0] * 7 + [2.0]), (torch.cat([errors, errors[:, :, -1:]], 2), [1.0] * 9)):
        v = Columns(affinity=torch.tensor([0.5]).double(), tasks=torch.tensor([3]), part=part)
        t.AdaptiveSharing.init_state(v, theta)
        t.AdaptiveSharing.on_errors(v, seen, torch.tensor([weight]).double())
        found.append((v.alike, v.samples))
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize(
    ("slot", "technique", "horizon", "name", "expected"),
    [
        ("tasks", t.AdaptiveSharing(0.75, 0.6), 25, "due", (15, 8)),
        ("tasks", t.AdaptiveSharing(0.75, 0.0), 25, "due", (1, 1)),
        ("averaging", t.SWA(0.7), 90, "first", 62),
        ("averaging", t.Snapshots(2, 1.4, 2), 6, "ends", (2, 6)),
    ],
)
def test_epochs_do_not_depend_on_precision(slot: str, technique: Any, horizon: int, name: str, expected: Any) -> None:
    """The epochs at which something is due are those that Python computes, in single precision and in plain code."""
    config = net(precision="float32", early_stopping=t.FixedEpochs(horizon), **{slot: technique})
    of = twins()
    (found,) = (getattr(one.v, name)[0].tolist() for one in block(of, [config]).techniques if one.key[0] == slot)
    assert found == (list(expected) if isinstance(expected, tuple) else expected)
    if slot == "tasks":
        made = block(of, [config])
        made.advance(max(expected), measure=False)
        (active,) = (one for one in made.techniques if one.key[0] == slot)
        assert float(active.v.samples[0]) == 0  # decided after that epoch, and counted anew
    assert f"{expected}" in code(config, of.problem, "torch")


@pytest.mark.parametrize("seed", range(5))
def test_branches_merge_by_average_linkage(seed: int) -> None:
    """Which tasks are together is what scipy's clustering by mean distances says, cut where they are alike enough."""
    rng = np.random.default_rng(seed)
    half = rng.uniform(0.4, 1, size=(6, 6))
    alike = (half + half.T) / 2
    for least in (0.0, 0.6, 0.75, 1.0):
        found = _merged(range(6), alike.tolist(), least)
        expected = fcluster(linkage(squareform(1 - alike, checks=False), "average"), 1 - least, "distance")
        first = [float(np.flatnonzero(expected == one)[0]) for one in expected]
        assert found == first


def test_each_target_has_a_score_and_a_gap() -> None:
    """Beside the score of all, the validation score of each target and its gap are known, as scikit-learn has them."""
    of = setup("regression", targets=3)
    (outcome,) = Stack(of).stream([Candidate(0, net(tasks="cross_stitch"))])
    assert outcome.predictions is not None
    for j, name in enumerate(of.problem.target_names):
        val = [
            -mean_squared_error(of.problem.y[rows, j], outcome.predictions[rows, j]) for rows in of.folds.val
        ]  # fmt: skip
        assert outcome.measures[f"target/{name}/val"] == pytest.approx(np.mean(val), rel=1e-9)
    points = outcome.points["neg_mean_squared_error"]
    gaps = [outcome.measures[f"target/{name}/gap"] for name in of.problem.target_names]
    assert np.mean(gaps) == pytest.approx(points.gap, rel=1e-9)
    (single,) = Stack(setup()).stream([Candidate(0, net())])
    assert not [name for name in single.measures if name.startswith("target/")]


@pytest.mark.slow
def test_sharing_is_searched_exported_and_read_back(tmp_path: Path) -> None:
    """Every way to share is an option of one space; each refit predicts in a file what it does out of it."""
    X, y = load_linnerud(return_X_y=True)
    space = net(
        tasks=Choice(None, t.SoftSharing(), t.CrossStitch(), t.TaskRelation(), t.AdaptiveSharing()), precision="float32"
    )
    study = Study("tasks", X, y, space=space, cv=3, root=tmp_path, tracking=False, prune=False)
    results = study.run(12, quiet=True)
    trials = {trial.params["tasks"]: trial for trial in results.complete}
    assert set(trials) == {"none", "soft_sharing", "cross_stitch", "task_relation", "adaptive_sharing"}
    for kind, trial in trials.items():
        model = regsearch.load(study.export(tmp_path / kind, trial.number))
        fitted = results.choose(trial.number).config.refit(study.problem, study.seed)
        np.testing.assert_array_equal(model.predict(X), fitted.predict(X))
        assert model.predict(X).shape == y.shape


def test_what_cannot_share_is_said() -> None:
    """One target, classes, and nets that cannot stand side by side are refused with what to do."""
    with pytest.raises(InvalidInput, match="SoftSharing needs several targets, got a problem of one target"):
        net(tasks="soft_sharing").check(setup())
    with pytest.raises(InvalidInput, match="TaskRelation needs several targets, got a problem of classes"):
        net(tasks=t.TaskRelation()).check(setup("multiclass"))
    several = setup("regression", targets=3)
    with pytest.raises(InvalidInput, match="skip= is for an MLP, got a TaskMLP"):
        net(tasks="cross_stitch", skip="skip_connection").check(several)
    with pytest.raises(InvalidInput, match="tasks='cross_stitch' is for an MLP, got a CNN"):
        net(CNN((3,)), tasks="cross_stitch").check(setup("regression", image=True, targets=2))
    with pytest.raises(InvalidInput, match="tasks='task_relation' is for an MLP or a CNN, got a Custom"):
        net(lambda: nn.Linear(5, 3), tasks="task_relation").check(several)
    with pytest.raises(InvalidInput, match="layer_norm would mix the tasks"):
        net(tasks="cross_stitch", norm=Choice(None, "layer_norm")).check(several)
    assert np.isfinite(
        train(setup("regression", image=True, targets=2), [net(CNN((3,)), tasks=t.TaskRelation(0.1))]).weights
    ).all()


def test_a_scorer_of_all_targets_together_measures_none_alone() -> None:
    """What weighs targets, or adds up over them, scores a net of several all the same, and none alone."""

    def added(model: Any, X: Any, y: Any) -> float:
        return -float(np.abs(model.predict(X) - y).sum(axis=1).mean())

    weighted = make_scorer(mean_squared_error, greater_is_better=False, multioutput=[0.2, 0.3, 0.5])
    for scorer in (weighted, added):
        of = setup("regression", targets=3, scoring=scorer)
        (outcome,) = Stack(of).stream([Candidate(0, net(tasks="cross_stitch"))])
        assert outcome.state == "complete", outcome.reason
        assert not [name for name in outcome.measures if name.startswith("target/")]
