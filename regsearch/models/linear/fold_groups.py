"""Folds that read one matrix together, block by block: what is known of disjoint rows tells the parts of every fold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Rows


@dataclass(frozen=True)
class Group:
    """Consecutive folds that read one matrix, and the blocks that their parts are unions of.

    Attributes
    ----------
    folds
        Which folds.
    labels
        ``[n]`` block of each row.
    trains, validates
        ``[folds, blocks]``: whether the block belongs to the fold's part.
    """

    folds: range
    labels: Rows
    trains: NDArray[np.bool_]
    validates: NDArray[np.bool_]


def fold_groups(masks: NDArray[np.bool_], held: NDArray[np.bool_], shared: bool = True) -> Iterator[Group]:
    """The folds in as few groups as have about one block per fold, so that a group costs one reading of the rows.

    A plain K-fold or time-ordered split is one group, each repetition of a repeated one another.

    Parameters
    ----------
    masks, held
        ``[K, n]``: whether a row trains, and whether it validates.
    shared
        Whether all folds see one matrix.
    """
    start, (folds, n) = 0, masks.shape
    while start < folds:
        stop, labels = start + 1, _refine(np.zeros(n, dtype=np.int32), masks[start], held[start])
        while shared and stop < folds:
            finer = _refine(labels, masks[stop], held[stop])
            if finer.max() > stop + 2 - start:  # more than two blocks beside one per fold
                break
            stop, labels = stop + 1, finer
        first = np.zeros(int(labels.max()) + 1, dtype=np.intp)  # a row of each block
        first[labels] = np.arange(n)
        yield Group(range(start, stop), labels, masks[start:stop, first], held[start:stop, first])
        start = stop


def _refine(labels: Rows, mask: NDArray[np.bool_], held: NDArray[np.bool_]) -> Rows:
    """Split blocks so that each plays one part in one more fold."""
    both = labels * 4 + mask + 2 * held.astype(np.int8)
    found = np.bincount(both) > 0
    return np.asarray((np.cumsum(found, dtype=np.int32) - 1)[both])
