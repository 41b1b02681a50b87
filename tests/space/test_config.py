"""Trees as plain data and TOML, both ways."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.preprocessing import FunctionTransformer
from strategies import LEAVES, concrete, configs, declared, families, nodes, spaces

from regsearch import Choice, ElasticNet, Estimator, Float, Int, InvalidInput, Linear, Net, NotFound
from regsearch.documents import parse_toml
from regsearch.space.config import digest, from_data, from_toml, to_data, to_toml
from regsearch.space.path import Path
from regsearch.space.registry import registered
from regsearch.space.tree import Leaf, Node

OPAQUE = {
    "estimator",
    "loop",
    "net.custom",
    "prepare",
}  # kinds whose fields hold anyone's objects: written to be read, not rebuilt


def shipped() -> list[str]:
    return sorted(kind for kind, cls in registered().items() if cls.__module__.startswith("regsearch."))


@pytest.mark.parametrize("kind", shipped())
def test_every_kind_can_be_generated(kind: str) -> None:
    """A registered class is a leaf with a strategy, declares the domain of every field, or is known to be opaque."""
    assert kind in LEAVES or kind in OPAQUE or kind == "families" or registered()[kind] in declared()


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(set(shipped()) - OPAQUE))
@given(data=st.data())
def test_every_kind_round_trips(kind: str, data: st.DataObject) -> None:
    """A node of any kind, with leaves anywhere, comes back equal from TOML and from JSON."""
    known = LEAVES | {"families": families()}
    node = data.draw(known[kind] if kind in known else nodes(registered()[kind]))
    assert from_toml(to_toml(node)) == node
    assert from_data(json.loads(json.dumps(to_data(node)))) == node
    assert digest(from_toml(to_toml(node))) == digest(node)


@pytest.mark.slow
@given(first=spaces() | configs(), second=spaces() | configs())
def test_digest_is_identity(first: Any, second: Any) -> None:
    """Two trees have one digest exactly when they are equal."""
    assert (digest(first) == digest(second)) == (to_data(first) == to_data(second))
    assert (first == second) <= (digest(first) == digest(second))


@pytest.mark.slow
@pytest.mark.parametrize("cls", declared(), ids=lambda cls: cls.tag())
@given(data=st.data())
def test_digest_changes_with_any_field(cls: type[Node], data: st.DataObject) -> None:
    """No field is left out of the digest."""
    node = data.draw(nodes(cls))
    other = data.draw(nodes(cls))
    for name, value in other.fields().items():
        try:
            changed = node.replace(**{name: value})
        except InvalidInput:  # some of a net exclude each other, such as two learning rates
            assert cls is Net
            continue
        assert (changed == node) == (digest(changed) == digest(node))


def test_toml_reads_like_the_space() -> None:
    """A config's file has the names that users write."""
    assert parse_toml(to_toml(Linear(penalty=ElasticNet(0.25), lambda_=0.1, scale="none")), "it") == {
        "type": "linear",
        "lambda": 0.1,
        "scale": "none",
        "penalty": {"type": "elastic_net", "l1_ratio": 0.25},
    }


def test_choice_with_none() -> None:
    """None, which TOML lacks, is kept as an option of a choice."""
    space = Choice(None, 3, ElasticNet(Float(0.1, 0.9)), Path(10))
    assert from_toml(to_toml(space)) == space
    assert digest(Choice(None, 3)) != digest(Choice(3))


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("type = linear", InvalidInput, "must be TOML"),
        ('type = "nothing"', NotFound, "No node is called 'nothing'; known: .*linear"),
        ('type = "linear"\npenality = "l1"', InvalidInput, "Linear has the fields penalty, lambda, scale.*'penality'"),
        ('type = "linear"\nlambda_ = 0.1', InvalidInput, "'lambda_'; remove it"),
        ('type = "linear"\nlambda = "big"', InvalidInput, "must be a number"),
        ('type = "float"\nlow = 0.1', InvalidInput, "Float cannot be made from"),
        ('type = "float"\nlow = 3.0\nhigh = 1.0', InvalidInput, "low < high"),
        ('type = "choice"', InvalidInput, "at least one option"),
        ('type = "choice"\noptions = "l1"', InvalidInput, "options.*list"),
        ('type = "choice"\noptions = []', InvalidInput, "at least one option"),
        ('type = "linear"\npenalty = {type = "linear"}', InvalidInput, "must be a Penalty"),
    ],
)
def test_bad_files(text: str, error: type[Exception], message: str) -> None:
    """A file that is no space is refused with what is wrong in it."""
    with pytest.raises(error, match=message):
        from_toml(text)


def test_estimators_are_text() -> None:
    """An estimator is written as its text, which is one line, changes with its parameters, and is not rebuilt."""
    data = to_data(Estimator(Ridge(alpha=2.0), {"alpha": Float(0.1, 1), "tol": Choice(None, 0.1)}))
    assert data["estimator"] == "Ridge(alpha=2.0)"
    assert data["params"]["alpha"] == {"type": "float", "low": 0.1, "high": 1, "log": False}
    with pytest.raises(InvalidInput, match="needs a scikit-learn estimator"):
        from_data(data)


def _logged(x: Any) -> Any:
    return x


def test_digest_without_addresses() -> None:
    """Functions inside an estimator count by name, not by where they lie in memory."""

    def make() -> Callable[[Any], Any]:
        def local(x: Any) -> Any:
            return x

        return local

    first, second = (Estimator(FunctionTransformer(make()), {"check_inverse": Choice(True, False)}) for _ in range(2))
    assert digest(first) == digest(second)
    assert digest(first) != digest(Estimator(FunctionTransformer(_logged), first.params))


@pytest.mark.slow
def test_digest_is_stable_across_processes() -> None:
    """A study that goes on in another process finds its space again."""
    script = (
        "from regsearch import *; from regsearch.space.config import digest\n"
        "print(digest(Linear(penalty=Choice('l1', ElasticNet(Float(.1, .9))), lambda_=Path(50))))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
    assert found == digest(Linear(penalty=Choice("l1", ElasticNet(Float(0.1, 0.9))), lambda_=Path(50)))


def test_leaves_have_strategies() -> None:
    """Every leaf of the package has a strategy here."""
    assert {cls.kind for cls in concrete(Leaf) if cls.__module__.startswith("regsearch.")} == set(LEAVES)
    assert LEAVES["int"] is not None
    assert Int(1, 2).kind == "int"
