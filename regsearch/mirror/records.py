"""What crosses the pipe between a study and its mirror writer: frozen records, one JSON line each.

Both ends are Python, so non-finite floats travel as JSON's ``NaN`` and ``Infinity`` extension and come back as
they were; the writer leaves them out of MLflow and says so in a tag.

    study  -> writer   StoreRecord, StudyRecord, TrialRecord*, Flush*, SummaryRecord
    writer -> study    Ready | Refused, Ack*
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

from regsearch.errors import InvalidInput

Scalar = str | int | float | bool | None
OUTSIDE, OUT_OF_SPACE = "regsearch.outside", "its study has another space now"  # tag of a trial, and its value
TrialState = Literal["COMPLETE", "PRUNED", "FAIL", "STOPPED"]
StudyEnd = Literal["COMPLETE", "INTERRUPTED", "FAIL"]


class Record:
    """Base of everything that crosses the pipe; subclasses register under their own name."""

    kinds: ClassVar[dict[str, type[Record]]] = {}

    def __init_subclass__(cls) -> None:
        """Make the new kind known to `decode`."""
        Record.kinds[cls.__name__] = cls

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Self:
        """Rebuild the record from its decoded JSON fields."""
        return cls(**fields)

    def encode(self) -> str:
        """Return the record as one line of JSON, newline included."""
        return json.dumps({"kind": type(self).__name__, **vars(self)}, default=_plain) + "\n"


def decode(line: str) -> Record:
    """Return the record that one line of JSON holds.

    Raises
    ------
    InvalidInput
        The line is not a record that `Record.encode` wrote.
    """
    try:
        fields = json.loads(line)
        return Record.kinds[fields.pop("kind")].from_fields(fields)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"a mirror line must hold one known record as JSON, but got {line[:80]!r}") from error


def _plain(value: Any) -> Any:
    """Return what `json` cannot write by itself in a form that it can."""
    if isinstance(value, Series | Dataset | Artifact | View):
        return vars(value)
    if isinstance(value, frozenset):
        return sorted(value)
    if hasattr(value, "item"):  # a NumPy scalar
        return value.item()
    return str(value)


@dataclass(frozen=True)
class Series:
    """A metric with one value per step.

    Parameters
    ----------
    steps : tuple of int, shape (n,)
        MLflow's step of each value, increasing.
    values : tuple of float, shape (n,)
        The values; non-finite ones are left out of MLflow.

    Raises
    ------
    InvalidInput
        `steps` and `values` differ in length.
    """

    steps: tuple[int, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        """Freeze the two columns as plain numbers and check that they match."""
        object.__setattr__(self, "steps", tuple(map(int, self.steps)))
        object.__setattr__(self, "values", tuple(map(float, self.values)))
        if len(self.steps) != len(self.values):
            raise InvalidInput(
                f"a series must have one step per value, but got {len(self.steps)} and {len(self.values)}"
            )


@dataclass(frozen=True)
class Dataset:
    """The data that a study searched on, described without the data itself."""

    name: str
    digest: str
    source: str
    rows: int
    columns: int
    task: str
    target: str = ""


@dataclass(frozen=True)
class Artifact:
    """A local file to copy into the study's artifacts, under `folder`."""

    path: str
    folder: str = ""


@dataclass(frozen=True)
class View:
    """What a study's prepared page in MLflow shows; every name is that of a metric or a parameter of the trials.

    Attributes
    ----------
    order
        The metric that sorts the trials, largest first.
    metrics, params
        Columns of the table.
    first
        Those of `params` that stand before the metrics: the others may be out of sight.
    scatter
        The metrics of a chart's x and y axis.
    parallel_params, parallel_metrics
        Axes of the parallel coordinates; a trial that lacks one of them is not drawn there.
    lines
        Metrics with a value per step, each a chart.
    along
        The metric whose value at the same step is the place on the charts' x axis; the step itself where it is empty.
    prefixes
        What stands before the slash in the names of the metrics that trials may have.
    """

    order: str
    metrics: tuple[str, ...]
    params: tuple[str, ...]
    scatter: tuple[str, str]
    parallel_params: tuple[str, ...]
    parallel_metrics: tuple[str, ...]
    lines: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    along: str = ""

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Self:
        """Rebuild the view from its JSON fields."""
        frozen: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
        }
        return cls(**frozen)


@dataclass(frozen=True)
class StoreRecord(Record):
    """Where the writer writes; sent on the pipe because a URI with a password must not show in a process list."""

    tracking_uri: str
    artifact_root: str | None = None
    lock: str | None = None  # the file that lets one writer at a time mirror a study: an earlier one may be finishing


@dataclass(frozen=True)
class StudyRecord(Record):
    """The parent run: opened, or found again by `study_id`."""

    study: str
    experiment: str
    study_id: str
    start_ms: int
    params: Mapping[str, Scalar] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    experiment_tags: Mapping[str, str] = field(default_factory=dict)
    dataset: Dataset | None = None
    note: str = ""
    view: View | None = None
    outside: Sequence[int] = ()  # numbers of trials that its space has no more

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Self:
        """Rebuild the record, its dataset and its view."""
        dataset, view, outside = fields.pop("dataset"), fields.pop("view"), tuple(fields.pop("outside"))
        return cls(
            **fields,
            dataset=Dataset(**dataset) if dataset else None,
            view=View.from_fields(view) if view else None,
            outside=outside,
        )


@dataclass(frozen=True)
class TrialRecord(Record):
    """One child run. Times are milliseconds since the epoch; every metric carries `end_ms`, so that writing
    the same record again writes the same rows.
    """

    number: int
    state: TrialState
    start_ms: int
    end_ms: int
    name: str
    params: Mapping[str, Scalar] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    series: Mapping[str, Series] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Self:
        """Rebuild the record and its series."""
        return cls(**_with_series(fields))


@dataclass(frozen=True)
class SummaryRecord(Record):
    """The end of a study: what the parent run shows. Times are milliseconds since the epoch."""

    status: StudyEnd
    end_ms: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    series: Mapping[str, Series] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    artifacts: tuple[Artifact, ...] = ()

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Self:
        """Rebuild the record, its series and its artifacts."""
        artifacts = tuple(Artifact(**one) for one in fields.pop("artifacts"))
        return cls(**_with_series(fields), artifacts=artifacts)


@dataclass(frozen=True)
class Flush(Record):
    """Asks the writer to answer for everything sent so far, written or given up, without waiting for a dead store."""


@dataclass(frozen=True)
class Ready(Record):
    """The parent run is open; `mirrored` are the trial numbers that MLflow already holds complete.

    `view` is the address of the study's prepared page, below the server's; empty where the store took none.
    """

    run_id: str
    experiment_id: str
    mirrored: frozenset[int] = frozenset()
    view: str = ""

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Self:
        """Rebuild the record and its set."""
        return cls(**{**fields, "mirrored": frozenset(fields["mirrored"])})


@dataclass(frozen=True)
class Notice(Record):
    """What the user is told of the store, in one sentence, and nothing is missing for it."""

    text: str


@dataclass(frozen=True)
class Refused(Record):
    """The store will not take this study, and asking again would not help."""

    reason: str


@dataclass(frozen=True)
class Ack(Record):
    """One record is done with: a trial by its number, the summary by None. An empty reason means mirrored."""

    number: int | None
    reason: str = ""


def _with_series(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields with the series rebuilt."""
    return {**fields, "series": {key: Series(**one) for key, one in fields["series"].items()}}
