"""Parquet files and datasets of pyarrow are searched as the DataFrame in them is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from regsearch import ElasticNet, Linear, Study, load
from regsearch.data import dataset
from regsearch.data.problem import make_problem
from regsearch.errors import InvalidInput

pytestmark = pytest.mark.slow(of="datasets")

N = 200


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(N, 3)).astype(np.float32), columns=["a", "b", "c"])
    X.loc[3:6, "b"] = np.nan
    X["target"] = X["a"] * 2 + rng.normal(size=N).astype(np.float32)
    return X


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two files of a few row groups, read a few rows at a time."""
    monkeypatch.setattr(dataset, "BATCH", 50)
    folder = tmp_path / "data.parquet"
    folder.mkdir()
    for number, part in enumerate((frame()[:90], frame()[90:])):
        pq.write_table(
            pa.Table.from_pandas(part, preserve_index=False), folder / f"{number}.parquet", row_group_size=40
        )
    return folder


@pytest.mark.parametrize("form", [str, Path, ds.dataset])
def test_a_dataset_is_the_frame_in_it(stored: Path, form: Any) -> None:
    """Names, values, missing ones and y are those of the frame: it is the same study."""
    whole = frame()
    read = make_problem(form(stored), "target")
    plain = make_problem(whole[["a", "b", "c"]], whole["target"])
    pd.testing.assert_frame_equal(read.X, plain.X)
    assert (read.fingerprint, read.name) == (plain.fingerprint, "target")


def test_a_dataset_is_searched_and_exported_by_names(stored: Path, tmp_path: Path) -> None:
    """What is exported takes rows by the names of the columns, and held-out files are read as well."""
    test = stored / "0.parquet"
    study = Study(
        "read", stored, "target", space=Linear(ElasticNet(0.5)), cv=3, root=tmp_path, tracking=False,
        test=(test, "target"),
    )  # fmt: skip
    study.run(2, quiet=True)
    model = load(study.export(tmp_path / "bundle"))
    rows = frame()[["c", "b", "a"]][:5]
    assert np.isfinite(model.predict(rows)).all()
    assert study.problem.test is not None
    assert study.problem.test.rows == 90


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pa.array([1, None, 3], pa.int16()), np.float32), (pa.array([True, None, False]), np.float32),
        (pa.array([1, None, 2**40]), np.float64), (pa.array([1.5, None, 2.0]), np.float64),
        (pa.array(["1.50", None, "2"]).cast(pa.decimal128(5, 2)), np.float64),
    ],
)  # fmt: skip
def test_numbers_of_every_type_are_held(tmp_path: Path, column: Any, kind: Any) -> None:
    """Nulls are missing, and no number loses what it is."""
    pq.write_table(pa.table({"x": column}), tmp_path / "x.parquet")
    X, _ = dataset.read_dataset(tmp_path / "x.parquet", [0, 1, 2])
    assert X["x"].dtype == kind
    expected = [np.nan if value is None else float(value) for value in column.to_pylist()]
    np.testing.assert_array_equal(X["x"], expected)


@pytest.mark.parametrize(
    ("table", "y", "said"),
    [
        ({"x": ["u", "v"], "y": [1, 2]}, "y", "'x' is string; write it as numbers"),
        ({"x": [1.0, 2.0], "y": [1, 2]}, "z", "have no column 'z'"),
        (None, "y", "must be there, .* is not; mind the folder"),
        ("x,y\n1,2\n", "y", "must be a Parquet file .* is none: .*; read it into a table first, X = pd.read_csv"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(tmp_path: Path, table: Any, y: str, said: str) -> None:
    """Columns of text, another y, no file at all and one of another kind are named."""
    if isinstance(table, str):
        (tmp_path / "x.parquet").write_text(table)
    elif table is not None:
        pq.write_table(pa.table(table), tmp_path / "x.parquet")
    with pytest.raises(InvalidInput, match=said):
        make_problem(tmp_path / "x.parquet", y)
