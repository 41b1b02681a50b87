"""The stack: what a trial gets depends on its config, the fold and the seed, however the stack comes to it."""

from __future__ import annotations

import math
import multiprocessing
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from samples import ROOT, finished, outcomes, poll, python, study
from torch import nn

from regsearch import Choice, Float, Int
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.scorer import resolve
from regsearch.models import halving
from regsearch.models.base import Candidate, FixedHistory, Outcome, Setup
from regsearch.models.halving import MIN_UPDATES, PROBES, REDUCTION_FACTOR, SAME_FOLD, first_fold, rung_epochs
from regsearch.models.neural import CNN, MLP
from regsearch.models.neural import techniques as t
from regsearch.models.neural.training import limits, processes, stack, worker
from regsearch.models.neural.training.block import Block
from regsearch.models.neural.training.limits import RowSize, StackLimits
from regsearch.models.neural.training.pool import WorkerPool
from regsearch.models.neural.training.processes import can_fork, wait_for_exit
from regsearch.models.neural.training.stack import Stack
from regsearch.space.config import from_data
from regsearch.space.sampling import fill, random_params
from regsearch.storage.store import Store
from regsearch.testing.nets import block, net, problem, setup, setup_for, shared_parts

MIXED = (
    net(),
    net(dropout=0.3, lr=0.05),
    net(penalty=t.L1Penalty(0.02), early_stopping=t.EarlyStopping(9, patience=2), lr=0.2),
    net(batch_size=5, input_noise=0.2),
    net(norm="batch_norm", early_stopping=t.FixedEpochs(7)),
    net(averaging=0.9, weight_decay=0.1, schedule="cosine", early_stopping=t.FixedEpochs(8)),
    net(early_stopping=t.EarlyStopping(8, patience=3, inner=0.3), lr=0.1),
    net(MLP((4,)), label_noise=0.2, early_stopping=t.EarlyStopping(6, patience=1)),
    net(early_stopping=t.EarlyStopping(12, patience=4), lr=0.1, penalty={"out.*": t.L2Penalty(0.1)}),
)


def stream(
    of: Setup, configs: Sequence[Any], order: Iterable[int] | None = None, limits: StackLimits | None = None
) -> dict[int, Outcome]:
    """What becomes of configs that come in an order, by their place in the list."""
    source = (Candidate(i, configs[i]) for i in (range(len(configs)) if order is None else order))
    return {outcome.number: outcome for outcome in Stack(of, limits=limits).stream(source)}


def same(a: dict[int, Outcome], b: dict[int, Outcome], exact: bool = False) -> None:
    """Assert that two runs gave the same outcomes: to rounding in float64, or to the bit."""
    tolerance = 0.0 if exact else 1e-10
    assert sorted(a) == sorted(b)
    assert any(one.state != "failed" for one in a.values()), "failures alone are alike whatever is compared"
    for number, one in a.items():
        other = b[number]
        assert (one.state, one.reason, one.step) == (other.state, other.reason, other.step)
        assert one.candidate.config == other.candidate.config
        for name, curves in one.trajectory.curves.items():
            for mine, its in (
                (curves.train, other.trajectory.curves[name].train),
                (curves.val, other.trajectory.curves[name].val),
            ):
                np.testing.assert_allclose(mine, its, rtol=tolerance, atol=tolerance)
        np.testing.assert_array_equal(one.trajectory.axis, other.trajectory.axis)
        np.testing.assert_array_equal(one.trajectory.complexity, other.trajectory.complexity)
        if one.predictions is not None:
            np.testing.assert_allclose(one.predictions, other.predictions, rtol=tolerance, atol=tolerance)
        assert (one.along is None) == (other.along is None)
        if one.along is not None and other.along is not None:
            np.testing.assert_array_equal(one.along.steps, other.along.steps)
            loose = max(tolerance, 1e-6) if tolerance else 0.0  # single precision
            np.testing.assert_allclose(one.along.decisions, other.along.decisions, rtol=loose, atol=loose)
        assert one.measures == pytest.approx(other.measures, rel=max(tolerance, 1e-15))


# --- on nothing else -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["regression", "multiclass"])
def whole(request: pytest.FixtureRequest) -> tuple[Setup, dict[int, Outcome]]:
    of = replace(
        setup(request.param, scoring=("neg_mean_squared_error" if request.param == "regression" else "neg_log_loss",)),
        n_jobs=1,
    )
    return of, stream(of, MIXED)


@pytest.mark.slow
def test_everything_comes_out(whole: tuple[Setup, dict[int, Outcome]]) -> None:
    """Every candidate has one complete outcome, with curves of all its epochs, a step on them and predictions."""
    of, found = whole
    assert sorted(found) == list(range(len(MIXED)))
    for number, outcome in found.items():
        config: Any = MIXED[number]
        assert outcome.state == "complete"
        (curves,) = outcome.trajectory.curves.values()
        assert curves.val.shape == curves.train.shape == outcome.trajectory.complexity.shape
        assert 1 <= curves.val.shape[1] <= config.last
        assert np.isfinite(curves.val).all()
        assert outcome.predictions is not None
        assert outcome.predictions.shape == (of.problem.rows, of.problem.outputs)
        chosen: Any = outcome.chosen_config
        assert chosen.stopping.epochs == outcome.value
        assert chosen.horizon == config.horizon


