"""Dataframes of every library are one and the same study; what belongs to rows is paired as their labels say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import outcomes, study

from regsearch import MLP, Float, InvalidInput, Linear, Net, RegSearchCV, Study, load
from regsearch import nn_techniques as t
from regsearch.data.columns import kinds_of
from regsearch.data.encoding import encode
from regsearch.data.frames import to_pandas
from regsearch.data.problem import Problem, make_problem

N = 60
LEVELS = ["low", "high", "never", "é"]
RNG = np.random.default_rng(0)


def tables(columns: dict[str, tuple[str, list[Any]]]) -> dict[str, Any]:
    """The same columns of three libraries, from their kinds and Python's values."""
    as_pandas = {
        "whole": lambda v: pd.Series(v, dtype="float64" if None in v else "int64"),
        "real": lambda v: pd.Series(v, dtype="float64"),
        "flag": lambda v: pd.Series(v, dtype="boolean" if None in v else "bool"),
        "level": lambda v: pd.Series(pd.Categorical(v, categories=LEVELS)),
        "text": pd.Series,
    }
    as_polars = {
        "whole": pl.Int64(), "real": pl.Float64(), "flag": pl.Boolean(), "level": pl.Enum(LEVELS), "text": pl.String(),
    }  # fmt: skip
    frame = pl.DataFrame([pl.Series(name, v, dtype=as_polars[kind]) for name, (kind, v) in columns.items()])
    return {
        "pandas": pd.DataFrame({name: as_pandas[kind](v) for name, (kind, v) in columns.items()}),
        "polars": frame,
        "pyarrow": frame.to_arrow(),
    }


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "whole": st.integers(-1000, 1000),
    "real": st.floats(-1e6, 1e6),
    "flag": st.booleans(),
    "level": st.sampled_from(LEVELS),
    "text": st.text("abcé ", max_size=4),
}


@st.composite
def columns(draw: st.DrawFn, rows: int = 12) -> dict[str, tuple[str, list[Any]]]:
    """A few columns of any kinds, with and without missing values."""
    kinds = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=5))
    found: dict[str, tuple[str, list[Any]]] = {"x": ("real", [float(i) for i in range(rows)])}
    for j, kind in enumerate(kinds):
        values = VALUES[kind] | st.none() if draw(st.booleans()) else VALUES[kind]
        drawn = draw(st.lists(values, min_size=rows, max_size=rows))
        if any(value is not None for value in drawn):
            found[f"{kind} {j}"] = (kind, drawn)
    return found


@pytest.mark.slow
@given(columns())
def test_every_library_is_the_same_problem(drawn: dict[str, tuple[str, list[Any]]]) -> None:
    """Columns of any kind, holes included, have the fingerprint and the matrix that they have in pandas."""
    y = np.arange(12.0)
    found = {name: make_problem(table, y) for name, table in tables(drawn).items()}
    assert {problem.fingerprint for problem in found.values()} == {found["pandas"].fingerprint}
    encoded = {"pandas": found["pandas"].X}
    assert list(found["polars"].X.columns) == list(encoded["pandas"].columns) == list(drawn)
    if all(kind != "text" for kind, _ in drawn.values()):
        matrices = [np.asarray(encode(problem.X).matrix) for problem in found.values()]
        for matrix in matrices[1:]:
            np.testing.assert_array_equal(matrix, matrices[0])


def sample() -> tuple[dict[str, Any], Any]:
    """Columns of four kinds with holes, and what hangs on them."""
    whole, real = RNG.integers(0, 9, N), RNG.normal(5, 9, N)
    level, flag = RNG.choice(LEVELS[:2], N), RNG.random(N) < 0.5
    drawn = {
        "whole": ("whole", [None if i == 3 else int(value) for i, value in enumerate(whole)]),
        "real": ("real", [None if i == 5 else float(value) for i, value in enumerate(real)]),
        "level": ("level", [None if i == 7 else str(value) for i, value in enumerate(level)]),
        "flag": ("flag", [None if i == 9 else bool(value) for i, value in enumerate(flag)]),
    }
    return tables(drawn), whole + real + 5 * (level == "low") + 3 * flag + RNG.normal(size=N)


def reordered(table: Any) -> Any:
    names = ["flag", "real", "level", "whole"]
    return table[names] if isinstance(table, pd.DataFrame) else table.select(names)


