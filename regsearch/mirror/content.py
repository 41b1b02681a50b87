"""What MLflow shows: a study, its trials and its summary, as the mirror's records.

Everything here is made from what is stored, so a mirror can be rebuilt at any time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.cleaning import as_code, as_words
from regsearch.metrics.scorer import POOLED
from regsearch.mirror import Artifact, Dataset, Series, StudyRecord, SummaryRecord, TrialRecord, View
from regsearch.mirror.columns import (
    ALONG_PATH,
    BY_FOLD,
    best_metrics,
    place_on_path,
    prefixes,
    shown_metrics,
    trial_metrics,
)
from regsearch.mirror.records import OUT_OF_SPACE, OUTSIDE
from regsearch.models.axes import path_axis
from regsearch.models.base import REFERENCE, Model
from regsearch.models.path import Trajectory
from regsearch.numeric import format_number
from regsearch.space.params import parameter_names
from regsearch.space.sampling import fill, random_params
from regsearch.space.starts import initial_params
from regsearch.storage.trial import DIVERGES, UNSOLVED, Trial

_STATES = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL", "stopped": "STOPPED"}
_DRAWS = 2  # configs drawn, beside those that a search begins with, to see which parameters of a space differ
_FAMILY = ("family", "penalty", "estimator", "module")  # what a trial is called by
_PARALLEL = 6  # parameters that parallel coordinates have room for
DIGITS = 6
POWERS = 10.0 ** np.arange(23)  # those that are exact: what is divided by one has the digits that it is said with
PSEUDO = "scored once, on all rows outside training: fold/val has the jackknife's pseudo-values, no scores of folds"
SERIES_POINTS = 50  # halves the writing time of 100-step paths; MLflow's charts show no difference


def study_record(identity: Mapping[str, Any], view: View | None, outside: Sequence[int] = ()) -> StudyRecord:
    """The parent run of a study, the page that shows its trials, and which of them its space has no more."""
    shown = ("task", "metric", "seed", "cv", "folds", "space")
    tagged = (
        "study",
        "version",
        "fingerprint",
        "folds_hash",
        "space_hash",
        "weighted",
        "test_weighted",
        "target_transform",
    )
    return StudyRecord(
        study=identity["study"],
        experiment=identity["experiment"],
        study_id=identity["id"],
        start_ms=identity["created_ms"],
        params={key: identity[key] for key in shown},
        tags={f"regsearch.{key}": str(identity[key]) for key in tagged if key in identity} | _said_of_folds(identity),
        dataset=Dataset(
            name=identity["study"], digest=identity["fingerprint"], source=identity["script"] or "memory",
            rows=identity["rows"], columns=identity["columns"], task=identity["task"], target=identity["target"],
        ),
        view=view,
        outside=tuple(outside),
    )  # fmt: skip


def _said_of_folds(identity: Mapping[str, Any]) -> dict[str, str]:
    """A tag that says what stands by fold where no fold has a score of its own."""
    return {"regsearch.pooled": PSEUDO} if identity.get("scoring", [""])[0].endswith(POOLED) else {}


def view_of(metrics: Sequence[str], space: Model) -> View:
    """What the page of a study's trials shows; the first of `metrics` decides.

    Scores first, then what the space varies; lambda goes by its logarithm where it is drawn. Parallel coordinates have
    the parameters that every trial has: MLflow draws no run that lacks one of them.
    """
    random = np.random.default_rng(0)
    draws = [*initial_params(space), *(random_params(space, random) for _ in range(_DRAWS))]
    parameters = parameter_names(space)
    rows = [parameters.shown(fill(space, draw), space.family_of(draw)) for draw in draws]
    names = dict.fromkeys(name for row in rows for name in row)  # a set that keeps its order
    differ = [name for name in names if name in space.axes or len({repr(row.get(name)) for row in rows}) > 1]
    params = sorted(differ, key=lambda name: (name not in _FAMILY, name not in space.axes))  # stable: the space's order
    everywhere = {name for name in names if all(row.get(name) is not None for row in rows)}
    drawn = [name for name in params if name in everywhere and name not in space.axes]
    along = tuple(path_axis(space.axis).metrics(1.0))  # the name under which the axis is logged, if there is one
    return View(
        order="val/mean",
        metrics=shown_metrics(),
        params=tuple(params),
        scatter=("gap/mean", "val/mean"),
        parallel_params=tuple(drawn[:_PARALLEL]),
        parallel_metrics=(*along, "gap/mean", "val/mean"),
        lines=tuple(ALONG_PATH) if space.axes else (),
        prefixes=prefixes(metrics[1:]),
        first=tuple(name for name in params if name in _FAMILY or name in space.axes),
        along=place_on_path(space.axis),
    )


def trial_record(trial: Trial, trajectory: Trajectory, metric: str, study: str) -> TrialRecord:
    """The child run of a study's trial; `metric` is the one that decides, the others get their names in front."""
    tags = {"regsearch.role": trial.role or "sampled"}
    if trial.at_edge:
        tags["regsearch.at_edge"] = path_axis(trial.axis).edge
    if trial.unsolved:
        tags["regsearch.unsolved"] = UNSOLVED
    if trial.diverges:
        tags["regsearch.diverges"] = DIVERGES
    if trial.outside:
        tags[OUTSIDE] = OUT_OF_SPACE
    if trial.reason:
        tags["regsearch.reason"] = trial.reason
    return TrialRecord(
        number=trial.number,
        state=_STATES[trial.was or trial.state],  # type: ignore[arg-type]
        start_ms=trial.start_ms,
        end_ms=trial.end_ms,
        name=f"{trial.number} {_called(trial)[:40]}",
        params={name: _readable(value) for name, value in trial.shown_params.items()},
        metrics=_finite(trial_metrics(trial, metric)),
        series=_series(trajectory, metric, trial),
        tags=tags,
        note=_trial_note(trial, study),
    )


