"""scikit-learn objects in files, without pickle: what is read runs nothing that is not trusted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from regsearch.errors import InvalidInput, NotFound

TRUSTED = ("numpy.dtype",)  # which skops leaves to its caller: a description of numbers, nothing that runs


def write_object(fitted: Any, file: Path) -> list[str]:
    """Write an object; the types that a user must trust to read it again.

    Raises
    ------
    InvalidInput
        When it cannot be written, or not be read again.
    """
    from skops import io

    try:
        io.dump(fitted, file)
    except Exception as error:  # skops names no error type of its own for what it cannot write
        raise InvalidInput(f"The model cannot be written without pickle: {error}") from error
    try:
        unknown = sorted(set(io.get_untrusted_types(file=file)) - set(TRUSTED))
        io.load(file, trusted=[*TRUSTED, *unknown])
    except Exception as error:  # what skops writes but cannot rebuild fails in the constructor of its type
        raise InvalidInput(
            f"A model must load again from what is written of it, this one does not ({type(error).__name__}: {error}); "
            "turn columns such as categories of dates into text, and define own classes in a module."
        ) from error
    return unknown


def read_object(file: Path, trusted: Sequence[str] = ()) -> Any:
    """Read an object.

    Parameters
    ----------
    trusted
        Names of types beyond scikit-learn's own that the user trusts.

    Raises
    ------
    NotFound
        When there is no file.
    InvalidInput
        When it is damaged, or holds types that are not trusted.
    """
    from skops import io

    if not file.exists():
        raise NotFound(f"A bundle has a {file.name}, {file.parent} has none; export it again.")
    try:
        unknown = sorted(set(io.get_untrusted_types(file=file)) - {*TRUSTED, *trusted})
    except Exception as error:  # a damaged archive fails in many ways inside skops; all of them mean the same
        raise InvalidInput(f"{file} is damaged ({type(error).__name__}: {error}); export it again.") from error
    if unknown:
        raise InvalidInput(
            f"A bundle loads only types that are trusted, {file} also has {', '.join(unknown)}; "
            f"if you know them, pass trusted={unknown!r}."
        )
    return io.load(file, trusted=[*TRUSTED, *trusted])