def renamed(table: Any) -> Any:
    if isinstance(table, pa.Table):
        return table.rename_columns({"real": "weight"})
    return (
        table.rename(columns={"real": "weight"})
        if isinstance(table, pd.DataFrame)
        else table.rename({"real": "weight"})
    )


def lacking(table: Any) -> Any:
    return (
        table.drop(columns="real")
        if isinstance(table, pd.DataFrame)
        else table.drop(["real"] if isinstance(table, pa.Table) else "real")
    )


@pytest.mark.slow
def test_a_study_goes_on_in_any_library(tmp_path: Path) -> None:
    """A study of one library is that of the others: the same trials, and each goes on with the other's."""
    found, y = sample()
    made = {
        name: study(tmp_path / name, data=(table, y), space=Linear(lambda_=Float(0.01, 1, log=True)))
        for name, table in found.items()
    }
    first = made["pandas"].run(3, quiet=True)
    for name in ("polars", "pyarrow"):
        assert outcomes(made[name].run(3, quiet=True)) == outcomes(first)
        taken_up = study(tmp_path / name, data=(found["pandas"], y), space=Linear(lambda_=Float(0.01, 1, log=True)))
        assert outcomes(taken_up.run(3, quiet=True)) == outcomes(first)


@pytest.fixture(scope="module", params=["linear", "net"])
def shipped(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, dict[str, Any], Any]:
    """A bundle's model of a study in polars, the same rows of every library, and what it says of them."""
    found, y = sample()
    spaces: dict[str, Any] = {
        "linear": Linear(),
        "net": Net(MLP(hidden=(4,)), dropout=Float(0, 0.5), early_stopping=t.FixedEpochs(epochs=3)),
    }
    one = study(tmp_path_factory.mktemp("shipped"), data=(found["polars"], y), space=spaces[request.param])
    one.run(2, quiet=True)
    model = load(one.export(one.store.root / "bundle"))
    refitted = one.results().best.config.refit(one.problem, 0)
    return model, found, refitted.predict(found["pandas"])


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_bundle_takes_any_library(shipped: tuple[Any, dict[str, Any], Any], library: str) -> None:
    """Rows of any library, columns in any order, are predicted alike; a renamed or missing column is named."""
    model, found, said = shipped
    for rows in (found[library], reordered(found[library])):
        np.testing.assert_array_equal(model.predict(rows), said)
    assert model.score(found[library], pl.Series(said)) == 1.0
    with pytest.raises(InvalidInput, match="'real' missing and 'weight' unknown"):
        model.predict(renamed(found[library]))
    with pytest.raises(InvalidInput, match="'real' missing; add"):
        model.predict(lacking(found[library]))


@pytest.mark.slow
@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_regsearchcv_knows_names_of_any_library(library: str) -> None:
    """A search has the names and the predictions that it has with pandas, and refuses renamed columns."""
    found, y = sample()
    expected = RegSearchCV(Linear(), cv=3, n_trials=2).fit(found["pandas"], y)
    search = RegSearchCV(Linear(), cv=3, n_trials=2).fit(found[library], pl.Series("price", y))
    assert list(search.feature_names_in_) == list(expected.feature_names_in_)
    np.testing.assert_array_equal(search.predict(found[library]), expected.predict(found["pandas"]))
    assert search.score(found[library], pa.array(y)) == expected.score(found["pandas"], y)
    with pytest.raises(ValueError, match="weight"):
        search.predict(renamed(found[library]))


class Streams:
    """A table or a column that speaks Arrow's stream alone."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.data.__arrow_c_stream__(requested_schema)


class Interchanges:
    """A table that speaks the dataframe interchange protocol alone."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> Any:
        return self.data.__dataframe__()


@pytest.mark.parametrize("wrap", [Streams, Interchanges, lambda table: table.to_batches()[0]])
def test_interchange_protocols(wrap: Callable[[Any], Any]) -> None:
    """A table of a library that nobody knows keeps its names, by the protocols of Arrow and of dataframes."""
    table = pa.table({"a": [1, 2, None], "b": ["x", "y", "z"]})
    pd.testing.assert_frame_equal(to_pandas(wrap(table)), pd.DataFrame({"a": [1, 2, np.nan], "b": ["x", "y", "z"]}))