def test_order_does_not_matter(whole: tuple[Setup, dict[int, Outcome]]) -> None:
    """Candidates in another order have the same outcomes."""
    of, found = whole
    same(stream(of, MIXED, np.random.default_rng(0).permutation(len(MIXED)).tolist()), found)


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "trials"), [(1, 32), (2, 32), (16, 1), (3, 3)])
def test_sizes_do_not_matter(
    whole: tuple[Setup, dict[int, Outcome]], rows: int, trials: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Smaller blocks, and trials one at a time or few, with refills, give the same outcomes."""
    of, found = whole
    monkeypatch.setattr(limits, "MAX_ROWS", rows)
    monkeypatch.setattr(limits, "MAX_STACKED", trials)
    same(stream(of, MIXED), found)


@pytest.mark.slow
def test_stride_does_not_matter(whole: tuple[Setup, dict[int, Outcome]], monkeypatch: pytest.MonkeyPatch) -> None:
    """How often trials are looked at changes no outcome: what is trained past the end is not seen."""
    of, found = whole
    for stride in (1, 100):
        monkeypatch.setattr(stack, "STRIDE", stride)
        same(stream(of, MIXED), found)


@pytest.mark.slow
def test_threads_do_not_matter(whole: tuple[Setup, dict[int, Outcome]]) -> None:
    """On two threads every bit is as on one."""
    of, found = whole
    same(stream(replace(of, n_jobs=2), MIXED), found, exact=True)


@pytest.mark.slow
def test_against_blocks_of_one_row(whole: tuple[Setup, dict[int, Outcome]]) -> None:
    """A trial's curves are those of its row alone on each fold, and its predictions those of the chosen epoch."""
    of, found = whole
    shared = shared_parts(of)
    for number, outcome in found.items():
        config: Any = MIXED[number]
        if config.inner:
            continue
        (curves,) = outcome.trajectory.curves.values()
        for k, val in enumerate(of.folds.val):
            alone = block(of, [config], k)
            segment = alone.advance(curves.val.shape[1])
            np.testing.assert_allclose(segment.scores["val"][0, 0], curves.val[k], rtol=1e-10, atol=1e-10)
            np.testing.assert_allclose(segment.scores["train"][0, 0], curves.train[k], rtol=1e-10, atol=1e-10)
            with torch.no_grad():
                ((out, rows),) = alone.evaluators[k].outputs(torch.from_numpy(segment.weights[outcome.step]), "val")
            assert rows.tolist() == val.tolist()
            decisions = shared.fold(shared.structure(config), k).decisions(out)[0].T.numpy()
            assert outcome.predictions is not None
            np.testing.assert_allclose(outcome.predictions[val], decisions, rtol=1e-10, atol=1e-10)


# --- blocks of several folds -----------------------------------------------------------------------------------

WIDE = replace(StackLimits.of(torch.device("cpu")), rows=100, block_bytes=2**30)
ALONE = replace(WIDE, rows=1)  # what wide blocks are held against: a row by itself shares nothing with another fold's


@pytest.fixture
def mixed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of how many folds each block is that trains."""
    found: list[int] = []
    advance = Block.advance

    def counted(made: Block, epochs: int, measure: bool = True) -> Any:
        found.append(len(set(made.folds)))
        return advance(made, epochs, measure)

    monkeypatch.setattr(Block, "advance", counted)
    return found


def by_themselves(mixed: list[int], search: Callable[..., dict[int, Outcome]]) -> dict[int, Outcome]:
    """The outcomes of a search of which each row trained alone."""
    mixed.clear()
    found = search(limits=ALONE)
    assert set(mixed) == {1}
    mixed.clear()
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "trials"), [(100, 32), (5, 3)])
def test_rows_of_several_folds_share_blocks(
    whole: tuple[Setup, dict[int, Outcome]], rows: int, trials: int, mixed: list[int]
) -> None:
    """Blocks of rows of several folds give the outcomes of rows that train alone."""
    of, _ = whole
    found = stream(of, MIXED, limits=replace(WIDE, rows=rows, stacked=trials))
    assert max(mixed) == 3
    same(found, by_themselves(mixed, partial(stream, of, MIXED)))


@pytest.mark.slow
@pytest.mark.usefixtures("early")
def test_rungs_of_rows_of_several_folds(mixed: list[int]) -> None:
    """Trials that begin on one fold each, are given up or come to all folds, do so in blocks of several folds alike."""
    found = climb(limits=WIDE)
    assert max(mixed) == 3
    same(found, by_themselves(mixed, climb))


def test_folds_of_other_sizes_have_blocks_of_their_own(mixed: list[int]) -> None:
    """Rows of folds with as many samples train together, those of a fold with one more beside them."""
    of = replace(setup("binary", n=38), n_jobs=1)
    configs = [net(dropout=0.2), net(lr=0.1, input_noise=0.3)]
    found = stream(of, configs, limits=WIDE)
    assert max(mixed) == 2
    same(found, by_themselves(mixed, partial(stream, of, configs)))


@pytest.mark.slow
def test_each_row_is_scaled_as_its_fold(mixed: list[int]) -> None:
    """Missing entries, and images that are changed before they are scaled, are those of each row's own fold."""
    rng = np.random.default_rng(0)
    holes = rng.normal(size=(36, 4)) * [1, 10, 100, 1000]
    holes[rng.random(holes.shape) < 0.2] = np.nan
    table = setup_for(make_problem(holes, rng.integers(0, 2, 36)))
    images = setup("multiclass", image=True)
    augment = t.Augment(rotation=20.0, zoom=0.0, shift=0.1, scale=0.0, contrast=0.3, noise=0.1)
    augmented = [net(MLP((4,)), augment=augment), net(MLP((4,)))]
    for parts, configs in ((table, [net(), net(dropout=0.3)]), (images, augmented)):
        of = replace(parts, n_jobs=1)
        found = stream(of, configs, limits=WIDE)
        assert max(mixed) > 1
        same(found, by_themselves(mixed, partial(stream, of, configs)))


@pytest.mark.slow
@pytest.mark.parametrize("norm", [{}, {"norm": "batch_norm"}, {"norm": "layer_norm"}])
def test_rows_of_convolutions_go_together(norm: dict[str, str], mixed: list[int]) -> None:
    """Nets of convolutions in blocks of several folds come to what each comes to by itself, whatever acts on them."""
    of = replace(setup("multiclass", image=True), n_jobs=1)
    augment = t.Augment(rotation=20.0, zoom=0.0, shift=0.1, scale=0.0, contrast=0.3, noise=0.1)
    acting = ({"dropout": 0.3, "augment": augment}, {"lr": 0.05}, {"input_noise": 0.3})
    configs = [net(CNN((3, 4)), **norm, **more) for more in acting]
    configs += [net(CNN((3, 4)), **norm, skip="skip_connection", **more) for more in acting]
    found = stream(of, configs, limits=WIDE)
    assert max(mixed) > 1
    same(found, by_themselves(mixed, partial(stream, of, configs)))


SHAPES = [(CNN((3, 4)), (1, 9, 8)), (CNN((3,), 2, dims=1), (2, 7)), (CNN((2, 2), 5, dims=3), (1, 4, 5, 6))]


@pytest.mark.parametrize(("module", "inputs"), SHAPES)
def test_places_are_those_of_outputs(module: CNN, inputs: tuple[int, ...]) -> None:
    """At as many places as a CNN says its convolutions have outputs."""
    h, found = torch.zeros(1, *inputs), []
    for layer in module.module(inputs, 2, "").children():
        h = layer(h)
        if "Conv" in type(layer).__name__:
            found.append(h[0, 0].numel())
    assert module.places(inputs) == tuple(found)


def test_blocks_fill_the_memory_of_a_gpu() -> None:
    """Rows of a block are as many as memory holds, fewer the larger nets, batches and numbers are, and at least one."""
    size = RowSize(parameters=1000, units=50, samples=100, number_bytes=4)
    many = replace(WIDE, rows=10**9, row_bytes=lambda one: one.allocated_bytes)
    held = replace(many, block_bytes=100 * size.allocated_bytes)
    assert held.rows_of(size) == 100
    assert replace(held, rows=7).rows_of(size) == 7
    for name in ("parameters", "units", "samples", "number_bytes"):
        assert held.rows_of(replace(size, **{name: 3 * getattr(size, name)})) < 100
    assert replace(many, block_bytes=1).rows_of(size) == 1


def own() -> nn.Module:
    layers = [nn.Flatten(), nn.Linear(72, 5), nn.BatchNorm1d(5), nn.Dropout(0.3), nn.ReLU(), nn.Dropout(0.2)]
    return nn.Sequential(*layers, nn.Linear(5, 1))


@pytest.mark.slow
def test_modules_that_do_not_stack() -> None:
    """Nets that train one by one, in threads or processes, have the same outcomes to the bit on any number of these."""
    of = replace(setup("binary", image=True), n_jobs=1)
    configs = [net(own), net(own, dropout=0.5), net(own, lr=0.1), net(CNN((3, 4)), dropout=0.2), net(own, dropout=None)]
    configs += [net(own, lr=lr) for lr in (0.03, 0.04, 0.05)]
    found = stream(of, configs)
    assert {outcome.state for outcome in found.values()} == {"complete"}
    for _ in range(2):
        same(stream(replace(of, n_jobs=2), configs), found, exact=True)
    same(stream(of, configs, [3, 1, 0, 2, 4, 7, 6, 5]), found)


@pytest.mark.slow
@pytest.mark.usefixtures("early")
def test_the_same_search_on_any_number_of_threads(tmp_path: Path) -> None:
    """A whole search proposes and finds the same, to the bit, whatever `n_jobs` is, with pruning."""
    space = net(
        MLP(Choice((4,), (6, 5))), dropout=Float(0, 0.5), lr=Float(1e-3, 0.1, log=True), precision="float32",
        penalty=Choice(None, t.L1Penalty()), early_stopping=t.EarlyStopping(12, patience=4),
    )  # fmt: skip
    one, two = (study(tmp_path, f"on{n}", space=space, n_jobs=n).run(16, quiet=True) for n in (1, 2))
    assert outcomes(one) == outcomes(two)
    assert {trial.state for trial in one.all} == {"complete", "pruned"}


# --- rungs -----------------------------------------------------------------------------------------------------

CLIMBERS = [
    net(lr=lr, early_stopping=t.FixedEpochs(20))
    for lr in (1e-5, 0.05, 1e-4, 0.02, 3e-5, 0.01, 3e-4, 2e-5, 1e-3, 0.04, 4e-5, 0.03, 2e-4, 5e-5, 6e-5, 0.06, 0.015)
]


early_rungs = partial(rung_epochs, updates=MIN_UPDATES)  # with as many updates as are needed in each epoch


@pytest.fixture
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rungs come at their shares of the epochs, also where these have few updates."""
    monkeypatch.setattr(halving, "MIN_UPDATES", 1)


def climb(prune: bool = True, limits: StackLimits | None = None, **options: Any) -> dict[int, Outcome]:
    of = replace(setup("regression"), n_jobs=1, prune=prune, **options)
    source = (Candidate(i, config, "reference" if i == 0 else "") for i, config in enumerate(CLIMBERS))
    return {outcome.number: outcome for outcome in Stack(of, limits=limits).stream(source)}


@pytest.mark.slow
@pytest.mark.usefixtures("early")
def test_rungs_give_up_what_falls_behind() -> None:
    """A pruned trial ends at a rung, with its curves so far and who did better; the others are as without pruning."""
    found, without = climb(), climb(prune=False)
    pruned = [outcome for outcome in found.values() if outcome.state == "pruned"]
    assert pruned
    for outcome in pruned:
        epochs = outcome.trajectory.steps
        assert epochs in early_rungs(20)
        assert outcome.reason.startswith(f"rung at epoch {epochs}: ")
        assert outcome.predictions is None
        full = without[outcome.number].trajectory.deciding.val[:, :epochs]
        val = outcome.trajectory.deciding.val
        known = np.isfinite(val)
        np.testing.assert_allclose(val[known], full[known], rtol=1e-10)
    kept = {number: outcome for number, outcome in found.items() if outcome.state == "complete"}
    same(kept, {number: without[number] for number in kept})


@pytest.mark.slow
@pytest.mark.usefixtures("early")
def test_one_fold_until_the_first_rung() -> None:
    """A trial that is given up at the first rung was trained on its first fold alone, where others did better."""
    found, first = climb(), early_rungs(20)[0]
    gone = [o for o in found.values() if o.state == "pruned" and o.trajectory.steps == first]
    assert gone
    for outcome in gone:
        fitted = np.flatnonzero(outcome.trajectory.deciding.fitted)
        assert fitted.tolist() == [first_fold(outcome.number, 3)]
        assert np.isfinite(outcome.point.val)
        assert np.isfinite(outcome.trajectory.complexity_at(outcome.step))
    for outcome in found.values():
        if outcome not in gone:
            assert outcome.trajectory.deciding.fitted.all()
    group = [o for o in found.values() if SAME_FOLD <= o.number < 2 * SAME_FOLD]
    scores = {o.number: o.trajectory.deciding.val[1, :first].max() for o in group}
    on = {o.number for o in group if o not in gone}
    assert len(on) >= math.ceil(len(group) / REDUCTION_FACTOR)
    assert all(scores[kept] > scores[out.number] for kept in on for out in gone if out.number in scores)


@pytest.mark.slow
@pytest.mark.usefixtures("early")
def test_first_folds_are_as_long_as_the_others() -> None:
    """A fold that is ahead of the others of its trial trains no longer than they do: it has as many epochs."""
    found = climb()
    whole = [outcome for outcome in found.values() if outcome.state == "complete"]
    assert len(whole) > 1
    for outcome in whole:
        assert outcome.trajectory.deciding.val.shape == (3, 20)
        assert np.isfinite(outcome.trajectory.deciding.val).all()


@pytest.mark.slow
@pytest.mark.usefixtures("early")
@pytest.mark.parametrize(
    "stopping",
    [t.EarlyStopping(12, patience=3, inner=0.3), t.EarlyStopping(30, patience=1), t.FixedEpochs(9)],
    ids=repr,
)
@pytest.mark.parametrize("rows", [None, 7])
def test_catching_up_changes_nothing(stopping: Any, rows: int | None) -> None:
    """Trials that come to all folds late have the outcomes of trials that were there from the start."""
    of = replace(setup("regression", n=60), n_jobs=1)
    if rows is not None:  # of the first fold: uneven ones
        pairs = [(np.arange(rows, 60), np.arange(rows)), (np.arange(40), np.arange(40, 60))]
        of = replace(of, folds=make_folds(pairs, of.problem, 0))
    configs = [net(lr=lr, early_stopping=stopping, averaging=0.5, dropout=0.2) for lr in (0.1, 0.05, 0.2)]
    same(stream(replace(of, prune=True), configs), stream(of, configs))


@pytest.mark.slow
@pytest.mark.usefixtures("early")
def test_pooled_scores_need_all_folds() -> None:
    """Where one score of all folds decides, every trial begins on all of them."""
    (metric,) = setup("regression").metrics
    found = climb(metrics=(replace(metric, pooled=True),))
    assert {outcome.state for outcome in found.values()} == {"complete", "pruned"}
    assert all(outcome.trajectory.deciding.fitted.all() for outcome in found.values())


@pytest.mark.slow
@pytest.mark.usefixtures("early")
def test_what_ends_early_is_judged_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial that loses patience before a rung is judged there, unless it is a probe: the hopeless do not count."""
    monkeypatch.setattr(stack, "STRIDE", 8)  # the first look is at the first rung
    on = math.ceil(SAME_FOLD / REDUCTION_FACTOR)  # of those that begin on one fold
    lasting = [net(lr=0.05 - 0.004 * i, early_stopping=t.FixedEpochs(160)) for i in range(2 * on)]
    out = SAME_FOLD - on
    dead = [net(lr=1e-8, input_noise=1.0 + i, early_stopping=t.EarlyStopping(160, patience=2)) for i in range(2 * out)]
    configs = [*lasting[:on], *dead[:out], *lasting[on:], *dead[out:]]
    found = stream(replace(setup("regression"), n_jobs=1, prune=True), configs)
    first = early_rungs(160)[0]
    judged = {number: one for number, one in found.items() if number % PROBES != PROBES - 1}
    early = [one for one in judged.values() if one.trajectory.steps <= first]
    assert len(early) == len(dead) - (len(found) - len(judged))
    assert any(one.trajectory.steps < first for one in early)
    assert {one.state for one in early} == {"pruned"}
    assert all(one.reason.startswith(f"rung at epoch {first}: ") for one in early)
    assert all(found[number].trajectory.steps > first for number in (0, on - 1, SAME_FOLD, SAME_FOLD + on - 1))


@pytest.mark.slow
def test_without_pruning_nothing_is_pruned() -> None:
    """With pruning turned off every trial is trained to its end."""
    assert {(outcome.state, outcome.trajectory.steps) for outcome in climb(prune=False).values()} == {("complete", 20)}


@pytest.mark.slow
@pytest.mark.usefixtures("early")
def test_the_reference_is_never_pruned() -> None:
    """The reference is trained to its end however bad it is, and counts on no rung."""
    found = climb()
    assert found[0].state == "complete"
    assert found[0].candidate.role == "reference"
    group = [found[number] for number in range(1, SAME_FOLD)]
    first = [outcome for outcome in group if outcome.trajectory.steps == early_rungs(20)[0]]
    assert first
    assert all(outcome.reason.endswith(f"of the last {len(group)} trials did better") for outcome in first)


@pytest.mark.slow
@pytest.mark.usefixtures("early")
def test_rungs_know_the_past() -> None:
    """Trials of an earlier run are ranked beside those of this one."""
    great, poor = (tuple(np.full((3, 20), score) for _ in range(40)) for score in (0.0, -1e9))
    complete = {
        past: sum(outcome.state == "complete" for outcome in climb(history=FixedHistory(curves=curves)).values())
        for past, curves in {"great": great, "none": (), "poor": poor}.items()
    }
    probes = sum(number % PROBES == PROBES - 1 for number in climb())
    assert complete["great"] == 1 + probes  # the reference, and what is never given up
    assert complete["great"] < complete["none"] < complete["poor"]


# --- stopping --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("delta", [0.0, 0.05, 5.0])
@pytest.mark.parametrize("patience", [1, 2, 4])
def test_early_stopping(patience: int, delta: float) -> None:
    """Training ends after `patience` epochs without a mean score that is `min_delta` better; the best one counts."""
    of = setup("regression")
    configs = [net(lr=lr, early_stopping=t.EarlyStopping(15, patience, delta)) for lr in (0.3, 0.05)]
    full = stream(of, [net(lr=lr, early_stopping=t.FixedEpochs(15)) for lr in (0.3, 0.05)])
    for number, outcome in stream(of, configs).items():
        (all_of_it,), (curves,) = full[number].trajectory.curves.values(), outcome.trajectory.curves.values()
        mean = all_of_it.val.mean(axis=0)
        waited, end = 0, 15
        for epoch in range(1, 15):
            waited = 0 if mean[epoch] > mean[:epoch].max() + delta else waited + 1
            if waited == patience:
                end = epoch + 1
                break
        assert outcome.trajectory.axis.tolist() == list(range(1, end + 1))
        assert outcome.step == int(np.argmax(mean[:end]))
        np.testing.assert_allclose(curves.val, all_of_it.val[:, :end], rtol=1e-10)


def test_fixed_epochs() -> None:
    """A fixed number of epochs is trained and the last one counts, also when it is not the best."""
    of = setup("regression")
    found = stream(of, [net(lr=0.5, early_stopping=t.FixedEpochs(last)) for last in (3, 7, 9)])
    best = []
    for outcome, last in zip(found.values(), (3, 7, 9), strict=True):
        (curves,) = outcome.trajectory.curves.values()
        assert outcome.step == last - 1
        assert outcome.trajectory.axis.tolist() == list(range(1, last + 1))
        best.append(int(np.argmax(curves.val.mean(axis=0))) == last - 1)
    assert not all(best)


@pytest.mark.parametrize(
    "stopping",
    [
        t.EarlyStopping(),
        t.EarlyStopping(max_epochs=Int(4, 7)),
        t.EarlyStopping(max_epochs=Choice(5, 8, 2)),
        t.EarlyStopping(max_epochs=Choice(5, Int(6, 8))),
        t.FixedEpochs(5, max_epochs=9),
        t.FixedEpochs(Int(2, 5)),
        Choice(t.EarlyStopping(max_epochs=Int(2, 3)), t.FixedEpochs(6, max_epochs=9)),
        Choice(t.EarlyStopping(max_epochs=5), None),
        Choice(None),
    ],
    ids=repr,
)
def test_the_reference_trains_as_long_as_any(stopping: Any) -> None:
    """No net of the space trains longer than the reference, which counts on the same schedule as the longest."""
    space = net(schedule="cosine", early_stopping=stopping)
    generator = np.random.default_rng(0)
    drawn = [fill(space, random_params(space, generator)) for _ in range(60)]
    reference = space.reference()
    assert (reference.last, reference.horizon) == max((config.last, config.horizon) for config in drawn)
    assert all(config.reference().last == config.last for config in drawn)


@pytest.mark.slow
def test_a_chosen_epoch_is_trained_again() -> None:
    """The chosen config trains to the epoch picked, along the same schedule, and has the scores it had there."""
    of = setup("regression")
    config = net(lr=0.3, schedule="cosine", early_stopping=t.EarlyStopping(12, patience=3))
    (first,) = stream(of, [config]).values()
    (again,) = stream(of, [first.chosen_config]).values()
    assert again.trajectory.steps == first.step + 1 == again.step + 1
    (a,), (b,) = first.trajectory.curves.values(), again.trajectory.curves.values()
    np.testing.assert_allclose(b.val, a.val[:, : first.step + 1], rtol=1e-10)
    assert first.predictions is not None
    np.testing.assert_allclose(again.predictions, first.predictions, rtol=1e-10)


@pytest.mark.slow
def test_inner_split_never_sees_scoring_rows() -> None:
    """With an inner split, other labels in the scoring rows change their scores and nothing else."""
    data = problem("regression", n=48)
    train, val = np.arange(36), np.arange(36, 48)
    y = data.y.copy()
    y[val] = 100 - 7 * y[val][::-1]
    config = net(lr=0.2, early_stopping=t.EarlyStopping(12, patience=3, inner=0.3), norm="batch_norm")
    found: list[Any] = []
    for target in (data.y, y):
        made = make_problem(data.X, target)
        of = Setup(made, make_folds([(train, val)], made, 0), resolve(None, made))
        found += stream(of, [config]).values()
    (a,), (b,) = (outcome.trajectory.curves.values() for outcome in found)
    np.testing.assert_array_equal(found[0].trajectory.axis, found[1].trajectory.axis)
    np.testing.assert_array_equal(a.train, b.train)
    np.testing.assert_array_equal(found[0].predictions, found[1].predictions)
    np.testing.assert_array_equal(found[0].trajectory.complexity, found[1].trajectory.complexity)
    assert not np.any(a.val == b.val)
    assert found[0].step == found[1].step == len(found[0].trajectory.axis) - 1


@pytest.mark.slow
def test_inner_split_keeps_each_folds_best() -> None:
    """With an inner split each fold has the epoch at which its own held-out rows scored best."""
    of = setup("regression", n=60)
    config = net(lr=0.2, early_stopping=t.EarlyStopping(10, patience=10, inner=0.3))
    (outcome,) = stream(of, [config]).values()
    (curves,) = outcome.trajectory.curves.values()
    picked = []
    for k in range(3):
        segment = block(of, [config], k).advance(10)
        best = int(np.argmax(segment.scores["inner"][0, 0]))
        picked.append(best + 1)
        np.testing.assert_allclose(curves.val[k, -1], segment.scores["val"][0, 0, best], rtol=1e-10)
        np.testing.assert_allclose(curves.train[k, -1], segment.scores["train"][0, 0, best], rtol=1e-10)
    assert outcome.value == round(float(np.median(picked)))


# --- what goes wrong -------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("scoring", ["neg_log_loss", "accuracy", "roc_auc", "average_precision", "balanced_accuracy"])
def test_a_diverging_row_fails_alone(scoring: str) -> None:
    """A row whose numbers overflow fails with its reason, whatever the score; its neighbours stay as they are."""
    of = setup("binary", scoring)
    deep = MLP((8,) * 20)
    fine = [net(deep, lr=lr, precision="float32", norm="layer_norm") for lr in (0.01, 0.003)]
    wild = net(deep, weight_noise=100.0, precision="float32")  # 100 to the power of 20 is too much for float32
    calm = [net(deep, lr=lr, precision="float32") for lr in (1e-3, 2e-3)]
    found = stream(of, [calm[0], wild, calm[1], *fine])
    assert [found[i].state for i in range(5)] == ["complete", "failed", "complete", "complete", "complete"]
    assert found[1].reason.startswith(f"diverged: {scoring} on the ")
    assert "a smaller lr or gradient_clipping may help" in found[1].reason
    without = stream(of, [calm[0], calm[0], calm[1], *fine])
    for number in (0, 2, 3, 4):
        (a,), (b,) = found[number].trajectory.curves.values(), without[number].trajectory.curves.values()
        np.testing.assert_allclose(a.val, b.val, rtol=1e-6)
        np.testing.assert_array_equal(found[number].predictions, without[number].predictions)


@pytest.mark.slow
def test_scores_known_to_a_scorer_alone() -> None:
    """A score without a formula decides along the whole path, or is known at the chosen epoch where it does not."""
    for scoring in (["explained_variance", "r2"], ["r2", "explained_variance"]):
        of = setup_for(problem("regression"), scoring)
        (outcome,) = stream(of, [net(early_stopping=t.EarlyStopping(5, patience=2))]).values()
        assert list(outcome.trajectory.curves) == scoring
        late = outcome.trajectory.curves["explained_variance"].val
        known = np.isfinite(late).all(axis=0)
        assert known[outcome.step]
        assert known.all() == (scoring[0] == "explained_variance")


class Small:
    """A machine whose memory holds a block of two rows; whatever was begun beyond that is spoilt."""

    def __init__(self) -> None:
        self.advance = Block.advance
        self.refused: list[int] = []

    def __call__(self, made: Block, to: int, measure: bool = True) -> Any:
        if len(made.rows) > 2:
            self.refused.append(len(made.rows))
            made.theta += 1.0
            made.epochs = tuple(epoch + 1 for epoch in made.epochs)
            raise MemoryError
        return self.advance(made, to, measure)


@pytest.mark.parametrize(
    "sizes", [None, pytest.param(WIDE, marks=pytest.mark.slow)], ids=["as on a CPU", "as on a GPU"]
)
def test_memory_runs_out(
    whole: tuple[Setup, dict[int, Outcome]], sizes: StackLimits | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where memory holds few rows the stack says so and shrinks, and every outcome is what it was."""
    of, found = whole
    small = Small()
    monkeypatch.setattr(Block, "advance", lambda made, to, measure=True: small(made, to, measure))
    made = Stack(of, limits=sizes)
    with pytest.warns(RuntimeWarning, match="Memory ran out: the stack shrinks to"):
        after = {o.number: o for o in made.stream(Candidate(i, config) for i, config in enumerate(MIXED))}
    same(after, found)
    assert made.pool.max_rows <= 2
    tried = len(small.refused)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.stop.clear()
        same({o.number: o for o in made.stream(Candidate(i, config) for i, config in enumerate(MIXED))}, found)
    assert len(small.refused) == tried


def test_memory_that_never_suffices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not even one row fits, the trial fails and says so."""

    def never(made: Block, to: int, measure: bool = True) -> Any:
        raise MemoryError

    monkeypatch.setattr(Block, "advance", never)
    (outcome,) = stream(setup("regression"), [net()]).values()
    assert outcome.state == "failed"
    assert "MemoryError" in outcome.reason


class Moody(nn.Module):
    """Fails in training once its weights have grown."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(5, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if float(self.out.weight.detach().abs().max()) > 1:
            raise ValueError("too large for me")
        found: torch.Tensor = self.out(x)
        return found


def test_a_module_that_fails() -> None:
    """A module that raises in training fails its own trial, with its words; the others go on."""
    found = stream(setup("regression"), [net(Moody, lr=1e-4), net(Moody, lr=1.0)])
    calm, wild = found[0], found[1]
    assert calm.state == "complete"
    assert wild.state == "failed"
    assert "ValueError: too large for me" in wild.reason


@pytest.mark.slow
def test_processes_do_as_threads_do(tmp_path: Path) -> None:
    """A program that forks its training has the same trials, to the bit, as one that trains in its own process."""
    code = """
import sys
import numpy as np
from regsearch import MLP, Float, Net, Study, nn_techniques as t
rng = np.random.default_rng(0)
X = rng.normal(size=(60, 5))
space = Net(MLP(hidden=(6,)), batch_size=16, dropout=Float(0, 0.5), early_stopping=t.EarlyStopping(8, patience=3))
study = Study("s" + sys.argv[1], X, X[:, 0] ** 2, space=space, cv=3, root=sys.argv[2],
              tracking=False, n_jobs=int(sys.argv[1]))
results = study.run(40, quiet=True)
print([(trial.state, trial.key, trial.step, repr(trial.points)) for trial in results.all])
"""
    one, two = (python("-c", code, n, str(tmp_path)) for n in ("1", "2"))
    assert (one.returncode, two.returncode) == (0, 0), one.stderr + two.stderr
    assert one.stdout == two.stdout
    assert one.stdout.count("complete") > 1


@pytest.mark.slow
def test_in_a_worker_of_a_pool(tmp_path: Path) -> None:
    """A worker of a pool of processes, which may start none itself, has the same trials and refits as its program."""
    code = """
import multiprocessing, sys
import numpy as np
from regsearch import MLP, Float, Net, Study, nn_techniques as t
X = np.random.default_rng(0).normal(size=(60, 5))
def searched(name):
    space = Net(MLP(hidden=(6,)), dropout=Float(0, 0.5), early_stopping=t.EarlyStopping(4))
    study = Study(name, X, X[:, 0], space=space, cv=3, root=sys.argv[1], tracking=False, n_jobs=2)
    best = study.run(3, quiet=True).best
    return repr(best.point), best.config.refit(study.problem, 0).predict(X).tobytes()
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(1) as pool:
        there = pool.apply(searched, ("there",))
    print(there == searched("here"))
"""
    done = python("-c", code, str(tmp_path))
    assert done.stdout.strip() == "True", done.stderr


def own_linear() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 1))


def test_a_pool_leaves_no_thread() -> None:
    """The threads of a pool have left the process when it closes: one that still frees memory would hold locks that a
    later fork keeps for ever."""
    config = net(own_linear, early_stopping=t.FixedEpochs(2))
    images = make_problem(np.random.default_rng(0).normal(size=(40, 6, 6)), np.arange(40) % 2)
    shared = shared_parts(setup_for(images))
    structure = shared.structure(config)
    with WorkerPool(shared, 2) as one:
        for fold in range(3):
            one.make(fold, structure, [fold], [shared.row_config(config, structure)])
        one.advance([0, 1, 2], 2)
        threads = list(one._thread_ids)
    assert threads
    assert not any(Path(f"/proc/self/task/{thread}").exists() for thread in threads)


@pytest.mark.skipif(not can_fork(), reason="there are no other processes to train in")
@pytest.mark.parametrize(("module", "elsewhere"), [(CNN(channels=(2,)), True), (own_linear, False)])
def test_modules_of_ones_own_stay_in_this_process(module: Any, elsewhere: bool) -> None:
    """Nets of convolutions train in other processes; a module of one's own does not."""
    images = make_problem(np.random.default_rng(0).normal(size=(40, 6, 6)), np.arange(40) % 2)
    shared = shared_parts(setup_for(images))
    config = net(module, early_stopping=t.FixedEpochs(2))
    structure = shared.structure(config)
    with WorkerPool(shared, 2) as pool:
        pool.make(0, structure, [0], [shared.row_config(config, structure)])
        assert (pool._placements[0].process is not None) == elsewhere


def test_images_of_one_channel_are_laid_out_as_those_of_many() -> None:
    """What a convolution makes of them has the channels of a place together, as pooling is quick on it."""
    for channels in (1, 2):
        made = torch.conv2d(CNN().laid_out(torch.randn(4, channels, 6, 6)), torch.randn(3, channels, 3, 3), padding=1)
        assert made.is_contiguous(memory_format=torch.channels_last)


def test_threads_are_waited_for() -> None:
    """A thread that still runs is in the process when the wait is over; one that has ended is not."""
    leave = threading.Event()
    thread = threading.Thread(target=leave.wait)
    thread.start()
    assert thread.native_id is not None
    wait_for_exit([thread.native_id], wait_s=0)
    task = Path(f"/proc/self/task/{thread.native_id}")
    assert task.exists()
    leave.set()
    wait_for_exit([thread.native_id])
    assert not task.exists()
    thread.join()


def test_a_forked_process_that_is_never_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a forked process hangs, as one does that inherits a held lock, the pool does the work itself."""
    monkeypatch.setattr(processes, "READY_S", 0.2)
    monkeypatch.setattr(processes, "autograd_works", lambda: time.sleep(3600))
    config = net(early_stopping=t.FixedEpochs(2))
    shared = shared_parts(setup_for(problem()))
    structure = shared.structure(config)
    # A process of the tests may hold children of other tests, as the reusable pool of joblib is.
    before = set(multiprocessing.active_children())
    with WorkerPool(shared, 2) as one:
        one.make(0, structure, [0], [shared.row_config(config, structure)])
        (done,) = one.advance([0], 2)
        assert set(multiprocessing.active_children()) <= before
    assert isinstance(done, worker.Trained)


# --- killed and interrupted ------------------------------------------------------------------------------------

SPACE = net(
    dropout=Float(0, 0.5), lr=Float(1e-3, 0.1, log=True), weight_decay=Float(1e-4, 0.1, log=True),
    early_stopping=t.EarlyStopping(6, patience=3),
)  # fmt: skip
SCRIPT = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
from pathlib import Path
from tests.models.neural.test_stack import SPACE
from samples import study
study(Path(sys.argv.pop(1)), space=SPACE, n_jobs=1).main()
"""


@contextmanager
def running(root: Path) -> Iterator[subprocess.Popen[str]]:
    script = root.parent / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(root), "--trials", "100000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def goes_on(root: Path, least: int) -> None:
    """Assert that every trial of an ended study is what its config gives by itself, also after going on."""
    stored = study(root, space=SPACE).results()
    before = finished(stored)
    kept = dict(zip([trial.number for trial in before], outcomes(stored), strict=True))
    done = len(before)
    assert done >= least
    small = study(root, space=SPACE, n_jobs=1)
    results = small.run(done + 34, quiet=True)
    after = finished(results)
    found = dict(zip([trial.number for trial in after], outcomes(results), strict=True))
    assert {number: found.get(number) for number in kept} == kept
    assert {trial.number for trial in before} <= {trial.number for trial in after}
    assert len(after) == done + 34
    chosen = [trial for trial in after if trial.state == "complete"][:: max(1, len(after) // 6)]
    of = replace(small.setup, prune=False)
    alone = stream(of, [from_data(trial.config) for trial in chosen])
    for i, trial in enumerate(chosen):
        (curves,) = alone[i].trajectory.curves.values()
        assert trial.step == alone[i].step
        np.testing.assert_allclose(results.curves(trial.number).val, curves.val, rtol=1e-10)


def many(root: Path) -> bool:
    """Whether some trials have been written."""
    folder = Store(root, "small").journal
    return folder.exists() and folder.stat().st_size > 100_000


@pytest.mark.slow
def test_killed_and_resumed(tmp_path: Path) -> None:
    """A killed study goes on: what was finished stays, and every trial is what its config gives by itself."""
    root = tmp_path / "killed"
    with running(root) as process:
        assert poll(lambda: many(root) or process.poll() is not None)
        assert process.poll() is None, process.communicate()[1]
        process.kill()
    goes_on(root, 1)


@pytest.mark.slow
def test_ctrl_c(tmp_path: Path) -> None:
    """Ctrl-C ends a study at once without a trace, keeps what is finished, and the study goes on afterwards."""
    root = tmp_path / "interrupted"
    with running(root) as process:
        assert poll(lambda: many(root) or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=300)
    assert "Traceback" not in said
    assert "(interrupted)" in said
    assert process.returncode in (0, 130)
    assert study(root, space=SPACE).results().counts["running"] == 0
    goes_on(root, 1)


# --- decisions along epochs ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_decisions_after_other_epochs(task: str) -> None:
    """What is kept of other epochs is what a net says that was trained for so many; a path longer than there is room
    for is thinned, and nothing is kept where the epoch is not chosen by the score.
    """
    of = setup(task)
    long = net(lr=0.02, early_stopping=t.EarlyStopping(30, patience=30))
    fixed, own = net(early_stopping=t.FixedEpochs(4)), net(early_stopping=t.EarlyStopping(6, inner=0.3))
    found = stream(of, [long, fixed, own])
    along = found[0].along
    assert along is not None
    assert found[1].along is found[2].along is None
    assert 12 <= len(along.steps) < 30
    assert found[0].step not in along.steps
    epochs = along.steps[:3] + 1
    others = [net(lr=0.02, early_stopping=t.EarlyStopping(30, epochs=int(epoch))) for epoch in epochs]
    for decisions, one in zip(along.decisions, stream(of, others).values(), strict=False):
        np.testing.assert_allclose(decisions, one.predictions, rtol=1e-5, atol=1e-5)
