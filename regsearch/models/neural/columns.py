"""The techniques of some rows: for each, one tensor per number with an entry for every row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias

from regsearch.models.neural.layout import Layout, Part
from regsearch.models.neural.optimizer import Optimizer
from regsearch.models.neural.technique import (
    OF_LAYERS,
    SCHEDULE,
    STRENGTH,
    Columns,
    HiddenLayer,
    ProblemInfo,
    Technique,
)

if TYPE_CHECKING:
    import torch

TechniqueKey: TypeAlias = tuple[str, str, str]  # slot, pattern of names (or empty), implementation


@dataclass(frozen=True)
class RowConfig:
    """What the training of a row needs of its config.

    Attributes
    ----------
    horizon
        Epochs after which training ends at the latest.
    techniques
        By slot and pattern; the pattern is empty where the technique acts on all that it can act on.
    info
        See `ProblemInfo`.
    """

    optimizer: Optimizer
    lr: float
    batch_size: int
    horizon: int
    techniques: Mapping[tuple[str, str], Technique]
    info: ProblemInfo


@dataclass(frozen=True)
class ActiveTechnique:
    """A technique that at least one row uses, with the columns of all rows.

    Attributes
    ----------
    given
        Names of the columns that come from configs; others are the technique's state.
    """

    key: TechniqueKey
    technique: type[Technique]
    v: Columns
    given: frozenset[str] = field(default_factory=frozenset)

    @property
    def state(self) -> list[str]:
        """Names of the columns that the technique added for itself."""
        return sorted(set(vars(self.v)) - self.given)

    def acts_at(self, layer: HiddenLayer) -> bool:
        """Whether its pattern names a hidden layer, or it has none and the layer is any technique's."""
        return fnmatchcase(layer.name, self.key[1]) if self.key[1] else not layer.named


class ActiveTechniques:
    """The techniques that some rows use, in the order of their slots: what a row gets does not depend on the others.

    Parameters
    ----------
    options
        ``dtype`` and ``device`` of the columns.
    """

    def __init__(self, rows: Sequence[RowConfig], layout: Layout, options: dict[str, Any]) -> None:
        examples: dict[TechniqueKey, Technique] = {}
        for row in rows:
            for (slot, pattern), technique in row.techniques.items():
                examples.setdefault((slot, pattern, technique.implementation(slot).__name__), technique)
        found = (_active(key, examples[key], rows, layout, options) for key in sorted(examples))
        self._all = [active for active in found if active is not None]
        self._optimizer, self._trainable = type(rows[0].optimizer), layout.trainable
        self.optimizer = _of_optimizer(self._optimizer, rows, options)
        self._with_hook: dict[str, list[ActiveTechnique]] = {}

    def __iter__(self) -> Iterator[ActiveTechnique]:
        return iter(self._all)

    def with_hook(self, hook: str) -> list[ActiveTechnique]:
        """Those that have a hook."""
        if hook not in self._with_hook:
            plain = getattr(Technique, hook)
            self._with_hook[hook] = [active for active in self if getattr(active.technique, hook) is not plain]
        return self._with_hook[hook]

    def init_state(self, theta: torch.Tensor) -> None:
        """Set up what training changes of the techniques of rows ``[R, Q]``."""
        for active in self:
            active.technique.init_state(active.v, theta)
        self.optimizer.technique.init_state(self.optimizer.v, theta[:, : self._trainable])

    def inherit_state(self, before: Sequence[tuple[ActiveTechniques, torch.Tensor]]) -> None:
        """Carry state over from other rows; a row that had none keeps what it has.

        Parameters
        ----------
        before
            The techniques of some rows, and which of these rows come next here.
        """
        for active in self._with_state:
            start = 0
            for others, index in before:
                old = next((one for one in others._with_state if one.key == active.key), None)
                if old is not None:
                    for name in active.state:
                        _take_over(getattr(active.v, name)[start : start + len(index)], getattr(old.v, name)[index])
                start += len(index)

    def schedule(self, epoch: float | torch.Tensor, horizon: torch.Tensor) -> None:
        """Set the strengths of techniques that have a schedule, for a step at an epoch; see `Technique.on_strength`."""
        factors: dict[str, torch.Tensor] = {}
        for active in self.with_hook("on_strength"):
            slot, factor = active.key[0], active.technique.on_strength(active.v, epoch, horizon)
            factors[slot] = factors[slot] * factor if slot in factors else factor
        for active in self if factors else ():
            target = active.key[0] + SCHEDULE
            if target in factors:
                setattr(active.v, STRENGTH, factors[target])

    def move(self, theta: torch.Tensor, gradient: torch.Tensor, lr: torch.Tensor, count: float | torch.Tensor) -> None:
        """A step of the optimizer on rows ``[R, P]``, in place, with what techniques do before and after.

        Parameters
        ----------
        lr
            ``[R, 1]``.
        count
            The number of this step from 1, or ``[R, 1]``.
        """
        for active in self.with_hook("on_step"):
            active.technique.on_step(active.v, theta, lr)
        rate = self._optimizer.step(self.optimizer.v, theta, gradient, lr, count)
        for active in self.with_hook("on_stepped"):
            active.technique.on_stepped(active.v, theta, rate)

    def state(self) -> list[torch.Tensor]:
        """Everything that training changes, in place."""
        return [getattr(active.v, name) for active in self._with_state for name in active.state]

    @property
    def _with_state(self) -> list[ActiveTechnique]:
        return [*self._all, self.optimizer]


