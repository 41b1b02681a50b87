"""How far long work is: a live line on a terminal, a display in a notebook, a line now and then elsewhere."""

from __future__ import annotations

import html
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TextIO

from regsearch.cleaning import clean, one_line

BETWEEN = " | "  # what stands between the parts of a state
BAR = "width:100%;max-width:36em"


class Screen(Protocol):
    """Where a state is shown.

    Attributes
    ----------
    every_s
        Seconds between two updates.
    """

    every_s: float

    def write(self, text: str, share: float | None) -> None:
        """Show a state in the place of the one before it; `share` is how much of the work is done, if that is known."""
        ...

    def leave(self, text: str) -> None:
        """Let a text stand."""
        ...

    def clear(self) -> bool:
        """Make room for what others print here; whether the state is gone by that."""
        ...


class Terminal:
    """A line that is written over, cut to what fits."""

    every_s = 0.1

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str, share: float | None) -> None:
        self._over(text[: shutil.get_terminal_size().columns - 1])

    def leave(self, text: str) -> None:
        self._over(text)
        self.stream.write("\n")

    def clear(self) -> bool:
        self._over("")
        return True

    def _over(self, text: str) -> None:
        self.stream.write(f"\r\x1b[K{text}")
        self.stream.flush()


class Lines:
    """A line for each state; the same is not written twice."""

    every_s = 10.0

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._last = ""

    def write(self, text: str, share: float | None) -> None:
        if text != self._last:
            self.stream.write(f"{text}\n")
            self.stream.flush()
        self._last = text

    def leave(self, text: str) -> None:
        self.write(text, None)

    def clear(self) -> bool:
        return False  # a line is over when it is written


class Page:
    """Several lines in the place of those before, cut to what fits a terminal; elsewhere they follow each other."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._lines, self._last = 0, ""

    def write(self, text: str) -> None:
        """Show a text in the place of the one before it."""
        lines = clean(text).splitlines()
        if self.stream.isatty():
            size = shutil.get_terminal_size()
            lines = [line[: size.columns - 1] for line in lines[: size.lines - 1]]
        over = f"\x1b[{self._lines}F\x1b[J" if self._lines else ""
        self._lines = len(lines) if self.stream.isatty() else 0
        self.stream.write(over + "".join(f"{line}\n" for line in lines))
        self.stream.flush()

    def add(self, text: str) -> None:
        """Show a line, unless it is the one before it."""
        if text != self._last:
            self.stream.write(f"{one_line(text)}\n")
            self.stream.flush()
        self._last = text


class Notebook:
    """A display below a cell, which is updated in its place: a bar, and the parts of the state in lines."""

    every_s = 0.25

    def __init__(self) -> None:
        self._shown: Any = None

    def write(self, text: str, share: float | None) -> None:
        bar = "" if share is None else f'<progress max="1" value="{share:.4f}" style="{BAR}"></progress><br>'
        self._display(bar + "<br>".join(html.escape(part) for part in text.split(BETWEEN)), text)

    def leave(self, text: str) -> None:
        self._display(html.escape(text), text)
        self._shown = None

    def clear(self) -> bool:
        return False  # the display has a place of its own

    def _display(self, content: str, text: str) -> None:
        from IPython.display import display

        page = f'<div class="tex2jax_ignore mathjax_ignore">{content}</div>'
        shown = {"text/html": page, "text/plain": text}  # the latter where a notebook is read as text
        if self._shown is None:
            self._shown = display(shown, raw=True, display_id=True)
        else:
            self._shown.update(shown, raw=True)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook, which has imported IPython."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def screen_for(stream: TextIO | None) -> Screen:
    """The screen of a stream; where none is given, the notebook that this runs in, or standard error."""
    if stream is None and in_notebook():
        return Notebook()
    writes = stream or sys.stderr
    return Terminal(writes) if writes.isatty() else Lines(writes)


@dataclass
class Progress:
    """Shows the state of long work.

    Parameters
    ----------
    stream
        Where to write; by default the notebook, or standard error.
    quiet
        Write nothing at all.
    """

    stream: TextIO | None = None
    quiet: bool = False

    def __post_init__(self) -> None:
        self._screen = screen_for(self.stream)
        self._next = 0.0
        self._state: Callable[[], str] = str

    def show(self, text: str, share: float | None = None) -> None:
        """Show a state in the place of the one before it, unless that was shown just now."""
        self.show_of(lambda: text, lambda: share)

    def show_of(self, text: Callable[[], str], share: Callable[[], float | None]) -> None:
        """Show a state that is put into words when it is shown: a fast search has thousands that are not."""
        self._state = text
        if not self.quiet and time.monotonic() >= self._next:
            self._screen.write(one_line(text()), share())
            self._next = time.monotonic() + self._screen.every_s

    def clear(self) -> None:
        """Make room for what others print; the state is shown again with the next one."""
        if not self.quiet and self._next and self._screen.clear():
            self._next = 0.0

    def end(self, text: str = "") -> None:
        """Leave the last state, or `text`, standing."""
        if not self.quiet:
            left = one_line(text) or one_line(self._state())
            if left:
                self._screen.leave(left)
        self._next, self._state = 0.0, str
