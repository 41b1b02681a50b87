"""Records survive the pipe unchanged, whatever they hold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regsearch.errors import InvalidInput
from regsearch.mirror.content import SERIES_POINTS, trial_record
from regsearch.mirror.records import (
    Ack,
    Artifact,
    Dataset,
    Ready,
    Record,
    Series,
    StudyRecord,
    SummaryRecord,
    TrialRecord,
    decode,
)
from regsearch.models.path import Curves, Trajectory
from regsearch.storage.trial import Trial

texts = st.text(max_size=20)
counts = st.integers(0, 2**53)
floats = st.floats(allow_nan=False)  # NaN differs from itself; it has a test of its own
scalars = st.one_of(texts, counts, floats, st.booleans(), st.none())
series = st.lists(st.tuples(counts, floats)).map(
    lambda rows: Series(tuple(s for s, _ in rows), tuple(v for _, v in rows))
)


def names(values: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    """Return a strategy for a few named values."""
    return st.dictionaries(texts, values, max_size=4)


records = st.one_of(
    st.builds(TrialRecord, counts, st.sampled_from(["COMPLETE", "PRUNED", "FAIL"]), counts, counts, texts,
              names(scalars), names(floats), names(series), names(texts)),
    st.builds(StudyRecord, texts, texts, texts, counts, names(scalars), names(texts), names(texts),
              st.none() | st.builds(Dataset, texts, texts, texts, counts, counts, texts, texts), texts),
    st.builds(SummaryRecord, st.just("COMPLETE"), counts, names(floats), names(series), names(texts), texts,
              st.lists(st.builds(Artifact, texts, texts), max_size=2).map(tuple)),
    st.builds(Ready, texts, texts, st.frozensets(counts)),
    st.builds(Ack, st.none() | counts, texts),
)  # fmt: skip


@given(records)
def test_round_trip(record: Record) -> None:
    """A record is one line, and decodes to its equal."""
    line = record.encode()
    assert line.count("\n") == 1
    assert line.endswith("\n")
    assert decode(line) == record


def test_non_finite_floats_survive() -> None:
    """NaN and infinities cross the pipe as themselves."""
    sent = TrialRecord(0, "COMPLETE", 1, 2, "t", metrics={"a": math.nan, "b": math.inf})
    got = decode(sent.encode())
    assert isinstance(got, TrialRecord)
    metrics = got.metrics
    assert math.isnan(metrics["a"])
    assert metrics["b"] == math.inf


def test_numpy_values_are_written_as_plain_numbers() -> None:
    """NumPy scalars and arrays need no conversion by the caller."""
    numbers: dict[str, Any] = {"k": np.int64(3), "m": np.float32(0.5)}
    path = Series((1, 2), np.array([1.0, 2.0]))
    got = decode(TrialRecord(0, "COMPLETE", 1, 2, "t", {"k": numbers["k"]}, {"m": numbers["m"]}, {"s": path}).encode())
    assert isinstance(got, TrialRecord)
    assert (got.params, got.metrics, got.series) == ({"k": 3}, {"m": 0.5}, {"s": Series((1, 2), (1.0, 2.0))})


@given(st.integers(2, 300))
def test_few_points_of_a_path_are_sent(steps: int) -> None:
    """Of a long path MLflow gets so many points at most, both ends and none twice, each with the values of its step."""
    val = np.arange(2.0 * steps).reshape(2, steps)
    trajectory = Trajectory(np.append(np.geomspace(1, 1e-3, steps - 1), 0.0), {"r2": Curves(val + 1, val)})
    series = trial_record(Trial(0, "complete", axis="lambda"), trajectory, "r2", "small").series
    sent = series["path/val"]
    assert len(set(sent.steps)) == len(sent.steps) == min(steps, SERIES_POINTS)
    assert (sent.steps[0], sent.steps[-1]) == (1, steps)
    np.testing.assert_allclose(sent.values, val.mean(axis=0)[np.array(sent.steps) - 1], rtol=1e-5)
    np.testing.assert_allclose(series["path/gap"].values, 1.0)
    place = series["path_axis/log10_lambda"]
    assert place.steps == sent.steps[:-1]  # zero has no logarithm
    np.testing.assert_allclose(10 ** np.array(place.values), trajectory.axis[np.array(place.steps) - 1], rtol=1e-4)


@pytest.mark.parametrize("line", ["", "{}", '{"kind": "Nothing"}', '{"kind": "Ack", "what": 1}', "[1]", "7"])
def test_unknown_lines_are_named(line: str) -> None:
    """A line that is no record raises, and the error shows it."""
    with pytest.raises(InvalidInput, match="one known record"):
        decode(line)


def test_unequal_columns_are_refused() -> None:
    """A series with more steps than values cannot be built."""
    with pytest.raises(InvalidInput, match="one step per value, but got 2 and 1"):
        Series((1, 2), (1.0,))
