"""The config of a bundle on new data: a new bundle, and what became of score and gap; of an ensemble, all members'."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from regsearch._types import NUMBERS
from regsearch.data.features import is_frame, is_sparse
from regsearch.data.fold_targets import check_transform
from regsearch.data.folds import make_folds
from regsearch.data.problem import SAME, Problem, make_problem
from regsearch.documents import without_constants
from regsearch.errors import InvalidInput
from regsearch.export.bundle import schema
from regsearch.export.bundle.card import FLATTERS
from regsearch.export.bundle.column import plain
from regsearch.export.bundle.files import MEMBERS, Bundle, open_bundle
from regsearch.export.bundle.folding import folds_like, searched_rows
from regsearch.export.bundle.loading import fitted, form_of
from regsearch.export.bundle.schema import Form, listed
from regsearch.export.bundle.settings import evaluate, settings_of
from regsearch.export.ensembles import ParcelOfMembers, score_of_mean, write_ensemble
from regsearch.export.write import Parcel, check_target, on_targets, score, transformed, translated, what_lacks, write
from regsearch.metrics.pooled import pooled_metrics
from regsearch.metrics.scorer import label_of, resolve
from regsearch.models.base import Outcome, Setup
from regsearch.results.by_target import of_decisions
from regsearch.results.formatting import format_value
from regsearch.results.stored_study import Scoring
from regsearch.results.table import Table
from regsearch.space.config import to_data


@dataclass(frozen=True)
class Retrained:
    """What a retraining gave.

    Attributes
    ----------
    folder
        The new bundle.
    metric
        The deciding one; larger is better.
    old, new
        Its figures on the old data and on the new: ``val``, ``val_se``, ``train``, ``gap``, ``gap_se``.
    same
        Whether the new data are the old ones.
    notes
        What a reader of the new score must know, in sentences, as the new model card has them.
    """

    folder: Path
    metric: str
    old: Mapping[str, Any]
    new: Mapping[str, Any]
    same: bool = False
    notes: tuple[str, ...] = ()

    def change(self, name: str) -> tuple[float, float]:
        """By how much a figure (``val``, ``train``, ``gap``) changed, and the standard error of that.

        It follows from the errors over both sets of folds, taken for independent; NaN where either has none, and where
        the data are the same, whose folds say nothing of each other's chance.
        """
        before, after = (_known(figures[name]) for figures in (self.old, self.new))
        errors = [_known(figures.get(f"{name}_se")) for figures in (self.old, self.new)]
        return after - before, math.nan if self.same else math.hypot(*errors)

    def __str__(self) -> str:
        rows = [self._row(name) for name in ("val", "train", "gap") if self.new[name] is not None]
        table = Table(("", "old data", "new data", "change"), rows, words={""})
        name = label_of(self.metric, bool(self.new.get("weighted")))
        return "\n".join([f"{name}, cross-validated with the same config", table.text(), *self.notes])

    def _row(self, name: str) -> tuple[str, str, str, str]:
        before, after = (
            format_value(_known(figures[name]), _known(figures.get(f"{name}_se")), digits=5)
            for figures in (self.old, self.new)
        )
        return name, before, after, format_value(*self.change(name), sign="+")


def retrain(
    folder: str | os.PathLike[str],
    X: Any,
    y: Any,
    out: str | os.PathLike[str],
    *,
    cv: Any = None,
    groups: Any = None,
    sample_weight: Any = None,
    score_weight: Any = SAME,
    scoring: Any = None,
    trusted: Sequence[str] = (),
    module: Callable[[], Any] | None = None,
) -> Retrained:
    """Refit the config of a bundle on new data, and compare score and gap with the old.

    Of an ensemble every member is, and the weights stay; it has no train score, and so no gap. A column that has no
    value in the new data, that is missing, new or of another kind is no error; `Retrained.notes` names it.

    On the data of the search the new model is the old one. So is the score, but where a fit ends within a tolerance: a
    search solves each lambda of a path from the one before, a retraining its own alone, and both to the same duality
    gap. What that leaves is far below `regsearch.export.verify.TOLERANCE` of the score; ridge has none of it.

    Parameters
    ----------
    folder
        The old bundle.
    X, y, groups, sample_weight, score_weight
        The new data, as `regsearch.Study` takes them; several targets that have names may be in any order.
    out
        Where the new bundle goes; see `regsearch.export.write.export`.
    cv
        Folds of the new data, as `regsearch.Study` takes them; default: of the kind that the old ones were.
    scoring
        A scorer, where the old one was the user's own.
    trusted, module
        As `regsearch.load` takes them.

    Raises
    ------
    NotFound
        When the folder holds no bundle.
    InvalidInput
        When the bundle cannot be read, the new target has other classes, or the config cannot be fitted to the data.
    """
    bundle, given = open_bundle(folder), GivenData(X, y, groups, sample_weight, score_weight, cv, scoring)
    check_target(out)
    again = [_again(one, given, trusted, module if one.factory else None) for one in bundle.parts]
    setup, parcels = again[0].setup, [one.parcel for one in again]
    provenance = parcels[0].provenance
    if bundle.members:
        provenance = _of_members(bundle, setup, [one.outcome for one in again])
        told = [str(one.get("config", "")) for one in bundle.provenance[MEMBERS]]
        written = write_ensemble(ParcelOfMembers(parcels, [*bundle.members.values()], told, provenance), out)
    else:
        written = write(parcels[0], out)
    old, notes = bundle.provenance, tuple(provenance["retrained"]["notes"])
    same, metric = _is(setup.problem, old["data"]), setup.metrics[0].name
    return Retrained(written, metric, old["score"], provenance["score"], same, notes)


@dataclass(frozen=True)
class GivenData:
    """The new data, and how they are split and scored; see `retrain`."""

    X: Any
    y: Any
    groups: Any
    sample_weight: Any
    score_weight: Any
    cv: Any
    scoring: Any


@dataclass(frozen=True)
class _Again:
    """The config of a bundle on new data: what is written, and how it scored."""

    parcel: Parcel
    setup: Setup
    outcome: Outcome


def _again(bundle: Bundle, given: GivenData, trusted: Sequence[str], module: Callable[[], Any] | None) -> _Again:
    """Score and refit the config of a bundle of one model."""
    settings = settings_of(bundle, lambda: fitted(bundle, trusted, module), module)
    problem = make_problem(
        given.X, given.y, groups=given.groups, sample_weight=given.sample_weight, score_weight=given.score_weight,
        task=settings.task, targets=settings.targets, seed=settings.seed,
    )  # fmt: skip
    problem = settings.aimed(problem)
    _check_classes(form_of(bundle), problem)
    scoring = settings.scoring if given.scoring is None else given.scoring
    setup = _setup(bundle.provenance, problem, given.cv, settings.seed, scoring)
    outcome = evaluate(settings.config, setup)
    model = settings.config.refit(problem, settings.seed)
    return _Again(Parcel(settings.config, model, problem, _provenance(bundle, setup, outcome)), setup, outcome)


def _setup(old: Mapping[str, Any], problem: Problem, cv: Any, seed: int, scoring: Any) -> Setup:
    """Folds and a score as those of a provenance, on new data."""
    said = old["folds"]
    folds = folds_like(said, problem, seed) if cv is None else make_folds(cv, problem, seed)
    pooled = old["score"].get("pooled") or None  # else as far as the new folds need it
    metrics = pooled_metrics(resolve(scoring, problem)[:1], problem, folds, pooled)
    check_transform(problem, folds.train)
    return Setup(problem, folds, metrics, seed, fold_weights=said.get("weights", "equal"))


def _check_classes(form: Form, problem: Problem) -> None:
    """Refuse labels that are not those of the bundle: its predictions would mean something else."""
    own = () if problem.classes is None else tuple(plain(label) for label in problem.classes.tolist())
    for given, wanted in [(one.classes, two.classes) for one, two in zip(problem.tasks, form.tasks, strict=True)] or [
        (own, form.classes)
    ]:
        if problem.task not in NUMBERS and {*(given or ())} != {*(wanted or ())}:
            raise InvalidInput(
                f"The new target must have the classes that the bundle predicts, {[*(wanted or ())]!r}, got "
                f"{[*(given or ())]!r}; relabel it, or run a study of its own for other classes."
            )


def _is(problem: Problem, data: Mapping[str, Any]) -> bool:
    """Whether data are those of a provenance, but for rows that were held out there."""
    return problem.fingerprint in (data["fingerprint"], data.get("searched"))


def _searched(made: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data that the config of a bundle was searched on, however often it was retrained since."""
    earlier = made.get("retrained") or {}
    found: Mapping[str, Any] = earlier.get("searched") or earlier.get("data") or made["data"]
    return found


