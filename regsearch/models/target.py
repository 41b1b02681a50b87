"""What a user gave as ``target=``: a transformer of y, by name or as it is."""

from __future__ import annotations

from typing import Any

from regsearch.data.target_transforms import NAMES, TargetTransform
from regsearch.errors import InvalidInput
from regsearch.inputs import did_you_mean, said
from regsearch.models.fitting import seeded
from regsearch.space.naming import identity

SEED = 0  # of what a transformer draws where it was left open: the same in every fold


def transform_of(target: Any, rows: int) -> TargetTransform | None:
    """The transformer of y that a user asks for, of so many rows.

    Raises
    ------
    InvalidInput
        When it is none.
    """
    if target is None:
        return None
    if isinstance(target, str):
        if target not in NAMES:
            hint = did_you_mean(target, NAMES, f"it is {', '.join(map(repr, NAMES))}, or a transformer.")
            raise InvalidInput(f"target must be a known transformation of y, got {said(target)}; {hint}")
        return TargetTransform.named(target, rows)
    methods = ("fit", "transform", "inverse_transform", "get_params")
    if isinstance(target, type) or not all(hasattr(target, name) for name in methods):
        raise InvalidInput(
            "target must be a name or an unfitted transformer of scikit-learn with inverse_transform, got "
            f"{said(target)}; pass 'log' or PowerTransformer(), say."
        )
    from sklearn.base import clone

    return TargetTransform(identity(target), seeded(clone(target), SEED))
