"""What is kept of a study as named arrays, and back; the names stand here alone. Those of a trial:

====================  ================================================================
``axis``              ``[S]``
``complexity``        ``[K, S]``
``train/METRIC``      ``[K, S]``, the deciding metric first
``val/METRIC``        ``[K, S]``
``followed/NAME``     ``[K, S]``, where something else was kept of each step
``unsolved``          ``[S]``, where some point of the path is not solved
``predictions``       ``[n, m]`` where there are some, in single precision where it has them
``along/steps``       ``[s]`` other steps of the path at which there are some
``along/decisions``   ``[s, n, m]`` likewise
====================  ================================================================
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Task
from regsearch.data.folds import Folds
from regsearch.data.frames import index_of
from regsearch.data.problem import Problem
from regsearch.data.tasks import TargetTask
from regsearch.errors import Damaged
from regsearch.metrics.averaging import Averaging
from regsearch.models.out_of_fold import PathDecisions, compact
from regsearch.models.path import Curves, Trajectory
from regsearch.storage.npz import Unpacked

DATA, NAMES = "fingerprint", "target_names"  # of the data that targets belong to, and of several of these
TASKS = "tasks"  # of each of these, where they are mixed
INDEX = "index"  # of the rows of these
Read = TypeVar("Read")
TRAIN, VAL, PREDICTIONS, UNSOLVED = "train/", "val/", "predictions", "unsolved"
EFFECTIVE, OVERLAP, SHARES = "effective", "overlap", "shares"  # of `Averaging`
FOLLOWED = "followed/"
ALONG_STEPS, ALONG_DECISIONS = "along/steps", "along/decisions"


def to_arrays(
    trajectory: Trajectory, predictions: Array | None = None, along: PathDecisions | None = None
) -> dict[str, NDArray[Any]]:
    """What is stored of a trial."""
    arrays: dict[str, NDArray[Any]] = {"axis": trajectory.axis, "complexity": trajectory.complexity}
    arrays |= {FOLLOWED + name: values for name, values in trajectory.followed.items()}
    for name, curves in trajectory.curves.items():
        arrays |= {TRAIN + name: curves.train, VAL + name: curves.val}
    if trajectory.curves and trajectory.deciding.unsolved is not None:
        arrays[UNSOLVED] = trajectory.deciding.unsolved
    if predictions is not None:
        arrays[PREDICTIONS] = compact(predictions)
    return arrays if along is None else arrays | {ALONG_STEPS: along.steps, ALONG_DECISIONS: along.decisions}


def to_trajectory(arrays: Mapping[str, NDArray[Any]], averaging: Averaging | None = None) -> Trajectory:
    """The trajectory that arrays hold, of folds that are averaged so."""
    curves = {name: to_curves(arrays, name, averaging) for name in metrics(arrays)}
    followed = {name.removeprefix(FOLLOWED): arrays[name] for name in sorted(arrays) if name.startswith(FOLLOWED)}
    found = Trajectory(arrays["axis"], curves, arrays["complexity"], followed)
    along = [array.shape[1:] for one in curves.values() for array in (one.train, one.val)]
    along += [one.unsolved.shape for one in curves.values() if one.unsolved is not None]
    along += [one.shape[1:] for one in followed.values()]
    steps = {found.axis.shape, *along}
    if len(steps) > 1 or found.axis.ndim != 1:
        raise ValueError(f"a path's arrays must have a column for each of its {len(found.axis)} steps")
    return found


def to_curves(arrays: Mapping[str, NDArray[Any]], metric: str, averaging: Averaging | None) -> Curves:
    """One metric along the path; what averages another number of folds is another study's."""
    train, val = arrays[TRAIN + metric], arrays[VAL + metric]
    known = averaging if averaging is not None and averaging.folds == len(val) else None
    return Curves(train, val, known, arrays.get(UNSOLVED))


def to_predictions(arrays: Mapping[str, NDArray[Any]]) -> Array | None:
    """The predictions ``[n, m]``; `None` where there are none."""
    return arrays[PREDICTIONS].astype(np.float64) if PREDICTIONS in arrays else None


def to_along(arrays: Mapping[str, NDArray[Any]]) -> PathDecisions | None:
    """The decisions at other steps of the path; `None` where there are none."""
    return PathDecisions(arrays[ALONG_STEPS], arrays[ALONG_DECISIONS]) if ALONG_STEPS in arrays else None


def metrics(names: Iterable[str]) -> list[str]:
    """The metrics of which there are arrays, the deciding one first."""
    return [name.removeprefix(TRAIN) for name in names if name.startswith(TRAIN)]


# --- folds and targets -----------------------------------------------------------------------------------------


