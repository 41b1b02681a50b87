"""A trial that takes many times as long as the others is named, once."""

from __future__ import annotations

import io
from typing import Any

import pytest

from regsearch.models.deadline import Deadline
from regsearch.progress import Progress
from regsearch.storage.trial import Trial
from regsearch.study import progress_line
from regsearch.study.history import History
from regsearch.study.limits import Limits
from regsearch.study.progress_line import ProgressLine
from regsearch.study.slow_trials import InFlight, SlowTrials


def trial(number: int, seconds: float, state: Any = "complete", role: str = "") -> Trial:
    return Trial(number, state, role, params={"alpha": 0.5}, seconds=seconds, end_ms=round(1000 * seconds))


def usual(count: int, timeout: float | None = None) -> SlowTrials:
    """After some trials of 2 s each, beside a reference that took long, a failure and a repeat that took no time."""
    slow = SlowTrials(timeout)
    for number in range(count):
        assert slow.finished(trial(number, 2.0)) == ""
    others = trial(90, 900.0, role="reference"), trial(91, 0.1, "failed"), trial(92, 0.0)
    for one in others if count < 5 else others[1:]:
        assert slow.finished(one) == ""
    return slow


def test_a_trial_in_flight_is_named_once() -> None:
    """The one that has taken ten times the median: what it is, how long, and how such a trial is ended."""
    slow = usual(5)
    assert slow.running([InFlight(7, 0, {"alpha": 0.25})], 19_000) == ""
    said = slow.running([InFlight(7, 0, {"alpha": 0.25}), InFlight(8, 15_000, {})], 21_000)
    assert said.startswith("Trial 7 (alpha=0.25) has taken 21 s, 10 times the median of 2 s; --trial-timeout S")
    assert slow.running([InFlight(7, 0, {}), InFlight(8, 0, {})], 40_000) == ""
    assert slow.running([], 99_000) == ""
    assert slow.finished(trial(7, 70.0)) == ""
    assert slow.running([InFlight(9, 0, {})], 41_000) == ""  # no more than twice the one that was named
    assert slow.running([InFlight(9, 0, {})], 43_000).startswith("Trial 9 has taken 43 s")


def test_a_trial_that_could_not_be_looked_at_is_named_at_its_end() -> None:
    """Where nothing asks for the time while a trial is evaluated, it is named when it has ended."""
    said = usual(6, timeout=300.0).finished(trial(7, 120.0))
    assert said == ("Trial 7 (alpha=0.5) took 2 min, 60 times the median of 2 s; such a trial is given up after 5 min.")


def test_few_trials_say_nothing() -> None:
    """Four trials do not say how long one usually takes."""
    assert usual(4).finished(trial(7, 1e6)) == ""


def test_a_line_stands_and_the_state_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run says it in a line of its own between its states, by its own clock."""
    stream, history = io.StringIO(), History(None, "r2")
    line = ProgressLine(Progress(stream), Limits(20), Deadline(), history, "r2", lambda: [InFlight(8, 0, {"alpha": 3})])
    for number in range(5):
        history.trials.append(trial(number, 2.0))
        line.show(history.trials[-1])
    line.notice("fold 3")
    line.notice("fold 4")
    (said,) = [one for one in stream.getvalue().splitlines() if one.startswith("Trial")]
    assert said.startswith("Trial 8 (alpha=3) has taken")


@pytest.mark.parametrize(("seconds", "said"), [(600, "10 min left"), (7200, "2 h 0 min left, until "), (2e5, "55 h")])
def test_of_hours_it_is_said_when_they_are_over(seconds: float, said: str) -> None:
    """What is left of a run is said as time, and where that is hours, as the time of day when it ends."""
    shown = progress_line.time_left(seconds)
    assert shown.startswith(said)
    assert ("until" in shown) == (seconds == 7200)
