"""What a search begins with."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.svm import SVC
from strategies import ranges, spaces

from regsearch import MLP, AdaptiveLasso, Choice, ElasticNet, Estimator, Float, Int, Linear, Net
from regsearch import nn_techniques as t
from regsearch.models.linear import penalties
from regsearch.models.neural.technique import Technique
from regsearch.space.config import digest
from regsearch.space.domains import Between
from regsearch.space.levels import Levels
from regsearch.space.sampling import default, fill, leaves, sample
from regsearch.space.starts import initial_params
from regsearch.space.tree import Leaf, Node, tunable


@dataclass(frozen=True)
class Brake(Node, abstract=True):
    """A technique of this module's own, which says all three of its values."""

    force: Any = tunable(Between(0, 10), Float(0, 10), off=0.0, weak=0.5, usual=2.0, strong=8.0)
    colour: Any = tunable(Between(0, 1), Float(0, 1))


@dataclass(frozen=True)
class Limit(Node, abstract=True):
    """One that says nothing, and is the stronger the lower it is."""

    started_alone: ClassVar[bool] = True
    height: Any = tunable(Between(0, 100), Float(1, 10, log=True), off=math.inf)


@dataclass(frozen=True)
class Helper(Node, abstract=True):
    """One that does not regularize."""

    regularizes: ClassVar[bool] = False
    reach: Any = tunable(Between(0, 10), Float(0, 10), off=0.0, weak=1.0, usual=4.0, strong=9.0)


@dataclass(frozen=True)
class Car(Node, abstract=True):
    brake: Any = None
    limit: Any = None
    helper: Any = None
    speed: Any = 1


def starts(space: Any) -> list[Any]:
    return [fill(space, params) for params in initial_params(space)]


def said(cls: type[Node]) -> dict[str, tuple[Leaf, Levels]]:
    """Of the fields of a class that are searched by default and say something: the leaf and what is said."""
    node = cls()
    fields = node.fields()
    return {name: (fields[name], of) for name, of in node.field_levels().items() if isinstance(fields[name], Leaf)}


# --- a range ---------------------------------------------------------------------------------------------------


@given(
    ranges(0, 1e6)
    | st.sampled_from([Float(1e-300, 1e-290, log=True), Float(1e300, 1.7e308), Float(1e200, 1e300, True)])
)
def test_the_middle_is_usual(leaf: Float) -> None:
    """Where nothing is said, the middle is usual, of the logarithms where they are sampled, at any magnitude."""
    usual = leaf.levels().usual
    assert leaf.low <= usual <= leaf.high
    if leaf.start is not None:
        assert usual == leaf.start
    elif leaf.log:
        assert math.isclose(math.log(usual), (math.log(leaf.low) + math.log(leaf.high)) / 2, abs_tol=1e-9)
    else:
        assert math.isclose(usual, leaf.low / 2 + leaf.high / 2)


@pytest.mark.slow
@given(leaf=ranges(0, 1e6), off=st.sampled_from([0.0, math.inf]), share=st.lists(st.floats(0, 1.5), max_size=3))
@settings(max_examples=200)
def test_levels_lie_in_any_range(leaf: Float, off: float, share: list[float]) -> None:
    """Whatever a field says, the values lie in the range that is searched, and none is weaker than a weaker one."""
    given_ = sorted((leaf.high * one for one in share), reverse=off > 0)
    weak, usual, strong = [*given_, None, None, None][:3]
    found = leaf.levels(Levels(weak, usual, strong, off))
    values = [found.weak, found.usual, found.strong]
    assert all(leaf.low <= value <= leaf.high for value in values)
    assert values == sorted(values, reverse=off > 0)
    assert leaf.start in (None, found.usual)


