"""What some epochs of a block gave, and what they gave one of its rows. R rows, E epochs, nets of Q numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array


@dataclass(frozen=True)
class Segment:
    """What some epochs of a block gave; E epochs, of which there may be none.

    Attributes
    ----------
    scores
        By part of the fold, ``[metrics, R, E]``, in evaluation mode after each epoch.
    nonzero
        ``[R, E]``: kernels that are not zero.
    weights
        ``[E, R, S Q]``: the nets of Q numbers that were evaluated, S at most; behind those of a row, zeros.
    nets
        ``[R, E]``: of how many nets a row was.
    length
        Q.
    decisions
        ``[E, R, n_val, m]`` on the validation rows, in single precision; of no rows where they are not kept.
    recorded
        By slot, ``[R, E]``: the factors that techniques which follow something have come to; 1 in other rows.
    """

    scores: dict[str, Array]
    nonzero: Array
    weights: Array
    nets: NDArray[np.int64]
    length: int
    decisions: NDArray[np.float32]
    recorded: Mapping[str, Array] = field(default_factory=dict)

    @property
    def epochs(self) -> int:
        return len(self.weights)

    @classmethod
    def none(cls, rows: int, parameters: int) -> Segment:
        """Of no epochs."""
        return cls(
            {}, np.empty((rows, 0)), np.empty((0, rows, parameters)), np.empty((rows, 0), np.int64), parameters,
            np.empty((0, rows, 0, 0), np.float32),
        )  # fmt: skip

    @classmethod
    def join(cls, parts: Sequence[Segment]) -> Segment:
        """Rows of several segments, one after another, for as many epochs as all have."""
        epochs = min(one.epochs for one in parts)
        if not epochs:
            return cls.none(sum(len(one.nonzero) for one in parts), parts[0].length)
        scores = {
            part: np.concatenate([one.scores[part][:, :, :epochs] for one in parts], axis=1) for part in parts[0].scores
        }
        nonzero, nets = (
            np.concatenate([getattr(one, name)[:, :epochs] for one in parts]) for name in ("nonzero", "nets")
        )
        weights = np.concatenate(as_long([one.weights[:epochs] for one in parts]), axis=1)
        decisions = np.concatenate([one.decisions[:epochs] for one in parts], axis=1)
        slots = sorted({slot for one in parts for slot in one.recorded})
        recorded = {
            slot: np.concatenate([one.recorded.get(slot, np.ones_like(one.nonzero))[:, :epochs] for one in parts])
            for slot in slots
        }
        return cls(scores, nonzero, weights, nets, parts[0].length, decisions, recorded)

    def row(self, i: int) -> Iterator[FoldEpoch]:
        """What the epochs gave of one row."""
        for e in range(len(self.weights)):
            scores = {part: values[:, i, e] for part, values in self.scores.items()}
            recorded = {slot: float(values[i, e]) for slot, values in self.recorded.items()}
            yield FoldEpoch(scores, float(self.nonzero[i, e]), self.weights_of(i, e), self.decisions[e, i], recorded)

    def weights_of(self, row: int, epoch: int = -1) -> Array:
        """``[S Q]`` of a row after an epoch, of all of its nets."""
        return self.weights[epoch, row, : int(self.nets[row, epoch]) * self.length]


@dataclass(frozen=True)
class FoldEpoch:
    """What one epoch of one trial gave in one fold.

    Attributes
    ----------
    scores
        By part of the fold, ``[metrics]``.
    nonzero
        Kernels that are not zero.
    weights
        ``[S Q]``, of S nets.
    decisions
        ``[n_val, m]``; of no rows where they are not kept.
    recorded
        By slot.
    """

    scores: dict[str, Array]
    nonzero: float
    weights: Array
    decisions: NDArray[np.float32]
    recorded: Mapping[str, float] = field(default_factory=dict)


def as_long(weights: Sequence[Array]) -> list[Array]:
    """Arrays with zeros behind, to one length of the last axis."""
    longest = max(one.shape[-1] for one in weights)
    return [np.pad(one, [(0, 0)] * (one.ndim - 1) + [(0, longest - one.shape[-1])]) for one in weights]


def no_decisions(rows: int) -> NDArray[np.float32]:
    return np.empty((rows, 0, 0), np.float32)
