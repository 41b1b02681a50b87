"""The command-line options of a run, the same for scripts and for ``regsearch run``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from regsearch.cleaning import clean
from regsearch.errors import InvalidInput
from regsearch.inputs import did_you_mean

if TYPE_CHECKING:
    from regsearch.parallel.crew import Workers

INTERRUPTED = 130  # the exit status of a command that Ctrl-C ended, as shells have it
UNMIRRORED = 3  # that of a run whose search succeeded, and of which MLflow lacks something
STORAGE = "REGSEARCH_STORAGE"  # the environment's variable for a storage URL, which lists of processes do not show

OF_RAY = ("address", "workers", "cpus", "gpus")  # the options that `regsearch.Ray` takes, too


def positive(text: str) -> int:
    """A number of things on a command line: at least one."""
    return _whole(text, 1, 2**31 - 1)


def natural(text: str) -> int:
    """A number that is counted from 0, such as that of a trial."""
    return _whole(text, 0, 2**31 - 1)


def port(text: str) -> int:
    """A port on a command line."""
    return _whole(text, 1, 65_535)


def _whole(text: str, low: int, high: int) -> int:
    if not text.strip().isascii() or not text.strip().isdigit() or not low <= int(text[:20]) <= high:
        raise argparse.ArgumentTypeError(f"it must be a whole number from {low} to {high}, got {text[:80]!r}")
    return int(text)


class Parser(argparse.ArgumentParser):
    """A parser whose errors say what was perhaps meant, and show no control character and no password."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As its base has it, but that an option whose value is ``--`` is refused: there it has no value."""
        found, others = super().parse_known_args(args, namespace)
        for name, value in vars(found).items():
            if value == []:
                self.error(f"argument {name}: expected one argument, got '--'")
        unknown = next((one.partition("=")[0] for one in others if one.startswith("-")), "")
        hint = did_you_mean(unknown, self._option_string_actions, "") if unknown else ""
        if hint:
            self.error(f"unrecognized argument {unknown}; {hint}")
        return found, others

    def error(self, message: str) -> NoReturn:
        wrong = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        known = [] if wrong is None else [one.strip(" '") for one in wrong[2].split(",")]
        hint = "" if wrong is None else did_you_mean(wrong[1], known, "")
        super().error(clean(f"{message}; {hint}" if hint else message))


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the limits of a run, its seed, where it is stored, and whether it gives configs up."""
    parser.add_argument("--trials", type=int, metavar="N", help="trials that the study shall have in all (default 100)")
    parser.add_argument(
        "--timeout", type=float, metavar="S",
        help="seconds that this run may take; trials in flight are kept as far as they got, and gone on with next time",
    )  # fmt: skip
    parser.add_argument("--patience", type=int, metavar="N", help="stop after N trials without a better score")
    parser.add_argument(
        "--trial-timeout", type=float, metavar="S", help="seconds that a trial may take, which is given up if it does"
    )
    _add_worker_options(parser)
    parser.add_argument("--seed", type=int, metavar="N", help="seed of folds, sampler and test split")
    parser.add_argument(
        "--widen", action="store_true",
        help="run NAME-wide instead: the stored study again, with what its best trials ran against moved further",
    )  # fmt: skip
    parser.add_argument("--root", metavar="DIR", help="the folder that is written to (default mlruns)")
    parser.add_argument(
        "--storage", metavar="URL",
        help=f"Optuna storage (default: that of the script, else the environment's {STORAGE}, else a file in the root)",
    )  # fmt: skip
    parser.add_argument(
        "--try-first", metavar="FILE",
        help="configs to try before all others: what `show --json` printed, a JSON list of such, or a bundle's folder",
    )  # fmt: skip
    parser.add_argument(
        "--no-prune", dest="prune", action="store_const", const=False, help="fit every config to its end"
    )


def _add_worker_options(parser: argparse.ArgumentParser) -> None:
    """Add who evaluates trials."""
    parser.add_argument("--workers", type=positive, metavar="N", help="processes that evaluate trials, here or on Ray")
    parser.add_argument("--on", choices=("ray",), help="where workers run, if not on this machine")
    parser.add_argument("--address", metavar="ADDRESS", help="of the Ray cluster (default: that of this machine)")
    parser.add_argument("--cpus", type=float, metavar="N", help="cores of each worker on Ray (default 1)")
    parser.add_argument(
        "--gpus", type=float, metavar="N", help="GPUs, or a part of one, of each worker on Ray (default 0)"
    )
    parser.add_argument(
        "--deterministic", action="store_true", help="the same trials again with as many workers, which wait for it"
    )


def workers_asked_for(arguments: Mapping[str, Any]) -> int | Workers | None:
    """The workers that a command line asks for; `None` for none.

    Raises
    ------
    InvalidInput
        When it says of Ray what is not for processes of this machine.
    """
    given = {name: arguments[name] for name in OF_RAY if arguments.get(name) is not None}
    if arguments.get("on") == "ray":
        from regsearch.parallel.ray import Ray

        return Ray(**given)
    elsewhere = [f"--{name}" for name in given if name != "workers"]
    if elsewhere:
        raise InvalidInput(f"{elsewhere[0]} is of workers on Ray, got it without --on ray; add that, or leave it out.")
    count: int | None = arguments.get("workers")
    return count
