"""What a choice gains over the reference, fold by fold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regsearch._types import Array
from regsearch.errors import NotFound
from regsearch.metrics.statistics import Estimate
from regsearch.models.path import Curves
from regsearch.numeric import format_number
from regsearch.results.choice import Chosen, without_score
from regsearch.results.formatting import format_estimate
from regsearch.results.stored_study import StoredStudy, comparable, reference_name
from regsearch.storage.trial import DIVERGES

if TYPE_CHECKING:
    import pandas as pd

PARTS = ("train", "val", "gap")


def against_reference(study: StoredStudy, chosen: Chosen) -> str:
    """What a choice changes, in one sentence: gaps, and the mean difference of scores with its paired error.

    The error is corrected for training sets that overlap (`regsearch.metrics.averaging.Averaging.corrected`).
    """
    plain = study.references.get(chosen.trial.family)
    if plain is None:
        return "There is no reference to compare with: it is not complete."
    name = reference_name(study, plain)
    if (chosen.number, chosen.step) == (plain.number, plain.step):
        return f"It is the reference itself, {name}."
    if nothing := without_score(chosen.trial):
        return f"It has no score to compare: {nothing}."
    if plain.diverges:
        return f"There is nothing to compare with: {name} it diverges, for {DIVERGES}."
    reference, lead = study.point(plain), lead_on_reference(study, chosen)
    paired = f", paired over {lead.folds} folds" if lead.folds > 1 else ""
    change = f"score {format_estimate(lead, '+')} ({study.metric_label}{paired})"
    gap = f"gap {format_number(reference.gap, 3)} -> {format_number(chosen.gap, 3)}"
    return f"Against the reference ({name}): {gap}, {change}."


def lead_on_reference(study: StoredStudy, chosen: Chosen) -> Estimate:
    """By how much a choice scores better than its family's reference, mean over folds, and the corrected error of that.

    Raises
    ------
    NotFound
        Without a reference, or where that diverges.
    """
    (own, _), (theirs, _) = _paired(study, chosen)
    return study.averaging.difference(own, theirs)


def gap_closed(study: StoredStudy, chosen: Chosen) -> Estimate:
    """By how much a choice's gap is smaller than its reference's, mean over folds, with its corrected error.

    Raises
    ------
    NotFound
        Without a reference, or where that diverges.
    """
    (_, own), (_, theirs) = _paired(study, chosen)
    return study.averaging.difference(theirs, own, chosen.point.tolerance)


def _paired(study: StoredStudy, chosen: Chosen) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """``[K]`` validation scores and gaps, of a choice and of its family's reference."""
    plain = study.references.get(chosen.trial.family)
    if plain is None:
        raise NotFound(f"{study.name!r} has no complete reference to compare with; run it on.")
    if plain.diverges:
        raise NotFound(f"{study.name!r} has a reference that diverges, and so nothing to compare with: {DIVERGES}.")
    return _at(study.curves(chosen.number), chosen.step), _at(study.curves(plain.number), plain.step)


def _at(curves: Curves, step: int) -> tuple[Array, Array]:
    return curves.val[:, step], curves.train[:, step] - curves.val[:, step]


def gaps(study: StoredStudy, number: int) -> pd.DataFrame:
    """Train score, validation score and gap of a trial at its chosen point, by metric and fold, beside its reference's.

    Rows ``(metric, fold)``: folds from 0, then ``mean`` and ``se``, the standard error of the mean; NaN where there is
    no reference, or it diverges. Of a score that is computed once, on all rows outside training, what stands by fold
    are the jackknife's pseudo-values, which may lie beyond any score of a fold; their mean and its error are right.

    Raises
    ------
    NotFound
        When there is no such complete trial.
    """
    import pandas as pd

    trial = next((one for one in study.complete if one.number == number), None)
    if trial is None:
        raise NotFound(f"Trial {number} of {study.name!r} is not complete; `trials` lists those that are.")
    parts = []
    for metric in study.identity["metrics"]:
        own = _figures(study.curves(number, metric), trial.step)
        theirs = np.full_like(own, np.nan)
        if (reference := comparable(study, trial.family)) is not None:
            theirs = _figures(study.curves(reference.number, metric), reference.step)
        folds = [*range(len(own) - 2), "mean", "se"]
        index = pd.MultiIndex.from_product([[metric], folds], names=["metric", "fold"])
        columns = [*PARTS, *(f"reference_{part}" for part in PARTS)]
        parts.append(pd.DataFrame(np.hstack([own, theirs]), index, columns))
    return pd.concat(parts)


def _figures(curves: Curves, step: int) -> Array:
    """``[K + 2, 3]``: train, val and gap of each fold, their means, and the standard errors of those."""
    point = curves.point(step)
    rows = np.column_stack([curves.train[:, step], curves.val[:, step], (curves.train - curves.val)[:, step]])
    errors = [float(curves.errors(curves.train)[step]), point.val_se, point.gap_se]
    return np.vstack([rows, [point.train, point.val, point.gap], errors])
