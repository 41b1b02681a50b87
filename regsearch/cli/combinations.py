"""Options that mean nothing together are refused before anything is done, and none is ignored without a word."""

from __future__ import annotations

import argparse

from regsearch.errors import InvalidInput


def needs(arguments: argparse.Namespace, owner: str, why: str, *options: str) -> None:
    """Refuse options that are about another one, where that is missing.

    Parameters
    ----------
    owner
        The other option, with the word for its value: ``--data FILE``.
    why
        What the options are: ``of an ensemble``.

    Raises
    ------
    InvalidInput
        When one of them is given without it.
    """
    name = owner.partition(" ")[0]
    if not _given(arguments, name) and (first := _first(arguments, options)):
        raise InvalidInput(f"{first} is {why}, got it without {name}; add {owner}, or leave it out.")


def excludes(arguments: argparse.Namespace, owner: str, why: str, *options: str) -> None:
    """Refuse options beside one for which they mean nothing.

    Parameters
    ----------
    why
        What that does: ``prints code alone``.

    Raises
    ------
    InvalidInput
        When one of them is given beside it.
    """
    if _given(arguments, owner) and (first := _first(arguments, options)):
        raise InvalidInput(f"{owner} {why}, got {first} too; leave one out.")


def _first(arguments: argparse.Namespace, options: tuple[str, ...]) -> str | None:
    return next((name for name in options if _given(arguments, name)), None)


def _given(arguments: argparse.Namespace, option: str) -> bool:
    """Whether a command line has an option: no value of its own is `None` or `False`."""
    value = vars(arguments)[option.lstrip("-").replace("-", "_")]
    return value is not None and value is not False
