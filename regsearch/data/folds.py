"""The folds of a study: made once, stored, hashed; every trial sees the same ones."""

from __future__ import annotations

import copy
import hashlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from regsearch._types import Rows
from regsearch.data.problem import Problem
from regsearch.data.rare import RareClasses, absent_in, always_training, check_left, fewer_than, lacked
from regsearch.data.targets import called, count_hint
from regsearch.data.weights import weighing
from regsearch.errors import InvalidInput
from regsearch.inputs import said
from regsearch.numeric import is_whole, plain

NONE = np.empty(0, dtype=np.intp)


@dataclass(frozen=True)
class Folds:
    """Train and validation rows of each fold.

    Attributes
    ----------
    train, val
        One array of row indices per fold.
    name
        How they were made, for people.
    weightless
        How many more the splitter made, which validate no row that scores, as those of weight zero: these are not
        there.
    rare
        The classes whose rows train in every fold and score in none; `None` where there are none.
    """

    train: tuple[Rows, ...]
    val: tuple[Rows, ...]
    name: str
    weightless: int = 0
    rare: RareClasses | None = None

    def __len__(self) -> int:
        return len(self.train)

    @cached_property
    def repeated(self) -> bool:
        """Whether several folds validate a row."""
        return bool((np.bincount(np.concatenate(self.val)) > 1).any())

    @cached_property
    def digest(self) -> str:
        """16 hex digits that change with any index."""
        hashed = hashlib.sha256()
        for rows in (*self.train, *self.val):
            hashed.update(np.asarray(rows, dtype=np.int64).tobytes() + b"|")
        return hashed.hexdigest()[:16]


def make_folds(cv: Any, problem: Problem, seed: int) -> Folds:
    """Split a problem; rows of weight zero train nothing, and a splitter's fold that validates no others is left out.

    Rows of a class that has fewer than there are folds train in all of them and score in none: see
    `regsearch.data.rare`. Of a splitter, where a fold's training rows would lack the class; of given folds nothing is
    changed.

    Parameters
    ----------
    cv
        An int (shuffled; stratified for classes; grouped when the problem has groups), a scikit-learn splitter, or a
        list of ``(train, validation)`` index pairs.
    seed
        Of the shuffle when `cv` is an int, or a splitter that leaves its seed open.

    Raises
    ------
    InvalidInput
        When the split is impossible or a fold could not be fitted or scored.
    """
    cv = plain(cv)
    given = isinstance(cv, Iterable) and not hasattr(cv, "split")
    kept, rare = NONE, None
    if is_whole(cv):
        name, every, kept, rare = _numbered(cv, problem, seed)
    else:
        name, every = type(cv).__name__, _pairs(_seeded(cv, seed), problem)
        if not given:
            kept, rare = always_training(problem, absent_in(every, problem))
            check_left(problem, kept, len(every))
            every = _training(every, kept)
    if given:
        name, pairs = f"{len(every)} given folds", every
    else:
        pairs = _weighing_pairs(every, problem, bool(len(kept)))
    _check(pairs, problem)
    train, val = zip(*pairs, strict=True)
    fitted = tuple(weighing(rows, problem.sample_weight) for rows in train)
    return Folds(fitted, val, name, len(every) - len(pairs), rare)


def _numbered(k: int, problem: Problem, seed: int) -> tuple[str, list[tuple[Rows, Rows]], Rows, RareClasses | None]:
    """So many folds and their name, the rows that train in all of them, and what is to be said of it.

    A class may have as many rows as there are folds, and yet be lacked by one: where its rows are of one group, or are
    those of one fold by chance, as other targets decide what folds have alike shares of.
    """
    found = fewer_than(problem, k)
    while True:
        kept, rare = always_training(problem, found)
        splitter = _default_splitter(k, problem, seed, kept)
        every = _training(_pairs(splitter, problem, kept), kept)
        new = lacked(every, problem) - found
        if not new:
            return f"{k}-fold {type(splitter).__name__}", every, kept, rare
        found |= new


