"""The data of a net: rows kept once, scaled batch by batch with what each fold's training rows say.

Tables go through the encoding of the linear backend; missing entries and scales are those of the fold. A batch has a
leading dimension of 1: every row of a stack sees the same samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from regsearch._types import Array, Rows
from regsearch.data.features import is_sparse
from regsearch.data.fold_targets import FoldTargets
from regsearch.data.mapped import placed
from regsearch.data.problem import Problem
from regsearch.data.row_table import WHOLE
from regsearch.data.splitting import split_in_two
from regsearch.data.weights import Spread, spread_of, weighing
from regsearch.errors import InvalidInput
from regsearch.models.class_weight import ClassWeight, class_factors
from regsearch.models.neural.network.objective import Parts, encoded_targets, numeric_outputs, parts_of, shares_of
from regsearch.models.neural.network.robust import quartiles, robust_scale, smoothly_clipped
from regsearch.models.neural.network.streams import seed_of
from regsearch.models.neural.network.table_data import CHUNK, FAR, fits, table_columns, table_offset, tensor_of

if TYPE_CHECKING:
    import torch

SCALES = ("standard", "minmax", "robust", "none")
MOST = 2**24  # numbers that are looked at for quantiles
CLIPPED = "robust"  # the scale after which values are clipped, smoothly


class Data:
    """A problem's rows as tensors; until they are in a batch, sparse ones stay sparse and those of a mapped file there.

    Parameters
    ----------
    device, dtype
        Of every batch; images of small integers are kept as they are.
    shape
        What a row is read as, channels first, where the problem has no table.

    Attributes
    ----------
    mapped
        Whether rows stay in a mapped file until they are in a batch.
    domains
        ``[n]``: the group of each row, numbered from 0, where rows have any.
    offset
        ``[*shape]`` taken off columns that lie far from 0, before single precision would round their differences away.
    """

    def __init__(
        self, problem: Problem, device: torch.device, dtype: torch.dtype, shape: tuple[int, ...] | None = None
    ) -> None:
        import torch

        self.problem, self.device, self.dtype = problem, device, dtype
        self.sparse = is_sparse(problem.X)
        self.table = problem.table
        self.X: Any = _matrix(problem, shape) if self.table is None else self.table.values
        self.offset = np.zeros(self.X.shape[1:])
        self.mapped = placed(problem.X) is not None and self.X.size > WHOLE and not fits(self.X, device, dtype)
        if self.table is not None:
            self.offset = table_offset(self.table, weighing(np.arange(problem.rows), problem.sample_weight))
            self.X = self.X if self.mapped else tensor_of(self.table, self.offset, device, dtype)
        elif problem.grid is None and not self.sparse:
            self.offset = _offset(self.X[weighing(np.arange(problem.rows), problem.sample_weight)])
            self.X = self.X - self.offset if self.offset.any() else self.X
        if not self.sparse and not self.mapped and self.table is None:
            keep = problem.grid is not None and self.X.dtype == np.uint8
            matrix = self.X if self.X.flags.writeable else self.X.copy()  # torch has no tensors that may not be written
            self.X = torch.as_tensor(matrix, dtype=None if keep else dtype, device=device)
        self.shape: tuple[int, ...] = tuple(self.X.shape[1:])
        self.missing = not self.sparse and self._has_holes()
        self.y = torch.tensor(encoded_targets(problem), dtype=torch.float64, device=device)
        weight = np.ones(problem.rows) if problem.sample_weight is None else problem.sample_weight
        self.weight = torch.tensor(weight, dtype=dtype, device=device)
        self.domains: torch.Tensor | None = None
        if problem.groups is not None:
            self.domains = torch.as_tensor(np.unique(problem.groups, return_inverse=True)[1], device=device)
        score_weight = np.ones(problem.rows) if problem.score_weight is None else problem.score_weight
        self.score_weight = torch.tensor(score_weight, dtype=dtype, device=device)

    def _has_holes(self) -> bool:
        if self.table is not None or self.mapped:  # of images, nothing is
            return self.table is not None and self.table.missing is not None
        return bool(self.X.is_floating_point() and self.X.isnan().any())

    @property
    def outputs(self) -> int:
        """m: what a net returns for a sample."""
        return int(self.y.shape[0])

    @property
    def parts(self) -> Parts:
        """Which outputs are those of which task."""
        return parts_of(self.problem.task, self.problem.tasks)

    @property
    def groups(self) -> int:
        """How many groups rows have; 0 for none."""
        return 0 if self.domains is None else int(self.domains.max()) + 1

    def index(self, rows: Rows) -> torch.Tensor:
        """Numbers of rows as `take` has them: copied, as those of a worker cannot be written, which torch warns of."""
        import torch

        return torch.tensor(rows, device=self.device)

    def take(self, rows: torch.Tensor) -> torch.Tensor:
        """``[1, B, *shape]``, less the offset and not scaled."""
        import torch

        if self.sparse:
            return torch.as_tensor(self.X[rows.cpu().numpy()].toarray(), dtype=self.dtype, device=self.device)[None]
        if self.mapped:
            read = self.X[rows.cpu().numpy()]
            read = read - self.offset if self.offset.any() else read
            return torch.as_tensor(read, device=self.device).to(self.dtype)[None]
        taken: torch.Tensor = self.X.index_select(0, rows).to(self.dtype)
        return taken[None]


@dataclass(frozen=True)
class Scaling:
    """How a fold sees columns (or channels) and targets.

    Attributes
    ----------
    fill
        What a missing entry becomes; empty where there are none.
    center, spread
        ``[*shape]``, broadcasting: a value becomes ``(value - center) / spread``.
    target_center, target_spread
        ``[m, 1]``: of a regression's targets; 0 and 1 for classes.
    clips
        Whether what is scaled is then clipped smoothly.
    """

    fill: torch.Tensor
    center: torch.Tensor
    spread: torch.Tensor
    target_center: torch.Tensor
    target_spread: torch.Tensor
    clips: bool = False

    @classmethod
    def of_rows(cls, scalings: Sequence[Scaling], counts: Sequence[int]) -> Scaling:
        """For inputs ``[R, B, *shape]`` alone: each scaling is that of so many rows."""
        import torch

        def rows(name: str) -> torch.Tensor:
            parts: list[torch.Tensor] = [getattr(scaling, name) for scaling in scalings]
            if not parts[0].numel():
                return parts[0]
            return torch.cat([part.expand(n, 1, *part.shape) for part, n in zip(parts, counts, strict=True)])

        first = scalings[0]
        return cls(rows("fill"), rows("center"), rows("spread"), first.target_center, first.target_spread, first.clips)

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        """Scale ``[..., *shape]``."""
        if self.fill.numel():
            x = x.where(~x.isnan(), self.fill)
        scaled = (x - self.center) / self.spread
        return smoothly_clipped(scaled) if self.clips else scaled


class Fold:
    """Training rows, scoring rows, and what the training rows say about scales.

    A row of weight zero is not there: it is in no batch, and says nothing of scales.

    Parameters
    ----------
    number
        Of the fold: part of what its random numbers depend on.
    scale
        One of `SCALES`.
    class_weight
        As `regsearch.models.class_weight.class_factors` takes it; `None` where all classes weigh the same.
    inner
        Share of the training rows to hold out for picking an epoch.
    seed
        Of the inner split.
    """

    def __init__(
        self, data: Data, number: int, train: Rows, val: Rows, scale: str, class_weight: ClassWeight, inner: float,
        seed: int,
    ) -> None:  # fmt: skip
        import torch

        self.data, self.number = data, number
        train = weighing(train, data.problem.sample_weight)
        self.parts: dict[str, Rows] = {"train": train, "val": val}
        if inner:
            self.parts["train"], self.parts["inner"] = inner_split(
                data.problem, train, inner, seed_of(seed, number, "inner")
            )
        self.rows = {part: data.index(rows) for part, rows in self.parts.items()}
        targets = FoldTargets.of(data.problem, (self.parts["train"],))
        y = data.y
        if targets.fitted:
            seen = targets.with_rows(0, data.problem, self.parts.get("inner", np.arange(0)))
            y = torch.as_tensor(seen.reshape(data.problem.rows, -1).T, device=data.device)
        self._targets, self.scaling = targets, scaling(data, self.parts["train"], scale, y)
        self.y = ((y - self.scaling.target_center) / self.scaling.target_spread).to(data.dtype)
        weight = data.weight.clone()
        if class_weight is not None:
            factors = class_factors(data.problem, self.parts["train"], class_weight)
            weight *= torch.as_tensor(factors, dtype=data.dtype, device=data.device)
        self.weight = weight / weight[self.rows["train"]].mean()
        shares = shares_of(data.problem, self.parts["train"], weight[self.rows["train"]].double().cpu().numpy())
        self.shares = None if shares is None else torch.as_tensor(shares, dtype=data.dtype, device=data.device)[None]

    @property
    def n(self) -> int:
        """Training rows."""
        return len(self.parts["train"])

    def decisions(self, out: torch.Tensor) -> torch.Tensor:
        """What a net returned ``[R, m, B]`` in the units of y, in double precision: y may lie far from 0."""
        found = out.double() * self.scaling.target_spread + self.scaling.target_center
        if not self._targets.fitted:
            return found
        said = self._targets.undone(0, found.transpose(1, 2).cpu().numpy())
        return found.new_tensor(said).transpose(1, 2)


def scaling(data: Data, rows: Rows, how: str, y: torch.Tensor | None = None) -> Scaling:
    """What some rows say about columns and targets y ``[m, n]``, by default `Data.y`, weighted as they are."""
    problem = data.problem
    weight = np.ones(len(rows)) if problem.sample_weight is None else problem.sample_weight[rows]
    if data.sparse:
        fill, center, spread = np.empty(0), np.zeros(data.shape), _sparse_spread(data.X[rows], weight, how)
    elif problem.grid is not None:
        fill, (center, spread) = np.empty(0), _channels(problem.X, data.shape, rows, weight, how)
    elif data.table is not None:
        fill, center, spread = table_columns(data, rows, weight, how)
    else:
        own = data.X[data.index(rows)].double().cpu().numpy()
        fill, center, spread = _columns(own, weight, how, data.offset)
        center = -data.offset if how == "none" else center
        fill = fill if data.missing else np.empty(0)
    target = np.zeros((data.outputs, 1)), np.ones((data.outputs, 1))
    numeric = numeric_outputs(problem)
    if numeric.any():
        of_rows = (data.y if y is None else y).cpu().numpy()[:, rows].T
        of_y = spread_of(of_rows, weight / weight.sum())
        target = np.where(numeric, of_y.mean, 0.0)[:, None], np.where(numeric, _divisor(of_y), 1.0)[:, None]
    import torch

    names = ("fill", "center", "spread", "target_center", "target_spread")
    inputs = [torch.as_tensor(a, dtype=data.dtype, device=data.device) for a in (fill, center, spread)]
    outputs = [torch.as_tensor(a, device=data.device) for a in target]
    return Scaling(**dict(zip(names, inputs + outputs, strict=True)), clips=how == CLIPPED)


def numeric_columns(data: Data) -> tuple[int, ...]:
    """Which columns of a table have more than two values; all, where it is too large to be looked at for that.

    Raises
    ------
    InvalidInput
        When it is sparse.
    """
    import torch

    if data.sparse:
        raise InvalidInput("An embedding takes a dense table, got a sparse X; pass X.toarray(), or leave it out.")
    if data.mapped or data.table is not None:
        return tuple(range(data.shape[0]))
    x = data.X
    low, high = (x.nan_to_num(nan=end).aminmax(dim=0)[i] for i, end in ((0, torch.inf), (1, -torch.inf)))
    return tuple(((x > low) & (x < high)).any(0).nonzero()[:, 0].tolist())


def scaled_rows(fold: Fold) -> tuple[Array, Array]:
    """Training rows ``[n, p]`` as a net sees them, of many some, and their weights ``[n]``."""
    rows = fold.parts["train"]
    rows = rows[:: math.ceil(len(rows) * math.prod(fold.data.shape) / MOST)]
    x = fold.scaling.apply(fold.data.take(fold.data.index(rows)))[0]
    weight = fold.data.problem.sample_weight
    return x.double().cpu().numpy(), np.ones(len(rows)) if weight is None else weight[rows]


# --- statistics ------------------------------------------------------------------------------------------------


def _matrix(problem: Problem, shape: tuple[int, ...] | None) -> Any:
    """Numbers ``[n, ...]``: of a shape as they are, tables encoded, NaN where an entry is missing."""
    if problem.grid is not None:
        return problem.X.reshape(problem.rows, *(shape or problem.grid))
    encoded = problem.encoded
    if is_sparse(problem.X):
        return encoded.matrix.tocsr()
    if encoded.missing is None:
        return encoded.matrix
    matrix = np.array(encoded.matrix)
    matrix[encoded.missing.rows, encoded.missing.columns] = np.nan
    return matrix


def _offset(x: Array) -> Array:
    """``[p]``: the mean of columns that vary little beside it, 0 of others."""
    seen = ~np.isnan(x)
    mean = np.where(seen, x, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    deviation = np.sqrt((np.where(seen, x - mean, 0.0) ** 2).sum(axis=0) / np.maximum(seen.sum(axis=0), 1))
    return np.where(abs(mean) > FAR * deviation, mean, 0.0)


def _columns(x: Array, weight: Array, how: str, offset: Array) -> tuple[Array, Array, Array]:
    with np.errstate(invalid="ignore"):
        missing = np.isnan(x)
    seen = (weight[:, None] * ~missing).sum(axis=0)
    fill = (weight[:, None] * np.where(missing, 0.0, x)).sum(axis=0) / np.where(seen > 0, seen, 1.0)
    x = np.where(missing, fill, x)
    if how == "none":
        return fill, np.zeros(x.shape[1]), np.ones(x.shape[1])
    spread = spread_of(x, weight / weight.sum(), offset)
    if how == "minmax":
        return fill, x.min(axis=0), np.where(spread.varies, np.ptp(x, axis=0), 1.0)
    if how == "robust":
        return fill, *robust_scale(quartiles(x, weight), spread, np.ptp(x[weight > 0], axis=0))
    return fill, spread.mean, _divisor(spread)


def _channels(X: Any, shape: tuple[int, ...], rows: Rows, weight: Array, how: str) -> tuple[Array, Array]:
    """``[channels, 1, ...]`` of rows of a shape, some at a time: images are kept as small integers."""
    low, high = np.inf, -np.inf
    total = squares = np.zeros(shape[0])
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        x = X[rows[part]].reshape(-1, shape[0], math.prod(shape[1:])).astype(float)
        low, high = np.minimum(low, x.min(axis=(0, 2))), np.maximum(high, x.max(axis=(0, 2)))
        total = total + weight[part] @ x.mean(axis=2)
        squares = squares + weight[part] @ (x**2).mean(axis=2)
    mean = total / weight.sum()
    deviation = np.sqrt(np.maximum(squares / weight.sum() - mean**2, 0.0))
    center, spread = {
        "none": (np.zeros_like(mean), np.ones_like(mean)), "minmax": (low, high - low), "standard": (mean, deviation),
    }[how]  # fmt: skip
    varies = deviation > 1e-12 * np.sqrt(squares / weight.sum())  # of differences, which lose digits
    sides = [1] * len(shape[1:])
    return center.reshape(-1, *sides), np.where(varies, spread, 1.0).reshape(-1, *sides)


def _sparse_spread(x: Any, weight: Array, how: str) -> Array:
    """Zeros stay zeros, so that rows stay sparse: no column is shifted."""
    if how == "none":
        return np.ones(x.shape[1])
    if how == "minmax":
        largest = np.asarray(abs(x).max(axis=0).todense()).ravel()
        return np.where(largest > 0, largest, 1.0)
    if how == "robust":
        return np.concatenate([_dense_spread(x[:, [j]].toarray(), weight) for j in range(x.shape[1])])
    return _divisor(spread_of(x, weight / weight.sum()))


def _dense_spread(x: Array, weight: Array) -> Array:
    """What a column ``[n, 1]`` is divided by that is not shifted; zeros of sparse rows count."""
    return robust_scale(quartiles(x, weight), spread_of(x, weight / weight.sum()), np.ptp(x[weight > 0], axis=0))[1]


def _divisor(spread: Spread) -> Array:
    """Deviations; 1 where a column does not vary."""
    return np.where(spread.varies, spread.deviation, 1.0)


def inner_split(problem: Problem, rows: Rows, share: float, seed: int) -> tuple[Rows, Rows]:
    """Some rows in two, stratified by class and with whole groups where there are any; no class is held out whole.

    Raises
    ------
    InvalidInput
        When there are too few of them.
    """
    try:
        return split_in_two(problem, rows, share, seed % 2**32)
    except ValueError as error:
        raise InvalidInput(
            f"An inner part of {share:g} cannot be split off the {len(rows)} training rows of a fold: {error}; "
            "hold out another share, or none: EarlyStopping(inner=0), and no AdaptiveStrength."
        ) from error
