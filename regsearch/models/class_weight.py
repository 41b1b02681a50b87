"""What classes weigh in fits, whichever family of models has such a field."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from regsearch._types import Array, Rows
from regsearch.data.problem import Problem
from regsearch.errors import InvalidInput
from regsearch.space.tree import Choice

ClassWeight: TypeAlias = Any  # of a config: `None`, "balanced", or pairs (label, weight)


def check_class_weight(value: Any, problem: Problem) -> None:
    """Refuse class weights, or an option of a choice of them, that a problem has no classes for.

    Raises
    ------
    InvalidInput
        Of a regression, and of a label that no row has.
    """
    options = value.options if isinstance(value, Choice) else (value,)
    for option in options:
        if option in (None, "none"):
            continue
        if problem.classes is None:
            got = "several tasks" if problem.tasks else "a regression"
            raise InvalidInput(f"class_weight={_shown(option)} needs classes, got {got}; leave it out.")
        labels = problem.classes.tolist()
        unknown = [label for label, _ in (() if option == "balanced" else option) if label not in labels]
        if unknown:
            known = ", ".join(map(repr, labels[:10]))
            raise InvalidInput(f"class_weight must name classes of y ({known}), got {unknown[0]!r}; mend the label.")


def _shown(option: Any) -> str:
    return repr(option if isinstance(option, str) else dict(option))


def class_factors(problem: Problem, rows: Rows, class_weight: ClassWeight) -> Array:
    """``[n]``: what a class weight multiplies the weight of each row of a problem by, as scikit-learn's means it.

    Parameters
    ----------
    rows
        Training rows: ``balanced`` gives every class the same weight in them.
    """
    assert problem.classes is not None, "a regression has no classes to weigh"
    if class_weight != "balanced":
        given = dict(class_weight)
        of_classes = np.array([float(given.get(label, 1.0)) for label in problem.classes.tolist()])
        return np.asarray(of_classes[problem.y])
    weight = np.ones(len(rows)) if problem.sample_weight is None else problem.sample_weight[rows]
    mass = np.bincount(problem.y[rows], weight, minlength=len(problem.classes))
    return np.asarray((mass.sum() / (len(mass) * np.maximum(mass, 1e-12)))[problem.y])  # inner splits may lose a class
