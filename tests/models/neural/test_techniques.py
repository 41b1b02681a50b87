"""The conformance suite of techniques: every file in ``regsearch/models/neural/techniques`` is picked up by itself."""

from __future__ import annotations

import pkgutil
from typing import Any

import numpy as np
import pytest
import torch
from blocks import (
    EPOCHS,
    PLACES,
    STACKED,
    TASKS,
    TECHNIQUES,
    TRAINING,
    block,
    fields,
    fits,
    info,
    net,
    setups,
    some,
    strong,
    train,
)  # fmt: skip

import regsearch
from regsearch import Choice, InvalidInput
from regsearch.models.neural import techniques
from regsearch.models.neural.technique import Technique
from regsearch.space.config import digest, from_toml, to_toml
from regsearch.space.domains import Between, OneOf, Whole
from regsearch.space.params import columns, flat
from regsearch.space.tree import Node, public

SHIPPED = {
    cls for cls in Node.registry.values() if issubclass(cls, Technique) and cls.__module__.startswith("regsearch.")
}
ROWS = 3

each = pytest.mark.parametrize("cls", TECHNIQUES, ids=lambda cls: cls.kind)
placed = pytest.mark.parametrize(("cls", "slot"), PLACES, ids=lambda it: it if isinstance(it, str) else it.kind)


# --- what every technique is -----------------------------------------------------------------------------------


def test_every_technique_is_seen() -> None:
    """Every registered technique is exported, in a slot of its own module, and so in this suite."""
    assert set(TECHNIQUES) == SHIPPED
    assert {cls for found in techniques.SLOTS.values() for cls in found} == SHIPPED
    assert regsearch.nn_techniques is techniques


@pytest.mark.parametrize("file", [module.name for module in pkgutil.iter_modules(techniques.__path__)])
def test_every_file_holds_one(file: str) -> None:
    """A file of the folder holds one technique, of the file's name."""
    (cls,) = [cls for cls in SHIPPED if cls.__module__ == f"{techniques.__name__}.{file}"]
    assert cls.kind == file


@each
def test_is_a_frozen_record(cls: type[Technique]) -> None:
    """A technique is frozen, says in its docstring what it does, and declares the domain of every field."""
    assert cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert cls.__doc__
    assert "(self" not in cls.__doc__
    assert all(isinstance(field.metadata["domain"], Between | OneOf | Whole) for field in fields(cls).values())
    assert cls.slots
    assert not cls.main or cls.main in fields(cls)


@each
@pytest.mark.parametrize("seed", range(3))
def test_survives_a_file(cls: type[Technique], seed: int) -> None:
    """A filled technique in a net comes back equal from TOML, in each of its slots."""
    for slot in cls.slots:
        config = net(**{slot: some(cls, seed)})
        assert from_toml(to_toml(config)) == config
        assert digest(from_toml(to_toml(config))) == digest(config)
        space = net(**{slot: Choice(None, cls())})
        assert from_toml(to_toml(space)) == space


@each
def test_domain_is_kept(cls: type[Technique]) -> None:
    """What lies outside a field's domain is refused with the class and the field."""
    for name, field in fields(cls).items():
        domain = field.metadata["domain"]
        wrong: tuple[Any, ...] = ("nonsense",)
        if isinstance(domain, Between):
            wrong += (domain.low - 1e-3, np.nextafter(domain.high, np.inf), float("nan"), -np.inf)
        if isinstance(domain, Whole):
            wrong += (domain.low - 1, 1.5)
        for value in wrong:
            with pytest.raises(InvalidInput, match=rf"{cls.__name__}\({public(name)}=\.\.\.\) must "):
                cls(**{name: value})


@each
def test_says_what_it_does_not_fit(cls: type[Technique]) -> None:
    """A technique refuses what it has no meaning for with its name and the fix, and fits something."""
    fitting = 0
    for task in TASKS:
        for image in (False, True):
            if fits(cls, task, image):
                fitting += 1
                continue
            with pytest.raises(InvalidInput, match=rf"^{cls.__name__} needs .*got a .*leave it out\.$"):
                some(cls, 0).check(info(task, image))
    assert fitting


@placed
def test_off_is_what_tables_show(cls: type[Technique], slot: str) -> None:
    """A config without the technique shows in a table what the technique shows at its neutral value."""
    off = columns(net(**{slot: Choice(None, cls())}))
    row = flat(net(**{slot: cls.neutral()}))
    for name, value in cls.neutral_fields().items():
        shown = slot if name == cls.main else public(name)
        if value is not None and f"{slot}.{shown}" not in row:
            assert off[shown] == row[shown] == value


# --- what every technique does ---------------------------------------------------------------------------------


def equal(a: Any, b: Any, row: int = 0) -> bool:
    """Whether a row of two segments is the same to the bit."""
    return np.array_equal(a.weights[:, row], b.weights[:, row]) and all(
        np.array_equal(a.scores[part][:, row], b.scores[part][:, row]) for part in a.scores
    )


