"""Nets that have to end: between two epochs, in forked processes too, with the curves that they have until then."""

from __future__ import annotations

import math
import os
import signal
import threading
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clocks import shared_clock
from optuna.samplers import RandomSampler
from samples import finished, study

from regsearch import Float
from regsearch.models.base import Candidate, Outcome, Setup
from regsearch.models.deadline import Deadline
from regsearch.models.neural import techniques as t
from regsearch.models.neural.training import pool, processes
from regsearch.models.neural.training.segment import Segment
from regsearch.models.neural.training.stack import NO_TIME, Stack
from regsearch.study.limits import Limits
from regsearch.testing.nets import block, net, setup

CONFIGS = (
    net(early_stopping=t.FixedEpochs(12)), net(dropout=0.3, lr=0.05, early_stopping=t.FixedEpochs(9)),
    net(penalty=t.L1Penalty(0.02), early_stopping=t.EarlyStopping(12, patience=9)),
    net(early_stopping=t.EarlyStopping(11, patience=9, inner=0.3), lr=0.1),
)  # fmt: skip


def stream(of: Setup) -> dict[int, Outcome]:
    return {one.number: one for one in Stack(of).stream(Candidate(i, config) for i, config in enumerate(CONFIGS))}


@pytest.fixture(scope="module")
def whole() -> dict[int, Outcome]:
    return stream(replace(setup(), n_jobs=1))


