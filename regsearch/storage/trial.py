"""What is kept of each trial: one record, made from an outcome, stored as one user attribute of Optuna's trial."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from regsearch.cleaning import clean
from regsearch.models.axes import LAMBDA, path_axis
from regsearch.models.base import Outcome
from regsearch.models.path import Point, Trajectory
from regsearch.numeric import is_number
from regsearch.space.config import digest, to_data
from regsearch.space.params import ParameterNames
from regsearch.storage.parameter_names import own_names

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

ATTRIBUTE = "regsearch"
STOPPED = "regsearch_stopped"  # user attribute of a trial that waits: what it had come to when its run ended
State: TypeAlias = Literal[
    "complete", "pruned", "failed", "interrupted", "damaged", "outside", "stopped", "running", "waiting"
]
OUTSIDE: State = "outside"
STATES: tuple[State, ...] = get_args(State)
ENDED: tuple[State, ...] = STATES[:7]  # of trials that no process has in hand, and that have come to something
COUNTED: tuple[State, ...] = ("complete", "pruned", "failed", "damaged")  # of the trials that a study shall have
_STATES: dict[str, State] = {
    "COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running", "WAITING": "waiting",
}  # fmt: skip
INTERRUPTED = "interrupted before it finished"
NO_RECORD = "its record is lost: it is run again with the study"
UNSOLVED = "its solver ended above its tolerance"
DIVERGES = "classes are separable, so that without a penalty there is no fit; it is scored under one next to none"
REASON_LENGTH = 2000  # characters of a reason that are kept: a foreign error may print all its data
BY_OPTUNA = {"optuna": True}  # a field that Optuna stores by itself


@dataclass(frozen=True, repr=False)
class Trial:
    """One trial, as stored.

    Attributes
    ----------
    state
        ``interrupted``: its process ended while it was proposed, and another was proposed in its place. ``damaged``: it
        had finished, what was kept of it cannot be read, and the next run evaluates it again. ``outside``: its study's
        space has changed, and has it no more; it is kept, and never chosen. ``stopped``: its run had
        no more time; what it had come to is kept, to be chosen if it stands, and the next run evaluates it to its end.
    role
        ``reference`` (no regularization), ``start`` (a default), or empty when it was sampled.
    family
        Which family of a study of several it is of; empty elsewhere.
    config
        The config as plain data, its path unfilled; `None` for a trial that never finished.
    key
        Digest of the config: equal for equal configs.
    draws
        What Optuna drew, by parameter name.
    params
        The chosen config as a flat row.
    lacking
        Names among these of what the config does not have, such as another penalty's: their values are neutral, or
        follow from what it has, as the L1 ratio of ridge does.
    off
        Names among those of a part that is off as a whole, such as dropout at 0.
    axis, value
        What the path walks along (``lambda``, ``epochs``), and where on it the chosen step lies; empty and `None` where
        there is no path.
    step, steps
        The chosen step, and how many there are.
    at_edge
        Whether that is the last, of a path that has ended, and the scores still rise there: what lies beyond may be
        better.
    unsolved
        Whether the solver of a fold ended above its tolerance at the chosen step.
    diverges
        Whether the fit has no limit, as classes are separable and nothing is penalised: its score is arbitrary.
    reads_more
        Whether the deciding score reads what its predictions do not say: labels that are not the likeliest by them, as
        of a classifier with a threshold of its own, or the order of rows by a decision function that probabilities do
        not have. No such score can be computed from its predictions.
    points
        By metric, the first deciding; empty where there is no score.
    complexity
        Mean over folds at the chosen step, of a linear model degrees of freedom; NaN when unknown.
    measures
        Other figures of the chosen point, by name.
    test
        Scores on the held-out set, for trials that were the best when they finished.
    test_parts
        The deciding one without each tenth of the held-out rows, from which errors come; empty where it has none.
    stands
        Whether it was stopped where its path might have ended: it has a score in every fold, and may be chosen so, also
        where a later run that went on with it has given it up.
    start_ms, end_ms
        Milliseconds since the epoch; 0 where it has not come to that.
    reason
        Why it ended so, at most 2,000 characters of it.
    sha256
        Of the file of its arrays; empty where it was not kept.
    was
        Of one that is outside, the state that it had come to ...
    outside
        ... and what of it the space does not have.
    """

    number: int = field(metadata=BY_OPTUNA)
    state: State = field(metadata=BY_OPTUNA)
    role: str = ""
    config: Any = None
    key: str = ""
    draws: Mapping[str, Any] = field(default_factory=dict, metadata=BY_OPTUNA)
    params: Mapping[str, Any] = field(default_factory=dict)
    axis: str = ""
    value: float | None = None
    step: int = 0
    steps: int = 1
    at_edge: bool = False
    points: Mapping[str, Point] = field(default_factory=dict)
    complexity: float = math.nan
    measures: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    reason: str = ""
    test: Mapping[str, float] = field(default_factory=dict)
    test_parts: Sequence[float] = ()
    start_ms: int = 0
    end_ms: int = 0
    sha256: str = ""
    unsolved: bool = False
    diverges: bool = False
    reads_more: bool = False
    stands: bool = False
    family: str = ""
    lacking: Sequence[str] = ()
    off: Sequence[str] = ()
    was: State | Literal[""] = field(default="", metadata=BY_OPTUNA)
    outside: str = field(default="", metadata=BY_OPTUNA)

    # --- made, written, read -----------------------------------------------------------------------------------

    def __post_init__(self) -> None:
        if self.reason:  # anyone's code: it may hold a password, and colours, and print all its data
            reason = clean(self.reason)
            short = reason if len(reason) <= REASON_LENGTH else reason[: REASON_LENGTH - 1] + "…"
            object.__setattr__(self, "reason", short)

    def __repr__(self) -> str:
        """What it is and what it came to, on a line: a config of a table with text has pages of steps."""
        scores = next((f": {name} {point.said}" for name, point in self.points.items()), "")
        config = ", ".join(f"{name}={value}" for name, value in (self.own_params or self.draws).items())
        return f"Trial {self.number} ({', '.join(filter(None, (self.state, self.role, config)))}){scores}"

    @classmethod
    def from_outcome(
        cls, outcome: Outcome, draws: Mapping[str, Any], names: ParameterNames, start_ms: int, end_ms: int
    ) -> Trial:
        """The trial that an outcome becomes.

        Parameters
        ----------
        draws
            What Optuna drew for it.
        names
            What the study calls its parameters.
        """
        candidate, config = outcome.candidate, outcome.candidate.config
        value = path_axis(config.axis).number(outcome.value)
        return cls(
            candidate.number, outcome.state, candidate.role, to_data(config), digest(config), dict(draws),
            names.row(outcome.chosen_config, candidate.family), config.axis, value, outcome.step,
            outcome.trajectory.steps, not outcome.stands and _at_edge(outcome.step, outcome.trajectory),
            outcome.points if outcome.state != "failed" else {}, outcome.trajectory.complexity_at(outcome.step),
            dict(outcome.measures), outcome.seconds, outcome.reason, start_ms=start_ms, end_ms=end_ms,
            unsolved=outcome.trajectory.unsolved_at(outcome.step), diverges=outcome.diverges, family=candidate.family,
            lacking=names.lacking(outcome.chosen_config, candidate.family),
            off=names.off(outcome.chosen_config, candidate.family), reads_more=outcome.reads_more,
            stands=outcome.stands,
        )  # fmt: skip

    def to_attribute(self) -> dict[str, Any]:
        """The trial as JSON has it, less what Optuna stores by itself."""
        own = {one.name: getattr(self, one.name) for one in fields(self) if not one.metadata}
        return own | {"points": {name: asdict(point) for name, point in self.points.items()}}

    @classmethod
    def from_frozen(cls, frozen: FrozenTrial, again: Mapping[str, Any] | None = None) -> Trial:
        """The trial that Optuna stored; one that never finished has a state and little else.

        Parameters
        ----------
        again
            What became of it when it was evaluated again, with its state.
        """
        if again is not None:
            return cls.from_attribute(frozen, **again)
        attribute, state = frozen.user_attrs.get(ATTRIBUTE), _STATES[frozen.state.name]
        if state in ("waiting", "running") and STOPPED in frozen.user_attrs:  # while it is evaluated again, too
            return cls.from_attribute(frozen, "stopped", frozen.user_attrs[STOPPED])
        if attribute is not None and frozen.state.is_finished():
            return cls.from_attribute(frozen, state, attribute)
        without_record: dict[State, tuple[State, str]] = {
            "complete": ("damaged", NO_RECORD), "pruned": ("damaged", NO_RECORD),
            "failed": ("interrupted", INTERRUPTED), "running": ("running", INTERRUPTED),
        }  # fmt: skip
        state, reason = without_record.get(state, (state, ""))
        return cls(
            frozen.number, state, draws=own_names(frozen.params), role=frozen.user_attrs.get("role", ""), reason=reason,
            start_ms=_milliseconds(frozen.datetime_start), end_ms=_milliseconds(frozen.datetime_complete),
        )  # fmt: skip

    @classmethod
    def from_attribute(
        cls, frozen: FrozenTrial, state: State, attribute: Mapping[str, Any], draws: Mapping[str, Any] | None = None,
        was: State | Literal[""] = "", outside: str = "",
    ) -> Trial:  # fmt: skip
        """The trial of a record that `to_attribute` made; without other `draws` with those that Optuna has."""
        points = {name: Point(**point) for name, point in attribute["points"].items()}
        read = {**attribute, "points": points, "test_parts": tuple(attribute["test_parts"])}
        read |= {name: tuple(attribute.get(name, ())) for name in ("lacking", "off")}
        drawn = own_names(frozen.params if draws is None else draws)
        return cls(frozen.number, state, draws=drawn, was=was, outside=outside, **read)

    def damaged(self, reason: str) -> Trial:
        """This trial when what was kept of it cannot be read: what it was, and none of its figures."""
        return replace(
            self, state="damaged", reason=reason, points={}, complexity=math.nan, measures={}, test={}, test_parts=(),
        )  # fmt: skip

    def given_up(self, reason: str) -> Trial:
        """This trial, which an earlier run stopped where it stands, when it is not gone on with any more."""
        return replace(self, state="pruned", reason=f"{reason}; it stands as it was stopped before: {self.reason}")

    # --- read --------------------------------------------------------------------------------------------------

    @property
    def why(self) -> str:
        """Why it is what it is."""
        return f"outside the space: {self.outside}" if self.outside else self.reason

    @property
    def metric(self) -> str:
        """The metric that decides."""
        return next(iter(self.points))

    @property
    def point(self) -> Point:
        """The deciding metric at the chosen step."""
        return self.points[self.metric]

    @property
    def unpenalized(self) -> bool:
        """Whether its point is where the path of a penalty ends at lambda 0, which is the fit without any."""
        return self.axis == LAMBDA.name and self.value == 0

    @property
    def is_scored(self) -> bool:
        """Whether it has a score in every fold that a rule may choose it by: complete, or stopped where it stands."""
        return self.state == "complete" or (self.stands and self.state in ("stopped", "pruned"))

    @property
    def doubtful(self) -> bool:
        """Whether its score is not what its config stands for: not solved, or without a limit."""
        return self.unsolved or self.diverges

    @property
    def own_params(self) -> dict[str, Any]:
        """The parameters that the config has, by name."""
        return {name: value for name, value in self.params.items() if name not in self.lacking}

    @property
    def shown_params(self) -> dict[str, Any]:
        """What tables show of the config: the parameters that it has, and of each part that is off that it is."""
        hidden = {*self.lacking} - {*self.off}
        return {name: value for name, value in self.params.items() if name not in hidden}

    @property
    def kind(self) -> str:
        """What people call it: its penalty, else its estimator or module; among several families, with its own."""
        names = [self.params.get(key) for key in ("penalty", "estimator", "module")]
        own = next((str(name) for name in names if name not in (None, "none")), str(names[0] or ""))
        return own if not self.family or own == self.family else f"{self.family} {own}".strip()

    @property
    def lambda_(self) -> float | None:
        """The strength of the penalty, whatever the study calls it; `None` where the config has none."""
        found: Any = self.params.get("penalty.lambda")
        if found is None and not self._has_another_lambda:
            found = self.params.get("lambda")
        return float(found) if is_number(found) else None

    @property
    def _has_another_lambda(self) -> bool:
        """Whether what is called lambda may be that of a net's biases or of its activity."""
        parts = (part for slot, part in (self.config or {}).items() if slot not in ("penalty", "params"))
        return any(isinstance(part, Mapping) and "lambda" in part for part in parts)

    def at(self, step: int, trajectory: Trajectory) -> Trial:
        """This trial with another step of its path chosen; what is known of its own step alone is left out."""
        return self if step == self.step else self.on(trajectory, step)

    def on(self, trajectory: Trajectory, step: int) -> Trial:
        """This trial with a step of some trajectory chosen, which need not be the stored one."""
        value = path_axis(self.axis).number(trajectory.value(step))
        return replace(
            self, step=step, steps=trajectory.steps, value=value, points=trajectory.points(step),
            params={**self.params, self.axis: value} if self.axis else self.params,
            at_edge=_at_edge(step, trajectory), complexity=trajectory.complexity_at(step), measures={}, test={},
            test_parts=(), unsolved=trajectory.unsolved_at(step),
        )  # fmt: skip


def counted(trials: Iterable[Trial]) -> int:
    """How many of trials count for the number that a study shall have."""
    return sum(trial.state in COUNTED for trial in trials)


def _at_edge(step: int, trajectory: Trajectory) -> bool:
    return step == trajectory.steps - 1 and trajectory.rising


def _milliseconds(time: Any) -> int:
    return 0 if time is None else round(time.timestamp() * 1000)
