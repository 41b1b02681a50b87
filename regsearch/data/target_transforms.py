"""What models are fitted to in place of y: its logarithm, its quantiles, or what a transformer makes of it.

As in scikit-learn's `TransformedTargetRegressor`, a transformer is fitted to what a model is fitted to, inside each
fold, and undone in what the model says: scores, gaps and errors are in the units of y.

Notation: n rows, t targets, m = t outputs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from regsearch._types import Array, Rows
from regsearch.errors import FOREIGN, InvalidInput

QUANTILES = 1000  # at most, of what is mapped to a normal distribution
NAMED = 5  # rows that an error names


@dataclass(frozen=True)
class TargetTransform:
    """A transformer of y, not fitted.

    Attributes
    ----------
    name
        What it is called: equal for equal ones.
    transformer
        Of scikit-learn, with ``inverse_transform``.
    above
        What y must be larger than; minus infinity where any number will do.
    """

    name: str
    transformer: Any = field(compare=False)
    above: float = -np.inf

    @classmethod
    def named(cls, name: str, rows: int) -> TargetTransform:
        """The one of a name that `NAMES` has, for so many rows."""
        made, above = NAMES[name]
        return cls(name, made(rows), above)

    @classmethod
    def stored(cls, name: str, transformer: Callable[[], Any], rows: int) -> TargetTransform:
        """The one that is called so, for so many rows; one without a name that is known is made by a function."""
        return cls.named(name, rows) if name in NAMES else cls(name, transformer())

    def fit(self, y: Array, rows: Rows) -> FittedTransform:
        """Fit it to some rows of y ``[n]`` or ``[n, t]``.

        Raises
        ------
        InvalidInput
            When it cannot be fitted to them, or makes something else of them than one finite number of each.
        """
        from sklearn.base import clone

        self._check_range(y, rows)
        given = y[rows].reshape(len(rows), -1)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that folds have fewer rows than quantiles were asked for, say
                fitted = FittedTransform(clone(self.transformer).fit(given))
                made = fitted.transformed(given)
        except FOREIGN as error:  # anyone's code
            raise InvalidInput(f"target={self.name} cannot transform y: {type(error).__name__}: {error}") from error
        if made.shape != given.shape:
            raise InvalidInput(
                f"A target transformer must make one number of each of y, {self.name} made the shape {made.shape} of "
                f"{given.shape}; leave target out, or take another."
            )
        bad = ~np.isfinite(made).all(axis=1)
        if bad.any():
            raise InvalidInput(
                f"A target transformer must make finite numbers of y, {self.name} does not of {_rows(rows[bad])}; take "
                "another, such as target='quantile', or drop those rows."
            )
        return fitted

    def _check_range(self, y: Array, rows: Rows) -> None:
        below = rows[(y[rows].reshape(len(rows), -1) <= self.above).any(axis=1)]
        if len(below):
            others = [f"{name!r}" for name, (_, above) in NAMES.items() if (y[rows] > above).all()]
            raise InvalidInput(
                f"target={self.name!r} needs y above {self.above:g}, got {y[below].min():.6g} in {_rows(below)}; pass "
                f"target={' or '.join(others)}, or drop those rows."
            )


@dataclass(frozen=True)
class FittedTransform:
    """A fitted transformer of y."""

    transformer: Any

    def transformed(self, y: Array) -> Array:
        """What is made of y ``[n]`` or ``[n, t]``, of the same shape."""
        made = np.asarray(self.transformer.transform(y.reshape(len(y), -1)), dtype=float)
        return made[:, 0] if y.ndim == 1 and made.shape[1:] == (1,) else made

    def undone(self, decisions: Array) -> Array:
        """Decisions ``[..., m]`` in the units of y; NaN where they were not finite, infinite beyond all numbers."""
        flat = np.asarray(decisions, dtype=float).reshape(-1, decisions.shape[-1])
        finite = np.isfinite(flat)
        with np.errstate(over="ignore", invalid="ignore"):  # far outside training: no finite score
            said = np.asarray(self.transformer.inverse_transform(np.where(finite, flat, 0.0)), dtype=float)
        return np.where(finite, said.reshape(flat.shape), np.nan).reshape(decisions.shape)


def _rows(rows: Rows) -> str:
    more = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
    return f"row{'s' * (len(rows) > 1)} {', '.join(map(str, rows[:NAMED].tolist()))}{more}"


# --- the ones with a name --------------------------------------------------------------------------------------


def _log(rows: int) -> Any:
    from sklearn.preprocessing import FunctionTransformer

    return FunctionTransformer(np.log, np.exp, check_inverse=False)


def _log1p(rows: int) -> Any:
    from sklearn.preprocessing import FunctionTransformer

    return FunctionTransformer(np.log1p, np.expm1, check_inverse=False)


def _quantile(rows: int) -> Any:
    from sklearn.preprocessing import QuantileTransformer

    return QuantileTransformer(n_quantiles=min(QUANTILES, rows), output_distribution="normal", subsample=None)


NAMES: Mapping[str, tuple[Callable[[int], Any], float]] = {  # and what y must be larger than
    "log": (_log, 0.0), "log1p": (_log1p, -1.0), "quantile": (_quantile, -np.inf),
}  # fmt: skip
