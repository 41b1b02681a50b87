"""Commands that go on from a study, as its user would type them."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from regsearch.cleaning import HIDDEN, without_secrets
from regsearch.storage.store import Store
from regsearch.study.arguments import STORAGE


def command() -> str:
    """The command line's name, with its folder when it is not on the path (a virtual environment not activated)."""
    beside = Path(sys.executable).with_name("regsearch")
    if shutil.which("regsearch") or not beside.exists():
        return "regsearch"
    return os.path.relpath(beside)


def where(store: Store) -> str:
    """The options that say where a study lies; empty where every command looks anyway."""
    root = f" --root {shlex.quote(str(store.root))}" if store.root != Path("mlruns").absolute() else ""
    stored = store.url is None or os.environ.get(STORAGE) == store.url
    return root + ("" if stored else address_option("--storage", str(store.url)))


def address_option(name: str, address: str) -> str:
    """An option whose value is an address: by the environment's variable that has it where it holds secrets."""
    shown = without_secrets(address)
    if shown == address:
        return f" {name} {shlex.quote(address)}"
    variables = [variable for variable, value in os.environ.items() if value == address]
    return f' {name} "${variables[0]}"' if variables else f" {name} {shlex.quote(shown)}"


def sync_command(store: Store, tracking: str) -> str:
    """The command that brings MLflow at an address up to date, which the study remembers but for its secrets."""
    address = address_option("--tracking", tracking) if without_secrets(tracking) != tracking else ""
    secrets = f" with the secrets in place of {HIDDEN}" if HIDDEN in address or HIDDEN in where(store) else ""
    return f"`{command()} sync {store.name}{where(store)}{address}`{secrets}"
