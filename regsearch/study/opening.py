"""A stored study by its name: what was found, or, with the data, the study itself, which goes on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, overload

from regsearch.cleaning import HIDDEN
from regsearch.data.column_roles import column_roles
from regsearch.data.features import is_frame
from regsearch.data.target_transforms import NAMES
from regsearch.errors import InvalidInput, RegsearchError, StudyMismatch
from regsearch.metrics.scorer import POOLED, is_named
from regsearch.mirror.pages import shown_of
from regsearch.models.base import Model
from regsearch.results.results import Results, load_results
from regsearch.space.config import digest, from_data
from regsearch.storage.arrays import TASKS
from regsearch.storage.store import Store
from regsearch.study.default_preparation import check_roles, stored_roles, unprepared
from regsearch.study.options import StudyOptions
from regsearch.study.script import calling_script
from regsearch.study.study import Study


@overload
def open(  # noqa: A001 - as modules of files, databases and pictures call it
    name: str, X: None = None, y: None = None, *, root: str | os.PathLike[str] = ..., storage: str | None = ...
) -> Results: ...


@overload
def open(  # noqa: A001
    name: str, X: Any, y: Any, *, root: str | os.PathLike[str] = ..., storage: str | None = ..., **options: Any
) -> Study: ...


def open(  # noqa: A001
    name: str, X: Any = None, y: Any = None, *, root: str | os.PathLike[str] = "mlruns", storage: str | None = None,
    **options: Any,
) -> Results | Study:  # fmt: skip
    """A stored study, without its script.

    Parameters
    ----------
    name
        Of the study.
    X, y
        Its data, to go on with it, export or ablate; without them, what is stored.
    root, storage
        Where it lies, as `regsearch.Study` has them.
    options
        Other options of `regsearch.Study`, such as `sample_weight`: what is not given is as stored (space, folds,
        scoring, seed, MLflow).

    Returns
    -------
    Results or Study
        The study where data are given.

    Raises
    ------
    NotFound
        When there is no study of that name.
    InvalidInput
        When what only its script has is needed, and not given: a space or a scorer of the user's own; or when text,
        dates or another column of X would be prepared otherwise than when the study was made.
    StudyMismatch
        When the data are not those of the study.
    """
    results = load_results(Store(root, name, storage, None))
    if X is None and y is None:
        if options:
            raise InvalidInput(f"Options are those of a study with its data, got {[*options]} and no X, y; pass them.")
        return results
    if "scoring" not in options:
        _check_scorers(results.identity)
    if "target" not in options:
        options["target"] = _stored_target(results.identity)
    given = _stored_options(results) | {"root": root, "storage": storage} | options
    if "space" not in options:
        given["space"] = _stored_space(results.identity)
    study = _made(results, X, y, StudyOptions(**given))
    if "space" not in options:
        _check_prepared(results.identity, study)
    study.results()  # refuses other data at once
    return study


def _made(results: Results, X: Any, y: Any, options: StudyOptions) -> Study:
    """The study of these data; other data are refused for what they are, not for the stored folds that do not fit."""
    try:
        return Study.from_options(results.name, X, y, options, calling_script())
    except InvalidInput as error:
        rows, wanted = options.problem_of(X, y)[0].rows, results.identity["rows"]
        if rows == wanted:
            raise
        raise StudyMismatch(
            f"A stored study goes on with the same data only: {results.name!r} has {wanted} rows, got {rows}; "
            "pass its own."
        ) from error


def _stored_options(results: Results) -> dict[str, Any]:
    """The options of a study as far as they are stored."""
    identity, folds = results.identity, results.folds
    if folds is None:
        raise InvalidInput(f"The folds of {results.name!r} cannot be read; make the study as it was made, by `Study`.")
    pooled = {one.endswith(POOLED) for one in identity["scoring"]}
    return {
        "cv": list(zip(folds.train, folds.val, strict=True)), "scoring": list(identity["metrics"]),
        "pooled": None if len(pooled) > 1 else pooled.pop(), "seed": int(identity["seed"]),
        "task": [one["task"] for one in identity[TASKS]] if TASKS in identity else identity["task"],
        "fold_weights": identity.get("fold_weights", "equal"), "experiment": identity["experiment"],
        "tracking": _tracking(results), "test": identity.get("held_out"),
    }  # fmt: skip


def _tracking(results: Results) -> str | bool | None:
    """Where MLflow has the study; `False` where it was kept out."""
    shown = shown_of(results.store)
    if shown is not None and HIDDEN in shown.store:
        raise InvalidInput(f"Secrets of an address are not stored, the last run used {shown.store}; pass tracking=.")
    return False if shown is None else shown.store or None


def _check_scorers(identity: Mapping[str, Any]) -> None:
    """Refuse scorers that are none by their names alone."""
    own = [name for name in identity["metrics"] if not is_named(name)]
    if own:
        raise InvalidInput(
            f"A scorer of your own is not stored, {identity['study']!r} was scored by {', '.join(own)}; pass scoring=."
        )


def _stored_target(identity: Mapping[str, Any]) -> str | None:
    """By what name y is transformed, if it is."""
    name: str | None = identity.get("target_transform")
    if name is not None and name not in NAMES:
        raise InvalidInput(
            f"A transformer of your own is not stored, y of {identity['study']!r} is transformed by {name}; pass "
            "target=."
        )
    return name


def _check_prepared(identity: Mapping[str, Any], study: Study) -> None:
    """Refuse columns that are not prepared as they were, where nobody said how."""
    if not stored_roles(identity):
        return
    X = study.problem.X
    check_roles(identity, column_roles(X) if is_frame(X) else ())
    if digest(study.space) != identity["space_hash"]:  # by another version
        raise InvalidInput(
            f"The columns of {study.name!r} are prepared in another way by this version; pass space= with prepare=."
        )


def _stored_space(identity: Mapping[str, Any]) -> Model:
    try:
        data = identity["space_data"]
        space = from_data(unprepared(data) if stored_roles(identity) else data)
    except RegsearchError as error:
        raise InvalidInput(
            f"The space of {identity['study']!r} is known to its script alone ({error}); pass space=."
        ) from error
    assert isinstance(space, Model)
    return space
