"""The held-out set of a `regsearch.data.problem.Problem`: given, or drawn from its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Rows
from regsearch.data.columns import Kind, kinds_of
from regsearch.data.dataset import read_dataset
from regsearch.data.features import checked_weights, checked_X, is_frame, with_sides
from regsearch.data.frames import paired
from regsearch.data.magnitudes import check_magnitudes
from regsearch.data.splitting import split_in_two
from regsearch.data.survival import signed_times
from regsearch.data.targets import checked_test_y, count_hint
from regsearch.errors import InvalidInput
from regsearch.inputs import said


def split_off(problem: Any, fraction: float, ordered: bool, seed: int) -> Any:
    """Hold out a fraction of the rows of a problem without a test set; see `make_problem`.

    Raises
    ------
    InvalidInput
        When the rows cannot be split so.
    """
    if not 0 < fraction < 1:
        raise InvalidInput(f"test must be a fraction between 0 and 1 or a pair (X, y), got {fraction!r}.")
    n = problem.rows
    if ordered:
        cut = _between_groups(problem.groups, n - max(1, round(n * fraction)))
        if cut < 1:
            raise InvalidInput(f"test={fraction} leaves none of {n} rows to train on; choose a smaller fraction.")
        train, test = np.arange(cut), np.arange(cut, n)
    else:
        train, test = _random_split(problem, fraction, seed)
    return replace(problem.part(train), test=problem.part(test))


def _between_groups(groups: NDArray[Any] | None, cut: int) -> int:
    """The place next to a cut of ordered rows that parts no group; the cut itself where there is none."""
    if groups is None or cut < 1:
        return cut
    _, group = np.unique(groups, return_inverse=True)
    last = np.zeros(group.max() + 1, dtype=np.intp)
    np.maximum.at(last, group, np.arange(len(group)))
    reach = np.maximum.accumulate(last[group])  # where the groups so far have their last row
    places = 1 + np.flatnonzero(reach[:-1] == np.arange(len(group) - 1))
    return int(places[np.abs(places - cut).argmin()]) if len(places) else cut


def _random_split(problem: Any, fraction: float, seed: int) -> tuple[Rows, Rows]:
    try:
        return split_in_two(problem, np.arange(problem.rows), fraction, seed)
    except ValueError as error:
        hint = "" if problem.classes is None else count_hint(problem.classes)
        raise InvalidInput(f"test={fraction} cannot be split off: {error} Choose another fraction.{hint}") from error


def given_test(problem: Any, test: Any) -> Any:
    if not isinstance(test, (tuple, list)) or len(test) not in (2, 3):
        raise InvalidInput(f"test must be a fraction or a pair (X, y), or (X, y, score_weight), got {said(test)}.")
    X, y, weight = (*test, None)[:3]
    X, y = read_dataset(X, y)
    tasks = [one.task for one in problem.tasks]
    X, y, _, _, weight = paired(
        X, signed_times(y, tasks or problem.task)[0], score_weight=weight, of=" of the test set"
    )
    X = with_sides(checked_X(X), problem.X.shape[1:])
    if X.shape[1:] != problem.X.shape[1:] or is_frame(X) != is_frame(problem.X):
        raise InvalidInput(
            f"The test set must have the columns of X ({_width(problem.X)}), got {_width(X)} in a {type(X).__name__}."
        )
    if is_frame(X):
        absent = [column for column in problem.X.columns if column not in X.columns]
        if absent:
            raise InvalidInput(f"The test set must have the columns of X, {absent[0]!r} is missing.")
        X = X if X.columns.equals(problem.X.columns) else X[list(problem.X.columns)]
        _check_kinds(X, problem.X)
    classes = [one.labels for one in problem.tasks] or [problem.classes] * problem.targets
    y = checked_test_y(y, X.shape[0], problem.target_names, classes)
    score = checked_weights(weight, X.shape[0], "The score_weight of the test set")
    check_magnitudes(X, None, None)
    return replace(problem, X=X, y=y, groups=None, sample_weight=None, score_weight=score)


def _check_kinds(X: Any, known: Any) -> None:
    """Refuse columns of another kind than those of the same name: a text that says True is no boolean, but missing."""
    for (name, kind), own in zip(kinds_of(X).items(), kinds_of(known).values(), strict=True):
        if kind not in _ALIKE.get(own, (kind,)) and X[name].notna().any():
            raise InvalidInput(
                f"The columns of the test set must be of the kinds of those of X, {name!r} is {kind} ({X[name].dtype}) "
                f"and there {own} ({known[name].dtype}); convert it."
            )


_ALIKE: Mapping[Kind, tuple[Kind, ...]] = {  # what is read as a kind; categories are known by their texts
    "numeric": ("numeric", "boolean"), "boolean": ("boolean", "numeric"), "text": ("text", "category"),
    "date": ("date",),
}  # fmt: skip


def _width(X: Any) -> str:
    """The shape of a row."""
    return " x ".join(map(str, X.shape[1:]))
