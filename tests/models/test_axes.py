"""Axes: how a value along a path is named, shown and logged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from regsearch.models.axes import EPOCHS, LAMBDA, PathAxis, path_axis
from regsearch.models.linear import Linear


def test_found_by_name() -> None:
    """An axis is found by the name that its models give it; an unknown one counts rounds, none is shown as nothing."""
    assert path_axis("epochs") is EPOCHS
    assert path_axis(Linear().axis) is LAMBDA
    assert path_axis("rounds").text(1234.0) == "1234"
    assert path_axis("rounds").limits == ("rounds",)
    assert path_axis("").metrics(None) == {}


@pytest.mark.parametrize(
    ("axis", "value", "text", "metrics", "number"),
    [
        (LAMBDA, 0.0123456, "0.0123", {"log10_lambda": pytest.approx(-1.9085, abs=1e-4)}, 0.0123456),
        (LAMBDA, 0.0, "0", {}, 0.0),
        (LAMBDA, None, "-", {}, None),
        (EPOCHS, 37.0, "37", {"epochs": 37.0}, 37),
        (EPOCHS, 12345.0, "12345", {"epochs": 12345.0}, 12345),
        (EPOCHS, None, "-", {}, None),
    ],
)
def test_a_value(axis: PathAxis, value: float | None, text: str, metrics: dict[str, float], number: Any) -> None:
    """A lambda is logged by its logarithm, if it has one; an epoch is a whole number everywhere."""
    assert axis.text(value) == text
    assert axis.metrics(value) == metrics
    assert axis.number(value) == number
    assert type(axis.number(value)) is type(number)


@pytest.mark.parametrize("values", [[10.0, 1.0, 0.1, 0.0], [5.0, 0.0], [1.0, 0.5], [0.0]])
def test_zero_has_a_place_on_a_log_axis(values: list[float]) -> None:
    """A lambda of 0 is drawn beyond all others, which stay where they are."""
    axis, drawn = np.array(values), LAMBDA.positions(np.array(values))
    some = axis > 0
    np.testing.assert_array_equal(drawn[some], axis[some])
    assert np.all(np.diff(drawn) <= 0)
    assert np.all(drawn > 0) or not some.any()
    np.testing.assert_array_equal(EPOCHS.positions(axis), axis)
