"""Trials that there is time for: they end before a run does, and what cannot end any more is left or not begun."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from clocks import shared_clock

from regsearch.models.base import Candidate, Outcome
from regsearch.models.deadline import Deadline
from regsearch.models.halving import rung_epochs
from regsearch.models.neural import techniques as t
from regsearch.models.neural.training.closing import CERTAIN, GROWTH, Closing
from regsearch.models.neural.training.limits import StackLimits
from regsearch.models.neural.training.selection import BestMean
from regsearch.models.neural.training.stack import NO_TIME, Stack
from regsearch.testing.nets import net, setup

CONFIGS = [net(early_stopping=t.FixedEpochs(30), lr=0.01 * (1 + i)) for i in range(12)]
NARROW = StackLimits(8, 8, 3, lambda size: 1, 3)  # a block for each trial: time grows with what is in training


def run(at: float, candidates: Sequence[Candidate], prune: bool = False) -> tuple[list[Outcome], float]:
    """What comes out until some time, and when it is over."""
    clock = shared_clock()
    of = replace(setup(), n_jobs=1, prune=prune, deadline=Deadline(at, clock=clock))
    return list(Stack(of, limits=NARROW).stream(candidates)), clock()


@pytest.mark.slow
@pytest.mark.parametrize("prune", [False, True])
def test_a_run_has_trials_that_ended_wherever_there_is_time_for_three(prune: bool) -> None:
    """In the time that three trials take one after another, one of eight that begin together ends, with its scores."""
    candidates = [Candidate(i, config) for i, config in enumerate(CONFIGS)]
    whole, _ = run(1e9, candidates)
    _, alone = run(1e9, candidates[:1], prune)
    for times in (3, 5, 8):
        found, _ = run(times * alone, candidates, prune)
        ended = [one for one in found if one.state == "complete"]
        assert ended
        for one in ended:
            assert one.point.val == pytest.approx(whole[one.number].point.val, rel=1e-10)
        left = [one for one in found if one.state == "stopped"]
        assert times > 3 or any(NO_TIME in one.reason for one in left)
        assert all(one.state in ("complete", "stopped", "pruned") for one in found)


@pytest.mark.slow
def test_a_reference_is_not_left_for_others() -> None:
    """The reference trains on beside the trial that is next to its end."""
    candidates = [Candidate(i, config, "reference" if not i else "searched") for i, config in enumerate(CONFIGS)]
    _, alone = run(1e9, candidates[:1])
    found, _ = run(4 * alone, candidates)
    assert {one.number: one.state for one in found}[0] == "complete"


@pytest.mark.slow
def test_what_counts_where_it_is_stopped_is_left_for_the_reference_alone() -> None:
    """Trials that choose their epoch go on until the time is up, but for the worst of them, where else the reference
    would not come to its end.
    """
    chooses = [config.replace(early_stopping=t.EarlyStopping(30, patience=30)) for config in CONFIGS[1:6]]
    searched = [Candidate(i, config) for i, config in enumerate(chooses, 1)]
    _, alone = run(1e9, [Candidate(0, CONFIGS[0])])
    found, _ = run(2.5 * alone, searched)
    assert {(one.state, one.stands, NO_TIME in one.reason) for one in found} == {("stopped", True, False)}
    found, _ = run(3.5 * alone, [Candidate(0, CONFIGS[0], "reference"), *searched])
    (reference,) = [one for one in found if one.number == 0]
    assert reference.state == "complete"
    left = [one for one in found if NO_TIME in one.reason]
    steps = min(one.trajectory.steps for one in left)
    score = {one.number: one.trajectory.deciding.mean()[:steps].max() for one in found if one.number}
    kept = score.keys() - {one.number for one in left}
    assert kept
    assert max(score[one.number] for one in left) <= max(score[number] for number in kept)


@pytest.mark.slow
def test_there_is_time_to_bring_the_other_folds_to_where_the_first_is() -> None:
    """Trials that choose their epoch and have passed a rung on one fold are not left while the others can catch up."""
    chooses = [config.replace(early_stopping=t.EarlyStopping(400, patience=400)) for config in CONFIGS[:4]]
    candidates = [Candidate(i, config) for i, config in enumerate(chooses)]
    rung = rung_epochs(400, 1)[0]
    found, _ = run(4 * rung * 4, candidates, prune=True)  # an epoch of a fold of each takes about one
    standing = [one for one in found if one.stands]
    assert len(standing) > 1
    assert all(rung <= one.trajectory.steps < 400 for one in standing)


def test_trials_that_widen_count_with_all_their_folds() -> None:
    """Of trials that have passed their rung on one fold, as many are kept as there is time for on all folds."""
    closing = Closing(Deadline(20.0, clock=lambda: 0.0), folds=5)
    for _ in range(2):
        closing.measure(1.0, 1, 10)  # ten rows take a second for an epoch, fifty more than the time that is left
    runs: list[Any] = [
        SimpleNamespace(
            candidate=Candidate(i, CONFIGS[0]), config=SimpleNamespace(last=100), done=False, stands=False, judged=10,
            partial=True, rungs=(10,), epoch=10, folds=(0,), selection=BestMean, deciding=np.zeros((1, 1)), step=0,
        )
        for i in range(10)
    ]  # fmt: skip
    kept = 10 - len(closing.behind(runs))
    assert [run.candidate.number for run in closing.behind(runs)] == list(range(kept, 10))
    assert 10 * (5 * kept / 10) ** GROWTH <= CERTAIN * 20 < 10 * (5 * (kept + 1) / 10) ** GROWTH


@pytest.mark.slow
def test_nothing_is_left_where_there_is_no_end() -> None:
    """Without a deadline every trial comes to its end."""
    found, _ = run(float("inf"), [Candidate(i, config) for i, config in enumerate(CONFIGS)])
    assert {one.state for one in found} == {"complete"}
