"""What a choice gains over the reference, fold by fold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from regsearch._types import Array
from regsearch.errors import NotFound
from regsearch.metrics.statistics import overlap, resampled_se, standard_error
from regsearch.models.path import Curves
from regsearch.results.choice import Chosen
from regsearch.results.formatting import format_value
from regsearch.results.stored_study import StoredStudy

if TYPE_CHECKING:
    import pandas as pd

PARTS = ("train", "val", "gap")


def against_reference(study: StoredStudy, chosen: Chosen) -> str:
    """What a choice changes, in one sentence: gaps, and the mean difference of scores with its paired error.

    The error is corrected for training sets that overlap (`regsearch.metrics.statistics.resampled_se`).
    """
    if study.reference is None:
        return "There is no reference to compare with: it is not complete."
    name = str(study.identity["reference"])
    if (chosen.number, chosen.step) == (study.reference.number, study.reference.step):
        return f"It is the reference itself, {name}."
    reference, change = study.point(study.reference), format_value(*lead_on_reference(study, chosen), "+")
    folds = len(study.curves(chosen.number).val)
    paired = f", paired over {folds} folds" if folds > 1 else ""
    return f"Against {name}: gap {reference.gap:.3g} -> {chosen.gap:.3g}, score {change} ({study.metric}{paired})."


def lead_on_reference(study: StoredStudy, chosen: Chosen) -> tuple[float, float]:
    """By how much a choice scores better than the reference, mean over folds, and the corrected error of that.

    NaN for the error with a single fold, and for both without a reference.
    """
    if study.reference is None:
        return math.nan, math.nan
    theirs = study.curves(study.reference.number).val[:, study.reference.step]
    more = study.curves(chosen.number).val[:, chosen.step] - theirs
    ratio = overlap(study.scoring.folds if study.scoring else None, len(more))
    return float(more.mean()), float(resampled_se(more, ratio))


def gaps(study: StoredStudy, number: int) -> pd.DataFrame:
    """Train score, validation score and gap of a trial at its chosen point, by metric and fold, beside the reference's.

    Rows ``(metric, fold)``: folds from 0, then ``mean`` and ``se``, the standard error of the mean; NaN where there is
    no reference.

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
        if study.reference is not None:
            theirs = _figures(study.curves(study.reference.number, metric), study.reference.step)
        folds = [*range(len(own) - 2), "mean", "se"]
        index = pd.MultiIndex.from_product([[metric], folds], names=["metric", "fold"])
        columns = [*PARTS, *(f"reference_{part}" for part in PARTS)]
        parts.append(pd.DataFrame(np.hstack([own, theirs]), index, columns))
    return pd.concat(parts)


def _figures(curves: Curves, step: int) -> Array:
    """``[K + 2, 3]``: train, val and gap of each fold, their means, and the standard errors of those."""
    point = curves.point(step)
    rows = np.column_stack([curves.train[:, step], curves.val[:, step], (curves.train - curves.val)[:, step]])
    fitted = rows[curves.fitted]
    errors = [standard_error(fitted[:, 0]), point.val_se, point.gap_se]
    return np.vstack([rows, [point.train, point.val, point.gap], errors])