def _training(pairs: list[tuple[Rows, Rows]], kept: Rows) -> list[tuple[Rows, Rows]]:
    """Folds in all of which some rows train, and in none of which these validate."""
    if not len(kept):
        return pairs
    return [(np.union1d(train, kept), np.setdiff1d(val, kept)) for train, val in pairs]


def runs_forward(cv: Any, n: int, y: Any = None, groups: Any = None) -> bool:
    """Whether a splitter, or a list of folds, always trains on earlier rows than it validates on, as for time series.

    One that cannot split these rows does not; `make_folds` says why it cannot.
    """
    given = isinstance(cv, (list, tuple)) and bool(cv)
    if not given and (not hasattr(cv, "split") or isinstance(cv, type)):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `make_folds` lets them through
            pairs = cv if given else list(cv.split(np.empty((n, 1)), y, groups))
        return all(np.max(train) < np.min(val) for train, val in pairs)
    except Exception:  # noqa: BLE001 - whatever one of the user's own raises: `make_folds` asks it again, and tells
        return False


def _seeded(cv: Any, seed: int) -> Any:
    """A shuffling splitter whose seed was left open gets the study's: its folds must come out again on resuming."""
    if getattr(cv, "random_state", 0) is None and getattr(cv, "shuffle", True):
        cv = copy.copy(cv)
        cv.random_state = seed
    return cv


def _default_splitter(k: int, problem: Problem, seed: int, kept: Rows) -> Any:
    """The splitter of k folds of all rows but some that are `kept` in training."""
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    if k < 2:
        raise InvalidInput(f"cv must be at least 2 folds, got {k}; 5 or 10 are usual.")
    if k > problem.rows:
        raise InvalidInput(f"cv must not exceed the number of rows ({problem.rows}), got {k}; use fewer folds.")
    check_left(problem, kept, k)
    if problem.groups is None:
        kind = KFold if problem.task == "regression" else StratifiedKFold
        return kind(k, shuffle=True, random_state=seed)
    groups = len(np.unique(np.delete(problem.groups, kept)))
    if groups < k:
        rare = " without rows of a class too rare for these folds" if len(kept) else ""
        raise InvalidInput(f"cv must not exceed the number of groups{rare} ({groups}), got {k}; use fewer folds.")
    kind = GroupKFold if problem.task == "regression" else StratifiedGroupKFold
    return kind(k, shuffle=True, random_state=seed)


def _pairs(cv: Any, problem: Problem, kept: Rows = NONE) -> list[tuple[Rows, Rows]]:
    """The folds of a splitter of all rows but some, or those that were given."""
    if isinstance(cv, type):
        raise InvalidInput(f"cv must be a splitter, got the class {cv.__name__}; make one: {cv.__name__}().")
    if hasattr(cv, "split") and not isinstance(cv, (str, bytes)):
        if problem.groups is None and _needs_groups(cv):
            raise InvalidInput(f"{type(cv).__name__} splits by groups, got none; pass groups=, one label per row.")
        rows = np.setdiff1d(np.arange(problem.rows), kept)
        groups = None if problem.groups is None else problem.groups[rows]
        try:
            found = list(cv.split(np.empty((len(rows), 1)), problem.strata[rows], groups))
        except Exception as error:  # whatever one of the user's own raises
            raise InvalidInput(f"{type(cv).__name__} cannot split these {problem.rows} rows: {error}") from error
    elif isinstance(cv, Iterable) and not isinstance(cv, (str, bytes)):
        found = list(cv)
    else:
        raise InvalidInput(
            f"cv must be an int, a scikit-learn splitter or a list of index pairs, got {said(cv)}; cv=5 is usual."
        )
    if not found:
        raise InvalidInput("cv must give at least one fold, got none; cv=5 is usual.")
    pairs = [_indices(pair) for pair in found]
    return [(rows[train], rows[val]) for train, val in pairs] if len(kept) else pairs


