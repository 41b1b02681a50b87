"""What users pass as folders, files, names and switches: checked in one place each, refused in a sentence."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from regsearch.cleaning import printable
from regsearch.errors import InvalidInput

PART = 255  # bytes that one name in a path may have
SHOWN = 80  # letters of a value that an error repeats
COUNTS = {1: "one argument", 2: "two arguments"}


def said(value: Any) -> str:
    """A value as an error repeats it."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def did_you_mean(
    name: Any, known: Iterable[str], otherwise: str, also: Mapping[str, str] = MappingProxyType({})
) -> str:
    """What may have been meant by a name that is none, as the end of an error.

    Parameters
    ----------
    known
        The names that there are.
    otherwise
        What is said where none is like it.
    also
        By what others call it, in small letters, the name.
    """
    import difflib

    text = str(name)[:SHOWN]
    called = also.get(text.lower())
    close = [called] if called else difflib.get_close_matches(text, [*known], n=3)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else otherwise


def place(value: Any, what: str) -> Path:
    """A path to a file or a folder, which need not be there.

    Raises
    ------
    InvalidInput
        When no file can be called so.
    """
    try:
        text = os.fspath(value)
    except TypeError:
        text = None
    if not isinstance(text, str) or not text.strip():
        raise InvalidInput(f"{what} must be a path, got {said(value)}; give the name of a file or a folder.")
    if printable(text) != text or any(len(part.encode()) > PART for part in re.split(r"[/\\\\]", text)):
        raise InvalidInput(
            f"{what} must be a path of names of at most {PART} bytes without control characters, got {said(value)}; "
            "choose another."
        )
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise InvalidInput(f"{what} must be a path, got {said(value)} ({error}); write it out.") from error


def one_name(value: Any, what: str, fix: str) -> str:
    """A name of one line.

    Raises
    ------
    InvalidInput
        When it is none.
    """
    if not isinstance(value, str) or not value.strip() or printable(value) != value:
        raise InvalidInput(f"{what} must be a name of one line, got {said(value)}; {fix}")
    return value


def counted(value: Any, what: str) -> int:
    """A whole number from 0.

    Raises
    ------
    InvalidInput
        When it is none.
    """
    from regsearch.numeric import is_whole, plain

    count = plain(value)
    if not is_whole(count) or count < 0:
        raise InvalidInput(f"{what} must be a whole number from 0, got {said(value)}.")
    return int(count)


def switch(value: Any, what: str) -> None:
    """Refuse what is neither true nor false.

    Raises
    ------
    InvalidInput
        Naming it.
    """
    if not isinstance(value, bool):
        raise InvalidInput(f"{what} must be True or False, got {said(value)}.")


def takes(count: int, function: Callable[..., Any], what: str, fix: str) -> None:
    """Refuse a function of the user's that cannot be called with so many arguments.

    Raises
    ------
    InvalidInput
        Saying why it cannot.
    """
    import inspect

    try:
        inspect.signature(function).bind(*[None] * count)
    except ValueError:  # one that is not written in Python may have no signature
        return
    except TypeError as error:
        raise InvalidInput(
            f"{what} must be a function of {COUNTS[count]}, got {said(function)} ({error}); {fix}"
        ) from error


def names(value: Any, what: str) -> Sequence[str]:
    """A list of names; text alone would be a list of its letters.

    Raises
    ------
    InvalidInput
        When it is none.
    """
    if isinstance(value, str) or not isinstance(value, (list, tuple, set, frozenset)):
        raise InvalidInput(f"{what} must be a list of names, got {said(value)}; write [{said(value)}].")
    if not all(isinstance(one, str) for one in value):
        raise InvalidInput(f"{what} must be a list of names, got {said(value)}; leave out what is none.")
    return [*value]


def check_no_metric(name: str, scorer: Any) -> None:
    """Refuse a function of targets and predictions, as scikit-learn has them beside its scorers.

    Raises
    ------
    InvalidInput
        When its first argument says so.
    """
    import inspect

    try:
        first = next(iter(inspect.signature(scorer).parameters), "")
    except (TypeError, ValueError):  # written in C
        return
    if first == "y_true":
        raise InvalidInput(
            f"A scorer is a function of a model and its data, got {name!r}, which is one of targets and predictions; "
            f"pass make_scorer({name}), of an error with greater_is_better=False, or the name of a scorer."
        )
