"""What a technique is: one way to regularize a net, for many rows at once.

Notation, here and in every technique: R rows (trials of one fold that train in lockstep), B samples in a batch, m
outputs, P trainable parameters of a row. A tensor that all rows share has a leading dimension of 1 and broadcasts.

==============  =======================================================================================
`on_start`      the parameters that training starts from ``[R, Q]``, in place
`on_raw`        a batch before it is scaled ``[1 or R, B, ...]``
`on_batch`      a scaled batch ``[1 or R, B, ...]``
`on_target`     targets ``[1 or R, m, B]`` of one task, each of several in turn: one-hot classes, 0 and 1, or
                standardised numbers
`on_samples`    inputs, targets and weights of a batch, after all that changes one of them alone
`on_weights`    the parameters that a step is computed at ``[R, P]``
`on_hidden`     factors of what leaves a hidden layer ``[R, B, ...]``
`on_branch`     factors, on the way forward and back, of what a layer with a skip connection adds ``[R, B, ...]``
`on_activity`   a term of the loss ``[R]``, from what leaves a hidden layer
`on_adversary`  further inputs, from a batch's own and the gradient of the loss by these ``[R, B, ...]``
`on_ascent`     parameters ``[R, P]`` at which a step's gradient is computed anew
`on_gradient`   the gradient ``[R, P]``, in place
`on_strength`   a factor ``[R]`` of the rate of the slot that its own is the ``_schedule`` of
`on_rate`       a factor of the learning rate ``[R]``
`on_step`       the parameters before a step ``[R, P]``, in place
`on_stepped`    the parameters after a step ``[R, P]``, in place
`on_average`    takes note of the parameters after a step
`on_epoch`      takes note of the parameters after an epoch
`on_errors`     takes note of the loss of each task on each sample of a batch ``[R, t, B]``, and of its weight
`on_losses`     takes note of the losses on rows that are trained on and on those that are held out, after an epoch
`on_record`     a number ``[R]`` to keep of each epoch
`on_count`      the parameters that say how large a net is ``[R, Q]``
`on_evaluate`   what is evaluated in place of the parameters
`on_members`    several nets ``[R, S, Q]``, of which the mean of what they say counts
`on_statistics` in which rows that needs running statistics of its own
==============  =======================================================================================

Every hook gets its technique's `Columns` first: a tensor with one entry per row for each number of the config. A row
that does not use the technique has the neutral numbers, at which a hook changes no bit. Hooks that act in training are
called in training alone. A technique is asked for a hook only if its class has one of its own: so the hooks of hidden
layers, of which nothing neutral would be free, are not there in `Technique`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

from regsearch._types import Task
from regsearch.errors import InvalidInput
from regsearch.models.neural.layout import Part
from regsearch.models.neural.mixing import Samples
from regsearch.space.fields import public_name
from regsearch.space.registry import kind
from regsearch.space.tree import Node

if TYPE_CHECKING:
    import torch

PACKAGE = "regsearch."
SCHEDULE, STRENGTH = "_schedule", "strength"  # end of the name of a slot of schedules, and what these write
OF_LAYERS = ("activity_penalty", "domain_penalty", "dropout")  # slots whose techniques act on what leaves hidden layers
Numbers: TypeAlias = Mapping[str, Any]  # of one row: a number or a few, by name


class Columns(SimpleNamespace):
    """The numbers of a technique ``[R, ...]`` by field name, `part` (the parameters it acts on) and its state."""

    part: Part

    def rate_of(self) -> torch.Tensor:
        """The rates ``[R, ...]`` at this step."""
        return self.at_strength(self.rate)

    def at_strength(self, rate: torch.Tensor) -> torch.Tensor:
        """Rates ``[R, ...]`` times the factor of their schedule at this step, where there is one."""
        strength = getattr(self, STRENGTH, None)
        return rate if strength is None else rate * strength.view(-1, *[1] * (rate.dim() - 1))


class RandomNumbers(Protocol):
    """Random numbers of one technique, the same for every trial at an epoch of a fold.

    Shapes begin with 1 and come so, or with R where rows are at different epochs.
    """

    def uniform(self, *shape: int) -> torch.Tensor:
        """Uniform in ``(0, 1]``."""

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normal."""

    def uniform_by_rows(self, *shape: int) -> Iterator[tuple[slice, torch.Tensor]]:
        """Uniform numbers ``[1, *shape]``, and of which rows, for what is made of them row by row anyway."""


