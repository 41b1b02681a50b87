"""The rooms of the package, read off its code: what each holds and imports, as a table and as a picture.

``python tools/docs/rooms.py`` writes both where the page on the architecture shows them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "regsearch"
PAGE = ROOT / "docs" / "architecture.md"
PICTURE = ROOT / "docs" / "rooms.svg"
TABLE = re.compile(r"(?<=<!-- rooms -->\n).*?(?=<!-- /rooms -->)", flags=re.DOTALL)

# The rooms, ground up: each imports only from rooms above it in this list; space and data know nothing of each other.
ROOMS = ("data", "space", "metrics", "models", "parallel", "storage", "mirror", "results", "export", "study", "cli")
# What stands flat beside them: the ground, which imports no room, and what is built on some.
GROUND = {"cleaning", "documents", "errors", "inputs", "version", "_types", "progress", "numeric", "cores"}
ABOVE = {"spaces": "models", "testing": "models", "__init__": "cli", "__main__": "cli"}  # each imports up to this room


def module_name(file: Path) -> str:
    """The dotted name of a module, without the package's own."""
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package, parsed, by its dotted name."""
    return {module_name(file): ast.parse(file.read_text(encoding="utf-8")) for file in sorted(PACKAGE.rglob("*.py"))}


def imported(tree: ast.AST) -> Iterator[str]:
    """Every dotted name that a module imports anywhere, function bodies and ``TYPE_CHECKING`` blocks included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(tree: ast.AST, known: Mapping[str, ast.Module]) -> set[str]:
    """The modules of the package that a module imports."""
    found = set()
    for name in imported(tree):
        package, _, rest = name.partition(".")
        if package != PACKAGE.name:
            continue
        while rest not in known:
            rest = rest.rpartition(".")[0]
            assert rest, f"{name} is no module of {PACKAGE.name}"
        found.add(rest)
    return found


def place(module: str) -> str:
    """The room that a module is in, or its own name where it stands flat."""
    return module.partition(".")[0]


@dataclass(frozen=True)
class Room:
    """A room: what its docstring says it holds, and the rooms that it imports."""

    name: str
    holds: str
    imports: tuple[str, ...]


def rooms() -> list[Room]:
    """The rooms, ground up."""
    known = modules()
    found = []
    for name in ROOMS:
        inside = {module: tree for module, tree in known.items() if place(module) == name}
        reached = {place(other) for tree in inside.values() for other in own(tree, known)}
        holds = (ast.get_docstring(known[name]) or "").partition("\n")[0].rstrip(".")
        below = tuple(other for other in ROOMS if other in reached and other != name)
        found.append(Room(name, holds, below))
    return found


# --- as a table ------------------------------------------------------------------------------------------------


def table(found: list[Room]) -> str:
    """The rooms as Markdown, the uppermost first."""
    rows = [f"| **{room.name}** | {room.holds} | {', '.join(room.imports) or '-'} |" for room in reversed(found)]
    return "\n".join(["| room | holds | imports |", "| --- | --- | --- |", *rows]) + "\n"


def page() -> str:
    """The page on the architecture with the table as the code has it now."""
    return TABLE.sub(lambda _: table(rooms()), PAGE.read_text(encoding="utf-8"))


# --- as a picture ----------------------------------------------------------------------------------------------

HEIGHT, GAP, WIDTH, CELL, TOP = 34, 6, 640, 26, 76  # pixels


def picture(found: list[Room]) -> str:
    """The rooms as floors, the uppermost first, with a dot beside each for every room below that it imports."""
    high, names = list(reversed(found)), [room.name for room in reversed(found)]
    parts = [
        _text(WIDTH + 14 + i * CELL, TOP - 8, name, f'transform="rotate(-50 {WIDTH + 14 + i * CELL} {TOP - 8})"')
        for i, name in enumerate(names)
    ]
    for row, room in enumerate(high):
        y = TOP + row * (HEIGHT + GAP)
        parts += [
            f'<rect x="1" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="5" class="room"/>',
            _text(14, y + 22, room.name, 'class="name"'),
            _text(92, y + 22, room.holds),
            *(_dot(i, y, name in room.imports) for i, name in enumerate(names) if i > row),
        ]
    width, height = WIDTH + 34 + len(high) * CELL, TOP + len(high) * (HEIGHT + GAP) + 4
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-label="The rooms of regsearch and their imports">',
        f"<style>{STYLE}</style>", *parts, "</svg>\n",
    ])  # fmt: skip


STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#555}.name{font-weight:700;font-size:13px;fill:#1a3a5c}"
    ".room{fill:#eef3f8;stroke:#b8c9da}.on{fill:#1a3a5c}.off{fill:none;stroke:#d5dde5}"
)


def _text(x: float, y: float, text: str, attributes: str = "") -> str:
    return f'<text x="{x}" y="{y}" {attributes}>{escape(text)}</text>'


def _dot(column: int, y: float, on: bool) -> str:
    return f'<circle cx="{WIDTH + 18 + column * CELL}" cy="{y + HEIGHT / 2}" r="5" class="{"on" if on else "off"}"/>'


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    PICTURE.write_text(picture(rooms()), encoding="utf-8")
