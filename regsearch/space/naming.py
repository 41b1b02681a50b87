"""What a user's objects are called in storage and in digests."""

from __future__ import annotations

import pathlib
import re
import sys
import types
from typing import Any

import numpy as np


def text(value: Any) -> str:
    """What an object is called in storage: the same in every process, and whole however long it is."""
    if isinstance(value, types.FunctionType | type):
        return f"{home(value)}.{value.__qualname__}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(text, value)) + "]"
    if isinstance(value, np.ndarray):
        return text(value.tolist())
    # a scikit-learn estimator cuts its own text short unless told not to
    whole = value.__repr__(N_CHAR_MAX=sys.maxsize) if hasattr(value, "get_params") else repr(value)
    return " ".join(re.sub(r" at 0x[0-9a-fA-F]+", "", whole).split())


def home(value: Any) -> str:
    """The module of a function or a class; of the script that runs its file's name, by which others import it."""
    file = getattr(sys.modules["__main__"], "__file__", None) if value.__module__ == "__main__" else None
    return str(value.__module__) if file is None else pathlib.Path(file).stem
