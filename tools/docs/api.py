"""What can be imported, as Markdown: how it is called, and what its docstring says of it.

It reads in the repository as it does in the site. Of a class it has the methods and properties that users call: those
of its own and of its bases in regsearch, but none of configs, which are written and not called.
"""

from __future__ import annotations

import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from functools import cached_property
from typing import Any

WIDTH = 100  # letters from which a signature has a line for each argument
SECTION = re.compile(r"^([A-Z]\w*(?: \w+)*)\n-{3,}\n", flags=re.MULTILINE)
LISTED = ("Parameters", "Attributes", "Returns", "Yields", "Raises")  # sections of a name and what is said of it


def api(argument: str) -> str:
    """Things by their dotted names."""
    return "\n\n".join(entry(name) for name in argument.split())


def entry(name: str) -> str:
    """One thing by its dotted name.

    Raises
    ------
    ValueError
        When there is none.
    """
    try:
        found = pkgutil.resolve_name(name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"There is no {name}; correct the comment.") from error
    short = name.rpartition(".")[2]
    home = found.__module__ if name.count(".") > 1 else "regsearch"
    imported = f"*`from {home} import {short}`*"
    if inspect.ismodule(found):
        functions = [one for _, one in inspect.getmembers(found, inspect.isfunction) if one.__module__ == name]
        public = [one for one in functions if not one.__name__.startswith("_")]
        return "\n\n".join(
            [_described(f"### {short}", found, imported), *(_member(short, one.__name__, one) for one in public)]
        )
    return "\n\n".join([
        _described(f"### {short}", found, imported, _signature(short, found)),
        *(_member(short, called, one) for called, one in _members(found)),
    ])  # fmt: skip


def _member(owner: str, name: str, one: Any) -> str:
    called = _signature(f"{owner}.{name}", one) if inspect.isfunction(one) or inspect.ismethod(one) else ""
    return _described(f"#### {owner}.{name}", one, called)


def _described(head: str, one: Any, *called: str) -> str:
    return "\n\n".join(part for part in (head, *called, said(inspect.getdoc(one) or "")) if part)


def _members(found: Any) -> Iterator[tuple[str, Any]]:
    """Public methods and properties of a class, its own before those of its bases, in the order of their source."""
    from regsearch.space.tree import Node

    if not isinstance(found, type) or issubclass(found, (Node, Exception)):
        return
    seen: set[str] = set()
    for base in found.__mro__:
        for name, one in vars(base).items() if base.__module__.startswith("regsearch.") else ():
            public = not name.startswith("_") and name not in seen and bool(inspect.getdoc(one))
            if public and (inspect.isroutine(one) or isinstance(one, (property, cached_property))):
                yield name, getattr(found, name)
            elif public and hasattr(one, "fn"):  # a method that is there under a condition, as scikit-learn has it
                yield name, one.fn
            seen.add(name)


# --- how it is called ------------------------------------------------------------------------------------------


def _signature(name: str, found: Any) -> str:
    """A call with the defaults; of an error, which nobody makes, nothing."""
    if isinstance(found, type) and issubclass(found, Exception):
        return ""
    known = inspect.signature(found).parameters.values()
    shown = [one for one in known if one.name not in ("self", "cls")]
    arguments = list(_arguments(shown))
    line = f"{name}({', '.join(arguments)})"
    if len(line) > WIDTH:
        lines = textwrap.wrap(", ".join(arguments), WIDTH - 4)
        line = f"{name}(\n{textwrap.indent(chr(10).join(lines), '    ')},\n)"
    return f"```text\n{line}\n```"


def _arguments(known: list[inspect.Parameter]) -> Iterator[str]:
    """Arguments as they are written, with the marks behind which they have names only."""
    marked = False
    for one in known:
        if one.kind is one.KEYWORD_ONLY and not marked:
            yield "*"
        marked = marked or one.kind in (one.KEYWORD_ONLY, one.VAR_POSITIONAL)
        starred: dict[Any, str] = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}
        yield starred.get(one.kind, "") + one.name + ("" if one.default is one.empty else f"={_default(one.default)}")


def _default(value: Any) -> str:
    written = repr(value)
    return "..." if written.startswith("<") or " at 0x" in written else written


# --- what is said of it ----------------------------------------------------------------------------------------


def said(docstring: str) -> str:
    """A numpydoc docstring as Markdown."""
    text, *rest = SECTION.split(docstring)
    sections = (_section(name, body) for name, body in zip(rest[::2], rest[1::2], strict=True))
    return "\n\n".join(part for part in (_prose(text), *sections) if part)


def _section(name: str, body: str) -> str:
    if name == "Examples":
        return "\n\n".join(f"```pycon\n{block}\n```" for block in body.strip("\n").split("\n\n"))
    shown = _listed(body) if name in LISTED else _prose(body)
    return f"**{name}**\n\n{shown}"


def _listed(body: str) -> str:
    entries = re.findall(r"^(\S.*)\n?((?:(?:    .*)?\n)*(?:    .*)?)", body.strip("\n"), flags=re.MULTILINE)
    return "\n".join(_item(names, textwrap.dedent(meaning)) for names, meaning in entries)


def _item(names: str, meaning: str) -> str:
    first, *others = _paragraphs(meaning)
    shown = ", ".join(f"`{one.strip()}`" for one in names.split(","))
    lines = [f"- {shown}: {first}" if first else f"- {shown}"]
    return "\n\n".join([*lines, *(textwrap.indent(one, "    ") for one in others)])


def _prose(text: str) -> str:
    return "\n\n".join(_paragraphs(text))


def _paragraphs(text: str) -> list[str]:
    """Paragraphs in a line each, lists as they are; at least an empty one."""
    found = [one.strip("\n") for one in re.split(r"\n\s*\n", text.strip("\n"))]
    return [_marked(one if re.match(r"\s*(-|\d+\.) ", one) else " ".join(one.split())) for one in found]


def _marked(text: str) -> str:
    """Text with code in single backticks, and nothing that a page takes for a tag."""
    parts = re.split(r"(`[^`]+`)", text.replace("``", "`"))
    return "".join(one if one.startswith("`") else one.replace("<", "&lt;") for one in parts)
