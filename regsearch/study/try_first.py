"""Configs that a study is told to try before all others, however they are given."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import singledispatch
from typing import Any

from regsearch.documents import JSON_BYTES, parse_json, read_bounded
from regsearch.errors import InvalidInput
from regsearch.export.bundle.loading import starts_of
from regsearch.inputs import did_you_mean, place, said
from regsearch.models.base import REFERENCE, Model
from regsearch.numeric import plain
from regsearch.results.choice import Chosen
from regsearch.results.trials_table import params_in_row
from regsearch.space.config import digest, to_data
from regsearch.space.params import parameter_names
from regsearch.space.placing import params_for
from regsearch.space.rows import place_row, same_in_row
from regsearch.space.sampling import fill

FORMS = (
    "a dict of parameters by the names that `results.trials` shows, the choice of another study, a config, the folder "
    "of a bundle or a JSON file of such dicts"
)
SHOWN = {"chosen": "study", "config": "number"}  # what `regsearch show --json` prints of a config, and what beside it


def first_params(given: Iterable[tuple[str, Any]], space: Model) -> list[dict[str, Any]]:
    """Optuna parameters of configs to try first, each config once.

    Parameters
    ----------
    given
        Configs as `regsearch.Study` takes them, with what each is called in an error.

    Raises
    ------
    InvalidInput
        Naming everything that the space does not have of one.
    """
    found: dict[str, dict[str, Any]] = {}
    for what, one in given:
        for params in _params(one, space, what):
            found.setdefault(digest(fill(space, params)), params)
    return list(found.values())


@singledispatch
def _params(one: Any, space: Model, what: str) -> Iterator[dict[str, Any]]:
    """Parameters of what was given; none of a reference, with which every study begins."""
    raise InvalidInput(f"{what} must be {FORMS}; got {said(one)}.")


@_params.register
def _(one: Chosen, space: Model, what: str) -> Iterator[dict[str, Any]]:
    if one.trial.role != REFERENCE:
        yield params_for(space, one.trial.config, one.trial.value, what)


@_params.register
def _(one: Model, space: Model, what: str) -> Iterator[dict[str, Any]]:
    yield params_for(space, to_data(one), None, what)


@_params.register(str)
@_params.register(os.PathLike)
def _(one: str | os.PathLike[str], space: Model, what: str) -> Iterator[dict[str, Any]]:
    path = place(one, what)
    if path.is_dir():
        yield from starts_of(path, space)
        return
    if not path.is_file():
        raise InvalidInput(f"{what} must be {FORMS}; there is no {path}.")
    document = parse_json(read_bounded(path, JSON_BYTES), str(path))
    for i, entry in enumerate(document if isinstance(document, list) else [document]):
        if not isinstance(entry, dict):
            raise InvalidInput(f"{path} must hold dicts of parameters, got {said(entry)}; see `regsearch show --json`.")
        yield from _params(entry, space, f"{path}[{i}]" if isinstance(document, list) else str(path))


@_params.register
def _(one: Mapping, space: Model, what: str) -> Iterator[dict[str, Any]]:  # type: ignore[type-arg]
    known = _names(space)
    for shown, beside in SHOWN.items():
        if isinstance(one.get(shown), Mapping) and (shown not in known or beside in one):
            yield from _params(one[shown], space, what)
            return
    if "type" in one and (
        "type" not in known or one["type"] in [family.tag() for family in space.references().values()]
    ):
        yield params_for(space, one, None, what)
    elif "role" in known or one.get("role") != REFERENCE:
        row = params_in_row({name: plain(value) for name, value in one.items()}, known)
        if one and not row:
            raise InvalidInput(f"A config to try first must have parameters, {what} has none; name one.")
        yield _of_row(row, space, what)


def _names(space: Model) -> set[str]:
    """What the space calls its parameters, in tables and in Optuna."""
    names = parameter_names(space)
    return {*names.names.values(), *names.leaves.values()} - {""}


def _of_row(row: Mapping[str, Any], space: Model, what: str) -> dict[str, Any]:
    """Parameters of a flat row; what it leaves out is as usual."""
    placing = place_row(space, row)
    misfits = placing.misfits or list(_rest(row, placing.params, placing.used, space))
    if misfits:
        raise InvalidInput(
            f"A config to try first must lie in the space, {what} does not ({'; '.join(misfits)}); change it, or widen "
            "the space."
        )
    return placing.params


def _rest(row: Mapping[str, Any], params: Mapping[str, Any], used: set[str], space: Model) -> Iterator[str]:
    """What is wrong with what a row says of other things than leaves: what the space has fixed, or has not at all."""
    names, config = parameter_names(space), fill(space, params)
    family = space.family_of(params)
    value = plain(row.get(config.axis))
    shown = names.row(config, family)
    at_point = shown if value is None else names.row(config.at(value), family)
    known = sorted({*_names(space), config.axis} - {""})
    walked = {config.axis, *(name for name, child in names.flat(config).items() if name not in shown)}
    for name, given in row.items():
        if name in used or name in walked:
            continue
        if name not in known:
            hint = did_you_mean(name, known, f"it has {', '.join(known)}")
            yield f"the space has no parameter {said(name)}; {hint}"
        elif not any(same_in_row(given, own.get(name)) for own in (shown, at_point)):
            there = f"has {said(shown[name])}" if name in shown else "has none"
            yield f"{name} is {said(plain(given))}, where such a config {there}"
