"""The conformance suite of techniques on every shipped one, and on techniques of a user's own, good and bad."""

from __future__ import annotations

import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

import regsearch
from regsearch import Choice, Float, InvalidInput
from regsearch.models.base import Candidate
from regsearch.models.neural import Net, techniques
from regsearch.models.neural.technique import Columns, RandomNumbers, Technique
from regsearch.models.neural.techniques import SHIPPED
from regsearch.models.neural.training.stack import Stack
from regsearch.space.config import digest, from_toml, to_toml
from regsearch.space.domains import Between
from regsearch.space.params import flat
from regsearch.space.tree import Node, tunable
from regsearch.testing import check_technique
from regsearch.testing.nets import net, setup
from regsearch.testing.suite import Check
from regsearch.testing.techniques import SUITE

# --- every technique -------------------------------------------------------------------------------------------


def test_every_technique_is_seen() -> None:
    """Every technique of the package is exported, in a slot of its own module, and so in this suite."""
    registered = {
        cls for cls in Node.registry.values() if issubclass(cls, Technique) and cls.__module__.startswith("regsearch.")
    }
    assert set(SHIPPED) == registered
    assert {getattr(techniques, name) for name in techniques.__all__} == registered
    assert {cls for found in techniques.slots().values() for cls in found} >= registered
    assert {cls for found in techniques.slots(SHIPPED).values() for cls in found} == registered
    assert regsearch.nn_techniques is techniques
    with pytest.raises(AttributeError, match="nothing"):
        _ = techniques.nothing


@pytest.mark.parametrize("file", [module.name for module in pkgutil.iter_modules(techniques.__path__)])
def test_every_file_holds_one(file: str) -> None:
    """A file of the folder holds one technique, of the file's name."""
    (cls,) = [cls for cls in SHIPPED if cls.__module__ == f"{techniques.__name__}.{file}"]
    assert cls.kind == file


@pytest.mark.slow
@pytest.mark.parametrize("check", SUITE.checks, ids=lambda check: check.name)
@pytest.mark.parametrize("cls", SHIPPED, ids=lambda cls: cls.kind)
def test_conforms(cls: type[Technique], check: Check) -> None:
    """Every technique has every property of the shipped suite."""
    check(cls)


# --- a technique of a user's own -------------------------------------------------------------------------------


@pytest.fixture
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test defines is forgotten after it."""
    monkeypatch.setattr(Node, "registry", dict(Node.registry))


def make_shrink() -> type[Technique]:
    """A technique as a user's script may define one: inside a function, in a slot that no other has."""

    @dataclass(frozen=True)
    class WeightShrink(Technique):
        """Every weight shrinks by a share of itself after each step."""

        slots: ClassVar[tuple[str, ...]] = ("weight_shrink",)
        main: ClassVar[str] = "share"
        share: Any = tunable(Between(0.0, 0.9), Float(0.01, 0.5), off=0.0)

        @staticmethod
        def on_stepped(v: Columns, theta: torch.Tensor, rate: torch.Tensor) -> None:
            for w in v.part.views(theta):
                w.mul_(1 - v.share[:, None])

    return WeightShrink


@pytest.mark.slow
@pytest.mark.usefixtures("_registry")
def test_a_technique_of_a_script() -> None:
    """A technique that is defined anywhere is a slot of nets at once: in spaces, files, tables, and in the suite."""
    with pytest.raises(InvalidInput, match="A Net has no 'weight_shrink'"):
        Net(weight_shrink=0.1)
    cls: Any = make_shrink()
    space = Net(weight_shrink=Choice(None, cls()))
    assert from_toml(to_toml(space)) == space
    config = Net(weight_shrink=0.1)
    assert config == Net(weight_shrink=cls(0.1))
    assert digest(from_toml(to_toml(config))) == digest(config)
    assert flat(config)["weight_shrink"] == 0.1
    assert config.without()["weight_shrink"] == Net()
    check_technique(cls)


