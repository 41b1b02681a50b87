"""Categories that are dates, decimals, lengths of time or dictionaries of Arrow, in studies, bundles and files.

One study has a column of each: what is predicted must not change with how the rows write the same values.
"""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import regsearch
from regsearch import InvalidInput, Linear, Study
from regsearch.data.columns import text_of
from regsearch.data.frames import to_pandas
from regsearch.data.problem import make_problem
from regsearch.export.bundle.tables import read_table

N = 45
CODE = np.random.default_rng(0).permutation(np.arange(N) % 3)
D = decimal.Decimal
DAYS = ["2020-01-01", "2020-01-01 12:30", "2021-05-03 12:30:00.123"]


def objects(*levels: Any) -> pd.Index:
    found = np.empty(len(levels), dtype=object)
    found[:] = levels
    return pd.Index(found, dtype=object)


def arrow_type(levels: list[Any], kind: Any) -> pd.Index:
    made: Any = pd.array(levels, dtype=pd.ArrowDtype(kind))  # any: pandas' many overloads of it take mypy seconds
    return pd.Index(made)


LEVELS: dict[str, Any] = {
    "mixed precision": pd.DatetimeIndex(pd.to_datetime(DAYS, format="mixed")),
    "seconds": pd.DatetimeIndex(["2020-01-01", "2020-01-02", "2021-05-03"]).as_unit("s"),
    "zone": pd.DatetimeIndex(pd.to_datetime(DAYS, format="mixed")).as_unit("ms").tz_localize("Europe/Paris"),
    "two kinds": objects(pd.Timestamp(DAYS[0]), datetime.datetime(2020, 1, 2, 3), np.datetime64("2021-01")),
    "days": objects(*(datetime.date(2020, 1, day) for day in (1, 2, 3))),
    "decimal": objects(D("1.0"), D("1.50"), D("0.1")),
    "long decimal": objects(D("1e30"), D("0.1234567890123456789012345678901"), D("0.1234567890123456789012345678902")),
    "length": pd.to_timedelta([1, 2, 30], unit="h"),
    "own length": objects(*(datetime.timedelta(hours=hours) for hours in (1, 25, 48))),
    "arrow time": arrow_type([pd.Timestamp(day) for day in DAYS], pa.timestamp("us")),
    "arrow decimal": arrow_type([D("1.00"), D("1.50"), D("2.00")], pa.decimal128(5, 2)),
    "interval": pd.IntervalIndex.from_breaks([0, 1, 2, 3]),
}


def frame() -> pd.DataFrame:
    """A column of each, in an order of its own, and one whose type is a dictionary of Arrow's."""
    rng = np.random.default_rng(1)
    columns: dict[str, Any] = {"z": rng.normal(size=N)}
    for name, levels in LEVELS.items():
        columns[name] = pd.Categorical.from_codes(rng.permutation(CODE), categories=levels)
    text = pa.array(np.array(["a", "b", "c"])[CODE].tolist()).dictionary_encode()
    columns["dictionary"] = pd.arrays.ArrowExtensionArray(pa.chunked_array([text]))
    return pd.DataFrame(columns)


def target(X: Any) -> Any:
    """What every column tells something of."""
    rng = np.random.default_rng(2)
    return sum(rng.normal(size=3)[pd.factorize(X[name])[0]] for name in X.columns[1:]) + rng.normal(0, 0.1, N)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, pd.DataFrame, Any]:
    """A loaded bundle of a study of the frame, its rows as the study has them, and what its refit predicts of them."""
    folder, X = tmp_path_factory.mktemp("categories"), frame()
    study = Study("s", X, target(to_pandas(X)), space=Linear("l2"), cv=3, root=folder, tracking=False)
    results = study.run(2, quiet=True)
    model = regsearch.load(study.export(folder / "bundle"))
    expected = results.best.config.refit(study.problem, 0).predict(study.problem.X)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-9)
    return model, study.problem.X, expected


@pytest.mark.slow
def test_categories_tell_what_they_do(shipped: tuple[Any, pd.DataFrame, Any]) -> None:
    """Each category has a coefficient: with a column's categories exchanged, predictions are others."""
    model, X, expected = shipped
    for name in [*LEVELS, "dictionary"]:
        codes = X[name].cat.codes.to_numpy()
        moved = X.assign(**{name: pd.Categorical.from_codes((codes + 1) % 3, categories=X[name].cat.categories)})
        assert np.abs(model.predict(moved) - expected).min() > 1e-6, name


def rewritten(X: pd.DataFrame, name: str) -> dict[str, Any]:
    """The same values of a column, written otherwise."""
    values = X[name].astype(object)
    ways = {"objects": values, "text": values.map(str).astype(object), "canonical": values.map(text_of).astype(object)}
    if "decimal" in name:
        ways["more zeros"] = pd.Series(
            [D(f"{D(value):f}" + ("0" if "." in f"{D(value):f}" else ".0")) for value in values]
        )
    if name == "decimal":
        ways["floats"] = values.map(float)
    if name in ("mixed precision", "two kinds", "arrow time"):
        ways["stamps"] = pd.Series(pd.DatetimeIndex(values).as_unit("us")).astype("category")
        ways["iso"] = pd.Series([pd.Timestamp(value).isoformat() for value in values], dtype=object)
    return ways


