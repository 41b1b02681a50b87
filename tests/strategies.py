"""Hypothesis strategies for every registered node, made from what its fields declare."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

from regsearch.models.families import Families
from regsearch.models.linear import Linear
from regsearch.models.linear.groups import ColumnGroups
from regsearch.models.neural import CNN, MLP, Net
from regsearch.models.neural.architectures.embedded import Embedded
from regsearch.models.neural.architectures.residual import ResidualCNN, ResidualMLP
from regsearch.models.neural.architectures.task_mlp import TaskMLP
from regsearch.models.neural.techniques import SHIPPED, slots
from regsearch.models.preparation import Preparation
from regsearch.space.domains import (
    Between,
    ClassWeights,
    ColumnFactors,
    ColumnLimits,
    ColumnName,
    ColumnNames,
    Family,
    OneOf,
    OrNone,
    PathField,
    Sizes,
    Whole,
)  # fmt: skip
from regsearch.space.path import Path
from regsearch.space.registry import registered
from regsearch.space.tree import Choice, Float, Int, Leaf, Node

SLOTS = slots(SHIPPED)
Domain = (
    Between
    | Whole
    | Sizes
    | PathField
    | OneOf
    | ClassWeights
    | Family
    | ColumnNames
    | ColumnFactors
    | ColumnLimits
    | OrNone
    | ColumnGroups
    | Preparation
)
NAMES = st.text("abé =", min_size=1, max_size=3)
FIXED: dict[type, st.SearchStrategy[Any]] = {
    ColumnNames: st.none() | st.lists(NAMES, max_size=3),
    ColumnFactors: st.none() | st.dictionaries(NAMES, st.floats(0, 100), max_size=3),
    ColumnLimits: st.none()
    | st.dictionaries(NAMES, st.tuples(st.none() | st.floats(-9, 0), st.none() | st.floats(0, 9)), max_size=3),
    ColumnGroups: st.sampled_from([None, {"a": ["x", "y"], "b": ["z"]}, {"c": ["x"]}]),
    Preparation: st.none(),  # a transformer does not come back from a file
}

UNDECLARED = {"dims": st.sampled_from([1, 2, 3])}  # fields that are never searched, by name


@st.composite
def ranges(draw: st.DrawFn, low: float, high: float) -> Float:
    """A `Float` inside ``[low, high]``; some say where to start."""
    low, high = max(low, -1e6), min(high, 1e6)
    a, b = sorted(draw(st.lists(st.floats(low, high), min_size=2, max_size=2, unique=True)))
    return Float(a, b, a > 0 and draw(st.booleans()), draw(st.none() | st.floats(a, b)))


@st.composite
def ints(draw: st.DrawFn, low: int = -1000) -> Int:
    a, b = sorted(draw(st.lists(st.integers(low, 1000), min_size=2, max_size=2, unique=True)))
    return Int(a, b, a > 0 and draw(st.booleans()), draw(st.none() | st.integers(a, b)))


def paths() -> st.SearchStrategy[Path]:
    ratio = st.none() | st.floats(0, 1, exclude_min=True, exclude_max=True)
    return st.builds(Path, st.integers(2, 1000), ratio)


def scalars() -> st.SearchStrategy[Any]:
    return (
        st.booleans() | st.integers(-100, 100) | st.floats(-1e9, 1e9) | st.text("abcXYZ_.-é ", min_size=1, max_size=8)
    )


def choices(options: st.SearchStrategy[Any]) -> st.SearchStrategy[Choice]:
    """Choices of options that differ by name; some start from another than the first."""
    distinct = st.lists(options, min_size=1, max_size=4, unique_by=_label)
    return st.builds(lambda found, i: Choice(*found, start=found[i % len(found)]), distinct, st.integers(0, 3))


def _label(option: Any) -> Any:
    return option.kind if isinstance(option, Node) else option


def values(domain: Domain, filled: bool = False) -> st.SearchStrategy[Any]:
    """What a field with this domain may hold; with `filled`, only what a config holds."""
    if isinstance(domain, Family):
        family = st.sampled_from(list(concrete(domain.base))).flatmap(lambda cls: nodes(cls, filled))
        return family if filled else family | choices(family)
    if isinstance(domain, OrNone):
        inner = st.none() | values(domain.domain, filled=True)  # type: ignore[arg-type]
        return inner if filled else inner | choices(inner)
    if isinstance(domain, OneOf):
        names = st.sampled_from(domain.names)
        return names if filled else names | choices(names)
    if isinstance(domain, ClassWeights):
        given = st.dictionaries(st.text("ab", min_size=1) | st.integers(0, 9), st.floats(0.01, 100), min_size=1)
        weights = st.sampled_from([None, "balanced"]) | given
        return weights if filled else weights | choices(st.sampled_from([None, "balanced"]))
    if isinstance(domain, ColumnNames | ColumnFactors | ColumnLimits | ColumnGroups | Preparation):
        return FIXED[type(domain)]
    if isinstance(domain, ColumnName):
        return st.text("ab", min_size=1)
    if isinstance(domain, Sizes):
        sizes = st.lists(st.integers(1, 512), min_size=1, max_size=4).map(tuple)
        return sizes if filled else sizes | choices(sizes)
    if isinstance(domain, Whole):
        whole = st.integers(domain.low, domain.low + 1000)
        return whole if filled else whole | ints(domain.low) | choices(whole)
    high = domain.high if isinstance(domain, Between) else math.inf
    numbers: st.SearchStrategy[Any] = st.floats(max(domain.low, -1e6), min(high, 1e6))
    if isinstance(domain, PathField):
        numbers |= paths()
    return numbers if filled else numbers | ranges(domain.low, high) | choices(numbers)


def nodes(cls: type[Node], filled: bool = False) -> st.SearchStrategy[Any]:
    """Any node of a class whose fields all declare their domain, or that has a strategy of its own."""
    if cls in OWN:
        return OWN[cls](filled)
    declared = {
        field.name: UNDECLARED[field.name] if field.name in UNDECLARED else values(field.metadata["domain"], filled)
        for field in dataclasses.fields(cls)  # type: ignore[arg-type]
    }
    return st.builds(cls, **declared)


def concrete(base: type[Node]) -> Iterator[type[Node]]:
    """Every registered class of a family."""
    return (cls for cls in registered().values() if issubclass(cls, base))


LEAVES: dict[str, st.SearchStrategy[Any]] = {
    "float": ranges(-1e6, 1e6),
    "int": ints(),
    "path": paths(),
    "choice": choices(scalars()),
}


def in_slot(slot: str, filled: bool = False) -> st.SearchStrategy[Any]:
    """What a slot of a `Net` may be given: a technique, none, a choice of those, for penalties a dict of those."""
    one = st.none() | st.one_of(*[nodes(cls, filled) for cls in SLOTS[slot]])
    if not filled:
        one |= choices(one)
    if slot.endswith("penalty"):
        one |= st.dictionaries(st.sampled_from(["*.weight", "out.*", "linear0.bias", "hidden[01]"]), one, max_size=2)
    return one


DEEP = st.lists(st.integers(1, 512), min_size=2, max_size=4).map(tuple)


@st.composite
def nets(draw: st.DrawFn, filled: bool = False) -> Net:
    """A `Net` with techniques in some of its slots."""
    own = {
        field.name: values(field.metadata["domain"], filled)
        for field in dataclasses.fields(Net)
        if "domain" in field.metadata and field.name != "module"
    }
    slots = set(draw(st.lists(st.sampled_from(sorted(SLOTS)), unique=True, max_size=5)))
    module = nodes(MLP, filled) | nodes(CNN, filled)
    if "skip" in slots:  # they need two layers
        module = st.builds(MLP, hidden=DEEP)
    given = own | {
        "module": module if filled else module | choices(module),
        "device": st.sampled_from(["auto", "cpu"]),
    }
    if "optimizer" in slots:  # whose rate it is
        del given["lr"]
    return Net(**draw(st.fixed_dictionaries(given | {slot: in_slot(slot, filled) for slot in sorted(slots)})))


def families() -> st.SearchStrategy[Families]:
    """A linear model and a net as one space, which only a study has: a config is of one of them."""
    return st.builds(lambda linear, net: Families(Choice(linear, net)), nodes(Linear), nets())


OWN: dict[type[Node], Callable[[bool], st.SearchStrategy[Any]]] = {
    Net: nets,
    ResidualMLP: lambda filled: st.builds(ResidualMLP, hidden=DEEP),
    Embedded: lambda filled: st.builds(
        Embedded,
        nodes(MLP, filled),
        st.one_of(*[nodes(cls, filled) for cls in SLOTS["embedding"]]),
        st.sets(st.integers(0, 99)).map(sorted).map(tuple),
    ),
    TaskMLP: lambda filled: st.builds(
        TaskMLP,
        hidden=DEEP,
        ties=st.sampled_from(["none", "stitches"]),
        heads=st.lists(st.integers(1, 9), max_size=4).map(tuple),
    ),
    ResidualCNN: lambda filled: st.builds(ResidualCNN, channels=DEEP, kernel=st.sampled_from([1, 3, 5])),
}


def declared() -> list[type[Node]]:
    """Every registered class that can be generated: it says of each of its fields what it admits, or is in `OWN`."""

    def says(cls: Any) -> bool:
        return all("domain" in field.metadata or field.name in UNDECLARED for field in dataclasses.fields(cls))

    return [
        cls
        for cls in registered().values()
        if not issubclass(cls, Leaf) and cls.__module__.startswith("regsearch.") and (cls in OWN or says(cls))
    ]


def spaces() -> st.SearchStrategy[Any]:
    return st.sampled_from(declared()).flatmap(nodes)


def configs() -> st.SearchStrategy[Any]:
    return st.sampled_from(declared()).flatmap(lambda cls: nodes(cls, filled=True))
