"""What MLflow logs of a trial: each column declared once, with its name and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from regsearch._types import Array
from regsearch.models.axes import LAMBDA, path_axis
from regsearch.models.path import Curves, Point
from regsearch.storage.trial import Trial


@dataclass(frozen=True)
class ScoreColumn:
    """A figure of each scorer: of the deciding one under this name, of another with the scorer's in front.

    Attributes
    ----------
    read
        From a point of the scorer's curves to the figure.
    shown
        Whether the prepared table of trials has it.
    """

    name: str
    read: Callable[[Point], float]
    shown: bool = False


@dataclass(frozen=True)
class TrialColumn:
    """A figure of a trial; or several, whose names begin like this.

    Attributes
    ----------
    read
        From a trial to the figure, or to figures by the rest of their names.
    best
        Whether the study's own run has it too, of the best trial.
    """

    name: str
    read: Callable[[Trial], float | Mapping[str, float]]
    best: bool = False


# in the order in which a run's page lists them
SCORES: tuple[ScoreColumn, ...] = (
    ScoreColumn("val/mean", lambda point: point.val, shown=True),
    ScoreColumn("val/se", lambda point: point.val_se, shown=True),
    ScoreColumn("train/mean", lambda point: point.train, shown=True),
    ScoreColumn("gap/mean", lambda point: point.gap, shown=True),
    ScoreColumn("gap/se", lambda point: point.gap_se),
)
FIGURES: tuple[TrialColumn, ...] = (
    TrialColumn("test/", lambda trial: trial.test, best=True),
    TrialColumn("", lambda trial: path_axis(trial.axis).metrics(trial.value)),
    TrialColumn("", lambda trial: LAMBDA.metrics(trial.lambda_)),  # a net may have one beside
    TrialColumn("complexity/", lambda trial: {path_axis(trial.axis).complexity: trial.complexity}),
    TrialColumn("", lambda trial: trial.measures),
    TrialColumn("time/fit_s", lambda trial: trial.seconds),
)
PLACE = "path_axis"
# by name, from the curves of the deciding metric to ``[K, S]``: what is drawn by fold, and along the path
BY_FOLD: Mapping[str, Callable[[Curves], Array]] = {
    "fold/val": lambda curves: curves.val,
    "fold/train": lambda curves: curves.train,
}
ALONG_PATH: Mapping[str, Callable[[Curves], Array]] = {
    "path/val": lambda curves: curves.val,
    "path/train": lambda curves: curves.train,
    "path/gap": lambda curves: curves.train - curves.val,
}


def place_on_path(axis: str) -> str:
    """The metric by which charts place the points of a path, beside its step; empty where the step is its value."""
    return f"{PLACE}/log10_{axis}" if path_axis(axis).log else ""  # not of the paths, each of which is a chart


def trial_metrics(trial: Trial, metric: str) -> dict[str, float]:
    """Every figure of a trial by its name in MLflow; `metric` is the one that decides."""
    found: dict[str, float] = {}
    for name, point in trial.points.items():
        found |= _scores(point, "" if name == metric else f"{name}/")
    return found | _figures(trial, FIGURES)


def best_metrics(trial: Trial, metric: str) -> dict[str, float]:
    """Those of the best trial that the study's own run has."""
    if not trial.points:
        return {}
    return _scores(trial.points[metric]) | _figures(trial, (column for column in FIGURES if column.best))


def _scores(point: Point, front: str = "") -> dict[str, float]:
    return {f"{front}{column.name}": column.read(point) for column in SCORES}


def _figures(trial: Trial, columns: Iterable[TrialColumn]) -> dict[str, float]:
    found: dict[str, float] = {}
    for column in columns:
        value = column.read(trial)
        several = value if isinstance(value, Mapping) else {"": value}
        found |= {f"{column.name}{rest}": figure for rest, figure in several.items()}
    return found


def shown_metrics() -> tuple[str, ...]:
    """The figures that the prepared table of trials has."""
    return tuple(column.name for column in SCORES if column.shown)


def prefixes(others: Iterable[str]) -> tuple[str, ...]:
    """What stands before the slash in the names of metrics, of scorers that do not decide too."""
    scores, figures = ([column.name for column in columns] for columns in (SCORES, FIGURES))
    own = [*scores, *(column.name for column in FIGURES if column.best), *ALONG_PATH, *BY_FOLD, f"{PLACE}/", *figures]
    return (*dict.fromkeys(_prefixes(own)), *(f"{name}/{part}" for name in others for part in _score_parts()))


def _score_parts() -> Iterable[str]:
    return dict.fromkeys(_prefixes(column.name for column in SCORES))


def _prefixes(names: Iterable[str]) -> Iterator[str]:
    return (name.partition("/")[0] for name in names if "/" in name)
