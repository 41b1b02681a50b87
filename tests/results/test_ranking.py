"""Who leads a search."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from regsearch.metrics.statistics import ROUNDING
from regsearch.models.path import Point
from regsearch.results.ranking import candidates, is_better, rank_trials
from regsearch.storage.trial import Trial

SCORES = st.builds(
    lambda whole, steps: whole + steps * ROUNDING / 2, st.sampled_from([-1.0, 0.0, 1.0]), st.integers(-5, 5)
)
ROLES = ("reference", "", "")


@st.composite
def three(draw: st.DrawFn) -> list[Trial]:
    """A reference, a leader and one that comes after them, with scores that differ by rounding or by more."""
    return [
        Trial(
            number, "complete", role, key=draw(st.sampled_from("ab")), axis=draw(st.sampled_from(["", "lambda"])),
            points={"r2": Point(draw(SCORES), 0.1, draw(st.sampled_from([0.5, 3.0])), 0.0, 0.0)},
            params={"scale": draw(st.sampled_from(["none", "standard"]))}, value=draw(st.sampled_from([0.0, 1.0, 2.0])),
        )
        for number, role in enumerate(ROLES)
    ]  # fmt: skip


@given(three(), st.booleans(), st.booleans())
def test_the_best_of_all_leads(trials: list[Trial], with_reference: bool, with_leader: bool) -> None:
    """One that comes after a leader and the reference is the best of them when it is the first of them all in order."""
    references, leader = {"": trials[0]} if with_reference else {}, trials[1] if with_leader else None
    ranked = rank_trials([*references.values(), *([leader] if leader else []), trials[2]], "r2")
    first = candidates(ranked, references)[0]
    assert is_better(trials[2], leader, references, "r2") == (first is trials[2])
