"""What rules promise: on simulated studies of known truth, and that none chooses the reference or what is far worse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rules as simulation
from samples import regression, study
from sklearn.datasets import load_wine
from sklearn.linear_model import Ridge

from regsearch import MLP, Choice, Estimator, Linear, Net, spaces
from regsearch import Path as Axis
from regsearch import nn_techniques as t
from regsearch.results.report.sentences import verdict
from regsearch.results.results import Results
from regsearch.results.rules import RULES
from regsearch.study.summary import summary


@pytest.mark.slow
@pytest.mark.parametrize(("problem", "studies"), [("sparse", 200), ("correlated", 200), ("classes", 40)])
def test_a_choice_keeps_its_promise(problem: str, studies: int) -> None:
    """On studies whose truth is known, 95 % of choices are truly no worse than the best's by what a rule promises."""
    found = simulation.simulated(problem, studies)
    for rule, most in simulation.PROMISE.items():
        over_best = found[rule][:, 0]
        assert np.quantile(over_best, 0.95) <= most
        assert np.median(over_best) <= most / 2
    assert not found["best"][:, 0].any()


def separable(seed: int, extra: int = 25, rows: int = 60) -> tuple[Any, Any]:
    """Columns that repeat each other, by which the classes of training rows can be told apart."""
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(rows, 15))
    X = np.hstack([Z, Z @ rng.normal(size=(15, extra)) / 4])
    return X, (Z[:, :8].sum(1) + 2 * rng.normal(size=rows) > 0).astype(int)


def wide(seed: int) -> tuple[Any, Any]:
    """More columns than rows."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40, 60))
    return X, X[:, :3].sum(axis=1) + rng.normal(size=40)


def three_classes(seed: int) -> tuple[Any, Any]:
    rows = np.random.default_rng(seed).permutation(178)[:70]
    X, y = load_wine(return_X_y=True)
    return X[rows] + np.random.default_rng(seed).normal(size=(70, 13)) * X.std(axis=0), y[rows]


def kept(results: Results) -> None:
    """What every rule that goes by the score promises of its choice."""
    top = results.candidates[0]
    floor, best = results.point(top).floor, results.curves(top.number).val[:, top.step]
    for rule in RULES:
        chosen = results.choose(rule)
        assert chosen.number != results.reference.number  # type: ignore[union-attr]
        assert chosen.score >= floor
        own = results.curves(chosen.number).val[:, chosen.step]
        if rule in ("paired", "pareto"):
            assert not (own < best - 1e-9 * abs(best)).all()


@pytest.mark.slow
@pytest.mark.parametrize("make", [separable, wide, three_classes, lambda seed: regression(60, 6, seed)])
@pytest.mark.parametrize("seed", [1, 2])
def test_no_rule_chooses_the_reference_or_what_is_far_worse(tmp_path: Path, make: Any, seed: int) -> None:
    """No rule chooses the reference, what is an error of the best worse, or, but for one_se, worse in every fold."""
    space = Linear(penalty=Choice("none", "l1", "l2", "elastic_net"), lambda_=Axis(40))
    results = study(tmp_path, data=make(seed), space=space, cv=5, seed=seed).run(9, quiet=True)
    kept(results)
    plain = [trial for trial in results.complete if trial.params["penalty"] == "none"]
    assert len(plain) > 1
    assert not {trial.number for trial in plain} & {trial.number for trial in results.candidates}
    unpenalized = {results.choose(rule).number for rule in RULES} & {trial.number for trial in plain}
    assert not unpenalized


def test_a_reference_that_leads_is_said_to(tmp_path: Path) -> None:
    """Where the reference scores best, the rule, the summary and the report say so, and choose another."""
    space = Linear(penalty=Choice("l1", "l2"), lambda_=Choice(3.0, 30.0))
    results = study(tmp_path, space=space).run(4, quiet=True)
    assert results.reference_leads
    assert results.complete[0] == results.reference != results.candidates[0]
    assert "The reference (without regularization), which no rule chooses, scores better" in results.best.why
    assert "It scores best of all; no rule chooses it." in summary(results, False)
    assert "scores better" in dict(verdict(results))["How much does it overfit?"]
    assert dict(verdict(results))["What fixed it?"].startswith("Nothing did")
    assert any("worse than the reference" in str(advice) for advice in results.advice)


def test_a_reference_that_is_better_by_next_to_nothing_does_not_lead(tmp_path: Path) -> None:
    """What differs beyond the digits that anyone sees, or a net has, is as good."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(200, 3))
    data = X, X.sum(axis=1) + 0.01 * rng.normal(size=200)
    results = study(tmp_path, data=data, space=Linear("l2", Choice(1e-11, 2e-11))).run(3, quiet=True)
    best, plain = (results.point(trial).val for trial in (results.candidates[0], results.reference))
    assert 1e-12 < abs(plain - best) / abs(best) < 1e-9
    assert results.complete[0] == results.reference
    assert not results.reference_leads
    assert "scores better" not in dict(verdict(results))["How much does it overfit?"]


def test_a_reference_alone_is_chosen(tmp_path: Path) -> None:
    """Where nothing but the reference is complete, it is what there is to choose."""
    results = study(tmp_path).run(1, quiet=True)
    assert [trial.role for trial in results.candidates] == ["reference"]
    assert {results.choose(rule).number for rule in RULES} == {0}
    assert not results.reference_leads


@pytest.mark.slow
def test_nets_without_techniques_are_no_candidates(tmp_path: Path) -> None:
    """A sampled config that is the reference's is no more chosen than it."""
    space = Net(MLP(hidden=(4,)), weight_decay=Choice(0.0, 1.0), lr=0.1, early_stopping=t.FixedEpochs(5))
    results = study(tmp_path, space=space).run(3, quiet=True)
    weights = {trial.params["weight_decay"] for trial in results.candidates}
    assert weights == {1.0}


def test_an_estimator_as_given_may_lie_in_the_space(tmp_path: Path) -> None:
    """What is sampled as the estimator was given is one of the configs asked for, and is chosen where best."""
    space = Estimator(Ridge(alpha=1.0), {"alpha": Choice(1.0, 1e4, 1e5)})
    results = study(tmp_path, space=space).run(4, quiet=True)
    assert results.best.params["alpha"] == 1.0
    assert results.best.trial.role != "reference"


@pytest.mark.slow
def test_one_unit_of_complexity(tmp_path: Path) -> None:
    """The unpenalized spend the most degrees of freedom of all, classes counted, and no path point exceeds them."""
    cases = {"separable": (separable(0), 15), "three": (three_classes(0), 26), "line": (regression(), 6)}
    for name, (data, most) in cases.items():
        results = study(tmp_path, name, data=data, space=spaces.linear(), cv=4).run(7, quiet=True)
        assert results.reference is not None
        assert results.reference.complexity == pytest.approx(most)
        for trial in results.complete:
            freedom = results.trajectory(trial.number).complexity
            if trial.params["penalty"] in ("none", "l2", "elastic_net"):
                assert (freedom <= most + 1e-6).all()
