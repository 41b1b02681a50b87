"""Several families as one space: each is evaluated as in a study of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_regression
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from regsearch import MLP, Choice, Cox, Estimator, Float, Int, InvalidInput, Linear, Net, Path
from regsearch import nn_techniques as t
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Candidate, FixedHistory, Outcome, SearchHistory, Setup
from regsearch.models.deadline import Deadline
from regsearch.models.families import Families
from regsearch.space.config import from_data, to_data
from regsearch.space.params import parameter_names
from regsearch.space.placing import params_for
from regsearch.space.sampling import fill, random_params
from regsearch.space.starts import initial_params, reference_params

LINEAR = Linear(penalty=Choice("l1", "l2"), lambda_=Path(10))
TREE = Estimator(DecisionTreeRegressor(random_state=0), {"max_depth": Int(1, 8)})
NET = Net(MLP((4,)), dropout=Float(0, 0.5), precision="float64", early_stopping=t.EarlyStopping(4, patience=2))
SPACE = Families(Choice(NET, TREE, LINEAR))
X, Y = make_regression(60, 4, noise=20.0, random_state=0)


def setup(**options: Any) -> Setup:
    problem = make_problem(X, Y)
    return Setup(problem, make_folds(3, problem, 0), resolve(None, problem), **options)


def candidates(space: Any, count: int, family: str | None = None) -> list[Candidate]:
    """The references, then configs at random: the same whatever is left out."""
    random = np.random.default_rng(0)
    wanted = [("reference", params) for params in reference_params(space)]
    wanted += [("", random_params(space, random)) for _ in range(count)]
    found = [Candidate.of(space, number, role, draws) for number, (role, draws) in enumerate(wanted)]
    return [one for one in found if family in (None, one.family)]


def test_a_config_is_one_of_its_family() -> None:
    """A filled space is a config of the family that was drawn, with that family's parameters under their own names."""
    names = parameter_names(SPACE)
    assert names.leaves["family"] == "family"
    assert {"penalty", "max_depth", "dropout"} <= set(names.leaves.values())
    for draws in initial_params(SPACE):
        config = fill(SPACE, draws)
        assert type(config) is type(SPACE.families[draws["family"]])
        assert names.row(config, draws["family"])["family"] == draws["family"]
    tree = fill(SPACE, {"family": "DecisionTreeRegressor", "max_depth": 3})
    assert tree == fill(TREE, {"max_depth": 3})
    assert "dropout" not in names.row(tree, "DecisionTreeRegressor")  # of another family not even as off


def test_starts_come_from_each_family_in_turn_the_cheapest_first() -> None:
    """Each family's own starts, in their order, one of each in a round."""
    starts = initial_params(SPACE)
    assert [start["family"] for start in starts[:3]] == ["linear", "DecisionTreeRegressor", "mlp"]
    for name, family in SPACE.families.items():
        own = [{k: v for k, v in one.items() if k != "family"} for one in starts if one["family"] == name]
        assert [fill(family, one) for one in own] == [fill(family, one) for one in initial_params(family)]


def test_a_space_of_families_is_plain_data_and_back() -> None:
    """A space of families without a user's object is what its file says, and a config of it is placed in it again."""
    space = Families(Choice(LINEAR, NET))
    assert from_data(to_data(space)) == space
    draws = {"family": "linear", "penalty": "l2"}
    assert params_for(space, to_data(fill(space, draws)), None, "it") == draws


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (lambda: Families(Choice(LINEAR, 3)), "must have models"),
        (lambda: Families(Choice(LINEAR, None)), "must have models"),
        (lambda: Families(Choice(TREE, TREE.replace(params={"max_depth": 3}))), "DecisionTreeRegressor more than once"),
        (lambda: Families(Choice(LINEAR, Estimator(WithFamily(), {"family": Choice("a", "b")}))), "step of a pipeline"),
    ],
)
def test_what_is_no_space_of_families_is_refused(space: Any, said: str) -> None:
    """Options that are no models, alike by name, or with a column of that name are refused when the space is made."""
    with pytest.raises(InvalidInput, match=said):
        space()


class WithFamily(Ridge):  # type: ignore[misc]
    """An estimator with a parameter of that name."""

    def __init__(self, family: str = "a") -> None:
        super().__init__()
        self.family = family


def test_an_estimator_is_called_by_its_class() -> None:
    """A family is called by the last step of a pipeline, so that two estimators are two families."""
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    space = Families(Choice(Estimator(pipeline, {"logisticregression__C": Float(0.1, 1)}), TREE))
    assert list(space.families) == ["LogisticRegression", "DecisionTreeRegressor"]
    assert space.title == "LogisticRegression, DecisionTreeRegressor"


