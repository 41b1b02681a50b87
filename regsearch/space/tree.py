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
from typing import Any, ClassVar, TypeVar

import numpy as np

from regsearch.errors import InvalidInput
from regsearch.inputs import said
from regsearch.numeric import is_number, is_own, is_whole, plain, text_if_not_finite
from regsearch.space.fields import checked_fields, field_names, public_name
from regsearch.space.levels import Levels, check_range, nearest, whole, within
from regsearch.space.naming import readable
from regsearch.space.suggests import Domain, Suggests

NodeT = TypeVar("NodeT", bound="Node")
WRITTEN = "_written"  # where a node keeps what it is as plain data, made when it is asked for ...
NAMES = "_names"  # ... and what its parameters are called


class Node(ABC):
    """A frozen dataclass that is part of a space or config; every concrete subclass is registered by its `kind`.

    `kind` is the snake-case class name unless the class sets it: what people call the class. `scope` keeps the kinds of
    two families apart in files, where a net's ``l1`` is ``net.l1``. `derived` names properties that belong in the flat
    row beside the fields, `main` the field whose value stands for the whole node there (``dropout=0.3``), `merged`
    mappings whose entries stand there as if they were fields; `chosen` the field whose option is all that a config has
    of the node. What does not regularize (`regularizes`) is as usual in
    every start of a search; `started_alone` is what has a start in which it is strong and all else weak, and
    `started_early` an option that has its turn right after the first start.
    """

    kind: ClassVar[str]
    scope: ClassVar[str] = ""
    main: ClassVar[str] = ""
    chosen: ClassVar[str] = ""
    derived: ClassVar[tuple[str, ...]] = ()
    merged: ClassVar[tuple[str, ...]] = ()
    regularizes: ClassVar[bool] = True  # False for what makes training work: the unregularized reference keeps it
    started_alone: ClassVar[bool] = False
    started_early: ClassVar[bool] = False
    registry: ClassVar[dict[str, type[Node]]] = {}
    arriving: ClassVar[bool] = False  # while classes come from another process: their kinds follow when they are whole

    def __init_subclass__(cls, *, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "kind" not in cls.__dict__:
            cls.kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()
        if not abstract:
            Node.registry[cls.tag()] = cls

    def __post_init__(self) -> None:
        for name, domain, where, off in checked_fields(type(self)):
            object.__setattr__(self, name, admit(domain, getattr(self, name), where, off))

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
        return {name: getattr(self, name) for name in field_names(type(self))}

    def replace(self: NodeT, **fields: Any) -> NodeT:
        """The same node with other field values."""
        return dataclasses.replace(self, **fields)  # type: ignore[type-var]

    def offs(self) -> dict[str, Any]:
        """By field name, the value at which it has no effect; `None` where there is none."""
        return {field.name: field.metadata.get("off") for field in dataclasses.fields(self)}  # type: ignore[arg-type]

    def field_levels(self) -> dict[str, Levels]:
        """By field name, what the fields say of weak, usual and strong values; without those that say nothing."""
        found = {field.name: field.metadata.get("levels") for field in dataclasses.fields(self)}  # type: ignore[arg-type]
        told = {name: levels for name, levels in found.items() if levels is not None}
        return told if self.regularizes else {name: Levels(usual=levels.usual) for name, levels in told.items()}

    @property
    def option_label(self) -> str:
        """What it is called as an option of a choice."""
        return self.kind

    def beside(self) -> tuple[Node, ...]:
        """The configs whose parameters stand in one table with those of this space, such as its reference."""
        return ()

    def shown_fields(self) -> dict[str, Any]:
        """The fields that a flat row shows of this node, beside those that are `derived`."""
        return self.fields()


OPTIONAL = ("start", "names")  # fields of leaves that are written where they are given


class Leaf(Node, abstract=True):
    """What stands in a tree where the config has one value."""

    def __repr__(self) -> str:
        """As it may be written; where to start from only where that is said."""
        fields = {field.name: field.default for field in dataclasses.fields(self)}  # type: ignore[arg-type]
        values = {name: getattr(self, name) for name in fields}
        shown = (f"{name}={value!r}" for name, value in values.items() if name not in OPTIONAL or value != fields[name])
        return f"{type(self).__name__}({', '.join(shown)})"

    @property
    def labelled(self) -> list[tuple[Any, Any]]:
        """Label and option of each, of a choice."""
        return []

    @abstractmethod
    def draw(self, trial: Suggests, name: str) -> Any:
        """The value that `trial` suggests under `name`."""

    @abstractmethod
    def levels(self, said: Levels | None = None) -> Levels:
        """The values to start from, as Optuna stores them, in a field that says `said` of its values."""

    @abstractmethod
    def random(self, generator: np.random.Generator) -> Any:
        """A value at random, as Optuna stores it."""

    def stored(self, value: Any) -> Any:
        """What stands in a config for a value that Optuna stores."""
        return value

    @abstractmethod
    def count(self) -> int | None:
        """How many values there are, or `None` when not finite."""


@dataclass(frozen=True, repr=False)
class Float(Leaf):
    """A real number in ``[low, high]``, sampled uniformly or, with `log`, uniformly in its logarithm.

    Parameters
    ----------
    start
        The value that a search takes for the usual one; by default what the field says, else the middle.

    Raises
    ------
    InvalidInput
        Unless ``low < high``, both finite, ``low > 0`` when `log`, and `start` between them.
    """

    low: float
    high: float
    log: bool = False
    start: float | None = None

    def __post_init__(self) -> None:
        check_range(self)

    def draw(self, trial: Suggests, name: str) -> float:
        return float(trial.suggest_float(name, self.low, self.high, log=self.log))  # of what waited, as it was given

    def levels(self, said: Levels | None = None) -> Levels:
        return within(self, said).mapped(float)

    def random(self, generator: np.random.Generator) -> float:
        if self.log:
            value = math.exp(generator.uniform(math.log(self.low), math.log(self.high)))
            return float(min(max(value, self.low), self.high))
        return float(generator.uniform(self.low, self.high))

    def count(self) -> int | None:
        return None


@dataclass(frozen=True, repr=False)
class Int(Leaf):
    """A whole number in ``[low, high]``, both included.

    Parameters
    ----------
    start
        The value that a search takes for the usual one; by default what the field says, else the middle.

    Raises
    ------
    InvalidInput
        Unless both bounds are whole, ``low < high``, ``low > 0`` when `log`, and `start` a whole number between them.
    """

    low: int
    high: int
    log: bool = False
    start: int | None = None

    def __post_init__(self) -> None:
        check_range(self)
        if not (is_whole(self.low) and is_whole(self.high) and (self.start is None or is_whole(self.start))):
            raise InvalidInput(f"Int needs whole bounds, and a whole start, got {self}; use Float for real numbers.")

    def draw(self, trial: Suggests, name: str) -> int:
        return trial.suggest_int(name, self.low, self.high, log=self.log)

    def levels(self, said: Levels | None = None) -> Levels:
        return within(self, said).mapped(whole)

    def random(self, generator: np.random.Generator) -> int:
        if self.log:
            value = int(math.exp(generator.uniform(math.log(self.low), math.log(self.high + 1))))
            return min(max(value, self.low), self.high)
        return int(generator.integers(self.low, self.high, endpoint=True))

    def count(self) -> int | None:
        return self.high - self.low + 1


@dataclass(frozen=True, repr=False, init=False)
class Choice(Leaf):
    """One of several options: plain values, or nodes that may carry leaves of their own.

    Parameters
    ----------
    options
        Where one stands for a technique that is off, it is `None`.
    start
        The option that a search takes for the usual one, or its name; by default the first.
    named
        More options, under names of their own, such as two of one kind:
        ``Choice(sparse=ElasticNet(Float(0.8, 1)), dense=ElasticNet(Float(0, 0.2)))``.

    Raises
    ------
    InvalidInput
        When there is no option, two options have one label, or `start` is none of them.
    """

    options: tuple[Any, ...]
    start: int = 0  # its place among the options
    names: tuple[str, ...] = ()  # of the options, empty for one that goes by its label; none where all do

    def __init__(self, *options: Any, start: Any = ..., **named: Any) -> None:
        object.__setattr__(self, "options", tuple(plain(option) for option in (*options, *named.values())))
        object.__setattr__(self, "names", ("",) * len(options) + tuple(named) if named else ())
        if not self.options:
            raise InvalidInput("A Choice needs at least one option, got none; list the options: Choice('l1', 'l2').")
        self._check_listed()
        labels = self.labels
        repeated = sorted({str(label) for label in labels if labels.count(label) > 1})
        if repeated:
            raise InvalidInput(
                f"The options of a Choice must differ by name, got {', '.join(repeated)} more than once; "
                "merge them into one option with a wider range, or give them names: Choice(low=..., high=...)."
            )
        first = 0 if start is ... else next((i for i, one in enumerate(labels) if one == label(plain(start))), None)
        if first is None:
            raise InvalidInput(
                f"A Choice must start from one of its options ({', '.join(map(str, labels))}), got {start!r}; name one."
            )
        object.__setattr__(self, "start", first)

    def with_options(self, *options: Any) -> Choice:
        """A choice of other options, that starts from the one in the same place."""
        return Choice.of(options, self.names, self.start)

    @classmethod
    def of(cls, options: Sequence[Any], names: Sequence[str], start: int = 0) -> Choice:
        """A choice of options, those with a name under it, that starts from the one in a place."""
        named = dict(zip(names, options, strict=True)) if names else {}
        named.pop("", None)
        bare = [one for i, one in enumerate(options) if not names or not names[i]]
        made = cls(*bare, **named)
        return cls(*bare, start=made.labels[start], **named)

    def _check_listed(self) -> None:
        only = self.options[0]
        if len(self.options) == 1 and isinstance(only, list) and not all(map(is_number, only)):
            raise InvalidInput(
                f"A Choice takes its options one by one, got them as a list, {said(only)}; write "
                f"Choice({', '.join(map(repr, only))})."
            )

    @property
    def labels(self) -> tuple[Any, ...]:
        """What Optuna stores for each option."""
        names = self.names or ("",) * len(self.options)
        return tuple(name or label(option) for name, option in zip(names, self.options, strict=True))

    @property
    def labelled(self) -> list[tuple[Any, Any]]:
        return list(zip(self.labels, self.options, strict=True))

    def label_of(self, option: Any) -> Any:
        """The label of one of the options, which is that object: two may be equal."""
        found = (of for of, one in self.labelled if one is option)
        return next(found, label(option))

    @property
    def first(self) -> Any:
        """The option to start from."""
        return self.options[self.start]

    def draw(self, trial: Suggests, name: str) -> Any:
        return self.stored(trial.suggest_categorical(name, self.labels))

    def stored(self, value: Any) -> Any:
        return self.options[self.labels.index(value)]

    def levels(self, said: Levels | None = None) -> Levels:
        """Labels; numbers go by what the field says, and beside techniques that regularize none is the weak one."""
        labels, first = self.labels, self.labels[self.start]
        if said is not None and len(labels) > 1 and all(is_number(one) for one in labels):
            ends = within(Float(min(labels), max(labels)), said).mapped(lambda value: nearest(value, labels))
            return Levels(ends.weak, first, ends.strong)
        if None in labels and any(isinstance(one, Node) and one.regularizes for one in self.options):
            return Levels(None, first, next(one for one in (first, *labels) if one is not None))
        return Levels.same(first)

    def random(self, generator: np.random.Generator) -> Any:
        return self.labels[generator.integers(len(self.options))]

    def count(self) -> int | None:
        return len(self.options)


def label(option: Any) -> Any:
    """The name of a choice's option: what a node calls itself, itself for a plain value, its text for anything else.

    Also for what is not a number (NaN): a storage gives back one that is equal to no other.
    """
    if isinstance(option, Node):
        return option.option_label
    if isinstance(option, float) and math.isnan(option):
        return text_if_not_finite(option)
    return option if option is None or isinstance(option, (bool, int, float, str)) else readable(option)


# --- what a field of a node admits -----------------------------------------------------------------------------


def tunable(
    domain: Domain, default: Any = dataclasses.MISSING, *,
    off: Any = None, weak: Any = None, usual: Any = None, strong: Any = None,
) -> Any:  # fmt: skip
    """A dataclass field that takes a value or a leaf, checked against `domain`.

    Parameters
    ----------
    off
        The value at which the field has no effect: always admitted, and what a table shows for a config that does not
        have the field.
    weak, usual, strong
        Values that searches start from, wherever the range that is searched has them. What is not said follows from
        that range: its end that is nearer to `off`, the middle, and the other end, each a fifth from it on its own
        scale. A field without `off` of which only `usual` is said, or nothing, is as usual in every start.
    """
    given = Levels(weak, usual, strong, off if is_number(off) or off in (math.inf, -math.inf) else None)
    levels = None if given == Levels() else given
    return dataclasses.field(default=default, metadata={"domain": domain, "off": off, "levels": levels})


def admit(domain: Domain, value: Any, where: str, off: Any = None) -> Any:
    """A value, a leaf, or a `Choice` of either, as `domain` keeps it.

    Raises
    ------
    InvalidInput
        When it does not admit the value; the message starts with `where`.
    """
    if not is_own(value):
        if isinstance(value, Choice):
            return value.with_options(*(admit(domain, option, where, off) for option in value.options))
        value = plain(value)
    if off is not None and type(value) in (int, float, str) and value == off:
        return value
    return domain.admit(value, where)


def number(value: Any) -> float:
    """The number in a field of a *config*; a field that still holds a leaf is an error."""
    if not is_number(value):
        raise InvalidInput(f"A config needs a number here, got {value!r}; fill the space first.")
    return float(value)
