"""`Plots`, what a user asks for figures, and the list of them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.errors import NotFound
from regsearch.results.plots import calibration, findings, parameters, scores
from regsearch.results.stored_study import StoredStudy

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class Sketch:
    """One kind of figure.

    Attributes
    ----------
    name
        Of the method of `Plots` that draws it.
    record
        From a study to what is drawn; `None` where there is nothing to show.
    draw
        From that record to a plotly figure.
    caption
        How to read it, in one sentence.
    needs
        What a study must have for it.
    wide
        Whether it needs more room than a phone has: pages let it scroll.
    """

    name: str
    record: Callable[[StoredStudy], Any]
    draw: Callable[[Any], Figure]
    caption: str
    needs: str
    wide: bool = False


@dataclass(frozen=True)
class Drawn:
    """A figure with its name, its caption and whether it needs more room than a phone has."""

    name: str
    figure: Figure
    caption: str
    wide: bool


FIGURES: tuple[Sketch, ...] = (
    Sketch(
        "gap", scores.gap_record, scores.draw_gap,
        "Up is a better score, left is less overfitting; on the dotted line no trial is better in both, so look for a "
        "point on it that costs little score and saves much gap.",
        "a complete trial",
    ),
    Sketch(
        "path", scores.path_record, scores.draw_path,
        "The distance of the two curves is the gap: it opens where regularization lets go; between the dashed and the "
        "solid line the scores cannot be told apart.",
        "a best trial with a path, of lambda or epochs",
    ),
    Sketch(
        "ablation", findings.ablation_record, findings.draw_ablation,
        "A bar to the left on the left side means that the score falls without the technique; a bar to the right on "
        "the right side, that the gap grows; whiskers are one standard error. Everything else stays as it was chosen.",
        "an ablation", wide=True,
    ),
    Sketch(
        "learning_curve", findings.learning_record, findings.draw_learning,
        "If validation still rises on the right, more rows would help; if the two curves have met, they would not.",
        "a learning curve",
    ),
    Sketch(
        "coefficients", findings.coefficients_record, findings.draw_coefficients,
        "Each line is a column of the data: what is far from zero at the vertical line is what the winner uses most.",
        "the coefficients of a linear winner",
    ),
    Sketch(
        "calibration", calibration.calibration_record, calibration.draw_calibration,
        "Points below the diagonal on the right are overconfident: it came true less often than was said.",
        "a classification whose targets and predictions were kept",
    ),
    Sketch(
        "kinds", scores.kinds_record, scores.draw_kinds,
        "Each dot is a trial and each box the middle half of its kind (with the number of trials): the further right, "
        "the better.",
        "trials of two kinds of penalty, estimator or module",
    ),
    Sketch(
        "importance", parameters.importance_record, parameters.draw_importance,
        "The longer the bar, the more the score depends on the parameter within the range that was searched.",
        f"{parameters.FEWEST} sampled trials that differ in two parameters",
    ),
    Sketch(
        "slices", parameters.space_record, parameters.draw_slices,
        "A cloud that rises towards an edge of its range says that the range should be wider there; a flat top, that "
        "the parameter hardly matters.",
        "two complete trials with different parameters", wide=True,
    ),
    Sketch(
        "parallel", parameters.space_record, parameters.draw_parallel,
        "Follow the lines of the best trials, in orange: where they bundle on an axis, the score asks for that value.",
        "two complete trials with different parameters", wide=True,
    ),
    Sketch(
        "history", scores.history_record, scores.draw_history,
        "If the best validation score goes on rising while its held-out score does not, the search has begun to fit "
        "the folds.",
        "two complete trials",
    ),
)  # fmt: skip
_BY_NAME = {sketch.name: sketch for sketch in FIGURES}


@dataclass(frozen=True)
class Plots:
    """Figures of a study as plotly figures.

    Each method raises `NotFound` where the study has nothing to show in it.
    """

    study: StoredStudy
    names: ClassVar[tuple[str, ...]] = tuple(_BY_NAME)

    def gap(self) -> Figure:
        """Score against gap of every trial, the Pareto front, the choices and the reference."""
        return self._one("gap")

    def path(self) -> Figure:
        """Train and validation scores along the best trial's path."""
        return self._one("path")

    def ablation(self) -> Figure:
        """What the winner's score and gap are without each of its techniques."""
        return self._one("ablation")

    def learning_curve(self) -> Figure:
        """The winner's scores by number of training rows."""
        return self._one("learning_curve")

    def coefficients(self) -> Figure:
        """The winner's coefficients along its path."""
        return self._one("coefficients")

    def calibration(self) -> Figure:
        """Predicted probabilities of the winner and of the reference, against what was true."""
        return self._one("calibration")

    def kinds(self) -> Figure:
        """Scores by kind of penalty, estimator or module."""
        return self._one("kinds")

    def importance(self) -> Figure:
        """How much each sampled parameter matters for the score."""
        return self._one("importance")

    def slices(self) -> Figure:
        """The score along each parameter."""
        return self._one("slices")

    def parallel(self) -> Figure:
        """Parameters and scores as parallel axes."""
        return self._one("parallel")

    def history(self) -> Figure:
        """The best score so far, trial by trial, with held-out scores."""
        return self._one("history")

    def all(self) -> dict[str, Figure]:
        """Every figure that has something to show, by name."""
        return {drawn.name: drawn.figure for drawn in self.drawn()}

    def drawn(self) -> list[Drawn]:
        """Every figure that has something to show, with its caption."""
        records: dict[Callable[[StoredStudy], Any], Any] = {}  # some figures show the same record
        for sketch in FIGURES:
            if sketch.record not in records:
                records[sketch.record] = sketch.record(self.study)
        return [
            Drawn(sketch.name, sketch.draw(records[sketch.record]), sketch.caption, sketch.wide)
            for sketch in FIGURES if records[sketch.record] is not None
        ]  # fmt: skip

    def _one(self, name: str) -> Figure:
        sketch = _BY_NAME[name]
        record = sketch.record(self.study)
        if record is None:
            raise NotFound(f"The figure {name!r} needs {sketch.needs}; the study {self.study.name!r} has none yet.")
        return sketch.draw(record)
