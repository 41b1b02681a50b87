"""Progress of long work where there is no terminal."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from regsearch.progress import Lines, Notebook, Progress


class Handle:
    """A display of a notebook, which notes what it shows."""

    def __init__(self, shown: dict[str, str]) -> None:
        self.pages, self.texts = [shown["text/html"]], [shown["text/plain"]]

    def update(self, shown: dict[str, str], raw: bool) -> None:
        assert raw
        self.pages.append(shown["text/html"])
        self.texts.append(shown["text/plain"])


@pytest.fixture
def displays(monkeypatch: pytest.MonkeyPatch) -> list[Handle]:
    """The displays that a notebook made, in a process that looks like its kernel."""
    made: list[Handle] = []

    def display(shown: dict[str, str], raw: bool, display_id: bool) -> Handle:
        assert raw
        assert display_id
        made.append(Handle(shown))
        return made[-1]

    ipython, module = ModuleType("IPython"), ModuleType("IPython.display")
    names: dict[str, Any] = {"get_ipython": lambda: SimpleNamespace(kernel=object())}
    vars(ipython).update(names)
    vars(module).update(display=display)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr(Notebook, "every_s", 0.0)
    return made


def test_a_notebook_is_updated_in_its_place(displays: list[Handle]) -> None:
    """One display shows all states of a work, with a bar where its end is known; what stands at the end is its last."""
    progress = Progress()
    progress.show("[1/4] | <b>", 0.25)
    progress.show("[2/4]", 0.5)
    progress.end("done")
    progress.show("another")
    first, second = (one.pages for one in displays)
    assert ['value="0.2500"' in page for page in first] == [True, False, False]
    assert "[1/4]<br>&lt;b&gt;" in first[0]
    assert "done" in first[-1]
    assert "<progress" not in first[-1] + second[0]
    assert displays[0].texts == ["[1/4] | <b>", "[2/4]", "done"]
    Progress(quiet=True).show("nothing")
    assert len(displays) == 2


def test_without_a_kernel_lines_are_written(displays: list[Handle], monkeypatch: pytest.MonkeyPatch) -> None:
    """IPython in a terminal is no notebook."""
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", SimpleNamespace)
    assert isinstance(Progress()._screen, Lines)
