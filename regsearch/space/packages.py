"""What is of an installed package, and counts by its name, and what is the user's own."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import sysconfig
import types
from pathlib import Path
from typing import Any

STANDARD = Path(sysconfig.get_paths()["stdlib"])


def installed(module: str) -> bool:
    """Whether a module is of an installed package, this one included, and not the user's own."""
    package = module.partition(".")[0]
    if package in ("__main__", "regsearch"):
        return package == "regsearch"
    file = getattr(sys.modules.get(module), "__file__", None)
    return package in sys.stdlib_module_names if file is None else is_installed_file(file)


@functools.cache
def is_installed_file(file: str) -> bool:
    """Whether a file of code is one of Python's own or of an installed package."""
    path = Path(file)
    return path.is_relative_to(STANDARD) or not {"site-packages", "dist-packages"}.isdisjoint(path.parts)


def is_own_module(value: Any) -> bool:
    """Whether a value is a module of the user's own."""
    return isinstance(value, types.ModuleType) and not installed(value.__name__)


def own_module(name: str) -> types.ModuleType | None:
    """The user's own module of that name, imported as the code that names it would; `None` where it is none."""
    package = name.partition(".")[0]
    if package in sys.stdlib_module_names or package == "regsearch":
        return None
    try:
        found = importlib.util.find_spec(package) if package not in sys.modules else None
        if found is not None and (found.origin is None or is_installed_file(found.origin)):
            return None
        module = sys.modules.get(name) or importlib.import_module(name)
    except Exception:  # noqa: BLE001 - anyone's module: what cannot be imported here is not read here
        return None
    return module if is_own_module(module) else None


def is_known(value: Any) -> bool:
    """Whether an object is the one that an installed module has under its name."""
    name, module = _name(value), sys.modules.get(str(getattr(value, "__module__", "")))
    if not name or module is None or not installed(module.__name__):
        return False
    try:
        return functools.reduce(getattr, name.split("."), module) is value
    except AttributeError:
        return False


def full_name(value: Any) -> str:
    return f"{value.__module__}.{_name(value)}"


def top_package(value: Any) -> str:
    return str(value.__module__).partition(".")[0]


def _name(value: Any) -> str:
    return str(getattr(value, "__qualname__", getattr(value, "__name__", "")))
