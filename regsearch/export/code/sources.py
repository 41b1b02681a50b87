"""scikit-learn objects as the code that makes them."""

from __future__ import annotations

import ast
import inspect
import math
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from regsearch.errors import InvalidInput
from regsearch.export.code.definitions import WRITTEN_OUT, SourceModule

NUMPY = "import numpy as np"
WIDTH = 100  # characters after which a call is written on several lines


class CodeWriter:
    """Code of objects, and the imports and definitions that it needs.

    Examples
    --------
    >>> from sklearn.linear_model import Lasso
    >>> source = CodeWriter()
    >>> source.of(Lasso(alpha=0.5)), source.imports
    ('Lasso(alpha=0.5)', ['from sklearn.linear_model import Lasso'])
    """

    def __init__(self) -> None:
        self._imported: dict[str, set[str]] = {}
        self._modules: set[str] = set()
        self._defined: dict[str, str] = {}

    @property
    def imports(self) -> list[str]:
        """One line for each module, and those of definitions."""
        own = [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(self._imported.items())]
        return [*(f"import {module}" for module in sorted(self._modules)), *own]

    @property
    def definitions(self) -> str:
        """The steps of regsearch's own, to stand behind the imports, with the blank lines around them; often empty."""
        return "".join(f"\n\n{text}\n" for text in self._defined.values())

    def of(self, value: Any) -> str:
        """The expression that makes an object.

        Raises
        ------
        InvalidInput
            When a part of it is neither a constant nor made from importable classes.
        """
        forms: tuple[tuple[Callable[[Any], bool], Callable[[Any], str]], ...] = (
            (lambda one: hasattr(one, "get_params") and not isinstance(one, type), self._estimator),
            (lambda one: hasattr(one, "tolist"), lambda one: self.of(one.tolist())),  # arrays become lists
            (lambda one: type(one) is list, lambda one: _listed("[", map(self.of, one), "]")),
            (lambda one: type(one) is tuple, self._tuple),
            (lambda one: type(one) is dict, self._dict),
            (lambda one: type(one) is float and not math.isfinite(one), lambda one: f"float({str(one)!r})"),
            (callable, self.named),
        )
        write = next((write for fits, write in forms if fits(value)), _constant)
        return write(value)

    def named(self, value: Any) -> str:
        """The name of a class or function, which the code will import."""
        name, module = getattr(value, "__name__", ""), str(getattr(value, "__module__", ""))
        public = module.partition("._")[0]
        home = next((one for one in (public, module) if _has(one, name, value)), "")
        if home in WRITTEN_OUT:
            return self._define(SourceModule(home), name)
        if home.startswith("regsearch."):
            raise InvalidInput(
                f"Plain code has no {name}, a step of regsearch's own; export a bundle, or pass prepare= a transformer "
                "of scikit-learn's."
            )
        if not home:
            raise InvalidInput(
                f"Plain code imports what it uses, {name or value!r} of {module or 'no module'} cannot be imported; "
                "define it in a module of its own."
            )
        if home != "builtins":
            self._imported.setdefault(home, set()).add(name)
        return str(name)

    def _define(self, module: SourceModule, name: str) -> str:
        for used in module.needed_by(name):
            self._defined[used] = module.code(used)
            for home, taken in module.imports(used):
                (self._imported.setdefault(home, set()) if home else self._modules).add(taken)
        return name

    def _estimator(self, value: Any) -> str:
        """A call with the parameters that differ from their defaults."""
        defaults = {name: one.default for name, one in inspect.signature(type(value)).parameters.items()}
        given = value.get_params(deep=False).items()
        changed = [(name, one) for name, one in given if repr(one) != repr(defaults.get(name, inspect.Parameter.empty))]
        return _listed(f"{self.named(type(value))}(", (f"{name}={self.of(one)}" for name, one in changed), ")")

    def _tuple(self, value: tuple[Any, ...]) -> str:
        return f"({self.of(value[0])},)" if len(value) == 1 else _listed("(", map(self.of, value), ")")

    def _dict(self, value: dict[Any, Any]) -> str:
        return _listed("{", (f"{self.of(key)}: {self.of(one)}" for key, one in value.items()), "}")


def _listed(before: str, parts: Any, after: str) -> str:
    found: Sequence[str] = list(parts)
    line = before + ", ".join(found) + after
    if len(line) <= WIDTH and "\n" not in line:
        return line
    return before + "\n" + textwrap.indent(",\n".join(found), "    ") + ",\n" + after


def _constant(value: Any) -> str:
    written = repr(value)
    try:
        ast.literal_eval(written)
    except (ValueError, SyntaxError) as error:
        raise InvalidInput(
            f"Plain code is made of constants and importable classes, got {written:.200} of {type(value).__name__}; "
            "write that part by hand."
        ) from error
    return written


def _has(module: str, name: str, value: Any) -> bool:
    """Whether a program of its own can import the object from there: not from the script that was run."""
    return module != "__main__" and getattr(sys.modules.get(module), name, None) is value
