"""The bytes by which equal data are known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch.data.features import is_frame, is_sparse

HASHED = 2**22  # numbers whose bytes are hashed together


def bytes_of(part: Any) -> Iterator[bytes | memoryview]:
    """Pieces of bytes that change with any value, name or type of X, y or what else belongs to rows."""
    if part is None:
        yield b"none"
    elif is_frame(part):
        for column in part.columns:
            yield from _column_bytes(part[column])
    elif is_sparse(part):
        part = part.tocsr()
        for array in (part.indptr, part.indices, part.data):
            yield from _buffers(array)
    else:
        array = np.asarray(part)
        text = array.astype(str) if array.dtype.kind in "OUST" else array
        yield str((text.shape, text.dtype.str)).encode()
        yield from _buffers(text)


def _buffers(array: NDArray[Any]) -> Iterator[memoryview]:
    """The bytes of an array in C order, some rows at a time: what lies otherwise is copied, and Ctrl-C waits."""
    size = max(1, HASHED // max(1, math.prod(array.shape[1:])))
    for start in range(0, len(array), size):
        yield np.ascontiguousarray(array[start : start + size]).reshape(-1).view(np.uint8).data


def _column_bytes(column: Any) -> list[bytes | memoryview]:
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        names = str(column.cat.categories.tolist())
        return [names.encode(), column.cat.codes.to_numpy().tobytes()]
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return [b"date", pd.to_datetime(column, utc=True).to_numpy("datetime64[us]").tobytes()]
    if not pd.api.types.is_numeric_dtype(column.dtype):
        return [str(column.astype(object).where(column.notna(), None).tolist()).encode(errors="surrogatepass")]
    return [column.to_numpy(dtype=float, na_value=np.nan).tobytes()]