SERIES: dict[str, Callable[[list[Any]], Any]] = {
    "polars": lambda values: pl.Series("s", values),
    "chunks": lambda values: pa.chunked_array([values[:7], values[7:]]),
    "array": pa.array,
    "stream": lambda values: Streams(pl.Series(values)),
    "category": lambda values: pl.Series(list(map(str, values))).cast(pl.Categorical),
    "dictionary": lambda values: pa.array(list(map(str, values))).dictionary_encode(),
}


@pytest.mark.parametrize("kind", SERIES)
def test_series_of_any_library(kind: str) -> None:
    """Targets, groups and weights of another library's series are those of a list."""
    X = RNG.normal(size=(N, 2))
    y, groups, weights = ["no", "yes"] * (N // 2), (np.arange(N) // 4).tolist(), [1.0, 2.0, 3.0] * (N // 3)
    numbers = kind if kind in ("polars", "chunks", "array", "stream") else "polars"
    found = make_problem(
        X, SERIES[kind](y), groups=SERIES[kind](groups), sample_weight=SERIES[numbers](weights),
        test=(pl.DataFrame(X).to_numpy(), SERIES[kind](y)),
    )  # fmt: skip
    expected = make_problem(X, y, groups=list(map(str, groups)), sample_weight=weights, test=(X, y))
    assert (found.labels == expected.labels).all()
    assert (found.groups.astype(str) == expected.groups).all()
    assert (found.sample_weight == expected.sample_weight).all()
    assert (found.test.y == expected.test.y).all()


def test_targets_of_a_table() -> None:
    """Several targets in a table of another library keep their names, and a test set has them in any order."""
    X, Y = RNG.normal(size=(N, 2)), pl.DataFrame(RNG.normal(size=(N, 2)), schema=["rent", "price"])
    found = make_problem(X, Y, test=(X, Y.select("price", "rent").to_arrow()))
    assert found.target_names == ("rent", "price")
    np.testing.assert_array_equal(found.y, found.test.y)


def test_dates_are_dates() -> None:
    """Dates, with a zone or without, are those of pandas, to the fingerprint."""
    days = pd.date_range("2024-03-30", periods=N, freq="7h")
    table = pd.DataFrame({"day": days, "there": days.tz_localize("UTC").tz_convert("Asia/Tokyo")})
    table.loc[4, "day"] = pd.NaT
    y = np.arange(float(N))
    here = pl.Series(days.tolist())
    there = here.dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")
    same = pl.DataFrame({"day": here.scatter(4, None), "there": there})
    for other in (same, same.to_arrow()):
        found = to_pandas(other)
        assert (found["day"].fillna(days[0]) == table["day"].fillna(days[0])).all()
        assert (found["there"] == table["there"]).all()
        assert make_problem(other, y).fingerprint == make_problem(table, y).fingerprint


@pytest.mark.parametrize("kind", ["date of Arrow", "date of Python", "datetime of Python", "datetime of a zone"])
def test_dates_of_any_type_are_dates(kind: str) -> None:
    """Days of Arrow and dates of Python, which databases give, are the dates that they are, holes or not."""
    days = pd.Series(pd.date_range("2024-03-30", periods=N))
    made = {
        "date of Arrow": lambda: days.dt.date.astype(pd.ArrowDtype(pa.date32())),
        "date of Python": lambda: days.dt.date,
        "datetime of Python": lambda: pd.Series(list(days.dt.to_pydatetime()), dtype=object),
        "datetime of a zone": lambda: pd.Series(list(days.dt.tz_localize("UTC").dt.to_pydatetime()), dtype=object),
    }[kind]()
    made[3] = None
    y = np.arange(float(N))
    found = make_problem(pd.DataFrame({"day": made, "a": y}), y).X["day"]
    assert kinds_of(found.to_frame()) == {"day": "date"}
    same = days.mask(days.index == 3).astype(found.dtype) if found.dt.tz is None else days.dt.tz_localize("UTC")
    assert (found == same)[days.index != 3].all()
    assert found.isna().tolist() == [k == 3 for k in range(N)]
    assert not (found.dropna().dt.hour != 0).any()


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: pl.LazyFrame({"a": [1.0, 2.0]}), "must be in memory, got a lazy LazyFrame of polars; collect it"),
        (lambda: pa.Table.from_arrays([[1], [2]], names=["a", "a"]), "must be unique, .*'a' 2 times; rename"),
        (lambda: pl.DataFrame({"a": [[1], [2]]}), "numbers, booleans, categories, text or dates, got 1 .*'a'"),
    ],
)
def test_frames_that_are_refused(made: Callable[[], Any], said: str) -> None:
    """What no columns can be made of is refused in one sentence."""
    with pytest.raises(InvalidInput, match=said):
        make_problem(made(), [1.0, 2.0])


