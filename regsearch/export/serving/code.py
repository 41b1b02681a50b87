"""Code of the user's own that a served model needs: the function that makes a net, the classes that are trusted."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regsearch.errors import InvalidInput


@dataclass(frozen=True)
class Code:
    """Where the modules of some names come from.

    Attributes
    ----------
    packages
        Installed distributions: a server installs them.
    paths
        Files and folders of the user's own: they go with the model.
    """

    packages: tuple[str, ...]
    paths: tuple[Path, ...]


def code_of(names: Sequence[str]) -> Code:
    """The code behind dotted names, of functions and types.

    Raises
    ------
    InvalidInput
        When a server could not import one: what a script or a notebook defines itself has no module.
    """
    installed = importlib.metadata.packages_distributions() if names else {}  # it reads what every package has
    homes = {name.partition(".")[0]: name for name in names}
    own = [top for top in homes if top not in installed and top not in sys.stdlib_module_names and top != "regsearch"]
    packages = sorted({home for top in homes for home in installed.get(top, ())})
    return Code(tuple(packages), tuple(_place(top, homes[top]) for top in own))


def _place(top: str, name: str) -> Path:
    """The file or folder of a module that nothing installed."""
    spec = importlib.util.find_spec(top) if top != "__main__" else None
    places = [] if spec is None else [*(spec.submodule_search_locations or ()), spec.origin]
    if not places or places[0] is None:
        raise InvalidInput(
            f"A server must import {name}, which is in no module that it could import; put it in a file of its own, "
            "import it from there, and export the study again."
        )
    return Path(places[0])


def name_of(module: Callable[[], Any]) -> str:
    """The dotted name by which a server imports the function that makes a net, with a colon after its module.

    Raises
    ------
    InvalidInput
        When it cannot be imported by its name.
    """
    home, name = getattr(module, "__module__", None), getattr(module, "__qualname__", repr(module))
    try:
        found = pkgutil.resolve_name(f"{home}:{name}") if home in sys.modules and home != "__main__" else None
    except (ImportError, AttributeError, ValueError):
        found = None
    if found is not module:
        raise InvalidInput(
            f"A server must import the function that makes the net, and {home}.{name} cannot be imported by its name; "
            "define it at the top level of a file of its own, import it from there, and run the script again."
        )
    return f"{home}:{name}"