@placed
def test_off_is_off(cls: type[Technique], slot: str) -> None:
    """A row at the neutral value is, to the bit, a row without the technique: among its like and beside others."""
    for of in setups(cls):
        plain = train(of, [net()] * ROWS)
        off, full = net(**{slot: cls.neutral()}), net(**{slot: strong(cls)})
        alone = block(of, [off] * ROWS)
        assert slot not in {active.key[0] for active in alone.actives}
        assert equal(alone.advance(EPOCHS), plain)
        beside = train(of, [off, full, net()])
        assert equal(beside, plain, 0)
        assert equal(beside, plain, 2)


@pytest.mark.parametrize("cls", TRAINING, ids=lambda cls: cls.kind)
def test_it_does_something(cls: type[Technique]) -> None:
    """At a strong value a technique changes what is learned, in every slot and for every task that it fits."""
    for of in setups(cls):
        plain = train(of, [net()], 2)
        for slot in cls.slots:
            used = train(of, [net(**{slot: strong(cls)})], 2)
            if cls.structural:
                assert used.weights.shape != plain.weights.shape
            assert used.scores["val"].shape == plain.scores["val"].shape
            assert not np.allclose(used.scores["train"][..., -1], plain.scores["train"][..., -1], rtol=1e-6)


@pytest.mark.parametrize("cls", TRAINING, ids=lambda cls: cls.kind)
def test_stacked_equals_separate(cls: type[Technique]) -> None:
    """Rows of one block learn what each learns in a block of its own, whatever the others do."""
    for of in setups(cls):
        for slot in cls.slots:
            configs = [net(lr=0.01 * (seed + 1), **{slot: some(cls, seed)}) for seed in range(4)]
            if not cls.structural:
                configs.insert(1, net())
            together = train(of, configs)
            for row, config in enumerate(configs):
                alone = train(of, [config])
                np.testing.assert_allclose(together.weights[:, row], alone.weights[:, 0], rtol=1e-10, atol=1e-10)
                for part, scores in alone.scores.items():
                    np.testing.assert_allclose(together.scores[part][:, row], scores[:, 0], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("cls", STACKED, ids=lambda cls: cls.kind)
def test_evaluation_is_left_alone(cls: type[Technique]) -> None:
    """The same weights have the same scores and outputs, to the bit, with the technique and without."""
    for of in setups(cls):
        for slot in cls.slots:
            used, plain = block(of, [net(**{slot: strong(cls)})]), block(of, [net()])
            used.advance(1)
            weights = used.evaluated()
            with torch.no_grad():
                for part in ("train", "val"):
                    assert np.array_equal(
                        used.evaluator.measure(weights, part, of.metrics),
                        plain.evaluator.measure(weights, part, of.metrics),
                    )
                    for (a, _), (b, _) in zip(
                        used.evaluator.outputs(weights, part), plain.evaluator.outputs(weights, part), strict=True
                    ):
                        assert torch.equal(a, b)


@pytest.mark.parametrize("cls", TRAINING, ids=lambda cls: cls.kind)
def test_rows_may_come_and_go(cls: type[Technique]) -> None:
    """Split, joined at different epochs and put in another order, rows train as they would have: state goes along."""
    for of in setups(cls):
        for slot in cls.slots:
            configs = [net(**{slot: some(cls, seed)}) for seed in range(ROWS)]
            if not cls.structural:
                configs[0] = net()
            straight = block(of, configs).advance(6)
            first = block(of, configs)
            first.advance(2)
            one, two = first.split()
            two.advance(1)
            one.join([two])
            one.advance(1)
            one.keep([2, 0, 1])
            end, order = one.advance(1), [2, 0, 1]
            assert one.epochs == (5, 4, 5)
            for part, scores in end.scores.items():
                expected = np.stack(
                    [straight.scores[part][:, i, e - 1] for i, e in zip(order, one.epochs, strict=True)], 1
                )
                np.testing.assert_allclose(scores[..., -1], expected, rtol=1e-11, atol=1e-11)
            expected = np.stack([straight.weights[e - 1, i] for i, e in zip(order, one.epochs, strict=True)])
            np.testing.assert_allclose(end.weights[-1], expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("cls", TRAINING, ids=lambda cls: cls.kind)
def test_a_snapshot_is_a_return_ticket(cls: type[Technique]) -> None:
    """Going back to a snapshot and training again gives the same, to the bit."""
    of = next(setups(cls))
    made = block(of, [net(**{cls.slots[0]: some(cls, seed)}) for seed in range(ROWS)])
    made.advance(1)
    before = made.snapshot()
    first = made.advance(3)
    made.restore(before)
    again = made.advance(3)
    assert all(equal(first, again, row) for row in range(ROWS))
