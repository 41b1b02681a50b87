"""Files of named arrays: numpy reads ours, ours reads numpy's, and a damaged one is never taken for a whole one."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from numpy.typing import NDArray

from regsearch.storage import npz

DTYPES = ["<f8", "<f4", ">f8", "<i8", "|b1", "<U5", "|S3"]
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: arrays_of.arrays(dtype, arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
NAMED = st.dictionaries(st.sampled_from(["axis", "train/r2", "val/ä b", "predictions"]), ARRAYS)


@pytest.mark.slow
@given(NAMED, st.booleans())
def test_either_reads_the_other(arrays: dict[str, NDArray[np.generic]], by_column: bool) -> None:
    """What is written here and by numpy is the same to both: names in their order, types, shapes, and every value."""
    if by_column:
        arrays = {name: np.asfortranarray(array) for name, array in arrays.items()}
    theirs = io.BytesIO()
    np.savez(theirs, allow_pickle=False, **arrays)
    for content in (npz.packed(arrays), theirs.getvalue()):
        found = npz.Unpacked(io.BytesIO(content))
        with np.load(io.BytesIO(content), allow_pickle=False) as known:
            assert list(found) == list(known) == list(arrays)
            assert len(found) == len(arrays)
            for name, array in arrays.items():
                assert name in found
                for one in (found[name], known[name]):
                    assert (one.dtype, one.shape) == (array.dtype, array.shape)
                    assert one.tobytes() == array.tobytes()
                found[name][...] = found[name]  # it is a copy of one's own


def test_it_is_the_archive_that_zipfile_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file is byte for byte that of `zipfile`, which writes the large ones, and has no time in it."""
    arrays = {"axis": np.arange(3), "val/ä b": np.ones((2, 5)).T, "": np.array("text"), "none": np.empty((0, 2))[::-1]}
    own = npz.packed(arrays)
    assert npz.packed(arrays) == own
    monkeypatch.setattr(npz, "SMALL", (0, 0))
    assert npz.packed(arrays) == own


@settings(max_examples=200)
@given(st.data())
def test_a_changed_byte_is_no_other_number(data: st.DataObject) -> None:
    """Wherever a byte is changed or the end is cut, each array is what was written, or cannot be read."""
    arrays = {"axis": np.linspace(0, 1, 5), "val/r2": np.ones((2, 5)), "predictions": np.zeros((7, 1), np.float32)}
    content = bytearray(npz.packed(arrays))
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[at:]
    else:
        content[at] ^= data.draw(st.integers(1, 255))
    for name, array in arrays.items():
        try:
            found = npz.Unpacked(io.BytesIO(content))[name]
        except Exception:  # noqa: BLE001 - a damaged archive fails in many ways
            continue
        np.testing.assert_array_equal(found, array)


def test_objects_are_refused() -> None:
    """What only pickle could write or read is neither written nor read."""
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        npz.packed({"a": np.array([{}])})
    pickled = io.BytesIO()
    np.savez(pickled, a=np.array([{}]))
    with pytest.raises(ValueError, match="objects"):
        npz.Unpacked(pickled)["a"]
