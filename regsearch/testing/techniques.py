"""The conformance suite of techniques: what holds of every one that is shipped, and must hold of yours.

A *row* is one trial in one fold; rows with a technique and rows without it train in one tensor.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from regsearch._types import Task
from regsearch.errors import InvalidInput
from regsearch.models.base import Setup
from regsearch.models.neural import Net
from regsearch.models.neural.technique import SCHEDULE, ProblemInfo, Stopping, Technique
from regsearch.models.neural.techniques import slots
from regsearch.models.neural.training.segment import Segment
from regsearch.space.config import digest, from_toml, to_toml
from regsearch.space.domains import Between, OneOf, Whole
from regsearch.space.fields import public_name
from regsearch.space.params import ParameterNames
from regsearch.space.tree import Choice, Float, Leaf
from regsearch.testing.levels import IN_ORDER, check_levels
from regsearch.testing.nets import EPOCHS, IMAGE, SEQUENCE, TASKS, block, module_for, net, setup, train
from regsearch.testing.suite import Suite, require

ROWS = 3
SEEDS = range(3)
KINDS: tuple[Mapping[str, Any], ...] = ({}, {"image": True}, {"sequence": True}, {"targets": 3}, {"groups": True})

SUITE = Suite()


def check_technique(cls: type[Technique]) -> None:
    """Check that a technique is what searches, tables, files and training take it for; it takes a few seconds.

    Parameters
    ----------
    cls
        The class: registered as every subclass of `regsearch.models.neural.technique.Technique` is.

    Raises
    ------
    AssertionError
        Naming the property that does not hold, what was found, and what to look at.

    Examples
    --------
    >>> from regsearch import nn_techniques
    >>> check_technique(nn_techniques.InputNoise)
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)  # nets of these sizes gain nothing from torch's own threads
    try:
        SUITE.run(cls)
    finally:
        torch.set_num_threads(before)


# --- what a technique is ---------------------------------------------------------------------------------------


@SUITE.check(
    "decorate it with @dataclass(frozen=True), document it, and declare its fields by tunable(domain, default)."
)
def is_declared(cls: type[Technique]) -> None:
    """A technique is a documented frozen dataclass, every field of which declares its domain."""
    require(dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen, "It is no frozen dataclass.")
    said = str(cls.__doc__ or "")
    require(bool(said) and "(self" not in said and not said.startswith(f"{cls.__name__}("), "It has no docstring.")
    known = (Between, OneOf, Whole)
    undeclared = [name for name, field in fields(cls).items() if not isinstance(field.metadata.get("domain"), known)]
    require(not undeclared, f"No domain (Between, Whole or OneOf) is declared for {', '.join(undeclared)}.")
    require(not cls.main or cls.main in fields(cls), f"main is {cls.main!r}, and it has no such field.")


@SUITE.check("name in slots the arguments of Net that it stands in; hooks are those of Technique, and static methods.")
def stands_in_a_net(cls: type[Technique]) -> None:
    """A technique has slots of a net, which are none of the net's own fields, and no hook that nobody calls."""
    require(bool(cls.slots), "It has no slots.")
    own = {field.name for field in dataclasses.fields(Net)} & set(cls.slots)
    require(not own, f"A Net has a field of its own called {', '.join(sorted(own))}.")
    hooks = {name for name in dir(cls) if name.startswith("on_")}
    unknown = sorted(hooks - set(dir(Technique)))
    require(
        not unknown, f"Nobody calls {', '.join(unknown)}; there are {', '.join(sorted(hooks & set(dir(Technique))))}."
    )
    for slot in cls.slots:
        require(
            net_for(slot, None, **{slot: cls.kind}) == net_for(slot, None, **{slot: cls()}),
            f"Net({slot}={cls.kind!r}) is no {cls.__name__}().",
        )


@SUITE.check("keep everything that it does in its fields, and what they hold in numbers and names.")
def file_keeps_it(cls: type[Technique]) -> None:
    """A filled technique in a net comes back equal from TOML, in each of its slots, and so does one with its leaves."""
    for slot in cls.slots:
        for seed in SEEDS:
            config = net_for(slot, None, **{slot: example(cls, seed)})
            again = from_toml(to_toml(config))
            require(again == config, f"A file of {config.techniques[slot]} is read as another config.")
            require(digest(again) == digest(config), f"The digest of {config.techniques[slot]} changes in a file.")
        space = net_for(slot, None, **{slot: Choice(None, cls())})
        require(from_toml(to_toml(space)) == space, f"A file of a space with {cls()} is read as another space.")


