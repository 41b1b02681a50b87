"""The tree that a space and a config are made of: nodes, leaves, and what a field of a node admits.

A *node* is a frozen dataclass that names itself; wherever a plain value may stand in it, a *leaf* may stand instead:
`Float`, `Int`, `Choice`, or `Path`, the axis that one trial walks as a whole. `sampling.py` fills the leaves.
"""

from __future__ import annotations

import dataclasses
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np

from regsearch.errors import InvalidInput
from regsearch.inputs import switch
from regsearch.numeric import is_whole, plain
from regsearch.space.naming import readable

NodeT = TypeVar("NodeT", bound="Node")
POINTS = 10_000  # that a path may have
WRITTEN = "_written"  # where a node keeps what it is as plain data, made when it is asked for ...
NAMES = "_names"  # ... and what its parameters are called


class Suggests(Protocol):
    """What a config is drawn from: an Optuna trial, or whatever gives values to parameters as one does."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int: ...

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> Any: ...


def public_name(name: str) -> str:
    """The name that users, files and logs see: ``lambda_`` is ``lambda``."""
    return name.rstrip("_")


class Node(ABC):
    """A frozen dataclass that is part of a space or config; every concrete subclass is registered by its `kind`.

    `kind` is the snake-case class name unless the class sets it: what people call the class. `scope` keeps the kinds of
    two families apart in files, where a net's ``l1`` is ``net.l1``. `derived` names properties that belong in the flat
    row beside the fields, `main` the field whose value stands for the whole node there (``dropout=0.3``), `merged`
    mappings whose entries stand there as if they were fields.
    """

    kind: ClassVar[str]
    scope: ClassVar[str] = ""
    main: ClassVar[str] = ""
    derived: ClassVar[tuple[str, ...]] = ()
    merged: ClassVar[tuple[str, ...]] = ()
    registry: ClassVar[dict[str, type[Node]]] = {}

    def __init_subclass__(cls, *, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "kind" not in cls.__dict__:
            cls.kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()
        if not abstract:
            Node.registry[cls.tag()] = cls

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            domain = field.metadata.get("domain")
            if domain is not None:
                where = f"{type(self).__name__}({public_name(field.name)}=...)"
                admitted = admit(domain, getattr(self, field.name), where, field.metadata["off"])
                object.__setattr__(self, field.name, admitted)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or another process gets: the fields, and not what was made of them."""
        return {name: value for name, value in vars(self).items() if name not in (WRITTEN, NAMES)}

    @classmethod
    def tag(cls) -> str:
        """The name of the class in files."""
        return f"{cls.scope}.{cls.kind}" if cls.scope else cls.kind

    @classmethod
    def arguments(cls) -> dict[str, str]:
        """The constructor's argument for each public field name."""
        return {public_name(field.name): field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]

    def fields(self) -> dict[str, Any]:
        """Field values by field name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]

    def replace(self: NodeT, **fields: Any) -> NodeT:
        """The same node with other field values."""
        return dataclasses.replace(self, **fields)  # type: ignore[type-var]

    def offs(self) -> dict[str, Any]:
        """By field name, the value at which it has no effect; `None` where there is none."""
        return {field.name: field.metadata.get("off") for field in dataclasses.fields(self)}  # type: ignore[arg-type]

    def beside(self) -> tuple[Node, ...]:
        """The configs whose parameters stand in one table with those of this space, such as its reference."""
        return ()

    def shown_fields(self) -> dict[str, Any]:
        """The fields that a flat row shows of this node, beside those that are `derived`."""
        return self.fields()


class Leaf(Node, abstract=True):
    """What stands in a tree where the config has one value."""

    @abstractmethod
    def draw(self, trial: Suggests, name: str) -> Any:
        """The value that `trial` suggests under `name`."""

    @abstractmethod
    def initial(self) -> Any:
        """The value to start from."""

    @abstractmethod
    def random(self, generator: np.random.Generator) -> Any:
        """A value at random, as Optuna stores it."""

    @abstractmethod
    def count(self) -> int | None:
        """How many values there are, or `None` when not finite."""


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True)
class Float(Leaf):
    """A real number in ``[low, high]``, sampled uniformly or, with `log`, uniformly in its logarithm.

    Raises
    ------
    InvalidInput
        Unless ``low < high``, both finite, and ``low > 0`` when `log`.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_range(self)

    def draw(self, trial: Suggests, name: str) -> float:
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def initial(self) -> float:
        return math.sqrt(self.low) * math.sqrt(self.high) if self.log else self.low / 2 + self.high / 2

    def random(self, generator: np.random.Generator) -> float:
        if self.log:
            return min(max(math.exp(generator.uniform(math.log(self.low), math.log(self.high))), self.low), self.high)
        return float(generator.uniform(self.low, self.high))

    def count(self) -> int | None:
        return None


