"""What a report says in sentences holds of the study that it is about."""

from __future__ import annotations

from dataclasses import replace

import pytest
from samples import study

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