def _take_over(new: torch.Tensor, old: torch.Tensor) -> None:
    """Write the state of rows in place; where other rows need longer axes, what lies beyond is not theirs."""
    shared = tuple(slice(min(sizes)) for sizes in zip(new.shape, old.shape, strict=True))
    new[shared] = old[shared]


def _of_optimizer(kind: type[Optimizer], rows: Sequence[RowConfig], options: dict[str, Any]) -> ActiveTechnique:
    """The optimizer that all rows have, with the numbers of each."""
    import torch

    numbers = [row.optimizer.numbers(row.info) for row in rows]
    v = Columns(**{name: torch.tensor([one[name] for one in numbers], **options) for name in numbers[0]})
    v.part = Part(())
    return ActiveTechnique(("optimizer", "", kind.__name__), kind, v, frozenset(vars(v)))


def _active(
    key: TechniqueKey, example: Technique, rows: Sequence[RowConfig], layout: Layout, options: dict[str, Any]
) -> ActiveTechnique | None:
    """The columns of one technique; `None` where no row differs from its neutral numbers."""
    import torch

    slot, pattern, implementation = key
    neutral = example.neutral().numbers(rows[0].info)
    numbers = [
        own.numbers(row.info)
        if (own := row.techniques.get((slot, pattern))) and own.implementation(slot).__name__ == implementation
        else neutral
        for row in rows
    ]  # fmt: skip
    on = {name: any(bool(one[name] != off) for one in numbers) for name, off in neutral.items()}
    if not any(on.values()):
        return None
    v = Columns(**{name: torch.tensor(_even([one[name] for one in numbers]), **options) for name in neutral})
    v.on, v.part = SimpleNamespace(**on), part_of(slot, pattern, example.acts_on, layout)
    return ActiveTechnique(key, example.implementation(slot), v, frozenset({*vars(v), STRENGTH}))


def _even(values: list[Any]) -> list[Any]:
    """The numbers of rows, as many of each: of those with fewer the last is repeated."""
    most = max((len(one) for one in values if isinstance(one, tuple)), default=0)
    return [(*one, *one[-1:] * (most - len(one))) for one in values] if most else values


def part_of(slot: str, pattern: str, acts_on: str, layout: Layout) -> Part:
    """The parameters that a technique in a slot acts on."""
    if slot in OF_LAYERS:
        return Part(())
    if pattern:
        return layout.matching(pattern)
    if acts_on:
        return layout.named(acts_on)
    return layout.part("bias" if slot == "bias_penalty" else "kernel")
