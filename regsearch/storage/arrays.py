"""The arrays of an outcome, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch.models.base import Outcome


def to_arrays(outcome: Outcome) -> dict[str, NDArray[Any]]:
    """The arrays of an outcome: curves by metric, axis, complexity, and predictions in single precision."""
    arrays: dict[str, NDArray[Any]] = {"axis": outcome.axis, "complexity": outcome.complexity}
    for name, curves in outcome.curves.items():
        arrays |= {f"train/{name}": curves.train, f"val/{name}": curves.val}
    if outcome.predictions is not None:
        arrays["predictions"] = outcome.predictions.astype(np.float32)
    return arrays


def write_arrays(file: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    part = file.with_suffix(".part")
    with part.open("wb") as out:
        np.savez(out, **arrays)  # type: ignore[arg-type]
    part.replace(file)
