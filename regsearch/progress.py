"""A live line on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

from regsearch.cleaning import one_line

EVERY = {True: 0.1, False: 10.0}  # seconds between two updates, by whether the stream is a terminal


class Progress:
    """Shows the state of long work on one line.

    Parameters
    ----------
    stream
        Where to write; standard error by default.
    quiet
        Write nothing at all.
    """

    def __init__(self, stream: TextIO | None = None, quiet: bool = False) -> None:
        self.stream = stream or sys.stderr
        self.quiet = quiet
        self.live = self.stream.isatty()
        self._next = 0.0
        self._text = ""
        self._last = ""  # of the lines that stand: the same is not written twice

    def show(self, text: str) -> None:
        """Replace the line, unless it was replaced just now; on a terminal it is cut to what fits."""
        self._text = text
        if not self.quiet and time.monotonic() >= self._next:
            text = one_line(text)
            self._write(text[: shutil.get_terminal_size().columns - 1] if self.live else text)

    def end(self, text: str = "") -> None:
        """Leave the last state, or `text`, standing."""
        text = one_line(text) or one_line(self._text)
        if not self.quiet and text:
            self._write(text)
            if self.live:
                self.stream.write("\n")
        self._next, self._text = 0.0, ""

    def _write(self, text: str) -> None:
        if self.live or text != self._last:
            self.stream.write(f"\r\x1b[K{text}" if self.live else f"{text}\n")
            self.stream.flush()
        self._last = text
        self._next = time.monotonic() + EVERY[self.live]
