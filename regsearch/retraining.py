"""The config of a bundle on new data: a new bundle, and what became of score and gap."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regsearch.bundle.files import Bundle, open_bundle
from regsearch.bundle.folding import folds_like
from regsearch.bundle.loading import fitted
from regsearch.bundle.settings import evaluate, settings_of
from regsearch.config import to_data
from regsearch.export import Parcel, check_target, score, translated, write
from regsearch.folds import Folds, make_folds
from regsearch.metrics import resolve
from regsearch.path import Outcome
from regsearch.problem import Problem, make_problem


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
    """

    folder: Path
    metric: str
    old: Mapping[str, Any]
    new: Mapping[str, Any]

    def __str__(self) -> str:
        rows = [("", "old data", "new data", "change"), *(self._row(name) for name in ("val", "train", "gap"))]
        table = "\n".join(f"{a:<8}{b:>20}{c:>20}{d:>14}" for a, b, c, d in rows)
        return f"{self.metric}, cross-validated with the same config\n{table}"

    def _row(self, name: str) -> tuple[str, str, str, str]:
        shown = [_with_error(figures[name], figures.get(f"{name}_se")) for figures in (self.old, self.new)]
        return name, *shown, f"{self.new[name] - self.old[name]:+.3g}"  # type: ignore[return-value]


def retrain(
    folder: str | os.PathLike[str],
    X: Any,
    y: Any,
    out: str | os.PathLike[str],
    *,
    cv: Any = None,
    groups: Any = None,
    sample_weight: Any = None,
    scoring: Any = None,
    trusted: Sequence[str] = (),
    module: Callable[[], Any] | None = None,
) -> Retrained:
    """Refit the config of a bundle on new data, and compare score and gap with the old.

    Parameters
    ----------
    folder
        The old bundle.
    X, y, groups, sample_weight
        The new data, as `regsearch.Study` takes them.
    out
        Where the new bundle goes; see `regsearch.export.export`.
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
        When the bundle cannot be read, or its config cannot be fitted to the new data.
    """
    bundle = open_bundle(folder)
    check_target(out)
    settings = settings_of(bundle, lambda: fitted(bundle, trusted, module), module)
    problem = make_problem(X, y, groups=groups, sample_weight=sample_weight, task=settings.task, seed=settings.seed)
    said = bundle.provenance["folds"]
    folds = folds_like(said, problem, settings.seed) if cv is None else make_folds(cv, problem, settings.seed)
    metrics = resolve(settings.scoring if scoring is None else scoring, problem)
    outcome = evaluate(settings.config, problem, folds, metrics, settings.seed)
    provenance = _provenance(bundle, problem, folds, outcome)
    model = settings.config.refit(problem, settings.seed)
    written = write(Parcel(settings.config, model, problem, provenance), out)
    return Retrained(written, outcome.primary, bundle.provenance["score"], provenance["score"])


def _provenance(bundle: Bundle, problem: Problem, folds: Folds, outcome: Outcome) -> dict[str, Any]:
    """As that of the old bundle, with the new data, folds and score; the old ones are kept beside them."""
    old = bundle.provenance
    path = old["path"]
    return {
        **{name: old[name] for name in ("study", "trial", "rule", "seed")},
        "why": old["why"],
        "data": {
            "fingerprint": problem.fingerprint, "rows": problem.rows, "columns": problem.columns,
            "target": problem.name, "task": problem.task,
        },
        "folds": {"cv": folds.name, "count": len(folds), "hash": folds.digest},
        "score": score(outcome.primary, outcome.point(outcome.primary), {}),
        "path": {
            "axis": path["axis"], "value": path["value"], "step": outcome.step, "steps": len(outcome.axis),
            "translated": translated(path["axis"], path["value"], problem.rows), "config": to_data(outcome.config),
        },
        "retrained": {name: old[name] for name in ("exported", "data", "folds", "score")},
    }  # fmt: skip


def _with_error(value: float, error: float | None) -> str:
    return f"{value:.5g}" + ("" if error is None else f" ± {error:.2g}")
