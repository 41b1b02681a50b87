"""Everything that may regularize a model, as Markdown made from the classes themselves."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from collections.abc import Callable, Iterable
from itertools import compress
from typing import Any

from api import api

Parts = tuple[str, dict[str, str]]


# --- what there is ---------------------------------------------------------------------------------------------


def penalties(_: str) -> str:
    """Every penalty of linear models."""
    from regsearch.models.linear import Penalty
    from regsearch.space.registry import kinds

    own = [cls for cls in kinds(Penalty).values() if cls.__module__.startswith("regsearch.")]
    return "\n\n".join(_entry(cls, f"penalty-{cls.kind}", [f'`Linear(penalty="{cls.kind}")`']) for cls in own)


def losses(_: str) -> str:
    """Every loss of linear models beside those of a task."""
    from regsearch.models.linear import Loss
    from regsearch.space.registry import kinds

    own = [cls for cls in kinds(Loss).values() if cls.__module__.startswith("regsearch.")]
    return "\n\n".join(_entry(cls, f"loss-{cls.kind}", [f'`Linear(loss="{cls.kind}")`']) for cls in own)


def techniques(_: str) -> str:
    """Every technique of nets, by slot."""
    from regsearch import nn_techniques

    entries = []
    for cls in sorted(nn_techniques.SHIPPED, key=lambda one: one.__name__):
        stands = [f"`Net({slot}=...)`" for slot in sorted(cls.slots)]
        entries.append(_entry(cls, f"technique-{cls.kind}", stands, _remarks(cls)))
    return "\n\n".join(entries)


def slots(_: str) -> str:
    """The slots of a net, and what stands in each."""
    from regsearch import nn_techniques

    rows = [
        [f"`{slot}`", ", ".join(f"[`{cls.__name__}`](#technique-{cls.kind})" for cls in found), _shorthand(found[0])]
        for slot, found in nn_techniques.slots(nn_techniques.SHIPPED).items()
    ]
    return _table(["slot", "techniques", "a bare number or leaf means"], rows)


def scales(_: str) -> str:
    """How columns may be scaled."""
    from regsearch.models.linear.scales import SCALES as LINEAR
    from regsearch.models.neural.network.data import SCALES as NETS

    return f"- `Linear(scale=...)`: {_names(LINEAR)}\n- `Net(scale=...)`: {_names(NETS)}"


def figures(_: str) -> str:
    """Every figure of a report: how to read it, and what it needs."""
    from regsearch.results.plots import plots

    return _table(["figure", "how to read it", "drawn where there is"], [
        [f"`{one.name}`", one.caption, one.needs] for one in plots()
    ])  # fmt: skip


def rules(_: str) -> str:
    """Every rule, and what it chooses."""
    from regsearch.results.rules import RULES, RULES_WITH_NUMBER

    numbered = {f"{name}=NUMBER": one for name, one in RULES_WITH_NUMBER.items()}
    named: dict[str, Callable[..., Any]] = {**RULES, **numbered}
    return _table(["rule", "what it chooses"], [[f"`{name}`", _first(one)] for name, one in named.items()])


def penalty_classes(_: str) -> str:
    """A place in the reference for each penalty."""
    from regsearch.models.linear import penalties

    return api(" ".join(f"regsearch.{name}" for name in penalties.__all__))


def loss_classes(_: str) -> str:
    """A place in the reference for each loss."""
    from regsearch.models.linear import losses

    return api(" ".join(f"regsearch.{name}" for name in losses.__all__))


def rule_functions(_: str) -> str:
    """A place in the reference for each rule."""
    from regsearch.results.rules import RULES, RULES_WITH_NUMBER

    functions = [*RULES.values(), *RULES_WITH_NUMBER.values()]
    return api(" ".join(f"{one.__module__}.{one.__name__}" for one in functions))


def ready_made(_: str) -> str:
    """The functions of `regsearch.spaces`."""
    from regsearch import spaces

    found = inspect.getmembers(spaces, inspect.isfunction)
    made = [one for name, one in found if one.__module__ == spaces.__name__ and not name.startswith("_")]
    return _table(["space", "what it searches"], [[f"`spaces.{one.__name__}()`", _first(one)] for one in made])


# --- one class -------------------------------------------------------------------------------------------------


def _entry(cls: type[Any], anchor: str, stands: Iterable[str], remarks: str = "") -> str:
    """A class: what it does and by whom, where it stands, and its fields."""
    said, meanings = parsed(inspect.getdoc(cls) or "")
    rows = [
        [f"`{field.name}`", meanings.get(field.name, ""), *_field(field)]
        for field in dataclasses.fields(cls) if "domain" in field.metadata
    ]  # fmt: skip
    table = _table(*_filled(["field", "meaning", "takes", "by default", "no effect at", "weak, usual, strong"], rows))
    table = table if rows else "It has no fields."
    file = cls.__module__.replace(".", "/") + ".py"
    where = f"Stands in {', '.join(stands)}. {remarks}Written in `{file}`."
    return f"### {cls.__name__} {{ #{anchor} }}\n\n{said}\n\n{where}\n\n{table}"


def _remarks(cls: Any) -> str:
    said = "Only rows that have it alike train together. " if cls.structural else ""
    return said + ("" if cls.regularizes else "The unregularized reference keeps it. ")


def _field(field: dataclasses.Field[Any]) -> list[str]:
    """What a field takes, what it is by default, where it has no effect, and what searches start with."""
    default = "must be given" if field.default is dataclasses.MISSING else f"`{_value(field.default)}`"
    off = field.metadata["off"]
    return [_domain(field.metadata["domain"]), default, "" if off is None else f"`{_value(off)}`", _levels(field)]


def _levels(field: dataclasses.Field[Any]) -> str:
    """What is weak, usual and strong of the leaf that is searched by default, where these differ."""
    from regsearch.space.tree import Leaf

    if field.metadata["levels"] is None or not isinstance(field.default, Leaf):
        return ""
    found = field.default.levels(field.metadata["levels"])
    values = (found.weak, found.usual, found.strong)
    return "" if len(set(values)) == 1 else ", ".join(f"`{value:.3g}`" for value in values)


def _domain(domain: Any) -> str:
    return DOMAINS[type(domain).__name__](domain)


DOMAINS: dict[str, Callable[[Any], str]] = {
    "Between": lambda one: f"a number from {one.low:g} to {one.high:g}",
    "Whole": lambda one: f"a whole number of at least {one.low}",
    "OneOf": lambda one: _names(one.names),
    "Sizes": lambda one: "a few whole numbers",
    "ColumnGroups": lambda one: "a dict from groups to names of columns, or `None`",
    "Axis": lambda one: f"a `Path`, or a number of at least {one.low:g}",
}


def _value(value: Any) -> str:
    """A default as it is written in code: fields of leaves that have their own defaults are left out."""
    if isinstance(value, float) and not math.isfinite(value):
        return "inf"
    if not dataclasses.is_dataclass(value):
        return repr(value)
    given = [
        f"{value_of:g}" if field.name in ("low", "high") else f"{field.name}={value_of!r}"
        for field in dataclasses.fields(value) if (value_of := getattr(value, field.name)) != field.default
    ]  # fmt: skip
    return f"{type(value).__name__}({', '.join(given)})"


def _shorthand(cls: Any) -> str:
    return f"`{cls.__name__}({cls.main}=...)`" if cls.main else ""


# --- docstrings and Markdown -----------------------------------------------------------------------------------


def parsed(docstring: str) -> Parts:
    """A numpydoc docstring's text, and what it says of each parameter."""
    text, _, parameters = docstring.partition("\n\nParameters\n----------\n")
    meanings: dict[str, str] = {}
    for names, said in re.findall(r"^(\S.*)\n((?:    .*\n?)+)", re.split(r"\n\n[A-Z]\w+\n-+\n", parameters)[0],
                                  flags=re.MULTILINE):  # fmt: skip
        meanings |= {name.strip(): _markdown(" ".join(said.split())) for name in names.split(",")}
    return _markdown(text), meanings


def _markdown(text: str) -> str:
    return text.replace("``", "`")


def _first(one: Any) -> str:
    """The first sentence of a docstring."""
    text = _markdown(" ".join((inspect.getdoc(one) or "").partition("\n\n")[0].split()))
    return text[0].upper() + text[1:]


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _filled(head: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """A table without the columns in which nothing stands."""
    kept = [any(row[i] for row in rows) for i in range(len(head))]
    return list(compress(head, kept)), [list(compress(row, kept)) for row in rows]


def _table(head: list[str], rows: list[list[str]]) -> str:
    from regsearch.results.table import Table

    return Table(head, rows).markdown(str)