def test_families_of_two_tasks_are_refused() -> None:
    """A study has one task: that of a loss holds for all, and two of them are refused."""
    assert Families(Choice(Linear(loss=Cox()), TREE)).task == "survival"
    with pytest.raises(InvalidInput, match="one task"):
        _ = Families(Choice(Linear(loss=Cox()), _Classifier(MLP((4,))))).task


class _Classifier(Net):
    task = "classification"  # type: ignore[assignment]


@pytest.mark.slow
def test_each_family_is_evaluated_as_by_its_own_backend() -> None:
    """Scores of a study of families are, to the bit, those of each family's own backend, stacked nets included."""
    s = setup()
    found = {one.number: one for one in SPACE.backend(s).stream(candidates(SPACE, 8))}
    assert sorted(found) == list(range(11))
    for name, family in SPACE.families.items():
        alone = {one.number: one for one in family.backend(s).stream(candidates(SPACE, 8, name))}
        assert len(alone) > 1
        for number, one in alone.items():
            np.testing.assert_array_equal(found[number].trajectory.deciding.val, one.trajectory.deciding.val)
            assert found[number].step == one.step


class Wave:
    """A backend that holds several candidates: it yields what it holds once it gets no more."""

    def __init__(self, log: list[list[int]]) -> None:
        self.log = log

    def stream(self, source: Any) -> Iterator[Outcome]:
        while held := list(source):
            self.log.append([one.number for one in held])
            yield from (Outcome(one, "complete") for one in held)


class Holding(Net):
    """A family whose backend holds four candidates."""

    holds = 4
    log: list[list[int]] = []

    def backend(self, setup: Setup) -> Any:
        return Wave(self.log)


def test_a_family_that_holds_many_goes_on_when_it_is_full_or_others_had_their_turns() -> None:
    """A stack begins full; where others come one after the other, it begins with less rather than wait for long."""
    space = Families(Choice(Holding(MLP((2,)), dropout=Float(0, 0.9)), TREE))
    s = setup()
    Holding.log.clear()

    def asked(families: str) -> Iterator[Candidate]:
        for number, name in enumerate(families):
            draws = {"family": "mlp", "dropout": number / 50} if name == "n" else {"family": "DecisionTreeRegressor"}
            yield Candidate.of(space, number, "", draws | ({} if name == "n" else {"max_depth": 2}))

    order = [one.number for one in space.backend(s).stream(asked("ntntnntnttttt"))]
    assert sorted(order) == list(range(13))
    assert Holding.log == [[0, 2, 4, 5], [7]]
    assert order[:3] == [1, 3, 0]
    Holding.log.clear()
    order = [one.number for one in space.backend(s).stream(asked("nttttttt"))]
    assert order.index(0) == 4  # after as many others as it holds


@pytest.mark.slow
def test_what_is_in_training_when_time_is_up_is_kept_as_far_as_it_got() -> None:
    """At the deadline nets in flight come out as stopped, with the curves they have; nothing else is begun."""
    ticks = iter(range(10**6))
    deadline = Deadline(at=400, clock=lambda: float(next(ticks)))
    space = Families(Choice(replace_epochs(NET, 10**4), TREE))
    found = list(space.backend(setup(deadline=deadline)).stream(candidates(space, 8)))
    states = {one.candidate.family: one.state for one in found}
    assert states["mlp"] == "stopped"
    assert next(ticks) < 10**5


def replace_epochs(net: Net, epochs: int) -> Net:
    return net.replace(early_stopping=t.FixedEpochs(epochs, epochs))  # type: ignore[return-value]


def test_a_family_is_shown_the_trials_of_its_own() -> None:
    """Each backend reads the history of its family alone: curves of another walk along another axis."""
    seen: dict[str, Any] = {}

    class Spying(FixedHistory):
        def of(self, family: str) -> FixedHistory:
            seen[family] = FixedHistory(best_folds=np.full(3, float(len(family))))
            return seen[family]

    history: SearchHistory = Spying()
    list(SPACE_CHEAP.backend(replace(setup(), history=history, prune=True)).stream(candidates(SPACE_CHEAP, 3)))
    assert set(seen) == {"linear", "DecisionTreeRegressor"}
    assert math.isfinite(seen["linear"].best_folds.sum())


SPACE_CHEAP = Families(Choice(LINEAR, TREE))