def from_folds(folds: Folds, averaging: Averaging) -> dict[str, NDArray[Any]]:
    """Rows of each fold, ``train0``, ``val0`` and so on, and how they are averaged."""
    parts = {"train": folds.train, "val": folds.val}
    rows = {f"{part}{k}": rows for part, found in parts.items() for k, rows in enumerate(found)}
    figures = {EFFECTIVE: np.array(averaging.effective), OVERLAP: np.array(averaging.overlap)}
    return rows | figures | ({} if averaging.shares is None else {SHARES: averaging.shares})


def to_folds(arrays: Mapping[str, NDArray[Any]], name: str, digest: str | None = None) -> Folds:
    """The folds that arrays hold, called `name`.

    Raises
    ------
    ValueError
        When they are others than those of a digest.
    """
    count = sum(array.startswith("train") for array in arrays)
    train, val = (tuple(arrays[f"{part}{k}"] for k in range(count)) for part in ("train", "val"))
    folds = Folds(train, val, name)
    if digest not in (None, folds.digest):
        raise ValueError("they are not the study's folds")
    return folds


def to_averaging(arrays: Mapping[str, NDArray[Any]]) -> Averaging:
    """How the folds that arrays hold are averaged."""
    folds = to_folds(arrays, "")
    if EFFECTIVE not in arrays:  # stored by an earlier version
        return Averaging.of(folds)
    effective, overlap = float(arrays[EFFECTIVE]), float(arrays[OVERLAP])
    return Averaging(len(folds), effective, overlap, arrays.get(SHARES))


def from_targets(problem: Problem) -> dict[str, NDArray[Any]]:
    """What a problem predicts: values, names of several, class labels, weights in fits and scores, and groups."""
    groups = None if problem.groups is None else np.unique(problem.groups, return_inverse=True)[1]
    arrays = {"y": problem.y, "classes": problem.classes, "sample_weight": problem.sample_weight, "groups": groups}
    if not problem.scored_as_fitted:
        arrays["score_weight"] = np.empty(0) if problem.score_weight is None else problem.score_weight
    found = {name: np.asarray(values) for name, values in arrays.items() if values is not None}
    found[DATA] = np.asarray(problem.fingerprint)
    if problem.targets > 1:
        found[NAMES] = np.asarray(problem.target_names)
    if problem.tasks:
        found[TASKS] = np.asarray(json.dumps([one.data() for one in problem.tasks]))
        found |= _index_of_rows(problem)
    if found.get("classes", problem.y).dtype.kind == "O":
        found["classes"] = found["classes"].astype(str)
    return found


def _index_of_rows(problem: Problem) -> dict[str, NDArray[Any]]:
    """The index of a DataFrame X, of numbers, texts or times, where it says more than the places of rows."""
    index = index_of(problem.X)
    values = np.arange(problem.rows) if index is None else index.to_numpy()
    if values.dtype.kind == "O" and all(isinstance(one, str) for one in values):
        values = values.astype(str)
    told = values.dtype.kind in "fMU" or (values.dtype.kind in "iu" and (values != np.arange(problem.rows)).any())
    return {INDEX: values} if told else {}


def to_targets(arrays: Mapping[str, NDArray[Any]], task: Task, fingerprint: str | None = None) -> Problem:
    """A problem with the targets that arrays hold and a column of zeros for its data, with the index of its rows.

    Raises
    ------
    ValueError
        When they are those of other data than a fingerprint is of.
    """
    import pandas as pd

    kept: dict[str, Any] = {"score_weight": arrays.get("sample_weight"), **arrays}
    data = kept.pop(DATA, fingerprint)
    if fingerprint is not None and str(data) != fingerprint:
        raise ValueError("they are those of other data")
    if kept["score_weight"] is not None and not len(kept["score_weight"]):  # unweighted scores of weighted fits
        kept["score_weight"] = None
    if kept["y"].ndim > 1:
        kept[NAMES] = tuple(map(str, kept.get(NAMES, [f"y{j}" for j in range(kept["y"].shape[1])])))
    if TASKS in kept:
        kept[TASKS] = tuple(map(TargetTask.read, json.loads(str(kept[TASKS]))))
    X = np.zeros((len(kept["y"]), 1))
    return Problem(pd.DataFrame(X, index=kept.pop(INDEX)) if INDEX in kept else X, task=task, **kept)


# --- as a file -------------------------------------------------------------------------------------------------


def unpacked(file: BinaryIO, read: Callable[[Mapping[str, NDArray[Any]]], Read]) -> Read:
    """What is read of the arrays in a file, each of which is loaded when it is asked for.

    Raises
    ------
    Damaged
        When the file is none of numpy's, is cut, or has not the arrays that it must have.
    """
    try:
        with file:
            return read(Unpacked(file))
    except Exception as error:  # a damaged file fails in many ways inside zipfile and numpy; all of them mean the same
        said = str(error).partition("\n")[0]
        raise Damaged(f"{type(error).__name__}: {said}") from error
