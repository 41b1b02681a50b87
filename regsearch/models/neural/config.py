"""What a net is made of and regularized by: the fields of `Net`, and what they come to in a filled config."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from regsearch.errors import InvalidInput
from regsearch.inputs import did_you_mean
from regsearch.models.axes import EPOCHS
from regsearch.models.base import Model
from regsearch.models.neural.architectures import MLP, Custom, with_embedding, with_skips, with_tasks
from regsearch.models.neural.function_penalty import FunctionPenalty, function_penalty
from regsearch.models.neural.learning_rate import OF_OPTIMIZER, placed_rate
from regsearch.models.neural.network.architecture import Architecture
from regsearch.models.neural.network.data import SCALES
from regsearch.models.neural.technique import OF_LAYERS, SCHEDULE, Technique
from regsearch.models.neural.techniques import slots
from regsearch.models.neural.techniques.adam import Adam
from regsearch.models.neural.techniques.dropout import Dropout
from regsearch.models.neural.techniques.early_stopping import EarlyStopping
from regsearch.models.neural.techniques.fixed_epochs import FixedEpochs
from regsearch.models.preparation import Preparation
from regsearch.numeric import plain
from regsearch.space.domains import Between, ClassWeights, Family, OneOf, Whole, bounds_of
from regsearch.space.path import Path
from regsearch.space.sampling import default
from regsearch.space.tree import Choice, Leaf, tunable

NUMBERS_OF_EPOCHS = ("epochs", "max_epochs", "n_epochs", "num_epochs", "max_iter")  # as others call it
CALLED = {"learning_rate": "lr", "learning_rate_init": "lr", "dropout_rate": "dropout", "batchsize": "batch_size"}
BY_NAME = ("penalty", "bias_penalty", *OF_LAYERS)  # slots that may be set by pattern of names
CHANGES: Mapping[str, Callable[[Architecture, Any], Architecture]] = {
    "tasks": with_tasks, "skip": lambda net, one: with_skips(net), "embedding": with_embedding,
}  # fmt: skip  # slots whose techniques are part of the architecture, in the order in which they change it
_EMPTY = {"early_stopping": FixedEpochs(), "dropout": Dropout(0.0)}  # without dropout, a module has its own


@dataclass(frozen=True, init=False)
class NetConfig(Model, abstract=True):
    """The fields of a `Net`, as a node and as a config; what is done with them lies above."""

    module: Any = tunable(Family(Architecture))
    lr: Any = tunable(Between(1e-8, 100.0), off=OF_OPTIMIZER)
    batch_size: Any = tunable(Whole(1), off="auto")
    scale: Any = tunable(OneOf(SCALES))
    class_weight: Any = tunable(ClassWeights("none"))
    precision: Any = tunable(OneOf(("float32", "float64")))
    prepare: Any = tunable(Preparation(), None)
    device: str = "auto"
    techniques: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def axis(self) -> str:
        return EPOCHS.name

    def __init__(
        self, module: Any = MLP(), *, lr: Any = None, batch_size: Any = "auto", scale: Any = "standard",  # noqa: B008
        class_weight: Any = None, precision: Any = "float32", prepare: Any = None, device: str = "auto",
        **techniques: Any,
    ) -> None:  # fmt: skip
        if callable(module) and not isinstance(module, Architecture):
            module = Custom(module)
        kept = {slot: _technique(slot, one) for slot, one in ({"early_stopping": EarlyStopping()} | techniques).items()}
        lr, kept["optimizer"] = placed_rate(plain(lr), kept.get("optimizer"))
        given = {
            "module": module, "lr": lr, "batch_size": batch_size, "scale": scale, "class_weight": class_weight,
            "precision": precision, "prepare": prepare, "device": device,
            "techniques": {slot: one for slot, value in kept.items() if (one := _kept(slot, value)) is not None},
        }  # fmt: skip
        for name, value in given.items():
            object.__setattr__(self, name, value)
        self.__post_init__()

    # --- as a node: techniques are fields like any other -------------------------------------------------------

    @classmethod
    def arguments(cls) -> dict[str, str]:
        own = super().arguments()
        own.pop("techniques")
        return own | {slot: slot for slot in slots()}

    def fields(self) -> dict[str, Any]:
        own = super().fields()
        techniques: dict[str, Any] = own.pop("techniques")
        return own | techniques

    def replace(self, **fields: Any) -> NetConfig:
        return type(self)(**(self.fields() | fields))

    @property
    def option_label(self) -> str:
        """The kind of its module, of the first where there is a choice."""
        return str(getattr(self.module, "first", self.module).kind)

    def shown_fields(self) -> dict[str, Any]:
        shown = super().shown_fields()
        if self.prepare is None:
            del shown["prepare"]
        return {name: _off(name) if value is None else value for name, value in shown.items()}

    def offs(self) -> dict[str, Any]:
        return super().offs() | {"prepare": "none"} | {slot: _off(slot) for slot in self.techniques}

    # --- as a model --------------------------------------------------------------------------------------------

    def reference(self) -> NetConfig:
        """The net with every technique off that regularizes, trained as long as any net of this space may be.

        A shorter training regularizes, and a longer one than any trial's would be a different net to compare with.
        """
        config = default(self)
        off = {slot: value if _keeps(value) else None for slot, value in config.techniques.items()}
        last, horizon = max(_longest(stopping) for stopping in _stoppings(self.stopping))
        return config.replace(**off | {"early_stopping": FixedEpochs(last, horizon), "dropout": None})

    def without(self, plain: Model | None = None) -> dict[str, Model]:
        """Without each slot and each part of one, and with the reference's scale, and its class weights; training goes
        on to its last epoch where it ended before.
        """
        techniques = {slot: config for slot, config in super().without().items() if _acts(self.techniques[slot])}
        techniques.pop("early_stopping", None)
        parts = {
            f"{slot} {part}": self.replace(**{slot: rest})
            for slot in techniques for part, rest in _parts(self.techniques[slot]).items()
        }  # fmt: skip
        others = self._as_in(plain, "scale", "class_weight", "prepare")
        if self.last < self.horizon:
            others["early_stopping"] = self.at(self.horizon)
        return techniques | parts | others

    def at(self, value: float | None) -> NetConfig:
        if value is None:
            return self
        return self.replace(early_stopping=self.stopping.replace(epochs=round(value), max_epochs=self.horizon))

    def as_long_on(self, share: float) -> NetConfig:
        longer = {name: round(getattr(self.stopping, name) / share) for name in ("epochs", "max_epochs")}
        return self.replace(early_stopping=self.stopping.replace(**longer))

    # --- a filled config ---------------------------------------------------------------------------------------

    @property
    def stopping(self) -> Any:
        return self.techniques["early_stopping"]

    @property
    def optimizer(self) -> Any:
        """What it trains by, with its learning rate."""
        return self.techniques.get("optimizer") or Adam(self.lr)

    @property
    def batch(self) -> int:
        """Rows of a batch; 0 for about 128, in batches of one size."""
        return 0 if self.batch_size == "auto" else int(self.batch_size)

    @property
    def horizon(self) -> int:
        """Epochs after which training ends at the latest; what a schedule counts on."""
        return int(self.stopping.max_epochs or self.stopping.epochs)

    @property
    def last(self) -> int:
        """The last epoch that is trained, unless training stops early."""
        return int(self.stopping.epochs or self.stopping.max_epochs)

    @property
    def picking(self) -> float:
        """Share of the training rows that picks an epoch; 0 where the mean validation curve does."""
        return 0.0 if self.stopping.epochs else float(self.stopping.inner)

    @property
    def inner(self) -> float:
        """Share of the training rows that is not trained on."""
        return max([self.picking, *(float(technique.held_out()) for _, _, technique in self.placed())])

    @property
    def recorded(self) -> dict[str, str]:
        """By the slots of which numbers are kept along the path, what these are called."""
        usual = Technique.on_record
        found = [(slot, one) for slot, _, one in self.placed() if one.acting and type(one).on_record is not usual]
        return {slot: f"{slot.removesuffix(SCHEDULE)}_{one.recorded}" for slot, one in found}

    @property
    def architecture(self) -> Architecture:
        """The module, as the slots of techniques that are part of it have it."""
        made: Architecture = self.module
        for slot, change in CHANGES.items():
            if self.techniques.get(slot) is not None:
                made = change(made, self.techniques[slot])
        return made.with_named(self.named)

    @property
    def named(self) -> tuple[str, ...]:
        """Patterns of the hidden layers that techniques name."""
        found = (self.techniques.get(slot) for slot in OF_LAYERS)
        return tuple(sorted({name for value in found if isinstance(value, Mapping) for name in value}))

    @property
    def norm(self) -> str:
        """Kind of the norm layers, or empty."""
        norm = self.techniques.get("norm")
        return norm.kind if norm is not None else ""

    def placed(self) -> Iterator[tuple[str, str, Technique]]:
        """``(slot, pattern, technique)`` of everything that is on; the pattern is empty without one.

        What another technique replaces is not.
        """
        replaced = {
            slot for one in self.techniques.values() for of in options(one) if of.acting for slot in of.replaces
        }
        for slot, value in self.techniques.items():
            for pattern, technique in value.items() if isinstance(value, Mapping) else (("", value),):
                if technique is not None and slot not in replaced:
                    yield slot, pattern, technique


def options(value: Any) -> Iterator[Technique]:
    """Every technique that a slot may hold."""
    inside = value.options if isinstance(value, Choice) else value.values() if isinstance(value, Mapping) else ()
    if isinstance(value, Technique):
        yield value
    for one in inside:
        yield from options(one)


def _kept(slot: str, value: Any) -> Any:
    """A slot as it is kept: empty ones are not, unless that means something, so that a config has one form in files."""
    if isinstance(value, Mapping):
        return {pattern: one for pattern, one in value.items() if one is not None} or None
    return _EMPTY.get(slot) if value is None else value


def _technique(slot: str, value: Any) -> Any:
    """What a slot was given, as a technique, `None`, a choice of those, or a dict of those by pattern."""
    known = slots()
    if slot not in known:
        raise InvalidInput(f"A Net has no {slot!r}; {_instead(slot)}")
    if isinstance(value, Mapping) and slot in BY_NAME:
        return {str(pattern): _technique(slot, one) for pattern, one in value.items()}
    if isinstance(value, Choice) and any(_is_technique(one) for one in value.options):
        return value.with_options(*(_technique(slot, one) for one in value.options))
    if value is None:
        return None
    value = plain(value)
    return _Slot(slot).admit(value, f"Net({slot}=...)")


def _is_technique(value: Any) -> bool:
    return isinstance(value, Technique | str) or value is None or callable(value)


def _instead(slot: str) -> str:
    """What somebody may have meant by a slot that is not there."""
    known = slots()
    for place, found in sorted(known.items(), key=lambda one: one[0] != "penalty"):  # of several, that of weights
        named = next((cls for cls in found if cls.kind == slot), None)
        if named is not None:
            others = ", ".join(cls.__name__ for cls in found)
            return f"{named.__name__} stands in {place}=, which takes one of {others}: Net({place}={slot!r})."
    if slot in NUMBERS_OF_EPOCHS:
        return "their number is that of early stopping: Net(early_stopping=nn_techniques.EarlyStopping(max_epochs=50))."
    if slot in {field.name for field in dataclasses.fields(MLP)}:
        return f"that is of its module: Net(MLP({slot}=...))."
    fields = [field.name for field in dataclasses.fields(NetConfig) if field.name != "techniques"]
    return did_you_mean(slot, [*fields, *known], f"it has {', '.join(fields)}; {', '.join(known)}.", CALLED)


@dataclass(frozen=True)
class _Slot:
    """What may stand in a slot."""

    name: str

    def admit(self, value: Any, where: str) -> Any:
        kinds = {cls.kind: cls for cls in slots()[self.name]}
        first = next(iter(kinds.values()))
        if isinstance(value, str) and value in kinds:
            return kinds[value]()
        if isinstance(value, tuple(kinds.values())):
            return value
        if isinstance(value, (int, float, Leaf)) and not isinstance(value, Path) and first.main:
            return first(**{first.main: value})
        if self.name in FunctionPenalty.slots and callable(value) and not isinstance(value, type):
            return function_penalty(value)
        names = ", ".join(cls.__name__ for cls in kinds.values())
        if isinstance(value, (list, tuple, set)):
            raise InvalidInput(
                f"{where} takes one technique ({names}), as two of them would undo each other; got {len(value)}: name "
                "one, or search over them with Choice(...)."
            )
        raise InvalidInput(
            f"{where} must be a technique ({names}), a number or leaf for the main field of the first, if it has one, "
            f"or None; got {value!r}."
        )


def _stoppings(value: Any) -> Iterator[Technique]:
    """Every way in which training may end; none, as an option, is what a net without one has."""
    yield from options(value)
    if isinstance(value, Choice) and any(option is None for option in value.options):
        yield _EMPTY["early_stopping"]


def _longest(stopping: Any) -> tuple[int, int]:
    """The last epoch and the horizon of the longest training that a technique, leaves and all, allows."""
    last, horizon = max(bounds_of(stopping.epochs)), max(bounds_of(stopping.max_epochs))
    return last or horizon, horizon or last


def _off(slot: str) -> Any:
    """What a table shows of a slot that is off."""
    first = slots()[slot][0]
    shown = first.neutral_fields()[first.main] if first.main else "none"
    return "none" if shown is None else shown


def _acts(value: Any) -> bool:
    """Whether anything in a slot of a filled config has an effect."""
    return any(technique.acting for technique in options(value))


def _parts(value: Any) -> dict[str, Any]:
    """What is left of a slot without one of the things that it does, by what goes."""
    if isinstance(value, Mapping):
        rest = {pattern: {key: one for key, one in value.items() if key != pattern} for pattern in value}
        return rest if len(value) > 1 else {}
    found: dict[str, Any] = value.parts()
    return found


def _keeps(value: Any) -> bool:
    return any(not technique.regularizes for technique in options(value))
