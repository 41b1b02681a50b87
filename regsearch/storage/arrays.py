"""A trial's trajectory and predictions as named arrays, and back; the names stand here alone.

====================  ================================================================
``axis``              ``[S]``
``complexity``        ``[K, S]``
``train/METRIC``      ``[K, S]``, the deciding metric first
``val/METRIC``        ``[K, S]``
``predictions``       ``[n, m]`` in single precision, where there are some
====================  ================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.models.path import Curves, Trajectory

TRAIN, VAL, PREDICTIONS = "train/", "val/", "predictions"


def to_arrays(trajectory: Trajectory, predictions: Array | None = None) -> dict[str, NDArray[Any]]:
    """What is stored of a trial."""
    arrays: dict[str, NDArray[Any]] = {"axis": trajectory.axis, "complexity": trajectory.complexity}
    for name, curves in trajectory.curves.items():
        arrays |= {TRAIN + name: curves.train, VAL + name: curves.val}
    return arrays if predictions is None else arrays | {PREDICTIONS: predictions.astype(np.float32)}


def to_trajectory(arrays: Mapping[str, NDArray[Any]]) -> Trajectory:
    """The trajectory that arrays hold."""
    curves = {name: to_curves(arrays, name) for name in metrics(arrays)}
    return Trajectory(arrays["axis"], curves, arrays["complexity"])


def to_curves(arrays: Mapping[str, NDArray[Any]], metric: str) -> Curves:
    """One metric along the path."""
    return Curves(arrays[TRAIN + metric], arrays[VAL + metric])


def to_predictions(arrays: Mapping[str, NDArray[Any]]) -> Array | None:
    """The predictions ``[n, m]``; `None` where there are none."""
    return arrays[PREDICTIONS].astype(np.float64) if PREDICTIONS in arrays else None


def metrics(names: Iterable[str]) -> list[str]:
    """The metrics of which there are arrays, the deciding one first."""
    return [name.removeprefix(TRAIN) for name in names if name.startswith(TRAIN)]


def write_arrays(file: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays to a file, whole or not at all."""
    part = file.with_suffix(".part")
    with part.open("wb") as out:
        np.savez(out, **arrays)  # type: ignore[arg-type]
    part.replace(file)