def _notes(problem: Problem, bundle: Bundle) -> list[str]:
    """What the score owes to the search, and columns that are others, or that the model can learn nothing from."""
    empty, old = ", ".join(_empty(problem)), bundle.provenance
    changed = "; ".join(_changed(form_of(bundle), schema.form_of(problem)))
    return [
        _origin(problem, old),
        *([f"Warning: the columns are not those of the old bundle: {changed}."] if changed else []),
        *_weighing(problem, bool(old["score"].get("weighted"))),
        *([f"Warning: without any value, so nothing was learned from: {empty}."] if empty else []),
    ]


def _origin(problem: Problem, old: Mapping[str, Any]) -> str:
    """Whether the data are those that the config was searched on, as far as fingerprints say."""
    searched, part = _searched(old), searched_rows(old, problem)
    if _is(problem, searched):
        return f"The config was searched on these very data. {FLATTERS}"
    if _is(part, searched):
        return f"The config was searched on {part.rows} of these {problem.rows} rows, so the score still flatters."
    return (
        "By their fingerprint these are not the data that the config was searched on. Where no row is the same, the "
        "score owes nothing to the choice; as far as some are, it still flatters."
    )


def _changed(was: Form, now: Form) -> Iterator[str]:
    """What of the rows of a new bundle is not as in the old one; columns may be in another order."""
    if was.rows != now.rows or (was.rows != "frame" and was.shape != now.shape):
        yield f"rows are now of the kind {now.rows} and the shape {now.shape}, and were {was.rows} and {was.shape}"
        return
    before, after = ({one.name: one.kind for one in form.columns} for form in (was, now))
    if absent := [name for name in before if name not in after]:
        yield f"without {listed(absent)}"
    if new := [name for name in after if name not in before]:
        yield f"with {listed(new)}"
    yield from (f"{k!r} is {after[k]}, and was {before[k]}" for k in after if before.get(k, after[k]) != after[k])


