"""What a user's objects are called: for people, and in what a study knows itself by."""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from regsearch.space.fingerprint import content_hash
from regsearch.space.packages import full_name, is_known

WHOLE = 100  # numbers of an array that is written out


def identity(value: Any) -> str:
    """What an object is: equal for equal code and content in every process, different for any other.

    Its text, and a hash of its content where the text does not show all of it: the body, defaults, closure and globals
    of a function, the numbers of an array, the state of a random generator.
    """
    digits, written = content_hash(value)
    return readable(value) if written else f"{readable(value)} #{digits}"


def import_name(value: Any) -> str:
    """The dotted name by which others import a function or a class: of the script that is run, by its file's name."""
    file = getattr(sys.modules["__main__"], "__file__", None) if value.__module__ == "__main__" else None
    return f"{value.__module__ if file is None else Path(file).stem}.{value.__qualname__}"


def readable(value: Any) -> str:
    """An object in a few words, the same in every process; several objects may have one text."""
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(readable, value)) + "]"
    return value if isinstance(value, str) else _code(value)


@functools.singledispatch
def _code(value: Any) -> str:
    """An object as code that might make it."""
    if is_known(value):
        return full_name(value)
    if hasattr(value, "get_params"):
        return f"{type(value).__name__}({', '.join(f'{name}={text}' for name, text in _changed(value).items())})"
    if not content_hash(value)[1]:
        return type(value).__qualname__  # its own text may have an address in it, or an order that is chance
    return " ".join(repr(value).split())


@_code.register(types.NoneType)
@_code.register(bool)
@_code.register(int)
@_code.register(float)
@_code.register(str)
def _scalar(value: Any) -> str:
    return repr(value)


@_code.register(type)
@_code.register(types.FunctionType)
def _definition(value: Any) -> str:
    return full_name(value) if is_known(value) else str(value.__qualname__)


@_code.register(np.ndarray)
def _array(value: Any) -> str:
    if value.size <= WHOLE:
        return readable(value.tolist())
    return f"array of {' x '.join(map(str, value.shape))} {content_hash(value)[0]}"


@_code.register(list)
def _list(value: Any) -> str:
    return f"[{', '.join(map(_code, value))}]"


@_code.register(tuple)
def _tuple(value: Any) -> str:
    return f"({_code(value[0])},)" if len(value) == 1 else f"({', '.join(map(_code, value))})"


@_code.register(set)
@_code.register(frozenset)
def _set(value: Any) -> str:
    return "{" + ", ".join(sorted(map(_code, value))) + "}"


@_code.register(dict)
def _mapping(value: Any) -> str:
    return "{" + ", ".join(sorted(f"{_code(key)}: {_code(child)}" for key, child in value.items())) + "}"


def _changed(estimator: Any) -> dict[str, str]:
    """The parameters of a scikit-learn estimator that are not at their defaults, as text."""
    defaults = _defaults(type(estimator).__init__)
    given = {name: _code(value) for name, value in estimator.get_params(deep=False).items()}
    return {name: text for name, text in given.items() if defaults.get(name) != text}


@functools.cache
def _defaults(function: Callable[..., Any]) -> dict[str, str]:
    """The defaults of the arguments of a function, as text."""
    arguments = inspect.signature(function).parameters.items()
    return {name: _code(each.default) for name, each in arguments if each.default is not inspect.Parameter.empty}