def _trial_note(trial: Trial, study: str) -> str:
    """What the page of a trial's run says of it, in Markdown: what was tried, at which point, how it ships."""
    what = "The reference, without regularization" if trial.role == REFERENCE else f"A config of {as_code(study)}"
    if not trial.points:
        return f"{what}: {trial.state}. {as_words(trial.reason)}".strip()
    point, along = trial.point, path_axis(trial.axis)
    train, gap = format_number(point.train, 5), format_number(point.gap, 3)
    scores = f"{as_words(trial.metric)} {format_number(point.val, 5)} (train {train}, gap {gap})"
    lines = [f"{what}: {scores}, {trial.state}."]
    if trial.axis:
        at = f"step {trial.step} of {trial.steps - 1}, {along.name} {along.text(trial.value)}"
        lines.append(f"Its scores are those at {at}; the curves `path/...` show the others.")
    if trial.is_scored:
        lines.append(
            f"Look at it, or ship it: `regsearch show {study} --trial {trial.number}`, "
            f"`regsearch export {study} --trial {trial.number} --out DIR`"
        )
    return "\n\n".join(lines)


def _called(trial: Trial) -> str:
    return f"{REFERENCE} {trial.family}".rstrip() if trial.role == REFERENCE else trial.kind


def summary_record(
    status: Any,
    end_ms: int,
    trials: Sequence[Trial],
    metric: str,
    best: Trial | None,
    so_far: Mapping[int, float],
    note: str,
    artifacts: Sequence[Artifact],
) -> SummaryRecord:
    """The end of a study: the winner's figures, and the score of the best so far by the number of each trial."""
    metrics, tags = (best_metrics(best, metric), _best_tags(best)) if best is not None else ({}, {})
    metrics |= {
        "trials/complete": float(sum(trial.state == "complete" for trial in trials)),
        "trials/all": float(len(trials)),
    }
    return SummaryRecord(
        status=status,
        end_ms=end_ms,
        metrics=_finite(metrics),
        series={"best/val": Series(tuple(so_far), _rounded(list(so_far.values())))} if so_far else {},
        tags=tags,
        note=note,
        artifacts=tuple(artifacts),
    )


def _best_tags(best: Trial) -> dict[str, str]:
    """The winner's config as tags of the study's own run, by which studies are compared: parameters never change."""
    where: dict[str, Any] = {"trial": best.number, **({"step": best.step} if best.axis else {})}
    if best.points:
        score, error, gap = _rounded((best.point.val, best.point.val_se, best.point.gap))
        where |= {"score": f"{score:g}" + (f" ± {error:.2g}" if math.isfinite(error) else ""), "gap": f"{gap:g}"}
    return {f"best.{name}": str(_readable(value)) for name, value in {**where, **best.shown_params}.items()}


def _readable(value: Any) -> Any:
    """Six digits of a real number: what a table column has room for. The exact value is in the study's own storage."""
    return f"{value:.6g}" if isinstance(value, float) else value


def _rounded(values: Iterable[float]) -> tuple[float, ...]:
    """Six digits of each, as the table and the lists of a run's page show every digit that is logged."""
    found = tuple(values)
    return tuple(map(float, (" %.6g" * len(found) % found).split()))  # at once: a trial has hundreds


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """The finite ones, for people to read."""
    finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
    return dict(zip(finite, _rounded(finite.values()), strict=True))


def _series(trajectory: Trajectory, metric: str, trial: Trial) -> dict[str, Series]:
    """Curves along the path, over the folds that were fitted, and values by fold of the deciding metric.

    MLflow draws a line only beyond step 0, so a path begins at 1. A path of lambdas is even in their logarithm: so are
    the points of it that are sent, each with that logarithm, by which paths of several trials line up.
    """
    if (curves := trajectory.curves.get(metric)) is None:
        return {}
    folds, steps = map(_spread, curves.val.shape)
    found = {name: (folds, read(curves)[folds, trial.step]) for name, read in BY_FOLD.items()}
    if len(steps) > 1 and curves.fitted.any():
        along = {name: read(curves) for name, read in ALONG_PATH.items()}
        along |= {f"path/{name}": values for name, values in trajectory.followed.items()}
        found |= {name: (steps + 1, curves.average(values[:, steps])) for name, values in along.items()}
        if place := place_on_path(trial.axis):
            above = steps[trajectory.axis[steps] > 0]  # zero, the last of a path, has no logarithm
            found[place] = above + 1, np.log10(trajectory.axis[above])
    figures = iter(_six_digits(np.concatenate([values for _, values in found.values()])).tolist())
    return {name: Series(tuple(at.tolist()), tuple(islice(figures, len(at)))) for name, (at, _) in found.items()}


def _six_digits(values: Array) -> Array:
    """What `_rounded` makes of many numbers, but for the last digit of what lies between two: several times as fast."""
    with np.errstate(divide="ignore"):
        places = DIGITS - 1 - np.floor(np.log10(np.abs(values)))
    usual = np.abs(places) < len(POWERS)
    places = np.where(usual, places, 0).astype(np.intp)
    up, down = POWERS[np.maximum(places, 0)], POWERS[np.maximum(-places, 0)]
    found: Array = np.rint(values * up / down) / up * down
    if not usual.all():  # of zero, of no number, or of one that is far from 1
        found[~usual] = _rounded(values[~usual])
    return found


@cache
def _spread(count: int) -> NDArray[np.intp]:
    """Some of so many places, evenly spread, the first and the last among them; all where they are few."""
    return np.linspace(0, count - 1, min(count, SERIES_POINTS)).round().astype(np.intp)
