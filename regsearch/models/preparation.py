"""`Prepare`: any scikit-learn transformer in front of a model, fitted inside each fold, its parameters searched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch._types import Rows
from regsearch.data.problem import Problem
from regsearch.errors import InvalidInput
from regsearch.models.fitting import seeded
from regsearch.models.parameter_ranges import check_names, check_ranges
from regsearch.models.writable import obstacle
from regsearch.space.config import digest
from regsearch.space.naming import readable
from regsearch.space.sampling import default, fill
from regsearch.space.starts import initial_params
from regsearch.space.tree import Choice, Node

if TYPE_CHECKING:
    from regsearch.data.prepared import PreparedProblem, PreparedRows

SHORT = 60  # letters of a transformer's text up to which it is called by that
SEED = 0  # of what a transformer draws where it was left open: the same in every trial


@dataclass(frozen=True)
class Prepare(Node):
    """A transformer with leaves for its parameters, for `prepare=` of `Linear`, `Net` and `Estimator`.

    It is fitted inside each fold, on the fold's training rows and their labels, and gets X as it is: text, dates and
    missing values included. What it gives must be numbers; missing ones are filled by means, as without it. A row of
    weight zero is not there; other weights it does not know.

    Parameters
    ----------
    transformer
        Unfitted: an encoder, a `ColumnTransformer`, a `Pipeline` of transformers; cloned for every fit.
    params
        Leaves or values by parameter name, nested with ``__`` as in scikit-learn.
    name
        What it is called in tables, and as an option of a `Choice`; by default what it is.

    Raises
    ------
    InvalidInput
        When the object is no transformer, or a parameter is not one of its own.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.compose import make_column_transformer
    >>> from regsearch import Int
    >>> text = make_column_transformer((TfidfVectorizer(), "text"), remainder="passthrough")
    >>> prepare = Prepare(text, {"tfidfvectorizer__min_df": Int(1, 5)})
    """

    merged: ClassVar[tuple[str, ...]] = ("params",)
    regularizes: ClassVar[bool] = False
    transformer: Any
    params: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None

    def __post_init__(self) -> None:
        made = not isinstance(self.transformer, type)  # the class itself has the methods too
        if not (made and all(hasattr(self.transformer, one) for one in ("fit", "transform", "get_params"))):
            raise InvalidInput(
                f"prepare must be an unfitted transformer of scikit-learn, got {readable(self.transformer):.80}; pass "
                "StandardScaler() or make_column_transformer(...), say."
            )
        if not isinstance(self.params, Mapping):
            raise InvalidInput(f"Prepare needs params by name, got {self.params!r}; write {{'min_df': Int(1, 5)}}.")
        check_names(self.transformer, self.params)
        text = readable(self.transformer)
        called = self.name or (text if len(text) <= SHORT else type(self.transformer).__name__)
        object.__setattr__(self, "kind", called)

    def shown_fields(self) -> dict[str, Any]:
        return dict(self.params)

    def build(self) -> Any:
        """The unfitted transformer of a filled config."""
        from sklearn.base import clone

        return seeded(clone(self.transformer).set_params(**self.params), SEED)


@dataclass(frozen=True)
class SharedPreparation:
    """A filled `Prepare`, equal to another of the same config."""

    digest: str
    prepare: Prepare = field(compare=False)

    @classmethod
    def of(cls, prepare: Prepare | None) -> SharedPreparation | None:
        return None if prepare is None else cls(digest(prepare), prepare)


@dataclass(frozen=True)
class Preparation:
    """What a field `prepare` admits: a transformer, a `Prepare`, or `None`, which is written ``none`` in a row."""

    def admit(self, value: Any, where: str) -> Any:
        if value is None or (isinstance(value, str) and value == "none"):
            return None
        return value if isinstance(value, Prepare) else Prepare(value)


def preparations(value: Any) -> tuple[Prepare | None, ...]:
    """Every preparation that a field may hold."""
    return value.options if isinstance(value, Choice) else (value,)


def first_of(value: Any) -> Prepare | None:
    """The preparation that a reference has: the first option, its parameters at their usual values."""
    first = value.first if isinstance(value, Choice) else value
    return None if first is None else default(first)


def check_preparations(value: Any, problem: Problem, train: Sequence[Rows], check: Callable[[Problem], None]) -> None:
    """Hold a problem, as folds see it behind each of the preparations of a field, to a check.

    Raises
    ------
    InvalidInput
        When a transformer cannot prepare it, or the check refuses it.
    """
    for one in preparations(value):
        if one is not None:
            check_ranges(one.transformer, one.params)
        check(problem if one is None else seen_by(default(one), problem, train))


def cannot_be_exported(value: Any) -> str:
    """Why a model behind one of the preparations of a field could not be exported; empty where all can be."""
    every = (one for one in preparations(value) if one is not None)
    return obstacle(fill(one, params).build() for one in every for params in initial_params(one))


def prepared(prepare: Prepare, problem: Problem, train: Sequence[Rows]) -> PreparedRows:
    """What a filled config's transformer, fitted to each of some sets of rows, makes of all of them."""
    from regsearch.data.prepared import prepare_rows

    return prepare_rows(prepare.build, problem, train)


def seen_by(prepare: Prepare | None, problem: Problem, train: Sequence[Rows]) -> Problem:
    """A problem as folds see it that train on some sets of rows; itself without a preparation."""
    return problem if prepare is None else behind(problem, prepared(prepare, problem, train), train)


def behind(problem: Problem, made: PreparedRows, train: Sequence[Rows]) -> PreparedProblem:
    """A problem as folds see it whose rows have been prepared."""
    from regsearch.data import prepared as made_inside

    return made_inside.PreparedProblem.of(problem, made, train)