def _weighing(problem: Problem, before: bool) -> list[str]:
    """That rows weigh in one of the scores alone, where they do."""
    now = problem.score_weight is not None
    if before == now:
        return []
    said = "the old score, and not in the new one" if before else "the new score, and not in the old one"
    return [f"Warning: rows weigh in {said}; score_weight= says what they weigh."]


def _empty(problem: Problem) -> list[str]:
    """Columns in which every value is missing."""
    X = problem.X
    if is_sparse(X) or problem.grid is not None:
        return []
    columns = (X[name].isna() for name in X.columns) if is_frame(X) else (np.isnan(column) for column in X.T)
    return [name for name, missing in zip(problem.column_names, columns, strict=True) if missing.all()]


def _provenance(bundle: Bundle, setup: Setup, outcome: Outcome) -> dict[str, Any]:
    """As that of the old bundle, with the new data, folds and score; the old ones are kept beside them."""
    old, problem = bundle.provenance, setup.problem
    path = old["path"]
    return {
        **{name: old[name] for name in ("study", "trial", "rule", "seed")},
        "why": old["why"],
        **_origin_of(setup),
        "score": score(outcome.trajectory.metric, outcome.point, {})
        | {"weighted": problem.score_weight is not None, "pooled": setup.metrics[0].pooled}
        | on_targets(of_decisions(Scoring.of(setup), setup.averaging, outcome.predictions)),
        "path": {
            "axis": path["axis"], "value": path["value"], "step": outcome.step, "steps": outcome.trajectory.steps,
            "translated": translated(path["axis"], path["value"], problem.rows),
            "config": without_constants(to_data(outcome.candidate.config)),
        },
        "retrained": _before(problem, bundle),
    }  # fmt: skip


def _of_members(bundle: Bundle, setup: Setup, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The same of an ensemble, whose weights stay."""
    old = bundle.provenance
    point = score_of_mean(Scoring.of(setup), setup.averaging, outcomes, [*bundle.members.values()])
    return {
        **{name: old[name] for name in ("study", "rule", "why", "seed")},
        **_origin_of(setup),
        "score": score(setup.metrics[0].name, point, {})
        | {"weighted": setup.problem.score_weight is not None, "pooled": setup.metrics[0].pooled},
        "retrained": _before(setup.problem, bundle),
    }


def _origin_of(setup: Setup) -> dict[str, Any]:
    """The new data and folds as plain data."""
    problem, folds = setup.problem, setup.folds
    return {
        "data": {
            "fingerprint": problem.fingerprint, "rows": problem.rows, "columns": problem.columns,
            "target": problem.name, "task": problem.task, "searched": problem.fingerprint,
        } | transformed(problem),
        "held_out": None,
        "folds": {"cv": folds.name, "count": len(folds), "hash": folds.digest}
        | {"weights": setup.fold_weights} | what_lacks(folds.weightless, folds.rare),
    }  # fmt: skip


def _before(problem: Problem, bundle: Bundle) -> dict[str, Any]:
    """What the old bundle says of its data and score, and what a reader of the new score must know."""
    kept = {name: bundle.provenance[name] for name in ("exported", "data", "folds", "score")}
    return kept | {"searched": _searched(bundle.provenance), "notes": _notes(problem, bundle)}


def _known(figure: float | None) -> float:
    """A figure of a provenance, which has null for what is not finite."""
    return math.nan if figure is None else figure
