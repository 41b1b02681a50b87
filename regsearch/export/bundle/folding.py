"""Folds and held-out rows made again from what a bundle says of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regsearch.data.folds import Folds, make_folds
from regsearch.data.held_out import split_off
from regsearch.data.problem import Problem
from regsearch.errors import InvalidInput

# splitters that their number of folds says enough of, but for a shuffle
COUNTED = ("KFold", "StratifiedKFold", "GroupKFold", "StratifiedGroupKFold", "TimeSeriesSplit")


def searched_rows(made: Mapping[str, Any], problem: Problem) -> Problem:
    """The rows that a study searched: given all of its rows, those that it held out are split off as they were.

    Parameters
    ----------
    made
        The provenance; ``held_out`` says how the rows were drawn.
    """
    held = made.get("held_out") or {}
    whole = made["data"]["rows"] + held.get("rows", 0)
    if "share" not in held or problem.test is not None or problem.rows != whole:
        return problem
    found: Problem = split_off(problem, held["share"], held.get("ordered", False), made["seed"])
    return found


def folds_like(said: Mapping[str, Any], problem: Problem, seed: int) -> Folds:
    """Folds of the kind that a bundle's config was scored by, on a problem.

    Parameters
    ----------
    said
        ``folds`` of the provenance: the name and the number of the folds.

    Raises
    ------
    InvalidInput
        When the name does not say how they were made, or they kept groups together and the rows have none.
    """
    name, count = str(said["cv"]), int(said["count"]) + int(said.get("weightless", 0))
    if "Group" in name and problem.groups is None:
        raise InvalidInput(
            f"The folds of the bundle kept groups together ({name}), these rows have none, and split at random they "
            "score better than rows of a new group; pass groups, cv, or the study's script."
        )
    if name.startswith(f"{count}-fold "):
        return make_folds(count, problem, seed)
    if name in COUNTED:
        from sklearn import model_selection

        return make_folds(getattr(model_selection, name)(n_splits=count), problem, seed)
    raise InvalidInput(
        f"Folds can be made again when they were a number or one of {', '.join(COUNTED)}, got {name!r}; "
        "pass cv, or the study's script."
    )