@pytest.mark.parametrize(
    ("leaf", "expected"),
    [
        (Float(0, 10), (0.5, 2.0, 8.0)),
        (Float(1, 5), (1.8, 2.0, 4.2)),  # two values beyond its ends
        (Float(0, 1), (0.2, 0.5, 0.8)),  # the usual one, too: another range than the field has in mind
        (Float(1e-4, 1e0, log=True), (1e-4**0.8, 1e-2, 1e-4**0.2)),
        (Float(0, 10, start=0.2), (0.2, 0.2, 8.0)),
        (Float(0, 10, start=9), (0.5, 9, 9)),
        (Int(0, 10), (0, 2, 8)),
        (Int(3, 10, start=4), (4, 4, 8)),
        (Choice(0, 1, 3, 9), (0, 0, 9)),
        (Choice(0, 1, 3, 9, start=3), (0, 3, 9)),
        (Choice("a", "b", start="b"), ("b", "b", "b")),
    ],
)
def test_levels_in_ranges_of_the_user(leaf: Leaf, expected: tuple[Any, ...]) -> None:
    """A value stands where the range has it; else one a tenth from the end gives way; `start` is the usual one."""
    found = leaf.levels(Levels(0.5, 2.0, 8.0, 0.0))
    assert (found.weak, found.usual, found.strong) == pytest.approx(expected) if leaf.count() is None else expected


@pytest.mark.parametrize("cls", [*map(penalties.__getattr__, penalties.__all__), *t.SHIPPED])
def test_what_is_shipped_says_what_its_range_has(cls: type[Node]) -> None:
    """What a penalty or technique says of its values lies in the range that is searched by default, and is taken."""
    for leaf, of in said(cls).values():
        found = leaf.levels(of)
        for name in ("weak", "usual", "strong"):
            assert getattr(of, name) in (None, getattr(found, name))


