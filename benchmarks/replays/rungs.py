"""Rungs replayed on recorded curves: what a schedule spends, and how often it gives up the winner.

A search is a random order of the recorded configs. Trials come some at a time and go from rung to rung together; at
each, the score of a trial is the best that it had so far, in the folds that it has trained on. Those that come through
all rungs train to the end: to the last epoch, or until patience runs out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.models import halving

PATIENCE = 10
Orders = NDArray[np.int64]  # [R, N] configs, in the order in which each search tries them
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Schedule:
    """Who goes on, and when.

    Attributes
    ----------
    shares
        Of the epochs, at which there are rungs.
    keep
        The part that goes on at each.
    one_fold
        Whether a trial trains on one fold until the first rung.
    outlook
        The part that goes on at each for its outlook: what a trial would score, should it gain as much again as in the
        second half of its epochs.
    slack
        How far below the last that goes on a score may be, in interquartile ranges of the scores at that rung.
    least
        Trials that must have got to a rung before any is given up there.
    updates
        Of the weights, before which there is no rung.
    recent
        How many of the last that got to a rung count there, beside those that arrive together; 0 for all.
    probes
        One trial in so many goes on whatever the others did; 0 for none.
    """

    name: str
    shares: tuple[float, ...]
    keep: tuple[float, ...]
    one_fold: bool = True
    outlook: tuple[float, ...] = ()
    slack: float = 0.0
    least: int = 6
    updates: int = 0
    recent: int = 0
    probes: int = 0

    def marks(self, epochs: int, updates: float) -> tuple[int, ...]:
        """The epochs at which there are rungs, where an epoch has so many updates."""
        found = {max(1, round(share * epochs)) for share in self.shares}
        return tuple(mark for mark in sorted(found) if mark * updates >= self.updates)


@dataclass(frozen=True)
class Recorded:
    """Curves as a search sees them.

    Attributes
    ----------
    by_fold
        ``[C, K, E]`` best scores so far.
    mean
        ``[C, E]`` best so far of the mean of the folds; nothing changes once patience has run out.
    length
        ``[C]`` epochs until patience has run out.
    updates
        Of the weights, in an epoch.
    """

    by_fold: Array
    mean: Array
    length: NDArray[np.int64]
    updates: float = 1.0

    @classmethod
    def of(cls, curves: Array, updates: float = 1.0, patience: int = PATIENCE) -> Recorded:
        """What is seen of curves ``[C, K, E]``."""
        known = np.where(np.isfinite(curves), curves, -1e9)
        best = np.maximum.accumulate(known.mean(axis=1), axis=1)
        epochs = np.arange(best.shape[1])
        since = epochs - np.maximum.accumulate(np.where(np.diff(best, axis=1, prepend=-np.inf) > 0, epochs, 0), axis=1)
        out = since >= patience
        length = np.where(out.any(axis=1), out.argmax(axis=1) + 1, best.shape[1])
        kept = np.minimum(epochs, length[:, None] - 1)
        return cls(np.maximum.accumulate(known, axis=2), np.take_along_axis(best, kept, axis=1), length, updates)

    @property
    def final(self) -> Array:
        """``[C]`` scores of trials that are not given up."""
        return np.asarray(self.mean[:, -1])

    @property
    def folds(self) -> int:
        return int(self.by_fold.shape[1])


@dataclass(frozen=True)
class Replayed:
    """What came of the searches of some orders.

    Attributes
    ----------
    spent
        ``[R]`` epochs of one fold.
    complete
        ``[R, N]`` trials that were not given up.
    """

    spent: Array
    complete: Mask


@dataclass
class _Rung:
    """Who got to a rung: scores ``[R, N, folds]``, NaN where a trial has not trained on a fold."""

    scores: Array
    outlooks: Array
    reached: Mask
    given_up: Mask


def replay(recorded: Recorded, orders: Orders, schedule: Schedule, together: int) -> Replayed:
    """Search in every order, so many trials at a time."""
    count, epochs = orders.shape[1], recorded.mean.shape[1]
    marks = schedule.marks(epochs, recorded.updates)
    rungs = [_rung(recorded, orders, schedule, mark, first=i == 0) for i, mark in enumerate(marks)]
    complete = np.zeros(orders.shape, dtype=bool)
    spent = np.zeros(len(orders))
    folds = recorded.folds
    for start in range(0, count, together):
        part = slice(start, min(start + together, count))
        length, alive, at = recorded.length[orders[:, part]], np.ones((len(orders), part.stop - start), bool), 0
        for i, (rung, mark) in enumerate(zip(rungs, marks, strict=True)):
            lone = schedule.one_fold and i == 0
            spent += (alive * (np.minimum(mark, length) - np.minimum(at, length))).sum(axis=1) * (1 if lone else folds)
            on = alive & _promoted(rung, schedule, i, part, alive, recorded.folds if lone else 1)
            spent += (on * np.minimum(mark, length)).sum(axis=1) * (folds - 1 if lone else 0)
            alive, at = on, mark
        spent += (alive * (length - np.minimum(at, length))).sum(axis=1) * folds
        complete[:, part] = alive
    return Replayed(spent, complete)


def _rung(recorded: Recorded, orders: Orders, schedule: Schedule, mark: int, first: bool) -> _Rung:
    """A rung nobody has got to yet, with the scores that those who do will have."""
    curve = recorded.by_fold if first and schedule.one_fold else recorded.mean[:, None]
    now, before = curve[:, :, mark - 1], curve[:, :, max(0, (mark + 1) // 2 - 1)]
    nobody = np.zeros(orders.shape, dtype=bool)
    return _Rung(now[orders], (2 * now - before)[orders], nobody, nobody.copy())


def _promoted(rung: _Rung, schedule: Schedule, i: int, part: slice, alive: Mask, folds: int) -> Mask:
    """``[R, B]``: which of a part go on; the rung takes note of them."""
    numbers = np.arange(rung.scores.shape[1])
    fold = (numbers // halving.SAME_FOLD) % folds
    rung.reached[:, part] = alive
    # [R, B, N]: another trial is known on the fold of one of the part if it passed, or if that was its fold too
    earlier = (numbers < part.start)[None, None, :]
    counts = _recent(rung.reached, schedule.recent, part)
    same = (fold[part][:, None] == fold[None, :])[None]
    passed = (counts & ~rung.given_up)[:, None, :] & earlier
    known = counts[:, None, :] & (same | passed)
    worse = (counts & rung.given_up)[:, None, :] & ~same
    on = np.zeros_like(alive)
    for scores, slack, keep in (
        (rung.scores, schedule.slack, schedule.keep[i]),
        (rung.outlooks, 0.0, schedule.outlook[i] if schedule.outlook else 0.0),
    ):
        if not keep:
            continue
        own = np.take_along_axis(scores[:, part], np.broadcast_to(fold[part][None, :, None], (*alive.shape, 1)), 2)
        others = np.swapaxes(scores[:, :, fold[part]], 1, 2)  # [R, B, N] on the fold of each of the part
        allowed = own + slack * _spread(others, known) if slack else own
        better = (known & (others > allowed)).sum(axis=2)
        reached = known.sum(axis=2) + worse.sum(axis=2)
        on |= (reached < schedule.least) | (better < np.ceil(reached * keep - 1e-9))
    if schedule.probes:
        on |= numbers[part] % schedule.probes == schedule.probes - 1
    rung.given_up[:, part] = alive & ~on
    return on


def _recent(reached: Mask, most: int, part: slice) -> Mask:
    """``[R, N]``: those that got to a rung with a part, and the last so many before it; all for 0."""
    if not most:
        return reached
    before = reached[:, : part.start]
    left = np.flip(np.cumsum(np.flip(before, axis=1), axis=1), axis=1)  # that came with each, or after it
    found = reached.copy()
    found[:, : part.start] &= left <= most
    return found


def _spread(scores: Array, known: Mask) -> Array:
    """``[R, B, 1]`` interquartile ranges of what is known."""
    values = np.where(known, scores, np.nan)
    low, high = np.nanpercentile(np.where(known.any(axis=2, keepdims=True), values, 0.0), [25, 75], axis=2)
    return np.asarray(high - low)[:, :, None]


# --- figures -------------------------------------------------------------------------------------------------------

SHARES = halving.SHARES
PARTS = len(SHARES)
SCHEDULES = (
    Schedule("20/40 %, half, all folds", (0.2, 0.4), (0.5,) * 2, one_fold=False),
    Schedule("5/10/20/40 %, quarter, all folds", SHARES, (0.25,) * PARTS, one_fold=False),
    Schedule("5/10/20/40 %, quarter", SHARES, (0.25,) * PARTS),
    Schedule("the same, or within noise", SHARES, (0.25,) * PARTS, slack=0.1),
    Schedule("the same, or by outlook", SHARES, (0.25,) * PARTS, outlook=(0.25,) * PARTS),
    Schedule("half, then quarter", SHARES, (0.5, *(0.25,) * (PARTS - 1))),
    Schedule("from 40 updates: quarter", SHARES, (0.25,) * PARTS, updates=40),
    Schedule("from 40 updates: third", SHARES, (1 / 3,) * PARTS, updates=40),
    Schedule(
        "regsearch among all so far", SHARES, (1 / halving.REDUCTION_FACTOR,) * PARTS,
        outlook=(1 / halving.OUTLOOK_FACTOR,) * PARTS, least=halving.MIN_TRIALS, updates=halving.MIN_UPDATES,
    ),
    Schedule(
        "regsearch without probes", SHARES, (1 / halving.REDUCTION_FACTOR,) * PARTS,
        outlook=(1 / halving.OUTLOOK_FACTOR,) * PARTS, least=halving.MIN_TRIALS, updates=halving.MIN_UPDATES,
        recent=halving.RECENT,
    ),
    Schedule(
        "regsearch", SHARES, (1 / halving.REDUCTION_FACTOR,) * PARTS, outlook=(1 / halving.OUTLOOK_FACTOR,) * PARTS,
        least=halving.MIN_TRIALS, updates=halving.MIN_UPDATES, recent=halving.RECENT, probes=halving.PROBES,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Figures:
    """Of one schedule on one set.

    Attributes
    ----------
    cost
        Epochs of one fold that were spent, as a share of those without rungs.
    lost
        The share of searches in which the winner was given up.
    regret
        Mean of how much larger the best loss is for it, as a share of the winner's.
    """

    cost: float
    lost: float
    regret: float


def figures(recorded: Recorded, schedule: Schedule, trials: int, together: int, searches: int = 200) -> Figures:
    """Replay random searches of so many trials."""
    random = np.random.default_rng(0)
    orders = np.array([random.permutation(len(recorded.length))[:trials] for _ in range(searches)])
    found = replay(recorded, orders, schedule, together)
    scores = recorded.final[orders]
    best, ours = scores.max(axis=1), np.where(found.complete, scores, -np.inf).max(axis=1)
    unpruned = (recorded.length[orders] * recorded.folds).sum(axis=1)
    regret = float(np.mean((best - ours) / np.abs(best)))
    return Figures(float(np.mean(found.spent / unpruned)), float(np.mean(ours < best)), regret)


def table(sets: Mapping[str, Recorded], trials: int, together: int) -> Iterator[str]:
    """Lines: what schedules cost, and how often they lose the winner."""
    yield f"{'':34}" + "".join(f"{name:>16}" for name in sets)
    for schedule in SCHEDULES:
        cells = []
        for recorded in sets.values():
            found = figures(recorded, schedule, min(trials, 2 * len(recorded.length) // 3), together)
            cells.append(f"{found.cost:.3f} {100 * found.lost:3.0f} %")
        yield f"{schedule.name:34}" + "".join(f"{cell:>16}" for cell in cells)
