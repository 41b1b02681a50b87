"""Whether predicted probabilities can be taken at their word: those for rows outside training, and what was true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.metrics.predictions import probabilities
from regsearch.models.estimator import Estimator
from regsearch.results.plots.registry import plot
from regsearch.results.plots.style import BLUE, INK, MUTED, VERMILION, new_figure, with_opacity
from regsearch.results.stored_study import Scoring, StoredStudy, comparable, reference_name
from regsearch.storage.trial import Trial

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

BINS = 10
FEWEST = 20  # rows
Z = 1.959964  # of 95%


@dataclass(frozen=True)
class Reliability:
    """Predicted and true shares of one trial by bins of equally many rows, as far as equal probabilities let.

    Attributes
    ----------
    predicted, true, count
        ``[b]``: mean predicted probability, share of rows where it came true, both by sample weight, and rows.
    effective
        ``[b]``: how many rows of equal weight would tell as much (Kish 1965).
    error
        Expected calibration error: the mean distance of the two, by weight.
    """

    predicted: Array
    true: Array
    count: Array
    effective: Array
    error: float

    @property
    def interval(self) -> tuple[Array, Array]:
        """Low and high ``[b]`` of each true share: Wilson's (1927) at 95%."""
        n, share = self.effective, self.true
        middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
        half = Z / (1 + Z**2 / n) * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
        return middle - half, middle + half


@dataclass(frozen=True)
class CalibrationRecord:
    """Reliability of the best trial and of the reference, by name; `of` says what the probabilities are of."""

    trials: dict[str, Reliability]
    of: str


def reliability(
    predicted: Array, true: NDArray[np.bool_], weight: Array | None = None, bins: int = BINS
) -> Reliability:
    """Sort ``[n]`` probabilities into bins of equally many rows and compare them with what was true ``[n]``.

    A model that was trained with sample weights estimates shares by weight, and is compared with those.

    Rows of equal probability stay together, so that bins of few distinct ones are fewer and uneven.
    """
    from scipy.stats import rankdata

    places = rankdata(predicted)  # equal probabilities share their mean place, and so a bin: to split them is chance
    bin_of = np.minimum(((places - 0.5) * bins / len(places)).astype(int), bins - 1)
    parts = [np.flatnonzero(bin_of == one) for one in np.unique(bin_of)]
    parts = [part for part in parts if weight is None or weight[part].sum() > 0]
    weights = [np.ones(len(part)) if weight is None else weight[part] for part in parts]
    means, shares = (
        np.array([np.average(values[part], weights=w) for part, w in zip(parts, weights, strict=True)])
        for values in (predicted, true)
    )
    count = np.array([float(len(part)) for part in parts])
    total = np.array([w.sum() for w in weights])
    effective = total**2 / np.array([(w**2).sum() for w in weights])
    return Reliability(means, shares, count, effective, float(np.average(np.abs(means - shares), weights=total)))


def calibration_record(study: StoredStudy) -> CalibrationRecord | None:
    """Reliability of stored predictions.

    `None` for a regression, where targets or predictions were not kept, or where decisions are not known to come from
    probabilities: the margins of a support vector machine have the sign of log-odds and nothing else of them.
    """
    scoring = study.scoring
    if scoring is None or scoring.problem.classes is None or not study.complete or not _of_probabilities(study):
        return None
    winner = "best" if study.winner == study.candidates[0] else f"trial {study.winner.number}"
    named = {winner: study.winner}
    reference = comparable(study)
    if reference is not None and reference.number != study.winner.number:
        named[reference_name(study, reference)] = reference
    found = {name: _of(study, scoring, trial) for name, trial in named.items()}
    kept = {name: one for name, one in found.items() if one is not None}
    classes = scoring.problem.classes
    of = f"class {classes[1]}" if len(classes) == 2 else "the predicted class"
    return CalibrationRecord(kept, of) if winner in kept else None


def _of_probabilities(study: StoredStudy) -> bool:
    """Whether stored decisions stand for probabilities: of an estimator, where it or a metric says that it has them."""
    from sklearn.metrics import get_scorer, get_scorer_names

    config, family = study.candidates[0].config or {}, study.candidates[0].family
    model = getattr(study.space, "families", {}).get(family, study.space)
    if config.get("type") != Estimator.kind or hasattr(getattr(model, "estimator", None), "predict_proba"):
        return True
    known = set(study.identity["metrics"]) & set(get_scorer_names())
    return any(get_scorer(name)._response_method == "predict_proba" for name in known)


def _of(study: StoredStudy, scoring: Scoring, trial: Trial) -> Reliability | None:
    own = next(one for one in study.all if one.number == trial.number)
    decisions = study.decisions(trial.number) if own.step == trial.step else None  # they are those of its own step
    if decisions is None or decisions.shape[1] != scoring.problem.outputs:
        return None
    rows = np.flatnonzero(np.isfinite(decisions).all(axis=1))
    if len(rows) < FEWEST or len(np.unique(decisions[rows])) <= 2:  # the latter: labels, not probabilities
        return None
    shares, y = probabilities(decisions[rows]), scoring.problem.y[rows]
    weight = None if scoring.problem.sample_weight is None else scoring.problem.sample_weight[rows]
    if shares.shape[1] == 2:
        return reliability(shares[:, 1], y == 1, weight)
    return reliability(shares.max(axis=1), shares.argmax(axis=1) == y, weight)


@plot(
    "Points below the diagonal on the right are overconfident: it came true less often than was said.",
    needs="a classification whose targets and predictions were kept", record=calibration_record, order=6,
)  # fmt: skip
def calibration(record: CalibrationRecord) -> Figure:
    """Predicted probabilities of the winner and of the reference, against what was true."""
    ends = [f"{name}: off by {one.error:.3f} on average" for name, one in record.trials.items()]
    figure = new_figure(
        "Can probabilities be believed?", f"predicted probability of {record.of}", "share that came true", 460,
        "; ".join(ends),
    )  # fmt: skip
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": MUTED, "dash": "dot", "width": 1.5}, name="as it should be",
        hoverinfo="skip",
    )  # fmt: skip
    for (name, one), colour, symbol in zip(record.trials.items(), (VERMILION, BLUE), ("circle", "x"), strict=False):
        low, high = one.interval
        figure.add_scatter(
            x=one.predicted, y=one.true, mode="lines+markers", name=f"{name} (95% interval)", customdata=one.count,
            line={"color": colour, "width": 2}, marker={"symbol": symbol, "size": 8},
            error_y={"array": np.maximum(high - one.true, 0), "arrayminus": np.maximum(one.true - low, 0),
                     "color": with_opacity(colour, 0.5), "thickness": 1.2, "width": 3},
            hovertemplate="predicted %{x:.3f}, true %{y:.3f}<br>%{customdata} rows<extra></extra>",
        )  # fmt: skip
    best = next(iter(record.trials.values()))
    spread = " to ".join(dict.fromkeys(f"{count:.0f}" for count in (best.count.min(), best.count.max())))
    figure.add_annotation(
        x=0.98, y=0.02, xref="paper", yref="paper", xanchor="right", yanchor="bottom", showarrow=False,
        text=f"each point: {spread} of {best.count.sum():.0f} rows", font={"size": 12, "color": INK},
    )  # fmt: skip
    figure.update_xaxes(range=[-0.03, 1.03])
    figure.update_yaxes(range=[-0.03, 1.03])
    return figure
