"""What is said while numba compiles."""

from __future__ import annotations

from typing import Any

import pytest

from regsearch.models.compiling import SAID, compiled, telling_of_compilation

SOURCE = """
def half(x):
    return x / 2

def quarter(x):
    return half(half(x))
"""


def test_a_compilation_is_told_of_until_it_is_over_and_only_once() -> None:
    pytest.importorskip("numba")
    namespace: dict[str, Any] = {}
    exec(SOURCE, namespace)  # of no file: no run before this one has left it compiled
    namespace["half"] = compiled(namespace["half"])
    quarter = compiled(namespace["quarter"])
    told: list[str] = []
    with telling_of_compilation(told.append):
        assert quarter(8.0) == 2.0
        assert told == [SAID, SAID, ""]  # that of what it calls is a part of it
        assert quarter(4.0) == 1.0
    quarter(8)  # of whole numbers it is compiled anew, when nobody listens
    assert told == [SAID, SAID, ""]