@pytest.mark.slow
@pytest.mark.usefixtures("_registry")
def test_a_technique_of_a_script_in_other_processes() -> None:
    """What a technique of a script's own gives is the same, to the bit, in forked processes and in this one."""
    cls: Any = make_shrink()
    configs = [net(weight_shrink=cls(share)) for share in (0.01, 0.1)] + [net()]
    weights = []
    for n_jobs in (1, 2):
        source = (Candidate(i, config) for i, config in enumerate(configs))
        found = {one.number: one for one in Stack(replace(setup(), n_jobs=n_jobs)).stream(source)}
        assert {one.state for one in found.values()} == {"complete"}
        weights.append([found[i].measures["weights/norm"] for i in range(3)])
    assert weights[0] == weights[1]
    assert len(set(weights[0])) == 3


@pytest.mark.usefixtures("_registry")
def test_defined_again() -> None:
    """A technique that a notebook defines again takes the place of the one before."""
    first, second = make_shrink(), make_shrink()
    assert first is not second
    assert techniques.slots()["weight_shrink"] == (second,)


@pytest.mark.usefixtures("_registry")
def test_a_name_of_the_package() -> None:
    """A script's technique may not take the name of a shipped class, which stays what it was."""
    with pytest.raises(InvalidInput, match=r"got 'dropout', which is that of .*techniques\.dropout\.Dropout; rename"):
        type("Dropout", (Technique,), {"__module__": "script"})
    assert Node.registry["net.dropout"] is techniques.Dropout
    assert techniques.slots()["dropout"] == techniques.slots(SHIPPED)["dropout"]


