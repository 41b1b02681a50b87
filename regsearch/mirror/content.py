"""What MLflow is told: a study, its trials and its summary, as the mirror's records.

Everything here is made from what is stored, so a mirror can be rebuilt at any time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regsearch.mirror import Artifact, Dataset, Ready, Series, StudyRecord, SummaryRecord, TrialRecord, View
from regsearch.mirror.uris import hide_credentials
from regsearch.mirror.view import links
from regsearch.models.axes import LAMBDA, path_axis
from regsearch.models.base import Model
from regsearch.models.path import Curves, Trajectory
from regsearch.space.params import columns, flat
from regsearch.space.sampling import fill, scatter, starts
from regsearch.storage.store import Store
from regsearch.storage.trial import Trial

LOCAL = "http://127.0.0.1:5000"  # where `regsearch ui` serves unless told otherwise
_PAGE = "mlflow"  # the finding that says where MLflow shows the study
_STATES = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}
_DRAWS = 20  # configs drawn to see which parameters of a space differ
_FAMILY = ("penalty", "estimator", "module")  # what a trial is called by
_PARALLEL = 6  # parameters that parallel coordinates have room for
_PREFIXES = ("val", "train", "gap", "test", "path", "fold", "complexity", "time")  # of a trial's metrics


def study_record(identity: Mapping[str, Any], space: Model) -> StudyRecord:
    """The parent run of a study, and the page that shows its trials."""
    shown = ("task", "metric", "seed", "cv", "folds", "space")
    tagged = ("study", "version", "fingerprint", "folds_hash", "space_hash")
    return StudyRecord(
        study=identity["study"],
        experiment=identity["experiment"],
        study_id=identity["id"],
        start_ms=identity["created_ms"],
        params={key: identity[key] for key in shown},
        tags={f"regsearch.{key}": str(identity[key]) for key in tagged},
        dataset=Dataset(
            name=identity["study"], digest=identity["fingerprint"], source=identity["script"] or "memory",
            rows=identity["rows"], columns=identity["columns"], task=identity["task"], target=identity["target"],
        ),
        view=_view(identity["metrics"], space),
    )  # fmt: skip


def _view(metrics: Sequence[str], space: Model) -> View:
    """Scores first, then what the space varies; lambda goes by its logarithm where it is drawn."""
    random = np.random.default_rng(0)
    draws = [*starts(space), *(scatter(space, random) for _ in range(_DRAWS))]
    rows = [flat(fill(space, draw)) for draw in draws]
    names = dict.fromkeys(name for row in rows for name in row)  # a set that keeps its order
    differ = [name for name in names if name == space.axis or len({repr(row.get(name)) for row in rows}) > 1]
    params = sorted(differ, key=lambda name: (name not in _FAMILY, name != space.axis))  # stable: the space's order
    everywhere = {name for name in names if all(name in row for row in rows)} | columns(space).keys()
    drawn = [name for name in params if name in everywhere and name != space.axis]
    along = tuple(path_axis(space.axis).metrics(1.0))  # the name under which the axis is logged, if there is one
    others = [f"{name}/{part}" for name in metrics[1:] for part in ("val", "train", "gap")]
    return View(
        order="val/mean",
        metrics=("val/mean", "val/se", "train/mean", "gap/mean"),
        params=tuple(params),
        scatter=("gap/mean", "val/mean"),
        parallel_params=tuple(drawn[:_PARALLEL]),
        parallel_metrics=(*along, "gap/mean", "val/mean"),
        lines=("path/val", "path/train") if space.axis else (),
        prefixes=(*_PREFIXES, *others),
    )


def trial_record(trial: Trial, trajectory: Trajectory, metric: str) -> TrialRecord:
    """The child run of a trial; `metric` is the one that decides, the others get their names in front."""
    metrics: dict[str, float] = {}  # in the order in which a run's page lists them
    for name, point in trial.points.items():
        front = "" if name == metric else f"{name}/"
        metrics |= {
            f"{front}val/mean": point.val, f"{front}val/se": point.val_se, f"{front}train/mean": point.train,
            f"{front}gap/mean": point.gap, f"{front}gap/se": point.gap_se,
        }  # fmt: skip
    metrics |= {f"test/{name}": score for name, score in trial.test.items()}
    metrics |= path_axis(trial.axis).metrics(trial.value)
    metrics |= LAMBDA.metrics(trial.params.get("lambda"))  # a net may have one beside its epochs
    metrics |= {"complexity/nonzero": trial.complexity, **trial.measures, "time/fit_s": trial.seconds}
    tags = {"regsearch.role": trial.role or "sampled"}
    if trial.reason:
        tags["regsearch.reason"] = trial.reason
    return TrialRecord(
        number=trial.number,
        state=_STATES[trial.state],  # type: ignore[arg-type]
        start_ms=trial.start_ms,
        end_ms=trial.end_ms,
        name=f"{trial.number} {'reference' if trial.role == 'reference' else trial.kind[:40]}",
        params={name: _readable(value) for name, value in trial.params.items()},
        metrics=_figures(metrics),
        series=_series(trajectory.curves.get(metric), trial.step),
        tags=tags,
    )


def summary_record(
    status: Any,
    end_ms: int,
    trials: Sequence[Trial],
    metric: str,
    best: Trial | None,
    note: str,
    artifacts: Sequence[Artifact],
) -> SummaryRecord:
    """The end of a study: the winner's figures and the best score so far, trial by trial."""
    done = [trial for trial in trials if trial.state == "complete" and trial.points]
    scores = np.maximum.accumulate([trial.points[metric].val for trial in done if trial.points] or [-math.inf])
    metrics: dict[str, float] = {}
    if best is not None and best.points:
        point = best.points[metric]
        metrics |= {"val/mean": point.val, "val/se": point.val_se, "train/mean": point.train, "gap/mean": point.gap}
        metrics |= {"gap/se": point.gap_se} | {f"test/{name}": value for name, value in best.test.items()}
    metrics |= {"trials/complete": float(len(done)), "trials/all": float(len(trials))}
    return SummaryRecord(
        status=status,
        end_ms=end_ms,
        metrics=_figures(metrics),
        series={"best/val": Series(tuple(trial.number for trial in done), _rounded(scores))} if done else {},
        note=note,
        artifacts=tuple(artifacts),
    )


