"""The errors that regsearch raises: each message states the invariant, the value that broke it, and the fix."""

from __future__ import annotations

import sys
import warnings

from regsearch.cleaning import one_line, shortened

PACKAGE = __name__.partition(".")[0]
LONGEST = 4000  # letters of what an error says: some quote what they were given
FOREIGN = (Exception, SystemExit)  # what anyone's code may raise, which its trial fails of, and nothing else


class RegsearchError(Exception):
    """Base of every error that regsearch raises on purpose; what it says has no password and no control character."""

    def __init__(self, said: object = "") -> None:
        super().__init__(shortened(one_line(str(said)[: 2 * LONGEST]), LONGEST))


class InvalidInput(RegsearchError, ValueError):
    """Data, a space or an option that cannot be searched as given; raised before any fit starts."""


class StudyMismatch(RegsearchError):
    """A stored study was asked to go on with other data, folds, scoring or seed."""


class NotFound(RegsearchError, LookupError):
    """A study, trial, file or optional package that is not there."""


class Damaged(RegsearchError):
    """A stored file that is not, or no longer, what was written."""


class StorageFailed(RegsearchError):
    """A disk that is full, a database that is gone: what must be kept of a study could not be written or read."""


class WorkersFailed(RegsearchError):
    """Workers that end before they evaluate anything, or a cluster of them that is gone; what is finished is kept."""


class CallbackFailed(RegsearchError):
    """A callback of a run raised an error, its cause here; the run has ended, and what is finished is kept."""


class SearchFailed(RegsearchError):
    """Every trial so far failed, so going on would only repeat the failure."""


def warn(said: str, category: type[Warning] = UserWarning) -> None:
    """Warn where a line outside of the package led here, however deep in it that is."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == PACKAGE:
        frame, level = frame.f_back, level + 1
    warnings.warn(said, category, stacklevel=level)