@SUITE.check("leave __post_init__ to the base class, which checks every field against its domain.")
def domain_is_kept(cls: type[Technique]) -> None:
    """What lies outside a field's domain is refused with the class and the field."""
    for name, field in fields(cls).items():
        domain = field.metadata["domain"]
        wrong: tuple[Any, ...] = ("nonsense",)
        if isinstance(domain, Between):
            wrong += (domain.low - 1e-3, np.nextafter(domain.high, np.inf), float("nan"), -np.inf)
        if isinstance(domain, Whole):
            wrong += (domain.low - 1, 1.5)
        where = f"{cls.__name__}({public_name(name)}=...) must "
        for value in wrong:
            said = _refusal(lambda name=name, value=value: cls(**{name: value}))
            found = f"refused with: {said}" if said else "not refused"
            require(where in said, f"{cls.__name__}({public_name(name)}={value!r}) was {found}, not with: {where}")


@SUITE.check(IN_ORDER)
def starts_are_in_order(cls: type[Technique]) -> None:
    """What a technique says is weak, usual and strong lies in its range, in this order from where it is off."""
    check_levels(cls)


@SUITE.check("let check raise InvalidInput('NAME needs ..., got a ...; leave it out.') where it has no meaning.")
def says_what_it_does_not_fit(cls: type[Technique]) -> None:
    """A technique refuses what it has no meaning for with its name and the fix, and fits something."""
    fitting = 0
    for task in TASKS:
        for options in KINDS:
            said = _refusal(lambda task=task, options=options: example(cls, 0).check(problem_info(task, **options)))
            fitting += not said
            well = said.startswith(f"{cls.__name__} needs ") and "got a " in said and said.endswith("leave it out.")
            require(not said or well, f"{task} with {options}: refused with {said!r}.")
    require(fitting > 0, "It fits no task at all.")


@SUITE.check("declare by off= where a field has no effect; main is the field that stands for the whole technique.")
def off_is_what_tables_show(cls: type[Technique]) -> None:
    """A config without the technique shows in a table what the technique shows at its neutral value."""
    offs = cls.neutral_fields().values()
    known = any(off is not None for off in offs) or not offs or not is_stacked(cls)
    require(known, f"No field says by off= where {cls.__name__} has no effect.")
    for slot in cls.slots if is_stacked(cls) else ():
        names = ParameterNames.of(net_for(slot, None, **{slot: Choice(None, cls())}))
        without, off = (
            names.row(net_for(slot, None, **{slot: None})),
            names.flat(net_for(slot, None, **{slot: cls.neutral()})),
        )
        for name, value in cls.neutral_fields().items():
            shown = slot if name == cls.main else public_name(name)
            shown = f"{slot}.{shown}" if f"{slot}.{shown}" in off else shown
            found = f"Without {slot}, tables show {shown}={without.get(shown)!r}; with it off, {off.get(shown)!r}."
            require(value is None or without.get(shown) == off.get(shown) == value, found)


# --- what a technique does -------------------------------------------------------------------------------------


@SUITE.check("make every hook change no bit of a row at the off values: multiply by 1, add 0, or use torch.where.")
def off_is_off(cls: type[Technique]) -> None:
    """A row at the neutral value is, to the bit, a row without the technique: among its like and beside others."""
    for of, slot in _places(cls) if is_stacked(cls) else ():
        plain = train(of, [net_for(slot, of)] * ROWS)
        off, full = net_for(slot, of, **{slot: cls.neutral()}), net_for(slot, of, **{slot: strong(cls)})
        alone = block(of, [off] * ROWS)
        require(not [one for one in alone.techniques if one.key[0] == slot], f"{cls.neutral()} acts in {slot}.")
        segment = alone.advance(EPOCHS)
        require(equal_rows(segment, plain), f"{_where(of, slot)}: rows that are all off learn something else.")
        beside = train(of, [off, full, net_for(slot, of)])
        require(equal_rows(beside, plain, 0), f"{_where(of, slot)}: beside a row with it, one that is off differs.")
        require(equal_rows(beside, plain, 2), f"{_where(of, slot)}: beside a row with it, one without it differs.")


@SUITE.check("implement a hook, and read its strength from v: at a strong value what is learned must differ.")
def does_something(cls: type[Technique]) -> None:
    """At a strong value a technique changes what is learned, in every slot and for every task that it fits."""
    for of, slot in _places(cls) if is_trained(cls) else ():
        plain, used = train(of, [net_for(slot, of)]), train(of, [net_for(slot, of, **{slot: strong(cls)})])
        require(
            used.scores["val"].shape == plain.scores["val"].shape, f"{_where(of, slot)}: scores have another shape."
        )
        same = np.allclose(used.scores["train"][..., -1], plain.scores["train"][..., -1], rtol=1e-6)
        require(not same, f"{_where(of, slot)}: {strong(cls)} learns what a net without it learns.")