# --- rows that belong together -----------------------------------------------------------------------------------

PLACES = RNG.permutation(N)
NAMES = [f"row {i}" for i in range(N)]
X = pd.DataFrame(RNG.normal(size=(N, 2)), columns=["a", "b"], index=NAMES)
Y = pd.Series(X["a"] * 2 + 1, name="price")


def with_rows(part: str, values: pd.Series[Any]) -> Callable[[pd.DataFrame], Problem]:
    """The problem of a frame with one part as given."""
    options: dict[str, Any] = {} if part == "y" else {part: values}
    return lambda frame: make_problem(frame, values if part == "y" else np.asarray(Y), **options)


def parts() -> dict[str, pd.Series[Any]]:
    return {
        "y": Y,
        "groups": pd.Series(np.arange(N) // 4, index=NAMES),
        "sample_weight": pd.Series(np.arange(N) + 1.0, index=NAMES),
    }


@pytest.mark.parametrize("part", ["y", "groups", "sample_weight"])
def test_permuted_labels_are_paired(part: str) -> None:
    """What has the labels of X in another order is put in the order of X, and a warning says so."""
    values = parts()[part]
    expected = with_rows(part, values)(X).fingerprint
    with pytest.warns(UserWarning, match=f"X and {part} have the same labels in another order: .*{part}.to_numpy"):
        found = with_rows(part, values.iloc[PLACES])(X)
    assert found.fingerprint == expected


def test_permuted_tables_are_paired() -> None:
    """Several targets and a held-out set are put in the order of their X."""
    targets = pd.DataFrame({"p": Y, "q": -Y})
    with pytest.warns(UserWarning, match="in another order"):
        assert (make_problem(X, targets.iloc[PLACES]).y == targets.to_numpy()).all()
    with pytest.warns(UserWarning, match="X and y of the test set have"):
        found = make_problem(X, Y, test=(X, Y.iloc[PLACES]))
    assert (found.test.y == found.y).all()


@pytest.mark.parametrize("part", ["y", "groups", "sample_weight"])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (NAMES, range(N)),
        (range(N), PLACES),
        (PLACES, range(N)),
        (range(10, N + 10), range(N)),
        (["a"] * N, ["b"] * N),
        ([*NAMES[:-1], "other"], NAMES),
    ],
)
def test_other_labels_are_refused(part: str, ours: Any, theirs: Any) -> None:
    """Two indexes that differ are both named, with what to do; row numbers in another order are no labels."""
    frame, values = X.set_axis(pd.Index(ours)), parts()[part].set_axis(pd.Index(theirs))
    with pytest.raises(
        InvalidInput, match=f"X and {part} must have the same index, got .* and .*{part}.to_numpy"
    ) as error:
        with_rows(part, values)(frame)
    assert all(repr(one.tolist()[0]) in str(error.value) for one in (frame.index, values.index))
    assert with_rows(part, values.to_numpy())(frame).rows == N


def test_rows_without_labels_go_by_place() -> None:
    """An array, a list or a table of polars has no labels: its rows are paired by place with any."""
    expected = make_problem(X.to_numpy(), Y.to_numpy()).y
    for frame, values in ((X.to_numpy(), Y), (X, Y.tolist()), (pl.from_pandas(X), Y), (X, pl.Series(Y.to_numpy()))):
        np.testing.assert_array_equal(make_problem(frame, values).y, expected)


def test_labels_reach_a_study_and_a_search(tmp_path: Path) -> None:
    """A study and a search refuse what a problem refuses."""
    other = Y.reset_index(drop=True)
    with pytest.raises(InvalidInput, match="must have the same index"):
        Study("labels", X, other, space=Linear(), root=tmp_path, tracking=False)
    with pytest.raises(InvalidInput, match="must have the same index"):
        RegSearchCV(Linear(), n_trials=2).fit(X, other)
