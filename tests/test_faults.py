"""A sample of what `benchmarks/faults.py` tries."""

from __future__ import annotations

import pytest
from damage.section import sections
from damage.services import FAULTS, Fault, problem_of

SAMPLE = {"edits": 4, "inputs": 30, "kills": 3, "faults": 3, "workers": 2}  # attempts that a test makes


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SAMPLE))
def test_a_sample_holds(name: str) -> None:
    """What must hold after a kill, a fault, a bad input or an edit of a bundle holds."""
    attempts = [*sections()[name].attempts(SAMPLE[name], 1)]
    assert len(attempts) == SAMPLE[name]
    assert not [attempt for attempt in attempts if attempt.problem]


@pytest.mark.slow
@pytest.mark.parametrize("fault", [*FAULTS["disk"], *FAULTS["database"]], ids=lambda fault: fault.__name__)
def test_a_storage_that_fails(fault: Fault) -> None:
    """A disk or database that fails ends a run with one sentence; what was finished stays, and the study goes on."""
    assert not problem_of(fault)