@dataclass(frozen=True)
class Int(Leaf):
    """A whole number in ``[low, high]``, both included.

    Raises
    ------
    InvalidInput
        Unless both bounds are whole, ``low < high``, and ``low > 0`` when `log`.
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_range(self)
        if not (is_whole(self.low) and is_whole(self.high)):
            raise InvalidInput(f"Int needs whole bounds, got {self}; use Float for real numbers.")

    def draw(self, trial: Suggests, name: str) -> int:
        return trial.suggest_int(name, self.low, self.high, log=self.log)

    def initial(self) -> int:
        return round(math.sqrt(self.low * self.high)) if self.log else (self.low + self.high) // 2

    def random(self, generator: np.random.Generator) -> int:
        if self.log:
            value = int(math.exp(generator.uniform(math.log(self.low), math.log(self.high + 1))))
            return min(max(value, self.low), self.high)
        return int(generator.integers(self.low, self.high, endpoint=True))

    def count(self) -> int | None:
        return self.high - self.low + 1


@dataclass(frozen=True, init=False)
class Choice(Leaf):
    """One of several options: plain values, or nodes that may carry leaves of their own.

    Raises
    ------
    InvalidInput
        When there is no option, or two options have one label.
    """

    options: tuple[Any, ...]

    def __init__(self, *options: Any) -> None:
        object.__setattr__(self, "options", tuple(plain(option) for option in options))
        if not options:
            raise InvalidInput("A Choice needs at least one option, got none; list the options: Choice('l1', 'l2').")
        labels = self.labels
        repeated = sorted({str(label) for label in labels if labels.count(label) > 1})
        if repeated:
            raise InvalidInput(
                f"The options of a Choice must differ by name, got {', '.join(repeated)} more than once; "
                "merge them into one option with a wider range."
            )

    @property
    def labels(self) -> tuple[Any, ...]:
        """What Optuna stores for each option."""
        return tuple(label(option) for option in self.options)

    def draw(self, trial: Suggests, name: str) -> Any:
        return self.named(trial.suggest_categorical(name, self.labels))

    def named(self, wanted: Any) -> Any:
        """The option with the label `wanted`."""
        return self.options[self.labels.index(wanted)]

    def initial(self) -> Any:
        return self.options[0]

    def random(self, generator: np.random.Generator) -> Any:
        return self.labels[generator.integers(len(self.options))]

    def count(self) -> int | None:
        return len(self.options)


@dataclass(frozen=True)
class Path(Leaf):
    """The whole axis as one trial: every lambda from the smallest that zeroes all coefficients downwards.

    Parameters
    ----------
    points
        Number of lambdas, spaced evenly in their logarithm.
    ratio
        Smallest lambda over largest. `None` begins with 1e-4, or 1e-2 when there are fewer rows than columns, 1e-6 for
        ridge, and a hundredth of these for adaptive penalties; where the mean validation curve still rises there, the
        path goes on with the same spacing until it has turned, or down to lambda 0, the fit without a penalty, where
        that is the best. With an L1 part and more columns than rows it ends at the latest where it explains .999 of
        the loss in training, as glmnet's. A number is the end in any case.
    """

    points: int = 100
    ratio: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", plain(self.points))
        object.__setattr__(self, "ratio", plain(self.ratio))
        if not is_whole(self.points) or not 2 <= self.points <= POINTS:
            raise InvalidInput(
                f"A Path needs at least 2 points and at most {POINTS}, got {self.points!r}; 100 is usual."
            )
        if self.ratio is not None and not (is_number(self.ratio) and 0 < self.ratio < 1):
            raise InvalidInput(f"A Path's ratio must lie between 0 and 1, got {self.ratio!r}; 1e-4 is usual.")

    def draw(self, trial: Suggests, name: str) -> Path:
        return self

    def initial(self) -> Path:
        return self

    def random(self, generator: np.random.Generator) -> Path:
        return self

    def count(self) -> int | None:
        return 1


def _check_range(leaf: Float | Int) -> None:
    low, high, name = plain(leaf.low), plain(leaf.high), type(leaf).__name__
    if not (is_number(low) and is_number(high)):
        raise InvalidInput(f"{name} needs two finite numbers, got ({low!r}, {high!r}); write {name}(low, high).")
    if not low < high:
        raise InvalidInput(f"{name} needs low < high, got ({low!r}, {high!r}); swap or widen the bounds.")
    log = plain(leaf.log)
    switch(log, f"log of {name}")
    if log and low <= 0:
        raise InvalidInput(f"{name} with log=True needs low > 0, got {low!r}; raise low or drop log=True.")
    object.__setattr__(leaf, "low", low)
    object.__setattr__(leaf, "high", high)
    object.__setattr__(leaf, "log", log)


def label(option: Any) -> Any:
    """The name of a choice's option: its kind for a node, itself for a plain value, its text for anything else."""
    if isinstance(option, Node):
        return option.kind
    return option if option is None or isinstance(option, (bool, int, float, str)) else readable(option)


# --- what a field of a node admits -----------------------------------------------------------------------------


class Domain(Protocol):
    """What a field admits."""

    def admit(self, value: Any, where: str) -> Any:
        """The value as it is kept; `where` names the field for an error."""


def tunable(domain: Domain, default: Any = dataclasses.MISSING, *, off: Any = None) -> Any:
    """A dataclass field that takes a value or a leaf, checked against `domain`.

    `off` is the value at which the field has no effect: always admitted, and what a table shows for a config that does
    not have the field.
    """
    return dataclasses.field(default=default, metadata={"domain": domain, "off": off})


def admit(domain: Domain, value: Any, where: str, off: Any = None) -> Any:
    """A value, a leaf, or a `Choice` of either, as `domain` keeps it.

    Raises
    ------
    InvalidInput
        When it does not admit the value; the message starts with `where`.
    """
    if isinstance(value, Choice):
        return Choice(*(admit(domain, option, where, off) for option in value.options))
    value = plain(value)
    if off is not None and type(value) in (int, float, str) and value == off:
        return value
    return domain.admit(value, where)


def bounds_of(value: Any) -> list[Any]:
    """The least and the greatest number that a field may hold, of each option; a plain value is both."""
    if isinstance(value, Choice):
        return [end for option in value.options for end in bounds_of(option)]
    return [value.low, value.high] if isinstance(value, Float | Int) else [value]


def number(value: Any) -> float:
    """The number in a field of a *config*; a field that still holds a leaf is an error."""
    if not is_number(value):
        raise InvalidInput(f"A config needs a number here, got {value!r}; fill the space first.")
    return float(value)
