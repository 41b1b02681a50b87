"""Classes are found by their names in files, in a process that has imported nothing of them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from regsearch.space.registry import FAMILIES, find, registered


@pytest.mark.slow
@pytest.mark.process
def test_every_class_is_found_by_itself() -> None:
    """Any name in a file is found without an import before it, and none of them loads torch or scikit-learn."""
    names = [tag for tag, cls in registered().items() if cls.__module__.startswith("regsearch.")]
    script = (
        "import sys\n"
        "from regsearch.space.registry import find\n"
        "ours = lambda: {name for name in sys.modules if name.startswith('regsearch.models')}\n"
        f"for tag in {names}:\n"
        "    for name in ours(): del sys.modules[name]\n"
        "    from regsearch.space.tree import Node, Leaf\n"
        "    for other in [t for t, c in Node.registry.items() if not issubclass(c, Leaf)]: del Node.registry[other]\n"
        "    assert find(tag).tag() == tag, tag\n"
        "assert 'torch' not in sys.modules\n"
        "assert 'sklearn' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], timeout=100, check=True)


@pytest.mark.parametrize("tag", ["nothing", "net.nothing", "mine.nothing", ""])
def test_unknown(tag: str) -> None:
    """A name that nobody registered is no class."""
    assert find(tag) is None
    assert tag not in FAMILIES or tag == ""