def test_what_techniques_say_is_what_was_measured() -> None:
    """The table of the docs, which `tools/starts.py` writes, has the values of every technique that it measures."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "benchmarks" / "starts.md").read_text(encoding="utf-8")
    rows = re.findall(r"^(\w+) +(\S+) +(\S+) +(\S+)$", page.partition("what each says")[2].partition("\n\n")[0], re.M)
    by_kind = {cls.kind: cls for cls in t.SHIPPED}
    assert len(rows) >= 10
    for kind, *values in rows:
        (levels,) = [of for _, of in said(by_kind[kind]).values()]
        assert [levels.weak, levels.usual, levels.strong] == [float(value) for value in values]


# --- a space ---------------------------------------------------------------------------------------------------


@given(space=spaces())
def test_starts_show_every_option(space: Any) -> None:
    """Starts are distinct, a few, and inside of the space; the usual config and every option of a choice are in one."""
    found = initial_params(space)
    digests = [digest(fill(space, params)) for params in found]
    assert len(set(digests)) == len(found)
    assert digest(default(space)) in digests
    choices = [leaf for leaf in leaves(space) if isinstance(leaf, Choice)]
    options = sum(len(choice.options) - 1 for choice in choices)
    assert len(found) <= 3 + options + _alone(space)
    shown = {(name, repr(value)) for params in found for name, value in params.items()}
    for params in found:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        study.enqueue_trial(params)
        trial = study.ask()
        sample(space, trial)
        assert trial.params == params
        for name, distribution in trial.distributions.items():
            if isinstance(distribution, optuna.distributions.CategoricalDistribution):
                assert all((name, repr(option)) in shown for option in distribution.choices)


def _alone(value: Any) -> int:
    """How many nodes of a space have a start of their own."""
    inside = value.options if isinstance(value, Choice) else () if isinstance(value, Leaf) else value
    children = inside.fields().values() if isinstance(inside, Node) else inside
    children = children.values() if isinstance(children, Mapping) else children if isinstance(children, tuple) else ()
    if isinstance(value, Node) and not isinstance(value, Leaf):
        children = value.fields().values()
    return int(getattr(value, "started_alone", False)) + sum(_alone(child) for child in children)


def test_corners() -> None:
    """All usual, all weak, and what stands alone strong with all else weak; what does not regularize stays as it is."""
    found = starts(Car(Brake(), Limit(), Helper(), Float(0, 1)))
    assert [(config.brake.force, round(config.limit.height, 2)) for config in found] == [
        (2.0, 3.16), (0.5, 6.31), (0.5, 1.58),
    ]  # fmt: skip
    assert {(config.brake.colour, config.helper.reach, config.speed) for config in found} == {(0.5, 4.0, 0.5)}


def test_all_strong() -> None:
    """In a space where nothing stands alone, all is strong in one start."""
    assert [config.brake.force for config in starts(Car(Brake(), None, Helper()))] == [2.0, 0.5, 8.0]


def test_none_is_weak() -> None:
    """Beside techniques that regularize, none is the weak option; what stands alone is taken where it is one."""
    found = starts(Car(Choice(None, Brake()), Choice(Limit(), None), Choice(Helper(), None)))
    kinds = [tuple(one and one.kind for one in (config.brake, config.limit, config.helper)) for config in found]
    assert kinds == [
        (None, "limit", "helper"), (None, None, "helper"), (None, "limit", "helper"), ("brake", None, "helper"),
        (None, None, None),
    ]  # fmt: skip
    assert [round(config.limit.height, 2) for config in found if config.limit] == [3.16, 1.58]
    assert found[3].brake.force == 8.0


def test_options_of_options() -> None:
    """Choices below an option have their turn after those above, and what is above them is strong, too."""
    found = starts(Car(Choice(None, Brake(colour=Choice(0.1, 0.2, 0.3)), start="brake"), Limit()))
    shown = [(one.brake and (one.brake.force, one.brake.colour), round(one.limit.height)) for one in found]
    assert shown == [((2.0, 0.1), 3), (None, 6), (None, 2), ((8.0, 0.2), 6), ((8.0, 0.3), 6)]


def test_what_is_good_comes_early() -> None:
    """Options that are good on most data come right after the usual config, strong, while all else is weak."""
    space = Net(penalty=Choice(None, t.L1Penalty(), t.L2Penalty()), dropout=Float(0, 0.5))
    found = [config.techniques for config in starts(space)]
    usual = t.Dropout().field_levels()["rate"]
    assert [(one.get("penalty") and one["penalty"].kind, one["dropout"].rate) for one in found] == [
        (None, usual.usual), ("l2", usual.weak), (None, usual.weak), (None, usual.strong), ("l1", usual.weak),
    ]  # fmt: skip
    assert found[1]["penalty"].lambda_ == t.L2Penalty().field_levels()["lambda_"].strong


def test_cheap_families_come_early() -> None:
    """A linear study of four trials has seen ridge, wherever in a choice it stands: one of them is the reference."""
    space = Linear(penalty=Choice("adaptive_elastic_net", AdaptiveLasso(), "l1", "elastic_net", "l2"))
    assert "l2" in [config.penalty.kind for config in starts(space)[:3]]


def test_a_start_of_the_user() -> None:
    """What a user says to start from is usual, in default, reference and starts, also for what is no regularizer."""
    space = Net(
        MLP(), lr=Float(1e-4, 1e-1, log=True, start=1e-2), dropout=Float(0, 0.5, start=0.17),
        penalty=Choice(None, t.L1Penalty(), t.L2Penalty(), start="l2"), batch_size=Int(16, 256, start=20),
    )  # fmt: skip
    found = starts(space)
    assert {(config.lr, config.batch_size) for config in found} == {(1e-2, 20)}
    assert default(space) in found
    assert default(space).techniques["dropout"].rate == 0.17
    assert default(space).techniques["penalty"].kind == "l2"
    assert space.reference().lr == 1e-2
    assert [config.params["C"] for config in starts(Estimator(SVC(), {"C": Float(0.1, 10, start=3)}))] == [3]


def test_a_technique_of_the_user_is_in_it() -> None:
    """A technique of a script gets its corners by itself, from its range and its off value."""

    @dataclass(frozen=True)
    class Squeeze(Technique, abstract=True):
        slots: ClassVar[tuple[str, ...]] = ("squeeze",)
        size: Any = tunable(Between(0, 1), Float(0.0, 1.0), off=0.0)

    found = starts(Car(Squeeze()))
    assert [config.brake.size for config in found] == pytest.approx([0.5, 0.2, 0.8])


def test_conditional_names() -> None:
    """A leaf has the name of its column, and the option in its name where two options share a field name."""
    space = Linear(penalty=Choice(ElasticNet(), "adaptive_elastic_net"), lambda_=Float(0.1, 1.0, log=True))
    usual, weak, strong, other = initial_params(space)
    assert usual == {"penalty": "elastic_net", "penalty.elastic_net.l1_ratio": 0.5, "lambda": pytest.approx(0.1**0.5)}
    assert weak["lambda"] < usual["lambda"] < strong["lambda"]
    assert set(other) == {"penalty", "penalty.adaptive_elastic_net.l1_ratio", "gamma", "lambda"}
