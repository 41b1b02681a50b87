"""A training loop of the user's own as a space: plain torch, Lightning, or anything else that goes in epochs."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from regsearch.data.problem import Problem
from regsearch.data.survival import check_not_survival
from regsearch.data.tasks import check_not_mixed
from regsearch.errors import InvalidInput
from regsearch.inputs import did_you_mean
from regsearch.models.base import Backend, Model, Setup
from regsearch.models.deadline import Deadline, OutOfTime
from regsearch.models.own_loop.backend import LoopBackend
from regsearch.models.own_loop.fold import LoopFold
from regsearch.models.own_loop.own_state import load_shared
from regsearch.models.own_loop.told_model import told_model
from regsearch.models.own_loop.training import FoldRun
from regsearch.models.scored_by_predictions import check_scored_by_predictions
from regsearch.numeric import is_whole
from regsearch.space.config import to_data
from regsearch.space.path import Path
from regsearch.space.sampling import default, leaves

EPOCHS = "epochs"


@dataclass(frozen=True)
class Loop(Model):
    """A training loop of one's own, with leaves for what it is configured by.

    It is searched as nets are: on folds, all of them in step; given up at rungs when others do better; ended at one
    epoch, the best on the mean of the folds; compared by its gap. What a `Net` gains by training hundreds of trials as
    one stack it does not have: a loop is a program of its own, of which one trains at a time in each worker.

    Parameters
    ----------
    train
        A generator function ``train(config, fold)``: `config` has a value for each of `params`, `fold` is a `LoopFold`.
        It loops over ``range(fold.epochs)`` and after each epoch yields ``fold.score(predictions, predictions_val)``, a
        pair ``(train_score, val_score)``, or such pairs by the name of each score of the study. Larger is better. What
        it returns at the end is the fitted model, with a method `predict`; a search does without.
    params
        Leaves or values by name.
    plain
        The values of some params with which nothing is regularized: the reference that trials are compared with trains
        with these to the last epoch. Others have the value that a search begins with.
    epochs
        The most that a trial trains; ``fold.max_epochs``, for schedules of the learning rate.
    patience
        Epochs without a better mean score of the folds after which a trial ends; `None` for none.
    stop_at
        The one epoch to train to, instead of the best of all; of an exported config.

    Raises
    ------
    InvalidInput
        When `train` does not yield or takes no two arguments, or a parameter or number is none.

    Examples
    --------
    >>> import numpy as np
    >>> from regsearch import Float
    >>> def train(config, fold):
    ...     w = np.zeros(fold.X.shape[1])
    ...     for epoch in range(fold.epochs):
    ...         slope = fold.X.T @ (fold.X @ w - fold.y) / len(fold.y)
    ...         w -= 0.1 * (slope + config["decay"] * w)
    ...         yield fold.score(fold.X @ w, fold.X_val @ w)
    >>> space = Loop(train, {"decay": Float(1e-4, 1, log=True)}, plain={"decay": 0.0}, epochs=50)
    """

    kind: ClassVar[str] = "loop"
    merged: ClassVar[tuple[str, ...]] = ("params",)
    cost: ClassVar[int] = 3
    keeps_its_model: ClassVar[bool] = True
    train: Any
    params: Mapping[str, Any]
    plain: Mapping[str, Any] = field(default_factory=dict)
    epochs: int = 100
    patience: int | None = None
    stop_at: int | None = None

    def __post_init__(self) -> None:
        _check_train(self.train)
        for name in ("params", "plain"):
            if not isinstance(getattr(self, name), Mapping):
                raise InvalidInput(
                    f"Loop({name}=...) must be values by name, got {getattr(self, name)!r}; write "
                    "{'dropout': Float(0, 0.5)}."
                )
        for name in self.plain:
            if name not in self.params:
                hint = did_you_mean(name, self.params, f"it has {', '.join(self.params)}.")
                raise InvalidInput(f"Loop(plain=...) names no parameter of the loop with {name!r}; {hint}")
            if any(True for _ in leaves(self.plain[name])):
                raise InvalidInput(
                    f"Loop(plain=...) must have values, got {self.plain[name]!r} for {name!r}; name one."
                )
        taken = next((name for name in self.params if name in (EPOCHS, self.kind)), None)
        if taken is not None:
            raise InvalidInput(
                f"A parameter of a loop cannot be called {taken!r}, as tables call what a loop has; call it "
                f"'my_{taken}', say."
            )
        for name in ("epochs", "patience", "stop_at"):
            value = getattr(self, name)
            if not (is_whole(value) and value >= 1) and (value is not None or name == "epochs"):
                raise InvalidInput(f"Loop({name}=...) must be a whole number from 1, got {value!r}.")

    # --- as a space --------------------------------------------------------------------------------------------

    @property
    def option_label(self) -> str:
        """The name of the function."""
        return str(getattr(self.train, "__name__", self.kind))

    @property
    def axis(self) -> str:
        return EPOCHS

    @property
    def reference_name(self) -> str:
        return self.unregularized if self.plain else "the values that the search begins with"

    def shown_fields(self) -> dict[str, Any]:
        return {"loop": self.option_label, **self.params, **({} if self.stop_at is None else {EPOCHS: self.stop_at})}

    def reference(self) -> Loop:
        first: Loop = default(self)
        return replace(first, params={**first.params, **self.plain}, stop_at=self.stop_at or self.epochs)

    def without(self, plain: Model | None = None) -> dict[str, Model]:
        changed = {name: off for name, off in self.plain.items() if to_data(self.params[name]) != to_data(off)}
        return {name: replace(self, params={**self.params, name: off}) for name, off in changed.items()}

    def check(self, setup: Setup) -> None:
        check_not_survival(setup.problem.task, "Loop")
        check_not_mixed(setup.problem.task, "Loop")
        check_scored_by_predictions(setup, "Loop")
        if any(isinstance(leaf, Path) for leaf in leaves(self.params)):
            raise InvalidInput(
                "A Path is the axis of a linear model's lambda, got one for a loop; use Float or Choice."
            )
        if setup.problem.transform is not None:
            raise InvalidInput(
                "A Loop is given y as it is, and what it scores is not undone, so that target= would score another y; "
                "transform y in the loop, and what it predicts back."
            )

    def preload(self) -> None:
        load_shared()

    def backend(self, setup: Setup) -> Backend:
        return LoopBackend(setup)

    def cannot_be_exported(self) -> str:
        return "what a loop returns is its own; save that where the loop ends, and read the config by show --json."

    # --- a filled config ---------------------------------------------------------------------------------------

    def walking(self) -> Loop:
        return replace(self, stop_at=None)

    def at(self, value: float | None) -> Loop:
        return self if value is None else replace(self, stop_at=round(value))

    def as_long_on(self, share: float) -> Loop:
        stop_at = None if self.stop_at is None else round(self.stop_at / share)
        return replace(self, epochs=round(self.epochs / share), stop_at=stop_at)

    def scored(self, fitted: Any, problem: Problem) -> Any:
        return told_model(fitted, problem)

    @property
    def last(self) -> int:
        """The last epoch that is trained, unless training ends early."""
        return self.stop_at or self.epochs

    def begin(self, setup: Setup, fold: int) -> FoldRun:
        """The training of one fold, before its first epoch."""
        rows = setup.folds.train[fold], setup.folds.val[fold]
        seen = LoopFold.of(setup.problem, rows, setup.metrics, (self.last, self.epochs), setup.seed, fold)
        return FoldRun(self.train, self.params, seen)

    def _refit(self, problem: Problem, seed: int, deadline: Deadline) -> Any:
        rows = np.arange(problem.rows)
        load_shared()
        fold = LoopFold.of(problem, (rows, rows), (), (self.last, self.epochs), seed, -1)
        with closing(FoldRun(self.train, self.params, fold)) as run:
            for epoch in range(self.last):
                if deadline.passed():
                    raise OutOfTime(f"after {epoch} of {self.last} epochs")
                run.next(())
            fitted = run.finish()
        if not hasattr(fitted, "predict"):
            raise InvalidInput(
                f"A loop must return its model, with a method predict, got {type(fitted).__name__}; write return model "
                "at its end."
            )
        return fitted


def _check_train(train: Any) -> None:
    if isinstance(train, str) or not callable(train):
        raise InvalidInput(f"Loop needs a generator function train(config, fold), got {train!r}.")
    function = train if inspect.isroutine(train) else getattr(train, "func", train.__call__)
    if not inspect.isgeneratorfunction(function):
        raise InvalidInput(
            f"Loop needs a function that yields after each epoch, and {getattr(train, '__name__', train)!r} does not; "
            "write yield fold.score(...) at the end of an epoch."
        )
    try:
        inspect.signature(train).bind({}, None)
    except TypeError as error:
        raise InvalidInput(f"Loop calls train(config, fold), and that does not take so many: {error}.") from error
