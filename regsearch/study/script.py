"""A study in a script: which file made it, and how a command line runs it."""

from __future__ import annotations

import inspect
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, Self

from regsearch.cleaning import clean, say
from regsearch.errors import InvalidInput, RegsearchError
from regsearch.parallel.crew import Workers
from regsearch.results.advice import range_extensions
from regsearch.results.results import Results
from regsearch.study.arguments import (
    INTERRUPTED,
    STORAGE,
    UNMIRRORED,
    Parser,
    add_run_options,
    workers_asked_for,
)
from regsearch.study.options import StudyOptions
from regsearch.study.summary import summary

CHANGEABLE = ("seed", "root", "storage", "prune", "try_first")  # the options of a study that a command line may change


class Runnable(Protocol):
    """What a command line needs of a study."""

    name: str
    options: StudyOptions

    def replace(self, **options: Any) -> Self: ...

    def results(self) -> Results: ...

    def widened(self, results: Results | None = None) -> Self: ...

    def run(
        self,
        n_trials: int | None = None,
        timeout: float | None = None,
        patience: int | None = None,
        *,
        trial_timeout: float | None = None,
        workers: int | Workers | None = None,
        deterministic: bool = False,
    ) -> Results: ...


def main(
    study: Runnable, argv: Sequence[str] | None = None, then: Callable[[Any], object] | None = None
) -> int:  # fmt: skip
    """Run a study from its script's command line; the exit status. See `regsearch.Study.main`.

    Raises
    ------
    InvalidInput
        Where the command line is that of a program that reads the script, such as ``regsearch run``.
    """
    frame = _module_frame()
    if argv is None and frame is not None and frame.f_globals.get("__name__") != "__main__":
        file = Path(frame.f_code.co_filename).name
        raise InvalidInput(
            f"study.main() must stand behind `if __name__ == '__main__':`, {file} calls it while another program "
            "reads it; put it there."
        )
    parser = Parser(description=f"Run the study {study.name}.")
    add_run_options(parser)
    arguments = vars(parser.parse_args(argv))
    try:
        return run_with(study, arguments, then)
    except RegsearchError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    except Exception:  # noqa: BLE001 - what no one foresaw is shown in full, but for secrets
        parser.exit(1, clean(traceback.format_exc()))


def run_with(
    study: Runnable, arguments: Mapping[str, Any], then: Callable[[Any], object] | None = None
) -> int:  # fmt: skip
    """Run a study as the arguments of `add_run_options` say, and print what it found; the exit status."""
    changed = {key: arguments[key] for key in CHANGEABLE if arguments.get(key) is not None}
    if study.options.storage is None and os.environ.get(STORAGE):
        changed.setdefault("storage", os.environ[STORAGE])
    if "try_first" in changed:
        changed["try_first"] = [changed["try_first"], *(one for _, one in study.options.first)]
    study = study.replace(**changed) if changed else study
    if arguments.get("widen"):
        before = study.results()
        study = study.widened(before)
        say("\n".join([f"{study.name}:", *(f"  {move}  ({move.why})" for move in range_extensions(before))]))
    limits = (arguments[name] for name in ("trials", "timeout", "patience"))
    results = study.run(
        *limits, trial_timeout=arguments["trial_timeout"], workers=workers_asked_for(arguments),
        deterministic=bool(arguments.get("deterministic")),
    )  # fmt: skip
    say(summary(results, study.options.tracking))
    if results.stopped == "interrupted":
        return INTERRUPTED
    if then is not None:
        then(results)
    if results.unmirrored:
        say(
            f"regsearch: the search is done, and MLflow lacks {results.unmirrored} of it: status {UNMIRRORED}",
            error=True,
        )
        return UNMIRRORED
    return 0


def calling_script() -> str:
    """The file whose module level is being run, if any: `regsearch export` reads the data from it again."""
    frame = _module_frame()
    file = Path(frame.f_code.co_filename) if frame is not None else Path()
    return os.fspath(file.resolve()) if file.is_file() else ""


def _module_frame() -> FrameType | None:
    """The nearest frame in which a file is being run."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_name != "<module>":  # `inspect.stack` looks for the source of each
        frame = frame.f_back
    return frame
