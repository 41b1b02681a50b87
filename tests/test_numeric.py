"""Numbers of any library are numbers, wherever a user gives one."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from samples import outcomes, regression, study

from regsearch import L1, MLP, Choice, ElasticNet, Float, Int, InvalidInput, Linear, Net, RegSearchCV
from regsearch import Path as Axis
from regsearch import nn_techniques as t
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.numeric import is_whole, plain
from regsearch.results.rules.gap_budget import gap_budget
from regsearch.space.config import digest
from regsearch.study.limits import Limits

WHOLE = [np.int64, np.uint8, np.int16, np.array]
REAL = [np.float64, np.float32, np.float16, np.longdouble, Fraction]
PLACES: dict[str, tuple[Callable[[Any], Any], float]] = {
    "Float": (lambda number: Float(number / 2, number), 0.5),
    "Choice": (lambda number: Choice(number, 2.0), 0.5),
    "a field": (ElasticNet, 0.5),
    "an axis": (lambda number: Linear(L1(), number), 0.5),
    "a ratio": (lambda number: Axis(10, number), 0.5),
    "a technique": (lambda number: Net(dropout=number, input_noise=number), 0.5),
    "a technique's field": (lambda number: t.Augment(noise=number), 0.5),
    "a gap": (lambda number: gap_budget(number).__name__, 0.5),
    "a share": (lambda number: make_problem(*regression(), test=number).rows, 0.5),
    "seconds": (lambda number: Limits(timeout=number), 0.5),
}
WHOLE_PLACES: dict[str, tuple[Callable[[Any], Any], int]] = {
    "Int": (lambda number: Int(number, 2 * number), 3),
    "an option": (lambda number: Choice(number, 7), 3),
    "points": (Axis, 3),
    "widths": (lambda number: Net(MLP(hidden=(number, number)), batch_size=number), 3),
    "epochs": (lambda number: t.EarlyStopping(max_epochs=number), 3),
    "folds": (lambda number: make_folds(number, make_problem(*regression()), 0).digest, 3),
    "trials": (lambda number: Limits(number, patience=number), 3),
}


@pytest.mark.parametrize("kind", REAL)
@pytest.mark.parametrize("place", PLACES)
def test_real_numbers(place: str, kind: Any) -> None:
    """A number of any type is what Python's own is, in its place, its text and its hash."""
    make, number = PLACES[place]
    assert equal(make(kind(number)), make(number))


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("place", WHOLE_PLACES)
def test_whole_numbers(place: str, kind: Any) -> None:
    """A whole number of any type is what Python's own is."""
    make, number = WHOLE_PLACES[place]
    assert equal(make(kind(number)), make(number))


def equal(found: Any, wanted: Any) -> bool:
    """Whether two values are one; limits compare as numbers."""
    return bool(found == wanted) and (isinstance(found, Limits) or digest(found) == digest(wanted))


@pytest.mark.slow
@given(st.integers(-(2**31), 2**31 - 1), st.floats(allow_nan=False), st.booleans(), st.text())
@example(0, 0.0, False, "a\0")
def test_plain(whole: int, real: float, truth: bool, text: str) -> None:
    """Numbers become Python's own by value, truth values stay truth values, and all else stays."""
    for value in (whole, np.int64(whole), np.array(whole)):
        assert (plain(value), type(plain(value)), is_whole(plain(value))) == (whole, int, True)
    for number in (real, np.float64(real), np.longdouble(real)):
        assert (plain(number), type(plain(number)), is_whole(plain(number))) == (real, float, False)
    for one in (truth, np.bool_(truth)):
        assert plain(one) is truth
        assert not is_whole(plain(one))
    assert plain(text) == plain(np.str_(text)) == text
    assert plain(None) is None


@pytest.mark.parametrize("number", [np.bool_(True), True, np.str_("3"), np.array([3]), 3.5])
def test_what_is_none_is_refused(number: Any, tmp_path: Path) -> None:
    """A truth value, a text or an array is no whole number, whatever its type."""
    for make in (
        lambda: Axis(number),
        lambda: t.EarlyStopping(max_epochs=number),
        lambda: study(tmp_path, n_jobs=number),
    ):
        with pytest.raises(InvalidInput):
            make()


@pytest.mark.slow
def test_a_study_of_numpy_numbers(tmp_path: Path) -> None:
    """A study whose options numpy computed is the one of Python's numbers, and goes on as it."""
    one = study(tmp_path, seed=3, test=0.25, n_jobs=1).run(4, quiet=True)
    same = study(tmp_path, seed=np.uint16(3), test=np.float32(0.25), n_jobs=np.int8(1)).run(np.int64(6), quiet=True)  # type: ignore[arg-type]
    assert outcomes(same)[:4] == outcomes(one)
    assert len(outcomes(same)) == 6
    search = RegSearchCV(n_trials=np.int64(3), cv=np.int32(3), seed=np.int64(1)).fit(*regression())  # type: ignore[arg-type]
    assert search.n_splits_ == 3
