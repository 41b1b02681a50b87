"""A sample of what `benchmarks/faults.py` tries."""

from __future__ import annotations

import pytest
from damage.section import sections

SAMPLE = {"kills": 2}  # attempts that a test makes


@pytest.mark.parametrize("name", sorted(SAMPLE))
def test_a_sample_holds(name: str) -> None:
    """What must hold after a kill, a fault, a bad input or an edit of a bundle holds."""
    attempts = [*sections()[name].attempts(SAMPLE[name], 1)]
    assert len(attempts) == SAMPLE[name]
    assert not [attempt for attempt in attempts if attempt.problem]
