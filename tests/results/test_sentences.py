"""What a report says in sentences holds of the study that it is about."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from samples import study
from sklearn.neighbors import KNeighborsRegressor
from sklearn.tree import DecisionTreeRegressor

from regsearch import Choice, Estimator, Linear
from regsearch.metrics.statistics import Estimate
from regsearch.results.report.sentences import verdict
from regsearch.results.results import Results
from regsearch.results.rules import Pick


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return study(tmp_path_factory.mktemp("study")).run(3, quiet=True)


def answers(results: Results) -> list[str]:
    return [answer for _, answer in verdict(results)]


def unnamed(results: Results) -> Pick:
    trial = results.candidates[-1]
    return Pick(trial.number, trial.step, "It is the last.")


@pytest.mark.slow
def test_the_luck_of_a_choice_is_that_of_its_rule(results: Results) -> None:
    """A report says of what a rule chose what `correct` says of the rule, and calls named only what was named."""
    chosen = results.choose("one_se")
    assert str(results.correct("one_se")) in answers(replace(results, subject=chosen))[2]
    named = results.choose(chosen.number, chosen.step)
    assert "It was named" in answers(replace(results, subject=named))[2]
    by_function = answers(replace(results, subject=results.choose(unnamed)))[2]
    assert "is not known: unnamed" in by_function
    assert "It was named" not in by_function


@pytest.mark.slow
def test_what_helps_is_judged_within_a_family(tmp_path: Path) -> None:
    """Where another family's reference scores best of all, the winner is still compared with its own reference."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 15))
    y = 3.0 * (np.abs(X[:, 0]) > 0.7) + rng.normal(size=90) / 10  # which no line follows, and no single cut
    tree = Estimator(DecisionTreeRegressor(random_state=0), {"max_depth": Choice(1)})
    one = study(tmp_path, data=(X, y), space=Choice(Linear("l2"), tree)).run(6, quiet=True)
    first, own = one.complete[0], one.reference
    assert own is not None
    assert (first.role, first.family) == ("reference", "DecisionTreeRegressor")
    assert own.family == one.best.trial.family == "linear"
    overfits, remedy, _ = answers(one)
    assert f"The reference (linear, without regularization) has a gap of {one.point(own).gap:.3g}" in overfits
    assert f"The reference of another family ({first.family}" in overfits
    assert "helps" not in overfits
    assert one.against_reference(one.best) in remedy


@pytest.mark.slow
def test_families_on_a_single_fold(tmp_path: Path) -> None:
    """A single fold tells of no error, and what scores alike does not win."""
    space = Choice(
        Estimator(DecisionTreeRegressor(random_state=0), {"max_depth": Choice(1, 2)}),
        Estimator(KNeighborsRegressor(), {"n_neighbors": Choice(3, 7)}),
    )
    rows = np.arange(60)
    one = study(tmp_path, space=space, cv=[(rows[:40], rows[40:])]).run(6, quiet=True)
    first, second = one.families.rows
    assert second.row()["behind"] > 0
    assert second.row()["behind_se"] is None
    assert "a single fold cannot tell them apart" in one.families.summary
    alike = replace(one.families, rows=(first, replace(second, behind=Estimate(0.0, 0.1, 5, 4))))
    assert "are as good" in alike.summary
    assert "wins" not in alike.summary