def keep_page(store: Store, tracking: str, ready: Ready) -> None:
    """Remember where MLflow shows the study, for those who ask later without opening its store."""
    where = {"server": _server(tracking), "view": ready.view, "store": _lasting(store, tracking), "run": ready.run_id}
    if store.finding(_PAGE) != where:
        store.save_finding(_PAGE, where)


def page_links(store: Store, local: str = LOCAL) -> tuple[str, str] | None:
    """What opens a study's table and charts: on its tracking server, or on the one that `regsearch ui` runs at `local`.

    `None` where MLflow has no page of the study.
    """
    where = store.finding(_PAGE)
    return links(where["server"] or local, where["view"]) if where and where["view"] else None


def log_report(store: Store, file: Path) -> str | None:
    """Put a report in the place of the one that the study's run in MLflow has.

    Returns
    -------
    str or None
        Why it could not be; empty where it is there; `None` where MLflow has no run of the study.
    """
    where = store.finding(_PAGE)
    if where is None:
        return None
    from regsearch.mirror.replacing import replace_text

    place = where["store"] or tracking_uri(store.root)
    return replace_text(place, where["run"], "report.html", file.read_text(encoding="utf-8"))


def tracking_uri(root: Path) -> str:
    """The MLflow store of a root."""
    return f"sqlite:///{root / 'mlflow.db'}"


def _lasting(store: Store, tracking: str) -> str:
    """The address of an MLflow store from any folder, without a password; empty for the root's own, which may move."""
    from regsearch.mirror.sqlite import database_path

    file = database_path(tracking)
    if file is None:
        return hide_credentials(tracking)
    return "" if tracking == tracking_uri(store.root) else f"sqlite:///{file.absolute()}"


def _server(tracking: str) -> str:
    """The address of a tracking server, without user and password; empty for a store that is no server."""
    return hide_credentials(tracking).rstrip("/") if tracking.startswith(("http://", "https://")) else ""


def _readable(value: Any) -> Any:
    """Six digits of a real number: what a table column has room for. The exact value is in the study's own storage."""
    return f"{value:.6g}" if isinstance(value, float) else value


def _rounded(values: Iterable[float]) -> tuple[float, ...]:
    """Six digits of each, as the table and the lists of a run's page show every digit that is logged."""
    return tuple(float(f"{value:.6g}") for value in values)


def _figures(metrics: Mapping[str, float]) -> dict[str, float]:
    """The finite ones, for people to read."""
    finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
    return dict(zip(finite, _rounded(finite.values()), strict=True))


def _series(curves: Curves | None, step: int) -> dict[str, Series]:
    """Curves along the path, over the folds that were fitted, and values by fold of the deciding metric."""
    if curves is None:
        return {}
    train, val, fitted = curves.train, curves.val, curves.fitted
    series = {"fold/val": Series.folds(_rounded(val[:, step])), "fold/train": Series.folds(_rounded(train[:, step]))}
    if val.shape[1] > 1 and fitted.any():
        paths = {"path/val": val, "path/train": train, "path/gap": train - val}
        series |= {name: Series.path(_rounded(curve[fitted].mean(axis=0))) for name, curve in paths.items()}
    return series