@pytest.mark.slow
def test_a_technique_is_one_file(tmp_path: Path) -> None:
    """A new file in the folder is a slot of nets and a name of `nn_techniques` without any other edit."""
    package = tmp_path / "regsearch"
    shutil.copytree(Path(regsearch.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    folder = package / "models" / "neural" / "techniques"
    noise = (folder / "weight_noise.py").read_text(encoding="utf-8")
    other = noise.replace("class WeightNoise(", "class Jitter(").replace('("weight_noise",)', '("jitter",)')
    (folder / "jitter.py").write_text(other, encoding="utf-8")
    script = (
        "import regsearch\n"
        f"assert regsearch.__file__.startswith({str(tmp_path)!r})\n"
        "from regsearch import Net, nn_techniques as t\n"
        "assert Net(jitter=0.1) == Net(jitter=t.Jitter(0.1)) and 'Jitter' in t.__all__\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, timeout=300, check=True)


# --- the suite finds what is wrong -----------------------------------------------------------------------------


class Wrong(Technique, abstract=True):
    """What the faulty techniques have in common."""

    slots: ClassVar[tuple[str, ...]] = ("wrong",)
    main: ClassVar[str] = "level"


def level(off: float | None = 0.0) -> Any:
    return tunable(Between(0.0, 1.0), Float(0.1, 0.5), off=off)


def not_frozen() -> type[Technique]:
    class Faulty(Wrong):
        """It is no dataclass."""

    return Faulty


def not_documented() -> type[Technique]:
    @dataclass(frozen=True)
    class Faulty(Wrong):
        level: Any = level()

    return Faulty


def without_a_slot() -> type[Technique]:
    @dataclass(frozen=True)
    class Faulty(Wrong):
        """It stands nowhere."""

        slots: ClassVar[tuple[str, ...]] = ()
        level: Any = level()

    return Faulty


def slot_of_the_net() -> type[Technique]:
    @dataclass(frozen=True)
    class Faulty(Wrong):
        """Its slot is a field that every net has."""

        slots: ClassVar[tuple[str, ...]] = ("lr",)
        level: Any = level()

    return Faulty


def hook_nobody_calls() -> type[Technique]:
    @dataclass(frozen=True)
    class Faulty(Wrong):
        """A hook has a slip in its name."""

        level: Any = level()

        @staticmethod
        def on_steps(v: Columns, theta: torch.Tensor, rate: torch.Tensor) -> None:
            theta.mul_(1 - v.level[:, None])

    return Faulty


def out_of_order() -> type[Technique]:
    @dataclass(frozen=True)
    class Faulty(Wrong):
        """What it says is weak is stronger than what it says is usual."""

        level: Any = tunable(Between(0.0, 1.0), Float(0.1, 0.5), off=0.0, weak=0.3, usual=0.2, strong=0.4)

    return Faulty


def out_of_range() -> type[Technique]:
    @dataclass(frozen=True)
    class Faulty(Wrong):
        """What it says is strong is not in the range that is searched."""

        level: Any = tunable(Between(0.0, 1.0), Float(0.1, 0.5), off=0.0, strong=0.9)

    return Faulty


def does_nothing() -> type[Technique]:
    @dataclass(frozen=True)
    class Faulty(Wrong):
        """It has no hook."""

        level: Any = level()

    return Faulty


def not_off() -> type[Technique]:
    @dataclass(frozen=True)
    class Faulty(Wrong):
        """It acts a little where it is off."""

        level: Any = level()

        @staticmethod
        def on_batch(v: Columns, x: torch.Tensor, rng: RandomNumbers) -> torch.Tensor:
            return x + (v.level + 1e-9)[:, None, None] * rng.normal(1, *x.shape[1:])

    return Faulty


def rows_meet() -> type[Technique]:
    @dataclass(frozen=True)
    class Faulty(Wrong):
        """Every row gets what the strongest row asks for, where it asks for anything."""

        level: Any = level()

        @staticmethod
        def on_stepped(v: Columns, theta: torch.Tensor, rate: torch.Tensor) -> None:
            theta.mul_(torch.where(v.level > 0, 1 - v.level.max() / 10, 1.0)[:, None])

    return Faulty


def state_outside() -> type[Technique]:
    counted = []

    @dataclass(frozen=True)
    class Faulty(Wrong):
        """It counts steps where no snapshot sees it."""

        level: Any = level()

        @staticmethod
        def on_stepped(v: Columns, theta: torch.Tensor, rate: torch.Tensor) -> None:
            counted.append(1)
            theta.mul_(1 - v.level[:, None] / (100 + len(counted)))

    return Faulty


def never_off() -> type[Technique]:
    @dataclass(frozen=True)
    class Faulty(Wrong):
        """It shrinks weights, and says nowhere at which level it does not."""

        level: Any = level(off=None)

        @staticmethod
        def on_stepped(v: Columns, theta: torch.Tensor, rate: torch.Tensor) -> None:
            theta.mul_(1 - v.level[:, None])

    return Faulty


FAULTS: dict[str, tuple[Callable[[], type[Technique]], str]] = {
    "is_declared": (not_frozen, "It is no frozen dataclass"),
    "is_declared, undocumented": (not_documented, "It has no docstring"),
    "stands_in_a_net": (without_a_slot, "It has no slots"),
    "stands_in_a_net, lr": (slot_of_the_net, "A Net has a field of its own called lr"),
    "stands_in_a_net, hook": (hook_nobody_calls, "Nobody calls on_steps"),
    "starts_are_in_order": (out_of_order, "what is weak, usual, strong is|says .*'weak': 0.3"),
    "starts_are_in_order, range": (out_of_range, "'strong': 0.9.*has .*0.42"),
    "off_is_what_tables_show": (never_off, "No field says by off= where Faulty has no effect"),
    "does_something": (does_nothing, "learns what a net without it learns"),
    "off_is_off": (not_off, "beside a row with it"),
    "stacked_equals_separate": (rows_meet, "row 2 of 5"),
    "training_may_go_back": (state_outside, "The second time it learns something else"),
}


@pytest.fixture(params=FAULTS)
def fault(request: pytest.FixtureRequest, _registry: None) -> tuple[str, type[Technique], str]:
    make, found = FAULTS[request.param]
    return request.param.partition(",")[0], make(), found


@pytest.mark.slow
def test_a_fault_is_found(fault: tuple[str, type[Technique], str]) -> None:
    """A technique without a property fails the check of that property, which says what was found and what to mend."""
    name, cls, found = fault
    (check,) = [check for check in SUITE.checks if check.name == name]
    with pytest.raises(AssertionError, match=found) as raised:
        check(cls)
    assert check.statement in str(raised.value)
    assert f"To mend it: {check.fix}" in str(raised.value)
    with pytest.raises(AssertionError, match=f"^{cls.__name__} fails"):
        check_technique(cls)
