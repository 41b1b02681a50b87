"""The files that a net is written to, and what may be read from them: checked before anything is built."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from regsearch._types import MIXED, Task
from regsearch.data.tasks import LABELS, TargetTask
from regsearch.documents import parse_json
from regsearch.errors import InvalidInput, NotFound, RegsearchError
from regsearch.models.neural.network.objective import Parts, parts_of

if TYPE_CHECKING:
    import torch

TENSORS, PREPARE, TRANSFORM = "net.safetensors", "prepare.skops", "target.skops"
MODULE = "module."  # in front of the names of the module's own tensors
METADATA = "regsearch"
SIZE = 2**31  # that no side of a row and no number of outputs reaches


@dataclass(frozen=True)
class Spec:
    """What tensors alone do not say.

    Attributes
    ----------
    module
        The architecture as plain data.
    inputs
        Shape of a row that the module sees.
    outputs
        Numbers that it returns for a row.
    norm
        Kind of its norm layers, or empty.
    task, precision
        As in the study.
    classes
        Labels, or `None`; `label_type` is numpy's name of their type.
    prepared
        Whether raw columns go through a preparing step first.
    transformed
        Whether a transformer of y is undone in what it says.
    nets
        How many there are, the mean of which counts.
    clips
        Whether rows are clipped smoothly once they are scaled.
    tasks
        Of several targets with tasks of their own, each as `regsearch.data.tasks.TargetTask.data` has it; else empty.
    """

    module: Mapping[str, Any]
    inputs: tuple[int, ...]
    outputs: int
    norm: str
    task: Task
    precision: str
    classes: tuple[Any, ...] | None
    label_type: str
    prepared: bool
    transformed: bool = False
    nets: int = 1
    clips: bool = False
    tasks: tuple[Mapping[str, Any], ...] = ()

    @property
    def targets(self) -> tuple[TargetTask, ...]:
        """Several targets with tasks of their own; else empty."""
        return tuple(map(TargetTask.read, self.tasks))

    @property
    def parts(self) -> Parts:
        """Which outputs are those of which task."""
        return parts_of(self.task, self.targets)

    def of_net(self, number: int) -> str:
        """What stands in front of the names of a net's tensors."""
        return MODULE if self.nets == 1 else f"{MODULE}nets.{number}."

    def text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def read(cls, data: Any) -> Spec:
        """From plain data.

        Raises
        ------
        ValueError
            When they are none.
        """
        names = [field.name for field in fields(cls) if field.default is MISSING]
        if not isinstance(data, dict) or not set(names) <= set(data) <= set(_FITS):
            raise ValueError(f"what it says of the net must have {', '.join(names)}")
        for name, fits in _FITS.items():
            if name in data and not fits(data[name]):
                raise ValueError(f"{name} of the net cannot be {str(data[name])[:80]!r}")
        classes = data["classes"]
        given = {"inputs": tuple(data["inputs"]), "classes": None if classes is None else tuple(classes)}
        spec = cls(**{**data, **given, "tasks": tuple(data.get("tasks", ()))})
        if spec.task == MIXED or spec.tasks:
            spec._check_tasks()
        if (spec.task in ("regression", MIXED)) != (spec.classes is None):
            raise ValueError(f"a net for {spec.task} cannot have the classes {str(spec.classes)[:80]}")
        if spec.classes is not None and spec.outputs not in {len(spec.classes), 2 // len(spec.classes)}:
            raise ValueError(f"a net for {len(spec.classes)} classes cannot have {spec.outputs} outputs")
        return spec

    def _check_tasks(self) -> None:
        """Refuse targets that do not go with the outputs."""
        own = sum(one.outputs for one in self.targets)
        if self.task != MIXED or own != self.outputs:
            raise ValueError(f"a net of {self.outputs} outputs for {self.task} cannot have targets of {own}")

    def check(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Refuse tensors that do not go with it, but for the module's own.

        Raises
        ------
        ValueError
            When one is missing, or of another shape.
        """
        import numpy as np

        np.array(self.classes or (), dtype=self.label_type or None)
        for name in ("offset", "center", "spread"):
            if np.broadcast_shapes(tuple(tensors[name].shape), self.inputs) != self.inputs:
                raise ValueError(f"{name} has the shape {tuple(tensors[name].shape)}, rows have {self.inputs}")
        for name in ("target_center", "target_spread"):
            shape = tuple(tensors[name].shape)
            if len(shape) != 2 or shape[0] not in (1, self.outputs) or not shape[1]:
                raise ValueError(f"{name} has the shape {shape}, there are {self.outputs} outputs")
        if not all(tensors[name].is_floating_point() for name in tensors if not name.startswith(MODULE)):
            raise ValueError("what scales rows and targets must be real numbers")


def _size(value: Any) -> bool:
    return type(value) is int and 0 < value < SIZE


def _labels(value: Any) -> bool:
    return value is None or (
        isinstance(value, list) and len(value) > 1 and all(isinstance(one, (bool, int, float, str)) for one in value)
    )


_FITS: Mapping[str, Callable[[Any], bool]] = {
    "module": lambda value: isinstance(value, dict),
    "inputs": lambda value: isinstance(value, list) and 0 < len(value) <= 4 and all(map(_size, value))
    and math.prod(value) < SIZE,
    "outputs": _size,
    "norm": lambda value: value in ("", "batch_norm", "layer_norm"),
    "task": lambda value: value in get_args(Task),
    "precision": lambda value: value in ("float32", "float64"),
    "classes": _labels,
    "label_type": lambda value: isinstance(value, str) and LABELS.fullmatch(value) is not None,
    "prepared": lambda value: isinstance(value, bool),
    "transformed": lambda value: isinstance(value, bool),
    "nets": _size,
    "clips": lambda value: isinstance(value, bool),
    "tasks": lambda value: isinstance(value, list) and all(isinstance(one, dict) for one in value),
}  # fmt: skip


def read_tensors(folder: Path) -> tuple[Spec, dict[str, torch.Tensor]]:
    """What a net was written as.

    Raises
    ------
    NotFound
        When the folder holds no net.
    InvalidInput
        When it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    file = folder / TENSORS
    if not file.exists():
        raise NotFound(f"A bundle of a net has a {TENSORS}, {folder} has none; export it again.")
    try:
        with safe_open(file, framework="pt") as opened:
            spec = Spec.read(parse_json((opened.metadata() or {})[METADATA], str(file)))
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a dict
        spec.check(tensors)
    except RegsearchError:
        raise
    except (SafetensorError, KeyError, TypeError, ValueError, ArithmeticError, RuntimeError, OSError) as error:
        raise InvalidInput(f"{file} is damaged ({type(error).__name__}: {error}); export it again.") from error
    return spec, tensors