@SUITE.check("let each row read its own entry of v alone, and draw from rng alone, the same whatever v holds.")
def stacked_equals_separate(cls: type[Technique]) -> None:
    """Rows of one block learn what each learns in a block of its own, whatever the others do."""
    for of, slot in _places(cls) if is_trained(cls) else ():
        own = "lr" in fields(cls)  # an optimizer has a rate of its own
        rates: list[dict[str, Any]] = [{} if own else {"lr": 0.01 * (seed + 1)} for seed in range(4)]
        configs = [net_for(slot, of, **rates[seed], **{slot: alike(cls, seed)}) for seed in range(4)]
        if not cls.structural:
            configs.insert(1, net_for(slot, of))
        together = train(of, configs)
        for row, config in enumerate(configs):
            alone, where = train(of, [config]), f"{_where(of, slot)}, row {row} of {len(configs)}"
            for epoch in range(EPOCHS):
                _close(together.weights_of(row, epoch), alone.weights_of(0, epoch), 1e-10, where)
            for part, scores in alone.scores.items():
                _close(together.scores[part][:, row], scores[:, 0], 1e-10, where)


@SUITE.check("act in training alone: hooks are called there; on_evaluate may choose which weights count.")
def evaluation_is_left_alone(cls: type[Technique]) -> None:
    """The same weights have the same scores and outputs, to the bit, with the technique and without."""
    import torch

    for of, slot in _places(cls) if is_stacked(cls) else ():
        used, plain = block(of, [net_for(slot, of, **{slot: strong(cls)})]), block(of, [net_for(slot, of)])
        used.advance(1)
        weights, _ = used.evaluated()
        evaluators = [one.evaluators[1] for one in (used, plain)]
        with torch.no_grad():
            for part in ("train", "val"):
                mine, theirs = (one.measure(weights, part, of.metrics) for one in evaluators)
                require(np.array_equal(mine, theirs), f"{_where(of, slot)}: scores of the {part} rows differ.")
                pairs = zip(*(one.outputs(weights, part) for one in evaluators), strict=True)
                same = all(torch.equal(a, b) for (a, _), (b, _) in pairs)
                require(same, f"{_where(of, slot)}: outputs for the {part} rows differ.")


@SUITE.check("keep state in columns that init_state adds to v, one entry per row, and change it in place.")
def rows_may_come_and_go(cls: type[Technique]) -> None:
    """Split, joined at different epochs and put in another order, rows train as they would have: state goes along."""
    for of, slot in _places(cls) if is_trained(cls) else ():
        configs = [net_for(slot, of, **{slot: alike(cls, seed)}) for seed in range(ROWS)]
        if not cls.structural:
            configs[0] = net_for(slot, of)
        straight, order = block(of, configs).advance(6), [2, 0, 1]
        first = block(of, configs)
        first.advance(2)
        one, two = first.split()
        two.advance(1)
        one.join([two])
        one.advance(1)
        one.keep(order)
        end = one.advance(1)
        require(one.epochs == (5, 4, 5), f"Rows are at the epochs {one.epochs}.")
        at = list(zip(order, one.epochs, strict=True))
        for part, scores in end.scores.items():
            expected = np.stack([straight.scores[part][:, i, e - 1] for i, e in at], 1)
            _close(scores[..., -1], expected, 1e-11, f"{_where(of, slot)}: scores of the {part} rows")
        for row, (i, e) in enumerate(at):
            _close(end.weights_of(row), straight.weights_of(i, e - 1), 1e-11, f"{_where(of, slot)}: weights")


@SUITE.check(
    "keep all state in columns that init_state adds to v, change it in place: v.count += 1, and draw from rng alone."
)
def training_may_go_back(cls: type[Technique]) -> None:
    """Going back to a snapshot and training again gives the same, to the bit."""
    if not is_trained(cls):
        return
    of, slot = next(_places(cls))
    made = block(of, [net_for(slot, of, **{slot: alike(cls, seed)}) for seed in range(ROWS)])
    made.advance(1)
    before = made.snapshot()
    first = made.advance(3)
    made.restore(before)
    again = made.advance(3)
    require(all(equal_rows(first, again, row) for row in range(ROWS)), "The second time it learns something else.")


# --- what is tried ---------------------------------------------------------------------------------------------


def is_trained(cls: type[Technique]) -> bool:
    """Whether a technique acts while a net trains, not on when that ends."""
    return not issubclass(cls, Stopping)