def part_of(found: Outcome, whole: Outcome) -> None:
    """Assert that an outcome has what the whole one has, as far as it got, in the folds that it was in."""
    steps = found.trajectory.steps
    assert steps < whole.trajectory.steps
    for name, curves in found.trajectory.curves.items():
        folds = curves.fitted
        for part in ("train", "val"):
            mine, its = getattr(curves, part), getattr(whole.trajectory.curves[name], part)[:, :steps]
            assert np.isnan(mine[~folds]).all()
            np.testing.assert_allclose(mine[folds], its[folds], rtol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("inner", [0.0, 0.3])
def test_a_net_that_chooses_its_epoch_stands_where_it_is_stopped(inner: float) -> None:
    """Whenever the time is up, a net that chooses its epoch is what one is that may train no longer than that; one of
    a fixed length is not to be chosen.
    """
    of = replace(setup(), n_jobs=1)
    chooses, fixed = net(early_stopping=t.EarlyStopping(60, patience=60, inner=inner)), CONFIGS[0]
    seen = set()
    for at in (8, 40, 80):
        stack = Stack(replace(of, deadline=Deadline(at, clock=shared_clock())))
        found, other = sorted(stack.stream([Candidate(0, chooses), Candidate(1, fixed)]), key=lambda one: one.number)
        epochs = found.trajectory.steps
        assert (found.state, found.stands) == ("stopped", True)
        assert not other.stands
        shorter = chooses.replace(early_stopping=t.EarlyStopping(epochs, patience=60, inner=inner))
        (whole,) = Stack(of).stream([Candidate(0, shorter)])
        assert (found.step, found.value, whole.state) == (whole.step, whole.value, "complete")
        np.testing.assert_allclose(found.trajectory.deciding.val, whole.trajectory.deciding.val, rtol=1e-10)
        assert found.predictions is not None
        assert whole.predictions is not None
        np.testing.assert_allclose(found.predictions, whole.predictions, rtol=1e-5)
        seen.add(epochs)
    assert len(seen) == 3


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_nets_stop_between_two_epochs(whole: dict[int, Outcome], n_jobs: int) -> None:
    """Whenever the time is up, nets have their first epochs, at its end they are whole, and each comes out once."""
    epochs = []
    for at in (1, 8, 40, 100_000):
        found = stream(replace(setup(), n_jobs=n_jobs, deadline=Deadline(at, clock=shared_clock())))
        stopped = [one for one in found.values() if one.state == "stopped"]
        for one in stopped:
            if one.trajectory.curves:
                part_of(one, whole[one.number])
                last = CONFIGS[one.number].last
                why, where = one.reason.split(" at epoch ")
                assert why in ("time was up", NO_TIME)
                assert where == f"{one.trajectory.steps} of {last}"
        epochs.append(max((one.trajectory.steps for one in stopped if one.trajectory.curves), default=0))
        for one in found.values():
            assert one.state in ("stopped", "complete")
        assert at == 1 or sorted(found) == list(range(len(CONFIGS)))
    assert not stopped
    assert 0 == epochs[0] < epochs[1] < epochs[2]


def test_a_block_gives_the_epochs_that_it_had_time_for() -> None:
    """A block stops at the epoch that the deadline falls into; joined to another it is as long as the shorter one."""
    whole = block(setup(), CONFIGS[:2]).advance(5)
    parts = [block(replace(setup(), deadline=Deadline(at, clock=shared_clock())), CONFIGS[:2]).advance(5)
             for at in (1, 3, 5)]  # fmt: skip
    assert [one.epochs for one in parts] == [0, 2, 4]
    for one in parts[1:]:
        np.testing.assert_array_equal(one.weights, whole.weights[: one.epochs])
        np.testing.assert_array_equal(one.scores["val"], whole.scores["val"][:, :, : one.epochs])
    assert [Segment.join([whole, one]).epochs for one in parts] == [0, 2, 4]
    joined = Segment.join(parts[1:])
    np.testing.assert_array_equal(joined.weights, np.concatenate([whole.weights[:2]] * 2, axis=1))
    np.testing.assert_array_equal(joined.nonzero, np.concatenate([whole.nonzero[:, :2]] * 2))


@pytest.mark.slow
def test_nets_that_take_too_long_are_pruned(whole: dict[int, Outcome]) -> None:
    """A net whose share of the time is more than a trial may take is given up when it is looked at next."""
    found = stream(replace(setup(), n_jobs=1, deadline=Deadline(trial_s=1e-9)))
    assert sorted(found) == list(range(len(CONFIGS)))
    for one in found.values():
        assert one.state == "pruned"
        assert one.reason.startswith("the 1e-09 s of a trial were up at epoch ")
        part_of(one, whole[one.number])


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_ctrl_c_keeps_the_epochs_before(whole: dict[int, Outcome], n_jobs: int) -> None:
    """Ctrl-C in training costs the epochs since nets were looked at last, and waits for none."""
    looks = count(1)

    def notice(text: str) -> None:
        if next(looks) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    deadline = Deadline.of_run(None, None)
    found = stream(replace(setup(), n_jobs=n_jobs, deadline=deadline, notice=notice))
    assert deadline.was_interrupted
    assert sorted(found) == list(range(len(CONFIGS)))
    for one in found.values():
        assert one.state == "stopped"
        assert one.reason.startswith("interrupted at epoch ")
        part_of(one, whole[one.number])


@pytest.mark.slow
def test_ctrl_c_amid_an_epoch_of_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while processes train ends them, whatever they have still to say."""
    answers = count(1)

    def interrupted(pipe: Any) -> Any:
        if next(answers) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return processes.receive(pipe)

    monkeypatch.setattr(pool, "receive", interrupted)
    found = stream(replace(setup(), n_jobs=2, deadline=Deadline.of_run(None, None)))
    assert sorted(found) == list(range(len(CONFIGS)))
    assert {one.state for one in found.values()} == {"stopped"}


@pytest.mark.slow
def test_what_folds_have_is_kept_before_all_have_something() -> None:
    """A trial of which one fold has trained and the others have not is kept with that fold's curves."""
    of = replace(setup(), prune=True, n_jobs=1)
    config = net(early_stopping=t.FixedEpochs(40))
    seen = set()
    for at in range(2, 30, 3):
        deadline = Deadline(at, clock=shared_clock())
        (found,) = Stack(replace(of, deadline=deadline)).stream([Candidate(4, config)])
        assert found.state == "stopped"
        if found.trajectory.curves:
            seen.add((int(found.trajectory.deciding.fitted.sum()), found.trajectory.steps))
            assert math.isfinite(found.point.val)
    assert {folds for folds, _ in seen} == {1} or len(seen) > 2


SPACE = net(dropout=Float(0, 0.5), lr=Float(1e-3, 0.1, log=True), early_stopping=t.EarlyStopping(12, patience=5))


@pytest.mark.slow
def test_a_study_of_nets_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A study of nets that is cut off in every run comes to the trials, and the scores, of one that never was."""
    options: Any = {"space": SPACE, "n_jobs": 1, "prune": False, "sampler": partial(RandomSampler)}
    straight = study(tmp_path, "straight", **options).run(12, quiet=True)
    cut, stopped = study(tmp_path, "cut", **options), 0
    for at in count(20, 30):
        monkeypatch.setattr(
            Limits, "begin", lambda _, at=at: Deadline(at, clock=shared_clock(), interrupted=threading.Event())
        )
        results = cut.run(12, quiet=True)
        stopped += results.counts["stopped"]
        if len(finished(results)) == 12:
            break
    assert stopped > 12
    assert [trial.params for trial in finished(results)] == [trial.params for trial in finished(straight)]
    for mine, its in zip(finished(results), finished(straight), strict=True):
        assert mine.step == its.step
        np.testing.assert_allclose(results.curves(mine.number).val, straight.curves(its.number).val, rtol=1e-10)
