"""Several families of models as one space: one study searches them all, on the same folds, and says which one wins.

A config of it is one of one of its families, and is evaluated by that family's own backend; see
`regsearch.models.family_backend`. Each family has its reference, which its trials are compared with: what a net gains
on a linear model is no gain of regularization.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch._types import Task
from regsearch.data.problem import Problem
from regsearch.errors import InvalidInput
from regsearch.models.base import Backend, Model, Setup
from regsearch.models.deadline import Deadline
from regsearch.models.family_backend import FamiliesBackend
from regsearch.space.params import ParameterNames
from regsearch.space.tree import Choice

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from regsearch.models.default_columns import DefaultColumns

FAMILY = "family"


@dataclass(frozen=True)
class Families(Model):
    """What a `Choice` of models stands for that is given to a study as its space.

    Parameters
    ----------
    family
        The models. A family is called by its model: ``linear``, ``mlp``, ``RandomForestClassifier``.

    Raises
    ------
    InvalidInput
        When an option is no model, or has a parameter whose column would be called ``family``.

    Examples
    --------
    >>> from regsearch import Linear, spaces
    >>> Families(Choice(Linear(), spaces.mlp())).title
    'linear, mlp'
    """

    chosen: ClassVar[str] = FAMILY
    family: Choice

    def __post_init__(self) -> None:
        for option in self.family.options:
            if not isinstance(option, Model):
                raise InvalidInput(
                    f"A Choice that is a space must have models, such as Linear() and spaces.mlp(), got {option!r}."
                )
            if FAMILY in ParameterNames.of(option).names.values():
                raise InvalidInput(
                    f"The column {FAMILY!r} of a study says which family a trial is of, {option.option_label} has a "
                    "parameter of that name; make it a step of a pipeline, whose name then stands before it."
                )

    @cached_property
    def families(self) -> Mapping[str, Model]:
        """The models by what they are called."""
        return dict(zip(self.family.labels, self.family.options, strict=True))

    def _of_all(self, read: Callable[[Model], Any]) -> list[Any]:
        """What is read of each family, each value once."""
        return list(dict.fromkeys(read(family) for family in self.families.values()))

    # --- as a space --------------------------------------------------------------------------------------------

    @property
    def title(self) -> str:
        return ", ".join(self.families)

    @property
    def reference_name(self) -> dict[str, str]:
        return {name: family.unregularized for name, family in self.families.items()}

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(axis for family in self.families.values() for axis in family.axes))

    @property
    def axis(self) -> str:
        """What all paths walk along; empty where families differ in that."""
        found = self._of_all(lambda family: family.axis)
        return str(found[0]) if len(found) == 1 else ""

    @property
    def task(self) -> Task | None:
        found: list[Task] = [task for task in self._of_all(lambda family: family.task) if task is not None]
        if len(found) > 1:
            raise InvalidInput(
                f"The families of a study must have one task, got {' and '.join(found)}; make two studies."
            )
        return found[0] if found else None

    def family_of(self, draws: Mapping[str, Any]) -> str:
        return str(draws[FAMILY])

    def reference(self) -> Families:
        return Families(Choice(*self.references().values()))

    def references(self) -> Mapping[str, Model]:
        return {name: family.reference() for name, family in self.families.items()}

    @property
    def factory(self) -> Any:
        """The function that makes a module of the user's own, where a family has one."""
        return next((found for one in self.families.values() if (found := getattr(one, "factory", None))), None)

    # --- as a model --------------------------------------------------------------------------------------------

    def check(self, setup: Setup) -> None:
        for family in self.families.values():
            family.check(setup)

    def scoring(self, problem: Problem) -> str:
        """The score of all families; that of the task where theirs differ."""
        found = self._of_all(lambda family: family.scoring(problem))
        return str(found[0]) if len(found) == 1 else super().scoring(problem)

    def prepared_by(self, columns: DefaultColumns) -> Families:
        made = (family.prepared_by(columns) for family in self.family.options)
        return Families(self.family.with_options(*made))

    def preload(self) -> None:
        for family in self.families.values():
            family.preload()

    def backend(self, setup: Setup) -> Backend:
        return FamiliesBackend(self.families, setup)

    def _refit(self, problem: Problem, seed: int, deadline: Deadline) -> Any:
        raise InvalidInput("A space of several families is fitted by its configs; fill it first.")

    def cannot_be_exported(self) -> str:
        whys = {name: family.cannot_be_exported() for name, family in self.families.items()}
        return " ".join(f"{name}: {why}" for name, why in whys.items() if why)

    def figures(self, problem: Problem, seed: int) -> Mapping[str, Figure]:
        return {
            f"{family}_{name}" if len(self.families) > 1 else name: figure
            for family, model in self.families.items()
            for name, figure in model.figures(problem, seed).items()
        }


def as_space(space: Any) -> Any:
    """What a user gave as a space, a choice of models as `Families`."""
    return Families(space) if isinstance(space, Choice) else space