def is_stacked(cls: type[Technique]) -> bool:
    """Whether rows with a technique and rows without it train together."""
    return is_trained(cls) and not cls.structural


def problem_info(
    task: Task, image: bool = False, sequence: bool = False, targets: int = 1, groups: bool = False
) -> ProblemInfo:
    """What a technique may know of a task, on a table, images or sequences, of rows with groups or without."""
    targets = targets if task == "regression" else 1
    outputs = {"multiclass": 3}.get(task, targets)
    shape = IMAGE if image else SEQUENCE if sequence else (5,)
    return ProblemInfo(task, outputs, ("hidden0", "hidden1"), shape, 6 if groups else 0, targets)


def fits(cls: type[Technique], task: Task, **kind: Any) -> bool:
    """Whether a technique has a meaning for a task on some kind of problem."""
    return not _refusal(lambda: example(cls, 0).check(problem_info(task, **kind)))


def setups(cls: type[Technique], **options: Any) -> Iterator[Setup]:
    """A small problem for every task that a technique fits; of tables and of one target if it fits them."""
    for task in TASKS:
        fitting = next((kind for kind in KINDS if fits(cls, task, **kind)), None)
        if fitting is not None:
            yield setup(task, **fitting, **options)


def net_for(slot: str, of: Setup | None, **options: Any) -> Net:
    """A tiny net, for a problem or any, with what the techniques of a slot act on: of a schedule, what it is one of."""
    target = slot.removesuffix(SCHEDULE)
    scheduled = {target: strong(slots()[target][0])} if target != slot else {}
    return net(None if of is None else module_for(of), **scheduled, **options)


def fields(cls: type[Technique]) -> dict[str, dataclasses.Field[Any]]:
    """The fields of a technique by name."""
    return {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]


def example(cls: type[Technique], seed: int) -> Any:
    """A filled technique at random, with every field inside its usual range; some of several are off."""
    rng = np.random.default_rng(seed)
    several = sum(field.metadata["off"] is not None for field in fields(cls).values()) > 1
    values: dict[str, Any] = {}
    for name, field in fields(cls).items():
        domain = field.metadata["domain"]
        if isinstance(domain, OneOf):
            values[name] = str(rng.choice(domain.names))
        elif isinstance(domain, Whole):
            values[name] = int(rng.integers(domain.low, domain.low + 4))
        else:
            assert isinstance(domain, Between)
            values[name] = float(rng.uniform(*_usual_range(field)))
            if several and field.metadata["off"] is not None and rng.random() < 0.4:
                values[name] = field.metadata["off"]
    return cls(**values)


def alike(cls: type[Technique], seed: int) -> Any:
    """An example whose rows train together with those of other seeds."""
    first = example(cls, 0)
    return example(cls, seed).replace(**{name: getattr(first, name) for name in cls.structural_fields})


def strong(cls: type[Technique]) -> Any:
    """A filled technique as far from where it is off as is usual."""
    values = {}
    for name, field in fields(cls).items():
        off = field.metadata["off"]
        if off is not None:
            low, high = _usual_range(field)
            values[name] = low if off > high else high
        elif isinstance(field.default, Leaf):
            values[name] = field.default.levels().usual
    return cls(**values)


def equal_rows(a: Segment, b: Segment, row: int = 0) -> bool:
    """Whether a row of two segments is the same to the bit."""
    same = all(np.array_equal(a.weights_of(row, epoch), b.weights_of(row, epoch)) for epoch in range(a.epochs))
    return same and all(np.array_equal(a.scores[part][:, row], b.scores[part][:, row]) for part in a.scores)


def _places(cls: type[Technique]) -> Iterator[tuple[Setup, str]]:
    """Every small problem that a technique fits, with each of its slots."""
    for of in setups(cls):
        for slot in cls.slots:
            yield of, slot


def _usual_range(field: dataclasses.Field[Any]) -> tuple[float, float]:
    """Of a number: that of its default leaf, else what of [0, 1] is in its domain."""
    default, domain = field.default, field.metadata["domain"]
    if isinstance(default, Float):
        return default.low, default.high
    if isinstance(default, Choice):
        return min(default.options), max(default.options)
    return max(domain.low, 0.0), min(domain.high, 1.0)


def _refusal(make: Any) -> str:
    """What is said of something that is refused; nothing if it is not."""
    try:
        make()
    except InvalidInput as error:
        return str(error)
    return ""


def _where(of: Setup, slot: str) -> str:
    return f"{of.problem.task}, Net({slot}=...)"


def _close(found: Any, expected: Any, tolerance: float, what: str) -> None:
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance, err_msg=what)
