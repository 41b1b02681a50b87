"""Folds that say more, of the kind of those of a study: what kept time, groups or blocks apart goes on doing so."""

from __future__ import annotations

from regsearch.data.folds import Folds, make_folds
from regsearch.data.problem import Problem

REPEATS = 5
SEEDED = (
    f"[pair for seed in range({REPEATS}) for pair in {{kind}}({{k}}, shuffle=True, random_state=seed)"
    ".split(X, y, groups)]"
)
# by the name of a splitter, more of it; what is drawn at random anew, and what has more parts
DRAWN = {
    "KFold": f"RepeatedKFold(n_splits={{k}}, n_repeats={REPEATS})",
    "StratifiedKFold": f"RepeatedStratifiedKFold(n_splits={{k}}, n_repeats={REPEATS})",
    "GroupKFold": SEEDED,
    "StratifiedGroupKFold": SEEDED,
    **dict.fromkeys(("ShuffleSplit", "StratifiedShuffleSplit", "GroupShuffleSplit"), "{kind}({more})"),
}
IN_BLOCKS = ("KFold", "StratifiedKFold")  # unless they shuffle
IN_ORDER = "{kind}({twice})"
LEAST = 5  # rows of a part of an order of rows


def more_folds(folds: Folds, problem: Problem) -> str:
    """Proposes folds of the same kind, in half a sentence; empty where there are no more of it."""
    kind, k = folds.name.rpartition("-fold ")[2], len(folds) + folds.weightless
    forward = all(train.max() < val.min() for train, val in zip(folds.train, folds.val, strict=True))
    ordered = forward or _in_blocks(folds, kind, problem)
    option = IN_ORDER if ordered else DRAWN.get(kind, "")
    if ordered and (kind not in (*IN_BLOCKS, "TimeSeriesSplit") or 2 * k * LEAST > problem.rows):
        option = ""
    if option:
        what = "more windows of time, none of them shuffled" if forward else "more folds of the same kind"
        return f"take {what} (cv={option.format(kind=kind, k=k, more=REPEATS * k, twice=2 * k)})"
    return "test on longer windows of time, none of them shuffled" if forward else ""


def _in_blocks(folds: Folds, kind: str, problem: Problem) -> bool:
    """Whether the folds are those of a splitter that does not shuffle: the order of the rows may count."""
    if kind not in IN_BLOCKS:
        return False
    from sklearn import model_selection

    plain = make_folds(getattr(model_selection, kind)(len(folds) + folds.weightless), problem, 0)
    return plain.digest == folds.digest
