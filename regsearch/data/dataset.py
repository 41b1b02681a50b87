"""Parquet files and datasets of pyarrow as X: read batch by batch into a file that is mapped, never as a whole."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch.data.features import check_no_name
from regsearch.data.mapped import frame_of, written
from regsearch.errors import InvalidInput
from regsearch.progress import Progress

BATCH = 2**20  # numbers of a batch
READERS = {".csv": "read_csv", ".tsv": "read_csv", ".txt": "read_csv", ".xlsx": "read_excel", ".json": "read_json"}


def read_dataset(X: Any, y: Any) -> tuple[Any, Any]:
    """X and y as `regsearch.data.problem.make_problem` takes them, where X is a Parquet path or a dataset.

    X becomes a DataFrame of one type of numbers that lies in a mapped file: float32 where that holds every column's
    numbers, else float64. Whole numbers and booleans become such numbers too, and null is missing. A y that is a
    column's name is that column, whatever it holds, and no column of X then.

    Raises
    ------
    InvalidInput
        When nothing can be read there, a column holds no numbers, or there is none of y's name.
    """
    dataset = _dataset(X)
    if dataset is None:
        check_no_name(y, X)
        return X, y
    names = list(dataset.schema.names)
    if isinstance(y, str):
        if y not in names:
            raise InvalidInput(
                f"y must be a column of X or one value per row, the data have no column {y!r}; they have "
                f"{', '.join(map(repr, names[:5]))}{' and others' if len(names) > 5 else ''}."
            )
        names.remove(y)
    dtype = _common_type(dataset.schema, names)
    targets: list[Any] = []
    wanted = [*names, y] if isinstance(y, str) else names
    values = written(_blocks(dataset, names, wanted, dtype, targets), dtype, (len(names),))
    return frame_of(values, names), _together(targets, y) if isinstance(y, str) else y


def _dataset(X: Any) -> Any | None:
    """The dataset that X is or names; `None` where it is something else."""
    if not isinstance(X, (str, os.PathLike)):
        known = sys.modules.get("pyarrow.dataset")  # there, if X is one of its own
        return X if known is not None and isinstance(X, known.Dataset) else None
    try:
        import pyarrow as pa
        import pyarrow.dataset as ds
    except ImportError as error:
        raise InvalidInput("A Parquet path is read by pyarrow, which is missing; pip install pyarrow.") from error
    try:
        found = ds.dataset(os.fspath(X), format="parquet", partitioning="hive")
        found.head(1)
    except FileNotFoundError as error:
        raise InvalidInput(f"An X that is a path must be there, {os.fspath(X)!r} is not; mind the folder.") from error
    except (OSError, pa.ArrowInvalid) as error:
        reader = READERS.get(os.path.splitext(os.fspath(X))[1].lower())
        what = "" if reader else f": {str(error).partition(chr(10))[0].rstrip('.')}"
        raise InvalidInput(
            f"An X that is a path must be a Parquet file or a folder of them, {os.fspath(X)!r} is none{what}; read it "
            f"into a table first, X = pd.{reader or 'read_csv'}({os.fspath(X)!r})."
        ) from error
    return found


def _common_type(schema: Any, names: list[str]) -> np.dtype[Any]:
    """The type that holds the numbers of all columns."""
    import pyarrow as pa

    types = {name: schema.field(name).type for name in names}
    other = [name for name, kind in types.items() if not _is_number(kind)]
    if other:
        raise InvalidInput(
            f"Columns of a Parquet path or a dataset must be numbers or booleans, {other[0]!r} is {types[other[0]]}; "
            "write it as numbers, leave it out, or pass a DataFrame, such as pd.read_parquet makes, if that fits into "
            "memory."
        )
    small = (pa.types.is_float16, pa.types.is_float32, pa.types.is_boolean, pa.types.is_int8, pa.types.is_int16,
             pa.types.is_uint8, pa.types.is_uint16)  # fmt: skip
    single = all(any(is_such(kind) for is_such in small) for kind in types.values())
    return np.dtype(np.float32 if single else np.float64)


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
    return any(is_such(kind) for is_such in tests)


def _blocks(
    dataset: Any, names: list[str], wanted: list[str], dtype: np.dtype[Any], targets: list[Any]
) -> Iterator[NDArray[Any]]:
    """Rows ``[r, p]``; what is wanted beside their columns goes to the targets."""
    import pyarrow as pa

    progress, rows, done = Progress(), dataset.count_rows(), 0
    kind = pa.from_numpy_dtype(dtype)
    size = max(1, BATCH // max(1, len(wanted)))
    for batch in dataset.to_batches(columns=wanted, batch_size=size, batch_readahead=1, fragment_readahead=1):
        block = np.empty((len(batch), len(names)), dtype)
        for j, name in enumerate(names):
            block[:, j] = batch.column(name).cast(kind, safe=False).to_numpy(zero_copy_only=False)
        targets.extend(batch.column(name) for name in wanted[len(names) :])
        yield block
        done += len(batch)
        progress.show(f"reading X: {done / rows:.0%} of {rows} rows")
    progress.end()


def _together(targets: list[Any], name: str) -> Any:
    """A column in its parts as pandas has it."""
    import pyarrow as pa

    found = pa.chunked_array(targets).to_pandas()
    found.name = name
    return found
