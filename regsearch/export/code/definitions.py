"""Steps of regsearch's own as code that imports nothing of it: their source, without annotations."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

WRITTEN_OUT = ("regsearch.data.column_steps",)  # modules whose steps are so simple that they can be read in a script
RAISED = "InvalidInput", "ValueError"  # an error of regsearch's, and what a script raises
OURS = __name__.partition(".")[0]


@dataclass(frozen=True)
class SourceModule:
    """What a module defines at its top, by name."""

    name: str

    @cached_property
    def _tree(self) -> ast.Module:
        return _Bare().visit(ast.parse(inspect.getsource(sys.modules[self.name])))  # type: ignore[no-any-return]

    @cached_property
    def _defined(self) -> dict[str, ast.stmt]:
        found: dict[str, ast.stmt] = {}
        for node in self._tree.body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                found[node.name] = node
            elif isinstance(node, ast.Assign):
                found |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
        return found

    @cached_property
    def _imported(self) -> dict[str, tuple[str, str]]:
        """By a name that an import binds: the module that it is of, if it is of one, and what is imported."""
        found = {}
        for node in self._tree.body:
            for alias in getattr(node, "names", ()):
                bound = f"{alias.name} as {alias.asname}" if alias.asname else alias.name
                found[alias.asname or alias.name] = getattr(node, "module", None) or "", bound
        return {name: (module, bound) for name, (module, bound) in found.items() if module.partition(".")[0] != OURS}

    def needed_by(self, name: str) -> list[str]:
        """A name of the module, behind those of it that its definition uses, each once."""
        found: dict[str, None] = {}
        self._add(name, found)
        return [*found]

    def _add(self, name: str, found: dict[str, None]) -> None:
        for used in _names(self._defined[name]):
            if used in self._defined and used != name and used not in found:
                self._add(used, found)
        found[name] = None

    def code(self, name: str) -> str:
        """The definition of one name."""
        return ast.unparse(self._defined[name]).replace(*RAISED)

    def imports(self, name: str) -> set[tuple[str, str]]:
        """What the definition of one name needs: modules and names of them; of a whole module, no module and it."""
        return {self._imported[used] for used in _names(self._defined[name]) if used in self._imported}


class _Bare(ast.NodeTransformer):
    """Code without annotations."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> Any:
        node.annotation = None
        return node

    def visit_If(self, node: ast.If) -> Any:
        """What type checkers alone see is left out."""
        return None if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" else self.generic_visit(node)


def _names(node: ast.AST) -> Iterator[str]:
    return (each.id for each in ast.walk(node) if isinstance(each, ast.Name))