@dataclass(frozen=True)
class HiddenLayer:
    """A hidden layer: its number from the input side, how many there are, and its name in the net.

    What is `named` alone is a layer to techniques that name it, and to no other. `domains` are the groups of the
    samples that pass, numbered from 0 ``[1 or R, B]``, where rows have any.
    """

    index: int
    count: int
    name: str
    named: bool = False
    domains: torch.Tensor | None = None


@dataclass(frozen=True)
class ProblemInfo:
    """What a technique may need to know of the problem and the net.

    Attributes
    ----------
    task, outputs
        Of the problem; `outputs` is m.
    hidden_layers
        Their names in the net.
    inputs
        The shape of a row as the net reads it: ``(p,)`` of a table, else channels before what lies side by side.
    domains
        How many groups rows have; 0 for none.
    targets
        How many values a row has in y.
    horizon
        Epochs after which training ends at the latest; 0 where no config is known yet.
    """

    task: Task
    outputs: int
    hidden_layers: tuple[str, ...]
    inputs: tuple[int, ...]
    domains: int = 0
    targets: int = 1
    horizon: int = 0

    @property
    def sides(self) -> tuple[int, ...]:
        """Length of sequences, height and width of images, depth before them of volumes; empty of a table."""
        return self.inputs[1:]


class Technique(Node, abstract=True):
    """One regularizer: its numbers, and what it does with them (see the module).

    `slots` are the arguments of `Net` that it may stand in; what stands in those that it `replaces` has no effect
    beside it. A `structural` technique is part of the net's computation: only rows that have it alike train together.
    A `schedulable` one reads `v.strength`, see `rate_of`. Of a structural one with numbers, `structural_fields` are
    those that rows must have alike. `acts_on` is a pattern of the parameters that are `v.part`, by default kernels;
    what `on_record` keeps is called by its slot and `recorded`.
    """

    scope: ClassVar[str] = "net"
    slots: ClassVar[tuple[str, ...]] = ()
    replaces: ClassVar[tuple[str, ...]] = ()
    structural: ClassVar[bool] = False
    structural_fields: ClassVar[tuple[str, ...]] = ()
    acts_on: ClassVar[str] = ""
    schedulable: ClassVar[bool] = False
    recorded: ClassVar[str] = STRENGTH

    def __init_subclass__(cls, *, abstract: bool = False, **kwargs: Any) -> None:
        """Register the class; a script's own must not stand for one of the package's in spaces and files."""
        registered = dict(Node.registry)
        super().__init_subclass__(abstract=abstract, **kwargs)
        unnamed = abstract or Node.arriving
        other = None if unnamed or cls.__module__.startswith(PACKAGE) else registered.get(cls.tag())
        if other is not None and other.__module__.startswith(PACKAGE):
            Node.registry[cls.tag()] = other
            raise InvalidInput(
                f"A technique needs a name that no class of the package has, got {cls.kind!r}, which is that of "
                f"{other.__module__}.{other.__name__}; rename the class."
            )

    def __reduce__(self) -> tuple[Any, ...]:
        """By its name in files on the way to another process: a class of a user's script may have no other there."""
        known = Node.registry.get(self.tag()) is type(self)
        return _made, (self.tag() if known else type(self), self.fields())

    def check(self, info: ProblemInfo) -> None:
        """Refuse a problem that the technique has no meaning for."""

    def check_part(self, part: Part, info: ProblemInfo) -> None:
        """Refuse parameters that it is to act on and cannot."""

    @classmethod
    def neutral(cls) -> Technique:
        """The technique where it is exactly off."""
        return cls(**{name: off for name, off in cls.neutral_fields().items() if off is not None})

    @classmethod
    def neutral_fields(cls) -> dict[str, Any]:
        """The values at which fields have no effect."""
        import dataclasses

        return {field.name: field.metadata.get("off") for field in dataclasses.fields(cls)}  # type: ignore[arg-type]

    @property
    def acting(self) -> tuple[str, ...]:
        """Of a filled technique, the fields that make it act: those not at their neutral values; `kind` without any."""
        offs = {name: off for name, off in self.neutral_fields().items() if off is not None}
        return tuple(name for name, off in offs.items() if getattr(self, name) != off) if offs else (self.kind,)

    def held_out(self) -> Any:
        """Which share of the training rows must not be trained on, a number or a leaf."""
        return 0.0

    def parts(self) -> dict[str, Technique]:
        """A filled technique without one of the several things that it does, by what goes."""
        acting, offs = self.acting, self.neutral_fields()
        several = acting if len(acting) > 1 else ()
        return {public_name(name): self.replace(**{name: offs[name]}) for name in several}

    def numbers(self, info: ProblemInfo) -> Numbers:
        """The numbers of a filled technique: a number or a few for each name.

        Of rows that have fewer than others the last is repeated. Whole epochs belong here, computed from shares of the
        horizon as Python does: columns may be in single precision, and what is due must not depend on that.
        """
        return self.fields()

    @classmethod
    def implementation(cls, slot: str) -> type[Technique]:
        """The class whose hooks act for a technique in a slot; techniques of one implementation share their columns."""
        return cls

    @staticmethod
    def init_state(v: Columns, theta: torch.Tensor) -> None:
        """Add state that training changes as further columns; `theta` ``[R, Q]`` are the parameters."""

    @staticmethod
    def on_start(v: Columns, theta: torch.Tensor) -> None:
        """Change where training starts."""

    @staticmethod
    def on_raw(v: Columns, x: torch.Tensor, rng: RandomNumbers) -> torch.Tensor:
        return x

    @staticmethod
    def on_batch(v: Columns, x: torch.Tensor, rng: RandomNumbers) -> torch.Tensor:
        return x

    @staticmethod
    def on_target(v: Columns, y: torch.Tensor, rng: RandomNumbers, task: Task) -> torch.Tensor:
        return y

    @staticmethod
    def on_samples(v: Columns, samples: Samples, rng: RandomNumbers) -> Samples:
        return samples

    @staticmethod
    def on_weights(v: Columns, theta: torch.Tensor, rng: RandomNumbers) -> torch.Tensor:
        return theta

    @staticmethod
    def on_hidden(v: Columns, shape: Sequence[int], layer: HiddenLayer, rng: RandomNumbers) -> torch.Tensor:
        """Factors ``[R, *shape]``, or shorter axes of 1, of what leaves a hidden layer; `shape` begins with B."""
        raise NotImplementedError

    @staticmethod
    def on_branch(
        v: Columns, shape: Sequence[int], layer: HiddenLayer, rng: RandomNumbers
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Factors ``[R, *shape]`` of what a layer adds to what comes in, and of its gradient; `shape` begins with B."""
        raise NotImplementedError

    @staticmethod
    def on_activity(v: Columns, h: torch.Tensor, layer: HiddenLayer) -> torch.Tensor:
        """A term of the loss ``[R]``."""
        raise NotImplementedError

    @staticmethod
    def on_adversary(v: Columns, x: torch.Tensor, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs ``[R, B, ...]`` to train on, too, with the same targets, and their share of the loss ``[R]``."""
        raise NotImplementedError

    @staticmethod
    def on_ascent(v: Columns, theta: torch.Tensor, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Where the gradient counts in place of that at `theta`, and in which rows ``[R]`` it does."""
        raise NotImplementedError

    @staticmethod
    def on_gradient(v: Columns, gradient: torch.Tensor, theta: torch.Tensor, rng: RandomNumbers) -> None:
        """Change the gradient."""

    @staticmethod
    def on_strength(v: Columns, epoch: float | torch.Tensor, horizon: torch.Tensor) -> torch.Tensor:
        """A factor; `epoch` and `horizon` are those of `on_rate`."""
        raise NotImplementedError

    @staticmethod
    def on_rate(v: Columns, epoch: float, horizon: torch.Tensor) -> torch.Tensor | None:
        """A factor; `epoch` (one or ``[R]``) counts in fractions, `horizon` ``[R]`` is where training ends at most."""
        return None

    @staticmethod
    def on_step(v: Columns, theta: torch.Tensor, lr: torch.Tensor) -> None:
        """Change the parameters before a step of learning rate `lr` ``[R, 1]``."""

    @staticmethod
    def on_stepped(v: Columns, theta: torch.Tensor, rate: torch.Tensor) -> None:
        """Change the parameters after a step, in which a unit gradient moved each by its `rate` ``[R, P]``."""

    @staticmethod
    def on_average(v: Columns, theta: torch.Tensor) -> None:
        """Take note of the parameters ``[R, Q]``, buffers included, after a step."""

    @staticmethod
    def on_epoch(v: Columns, theta: torch.Tensor, epoch: torch.Tensor, horizon: torch.Tensor) -> None:
        """Take note of the parameters ``[R, Q]`` after so many epochs ``[R]``, of at most `horizon` ``[R]``."""

    @staticmethod
    def on_errors(v: Columns, errors: torch.Tensor, weight: torch.Tensor) -> None:
        """Take note of losses ``[R, t, B]`` of t tasks on the samples of a batch, as they are in training.

        The weights of samples ``[1 or R, B]`` are not in them.
        """

    @staticmethod
    def on_losses(v: Columns, train: torch.Tensor, inner: torch.Tensor) -> None:
        """Take note of losses ``[R]`` in evaluation mode; `inner` is on rows that nothing is trained on."""

    @staticmethod
    def on_record(v: Columns) -> torch.Tensor:
        """The factor ``[R]`` that a schedule has come to: a curve of the trial."""
        raise NotImplementedError

    @staticmethod
    def on_statistics(v: Columns) -> torch.Tensor:
        """In which rows ``[R]`` batch normalisation needs running statistics of what is evaluated, made anew."""
        raise NotImplementedError

    @staticmethod
    def on_count(v: Columns, theta: torch.Tensor) -> torch.Tensor:
        """Parameters ``[R, Q]`` of evaluated nets, zero where a kernel does not count; R may be more than `v` has."""
        return theta

    @staticmethod
    def on_evaluate(v: Columns, theta: torch.Tensor) -> torch.Tensor:
        """What to evaluate."""
        return theta

    @staticmethod
    def on_members(v: Columns, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Nets ``[R, S, Q]`` to evaluate together, and how many of the first of them ``[R]`` are each row's."""
        raise NotImplementedError


class Stopping(Technique, abstract=True):
    """When training ends and which epoch counts; read by the trainer, it has no hooks."""

    slots: ClassVar[tuple[str, ...]] = ("early_stopping",)


def classification_only(technique: Technique, info: ProblemInfo) -> None:
    """Refuse regression.

    Raises
    ------
    InvalidInput
        Naming the technique.
    """
    if info.task == "regression":
        raise InvalidInput(f"{type(technique).__name__} needs classes, got a regression; leave it out.")


def _made(cls: str | type[Technique], fields: dict[str, Any]) -> Any:
    return (kind(cls) if isinstance(cls, str) else cls)(**fields)
