"""Pieces of pages that come from elsewhere in the repository, so that they cannot drift.

A line ``<!-- include: KIND ARGUMENT -->`` of a page stands for Markdown that one of `KINDS` makes. In the pages of
`WRITTEN` it stands below that line, to be read in the repository too: ``python tools/docs/excerpts.py`` writes it anew.
"""

from __future__ import annotations

import ast
import contextlib
import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import regularizers
from api import api

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = ("catalogue.md", *(f"reference/{name}.md" for name in ("after", "commands", "spaces", "studies")))
BODY = r"(?:\n(?:(?!^<!-- include: ).)*?^<!-- /include -->$)?"
LINE = re.compile(rf"^<!-- include: (\S+) ?([^\n]*?) ?-->${BODY}", flags=re.MULTILINE | re.DOTALL)


def expanded(page: str) -> str:
    """A page with its includes in place.

    Raises
    ------
    ValueError
        When one names nothing that exists.
    """
    return LINE.sub(lambda found: included(found[1], found[2]), page)


def written(page: str) -> str:
    """A page with what its includes stand for below each of their lines."""
    return LINE.sub(
        lambda found: f"{found[0].splitlines()[0]}\n{included(found[1], found[2])}\n<!-- /include -->", page
    )


def included(kind: str, argument: str) -> str:
    """What one include stands for."""
    if kind not in KINDS:
        raise ValueError(f"A page includes one of {', '.join(KINDS)}, got {kind!r}; correct the comment.")
    return KINDS[kind](argument)


# --- the changelog ---------------------------------------------------------------------------------------------


def changelog(_: str) -> str:
    """The changelog."""
    return (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").strip()


# --- source ----------------------------------------------------------------------------------------------------


def source(argument: str) -> str:
    """A class or a constant of a file as it stands: ``source FILE NAME``; the whole file without a name."""
    file, _, name = argument.partition(" ")
    text = (ROOT / file).read_text(encoding="utf-8")
    if name:
        text = _segment(text, name, file)
    return f'```python title="{file}"\n{text.strip()}\n```'


def _segment(text: str, name: str, file: str) -> str:
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
            return "\n".join(text.splitlines()[node.lineno - 1 : node.end_lineno])
    raise ValueError(f"{file} has no class or constant {name!r}; correct the comment.")


def suite(file: str) -> str:
    """What the tests of a file, or the checks of a shipped suite, say that holds, as a list."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    said = [_first(node) for node in tree.body if isinstance(node, ast.FunctionDef) and _states(node)]
    return "\n".join(f"- {sentence}" for sentence in said)


def _states(node: ast.FunctionDef) -> bool:
    """Whether a function states something that holds: it is a test, or added to a `regsearch.testing.suite.Suite`."""
    return node.name.startswith("test_") or any(".check(" in ast.unparse(one) for one in node.decorator_list)


def notation(file: str) -> str:
    """The table of symbols in a module's docstring: rows of two columns between lines of ``=``."""
    said = ast.get_docstring(ast.parse((ROOT / file).read_text(encoding="utf-8"))) or ""
    found = re.search(r"^=+ +=+\n(.+?)^=+ +=+$", said, flags=re.DOTALL | re.MULTILINE)
    if found is None:
        raise ValueError(f"The docstring of {file} has no table between two lines of '='.")
    rows = [line.split(maxsplit=1) for line in found[1].replace("``", "`").splitlines()]
    return "\n".join(["| hook | gets, or gives |", "| --- | --- |", *(f"| {name} | {text} |" for name, text in rows)])


def benchmark(file: str) -> str:
    """What a benchmark says of itself, and its measurements by the names that choose them."""
    tree = ast.parse((ROOT / "benchmarks" / file).read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    rows = [f"| `{name}` | {_measured(node, functions)} |" for name, node in functions.items() if _measures(node)]
    table = "\n".join(["| measurement | what it does |", "| --- | --- |", *rows])
    said = _fenced(ast.get_docstring(tree) or "")
    return f"{said}\n\n{table}" if rows else said


def _measures(node: ast.FunctionDef) -> bool:
    """Whether a function gives rows of results by itself."""
    gives = "" if node.returns is None else ast.unparse(node.returns)
    return gives in ("Iterator[Row]", "Iterator[harness.Row]") and not node.args.args


def _measured(node: ast.FunctionDef, functions: Mapping[str, ast.FunctionDef]) -> str:
    """What a measurement says of itself; else what the function says that makes its rows, and of which problem."""
    if _first(node):
        return _first(node)
    calls = [one.value for one in ast.walk(node) if isinstance(one, ast.YieldFrom) and isinstance(one.value, ast.Call)]
    called = {ast.unparse(call.func): ast.literal_eval(call.args[0]) for call in calls}
    return " ".join(f"{_first(functions[name])} Here: {problem}." for name, problem in called.items())


def _first(node: ast.FunctionDef) -> str:
    return (ast.get_docstring(node) or "").partition("\n\n")[0].replace("\n", " ").replace("``", "`")


def _fenced(docstring: str) -> str:
    """A docstring whose indented commands become a console block."""
    return re.sub(
        r"^((?:    .+\n?)+)",
        lambda found: "```console\n$ " + "\n$ ".join(found[1].strip().splitlines()) + "\n```\n",
        docstring.replace("``", "`"), flags=re.MULTILINE,
    )  # fmt: skip


# --- the command line ------------------------------------------------------------------------------------------


def commands(_: str) -> str:
    """The help of every command."""
    parts = [f"```text\n{help_of()}\n```"]
    parts += [f"## {name}\n\n```text\n{help_of(name)}\n```" for name in command_names()]
    return "\n\n".join(parts)


def command_names() -> list[str]:
    """The commands that ``regsearch --help`` lists."""
    return re.findall(r"^    (\w+) ", help_of(), flags=re.MULTILINE)


def help_of(*command: str) -> str:
    """What ``regsearch COMMAND --help`` prints."""
    from unittest.mock import patch

    from regsearch.cli import main

    printed = io.StringIO()
    with (
        patch.dict("os.environ", COLUMNS="100", NO_COLOR="1"),
        contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit),
    ):  # fmt: skip
        main([*command, "--help"])
    return printed.getvalue().strip()


KINDS: dict[str, Callable[[str], str]] = {
    "api": api, "changelog": changelog, "source": source, "benchmark": benchmark,
    "suite": suite, "notation": notation, "commands": commands, "penalties": regularizers.penalties,
    "penalty_classes": regularizers.penalty_classes, "losses": regularizers.losses,
    "loss_classes": regularizers.loss_classes,
    "slots": regularizers.slots, "techniques": regularizers.techniques, "scales": regularizers.scales,
    "figures": regularizers.figures, "rules": regularizers.rules,
    "rule_functions": regularizers.rule_functions, "spaces": regularizers.ready_made,
}  # fmt: skip


if __name__ == "__main__":
    for name in WRITTEN:
        file = ROOT / "docs" / name
        file.write_text(written(file.read_text(encoding="utf-8")), encoding="utf-8")
