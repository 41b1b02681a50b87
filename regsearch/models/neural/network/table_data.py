"""A table too large to be copied, for nets: its statistics by blocks of rows, and its rows as a tensor where that fits.

What is said of columns depends on their numbers alone, and not on whether they lie in memory or in a mapped file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows
from regsearch.data.row_table import RowTable
from regsearch.data.weights import spreads_by_blocks
from regsearch.models.neural.network.robust import quartiles, robust_scale

if TYPE_CHECKING:
    import torch

FAR = 100.0  # deviations from 0 at which a column is kept as differences from its mean
CHUNK = 4096  # rows looked at together


class TableRows(Protocol):
    """What is read of `regsearch.models.neural.network.data.Data`, which itself knows those who read it."""

    table: RowTable | None
    shape: tuple[int, ...]
    missing: bool
    offset: Array

    def index(self, rows: Rows) -> torch.Tensor: ...

    def take(self, rows: torch.Tensor) -> torch.Tensor: ...


def fits(X: NDArray[Any], device: torch.device, dtype: torch.dtype) -> bool:
    """Whether numbers fit into half of the memory that a GPU has left."""
    import torch

    if device.type != "cuda":
        return False
    left, _ = torch.cuda.mem_get_info(device)
    return X.size * dtype.itemsize <= left / 2


def tensor_of(table: RowTable, offset: Array, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """The rows less the offset, converted some at a time."""
    import torch

    made = torch.empty(table.shape, dtype=dtype, device=device)
    for part, block in table.blocks():
        made[part] = torch.as_tensor(block - offset, dtype=dtype, device=device)
    return made


def table_offset(table: RowTable, rows: Rows) -> Array:
    """``[p]``: the mean of columns that vary little beside it in some rows, 0 of others."""
    some = None if len(rows) == table.shape[0] else rows
    total, squares, seen = (np.zeros(table.shape[1]) for _ in range(3))
    for _, block in table.blocks(some):
        known = ~np.isnan(block)
        total += np.where(known, block, 0.0).sum(axis=0)
        seen += known.sum(axis=0)
    mean = total / np.maximum(seen, 1)
    for _, block in table.blocks(some):
        squares += np.nan_to_num((block - mean) ** 2, nan=0.0).sum(axis=0)
    return np.where(abs(mean) > FAR * np.sqrt(squares / np.maximum(seen, 1)), mean, 0.0)


def table_columns(data: TableRows, rows: Rows, weight: Array, how: str) -> tuple[Array, Array, Array]:
    """Fill (empty where nothing is missing), center and spread ``[p]`` of some rows, weighted."""
    p = data.shape[0]
    fill = _fills(data, rows, weight) if data.missing else np.empty(0)
    if how == "none":
        return fill, -data.offset, np.ones(p)
    share = weight / weight.sum()

    def blocks() -> Iterator[tuple[slice, Array]]:
        for part, block in _blocks(data, rows):
            yield part, np.where(np.isnan(block), fill, block) if len(fill) else block

    (spread,), (low,), (high,) = spreads_by_blocks(blocks, lambda part: share[None, part], (1, p), data.offset)
    if how == "minmax":
        return fill, low, np.where(spread.varies, high - low, 1.0)
    if how == "robust":
        return fill, *robust_scale(_quartiles(data, rows, weight, fill), spread, high - low)
    return fill, spread.mean, np.where(spread.varies, spread.deviation, 1.0)


def _quartiles(data: TableRows, rows: Rows, weight: Array, fill: Array) -> Array:
    """``[3, p]``, a few whole columns at a time."""
    assert data.table is not None
    found = []
    for part, columns in data.table.column_blocks():
        for j, of in enumerate(range(part.start, part.stop)):
            x = columns[rows, j : j + 1].astype(float) - data.offset[of]
            found.append(quartiles(np.where(np.isnan(x), fill[of], x) if len(fill) else x, weight))
    return np.concatenate(found, axis=1)


def _fills(data: TableRows, rows: Rows, weight: Array) -> Array:
    total, seen = np.zeros(data.shape), np.zeros(data.shape)
    for part, block in _blocks(data, rows):
        known = ~np.isnan(block)
        total += weight[part] @ np.where(known, block, 0.0)
        seen += weight[part] @ known
    return total / np.where(seen > 0, seen, 1.0)


def _blocks(data: TableRows, rows: Rows) -> Iterator[tuple[slice, Array]]:
    """Some rows as a net sees them before they are scaled, in double precision."""
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        yield part, data.take(data.index(rows[part]))[0].double().cpu().numpy()