@pytest.mark.slow
@pytest.mark.parametrize("name", LEVELS)
def test_predictions_do_not_depend_on_how_values_are_written(name: str, shipped: tuple[Any, pd.DataFrame, Any]) -> None:
    """Objects, their texts and other types of the same values are the categories of training, in a few rows, too."""
    model, X, expected = shipped
    for what, values in rewritten(X, name).items():
        given = X.assign(**{name: np.asarray(values, dtype=object) if values.dtype == object else values.array})
        np.testing.assert_array_equal(model.predict(given), expected, err_msg=what)
        np.testing.assert_allclose(model.predict(given.iloc[:4]), expected[:4], err_msg=what)


def test_rows_of_a_file(shipped: tuple[Any, pd.DataFrame, Any], tmp_path: Path) -> None:
    """A CSV file of the rows, whatever pandas writes of the values, is predicted as the rows are."""
    model, X, expected = shipped
    X.assign(y=0.0).to_csv(tmp_path / "rows.csv", index=False)
    np.testing.assert_allclose(model.predict(read_table(tmp_path / "rows.csv", "y", model.form)[0]), expected)


def tables() -> dict[str, Any]:
    """The same categories from pandas, polars and pyarrow; `pyarrow` has a value twice in its dictionary."""
    z, words = np.arange(N) / N, np.array(["a", "b", "c"])[CODE].tolist()
    codes, days = pa.array(CODE), [pd.Timestamp(day) for day in DAYS]
    numbers = pa.DictionaryArray.from_arrays(codes, pa.array([D("1.00"), D("1.50"), D("2.00")]))
    times = pa.DictionaryArray.from_arrays(codes, pa.array(days))
    twice = pa.DictionaryArray.from_arrays(pa.array(CODE + CODE % 2 * 2), pa.array(["a", "x", "c", "b"]))
    stamps, decimals = (
        pd.Categorical.from_codes(CODE, pd.Index(one)) for one in (days, objects(D("1"), D("1.5"), D("2")))
    )
    return {
        "pandas": pd.DataFrame({"z": z, "time": stamps, "number": decimals, "word": pd.Categorical(words)}),
        "pyarrow": pa.table({"z": z, "time": times, "number": numbers, "word": twice}),
        "polars": pl.DataFrame({"z": z, "word": words}).with_columns(pl.col("word").cast(pl.Enum(["c", "a", "b"]))),
    }


def test_libraries_agree() -> None:
    """A model of categories of one library predicts the rows of another alike."""
    found, y = tables(), CODE + np.arange(N) / N
    models = {name: Linear("l2", 0.01).refit(make_problem(X, y), 0) for name, X in found.items()}
    rows = {name: to_pandas(X) for name, X in found.items()}
    expected = models["pandas"].predict(rows["pandas"])
    np.testing.assert_allclose(models["pyarrow"].predict(rows["pyarrow"]), expected, rtol=1e-6)
    np.testing.assert_allclose(models["pyarrow"].predict(rows["pandas"]), expected, rtol=1e-6)
    word = Linear("l2", 0.01).refit(make_problem(rows["pandas"][["z", "word"]], y), 0)
    np.testing.assert_allclose(models["polars"].predict(rows["polars"]), word.predict(rows["pandas"]), rtol=1e-6)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pd.Categorical.from_codes(CODE, objects(("a", 1), ("b", 2), ("c", 3))), r"has the tuple \('a', 1\); make"),
        (pd.Categorical.from_codes(CODE, objects(frozenset("a"), frozenset("b"), frozenset("c"))), "has the frozenset"),
        (pd.Categorical.from_codes(CODE, objects("a", 1, 2.5)), "has float and int and str; convert it, .*str"),
        (
            pd.Categorical.from_codes(CODE, objects(datetime.date(2020, 1, 1), *map(pd.Timestamp, DAYS[1:]))),
            r"has Timestamp and date; convert it, .*X\['c'\].map\(pd.Timestamp\)",
        ),
        (
            pd.arrays.ArrowExtensionArray(
                pa.chunked_array([pa.DictionaryArray.from_arrays(pa.array(CODE), pa.array([{"a": k} for k in "xyz"]))])
            ),
            "'c' has those of Arrow's type struct<a: string>; make a column of each",
        ),
    ],
)  # fmt: skip
def test_what_has_no_text_is_refused(column: Any, said: str) -> None:
    """Categories that are no single values, or of several kinds, are refused in a sentence that says what to do."""
    with pytest.raises(InvalidInput, match=said) as caught:
        make_problem(pd.DataFrame({"z": np.arange(N), "c": column}), CODE * 1.0)
    assert "\n" not in str(caught.value)
    fix = {"Timestamp and date": lambda c: c.map(pd.Timestamp), "tuple": lambda c: c.astype(str)}
    for what, mend in fix.items():
        if what in str(caught.value):
            mended = mend(pd.DataFrame({"c": column})["c"]).astype("category")
            make_problem(pd.DataFrame({"z": np.arange(N), "c": mended}), CODE * 1.0)