def _weighing_pairs(pairs: list[tuple[Rows, Rows]], problem: Problem, rare: bool) -> list[tuple[Rows, Rows]]:
    """The folds of a splitter that validate a row which weighs anything in scores."""
    found = [
        (train, val) for train, val in pairs if (not len(val) and not rare) or len(weighing(val, problem.score_weight))
    ]
    if len(found) < min(2, len(pairs)):
        which = "rows of a positive weight" + (" and of no class too rare for these folds" if rare else "")
        raise InvalidInput(
            f"At least two folds must validate {which}, {len(found)} of {len(pairs)} "
            f"{'does' if len(found) == 1 else 'do'}; shuffle the rows, or drop those of weight zero."
        )
    return found


def _needs_groups(cv: Any) -> bool:
    request = getattr(getattr(cv, "get_metadata_routing", lambda: None)(), "split", None)
    return bool(request is not None and request.requests.get("groups"))


def _indices(pair: Any) -> tuple[Rows, Rows]:
    try:
        train, val = (np.asarray(rows) for rows in pair)
    except (TypeError, ValueError) as error:
        got = type(pair).__name__ + (f" of {len(pair)}" if hasattr(pair, "__len__") else "")
        raise InvalidInput(f"Each fold must be a pair of index arrays (train, validation), got a {got}.") from error
    for rows in (train, val):
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            raise InvalidInput(f"Folds must be one-dimensional row indices, got {rows.dtype} of shape {rows.shape}.")
    return train.astype(np.intp, copy=False), val.astype(np.intp, copy=False)


def _check(pairs: list[tuple[Rows, Rows]], problem: Problem) -> None:
    for number, (train, val) in enumerate(pairs):
        if len(train) < 2 or len(val) < 1:
            raise InvalidInput(
                f"A fold needs at least two training rows and one validation row, "
                f"fold {number} has {len(train)} and {len(val)}; use fewer folds."
            )
        both = np.concatenate([train, val])
        if both.min() < 0 or both.max() >= problem.rows:
            wrong = both.min() if both.min() < 0 else both.max()
            left = (
                "" if problem.test is None else " without those of the test set, which folds of your own do not count"
            )
            raise InvalidInput(f"Fold {number} has the row {wrong}, X has rows 0 to {problem.rows - 1}{left}; mend it.")
        seen = np.zeros(problem.rows, dtype=bool)
        seen[both] = True
        if np.count_nonzero(seen) < len(both):
            raise InvalidInput(f"Rows of a fold must be distinct, fold {number} repeats some; training would leak.")
        _check_weights(train, val, number, problem)
        _check_targets(weighing(train, problem.sample_weight), number, problem)


def _check_weights(train: Rows, val: Rows, number: int, problem: Problem) -> None:
    scored = min(len(weighing(part, problem.score_weight)) for part in (train, val))
    fitted = len(weighing(train, problem.sample_weight))
    if not scored or not fitted:
        raise InvalidInput(f"Each part of a fold needs weight, fold {number} has none in one; use fewer folds.")
    if fitted < 2:
        raise InvalidInput(
            f"A fold needs at least two training rows of a positive weight, fold {number} has one; use fewer folds."
        )


def _check_targets(train: Rows, number: int, problem: Problem) -> None:
    for one in problem.coded:
        absent = one.absent(train)
        if len(absent):
            hint = "" if problem.classes is None else count_hint(problem.classes)
            raise InvalidInput(
                f"Every class must be in every fold's training rows, {one.labels[absent[0]]!r}{one.of} is absent in "
                f"fold {number}; use a stratified splitter, fewer folds, or drop the class.{hint}"
            )
    if problem.classes is not None:
        return
    constant = np.flatnonzero(np.ptp(problem.y[train].reshape(len(train), -1), axis=0) == 0)
    if len(constant):
        raise InvalidInput(
            f"{called(problem.target_names, int(constant[0]))} must vary in every fold's training rows, "
            f"it is constant in fold {number}; shuffle them."
        )
