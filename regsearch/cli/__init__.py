"""The command line.

``regsearch run | sync | watch | list | show | export | verify | retrain | report | compare | ...``
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from regsearch.cleaning import say
from regsearch.cli import analysis, bundles, commands
from regsearch.errors import RegsearchError
from regsearch.study.arguments import INTERRUPTED, STORAGE, Parser, add_run_options, natural, port, positive
from regsearch.version import __version__

Command: TypeAlias = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; an error of regsearch's is one line and exit status 2."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.command(arguments))
    except RegsearchError as error:
        say(f"regsearch: {error}", error=True)
        return 2
    except KeyboardInterrupt:  # what a command writes, it writes whole or not at all
        say("regsearch: interrupted, nothing was written", error=True)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:  # noqa: BLE001 - what no one foresaw is shown in full, but for secrets
        import traceback

        say(traceback.format_exc(), error=True)
        return 1


class _Parser(Parser):
    """A parser whose help ends with what only a heavy import knows: it is made when it is asked for."""

    late: Callable[[], str] | None = None

    def format_help(self) -> str:
        self.epilog = self.late() if self.late is not None else None
        return super().format_help()


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="regsearch", description="Search the regularization that a model needs.")
    parser.add_argument("--version", action="version", version=__version__)
    found = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    _add_study_commands(found)
    _add_analysis_commands(found)
    _add_bundle_commands(found)
    ui = _stored(found.add_parser("ui", help="browse the trials in MLflow"), commands.ui)
    shown = "show the trials of the last study in the browser (default: where there is a screen)"
    ui.add_argument("--open", action=argparse.BooleanOptionalAction, help=shown)
    ui.add_argument("--port", type=port, default=5000, metavar="N", help="where to serve them (default 5000)")
    return parser


def _add_study_commands(found: Any) -> None:
    run = found.add_parser("run", help="run the study that a script defines")
    run.add_argument("script", metavar="SCRIPT")
    run.add_argument("--study", metavar="NAME", help="which one, when the script defines several")
    add_run_options(run)
    run.set_defaults(command=commands.run)

    sync = _stored(found.add_parser("sync", help="write to MLflow what it lacks of a study"), commands.sync)
    sync.add_argument("study", metavar="STUDY")
    sync.add_argument("--tracking", metavar="URI", help="MLflow tracking URI (default: that of the study's last run)")

    watch = _stored(found.add_parser("watch", help="show a study while another process runs it"), commands.watch)
    watch.add_argument("study", metavar="STUDY")
    watch.add_argument("--once", action="store_true", help="show it as it is now, and end")

    _stored(found.add_parser("list", help="list the studies under a root"), commands.list_)

    show = _stored(found.add_parser("show", help="show a study's choice and its best trials"), commands.show)
    _add_choice(show, script=True)
    show.add_argument("--as", dest="as", metavar="LIBRARY", help="print the choice as code of sklearn or torch alone")
    show.add_argument("--top", type=positive, metavar="N", help="how many trials to list (default 10)")
    _add_json(show)

    export = _stored(
        found.add_parser("export", help="refit a study's choice on all rows and write it to a folder"), commands.export
    )
    _add_choice(export, script=True)
    export.add_argument("--ensemble", action="store_true", help="an ensemble of trials in place of one")
    _add_selection(export)
    export.add_argument("--out", required=True, metavar="DIR")
    export.add_argument("--onnx", action="store_true", help="write model.onnx too")
    export.add_argument("--register", metavar="NAME", help="register it in the study's MLflow store")
    export.add_argument("--alias", metavar="NAME", help="of the registered version (default champion)")


def _add_analysis_commands(found: Any) -> None:
    report = _stored(found.add_parser("report", help="write the report of a study as one HTML page"), analysis.report)
    report.add_argument("study", metavar="STUDY")
    report.add_argument("--out", metavar="FILE", help="where to, or a folder for STUDY.html (default: this one)")
    _add_trial(report)
    report.add_argument("--templates", metavar="DIR", help="a folder whose Jinja templates take the place of ours")
    report.add_argument("--open", action="store_true", help="show it in the browser")

    compare = _stored(
        found.add_parser("compare", help="compare studies of one problem, fold by fold"), analysis.compare
    )
    compare.add_argument("studies", nargs="+", metavar="STUDY", help="two or more; each is compared with the first")
    _add_rule(compare)
    _add_json(compare)

    ensemble = _stored(
        found.add_parser("ensemble", help="select trials whose mean predictions score better than the best"),
        analysis.ensemble,
    )
    ensemble.add_argument("study", metavar="STUDY")
    _add_selection(ensemble)
    _add_json(ensemble)

    ablate = _stored(
        found.add_parser("ablate", help="fit a study's choice again without each of its techniques"), analysis.ablate
    )
    _add_choice(ablate, script=True)
    _add_json(ablate)

    learn = _stored(
        found.add_parser("learn", help="fit a study's choice to growing parts of the rows: would more data help?"),
        analysis.learn,
    )
    _add_choice(learn, script=True)
    learn.add_argument("--sizes", type=float, nargs="+", metavar="SHARE", help="shares of the training rows, ascending")
    _add_json(learn)


def _add_bundle_commands(found: Any) -> None:
    verify = found.add_parser("verify", help="check that a bundle is and does what was exported")
    _add_bundle(verify, bundles.verify)
    verify.add_argument("--data", metavar="FILE", help="a CSV file of the study's data, to score the config again")
    _add_script(verify, "or the study's script, which also has its folds, its scorer and a net's own module")

    retrain = found.add_parser("retrain", help="fit a bundle's config to new data")
    _add_bundle(retrain, bundles.retrain)
    retrain.add_argument("--data", required=True, metavar="FILE", help="a CSV file of the new data")
    retrain.add_argument("--out", required=True, metavar="DIR")
    retrain.add_argument("--cv", type=int, metavar="K", help="folds (default: of the kind that the old ones were)")
    retrain.add_argument("--scoring", metavar="NAME", help="a scorer, where the old one was your own")
    _add_script(retrain, "the study's script, where the scorer or a net's module is your own")


def _stored(parser: Any, command: Command) -> Any:
    """A parser of a command on what is stored."""
    parser.set_defaults(command=command)
    parser.add_argument(
        "--root", default="mlruns", metavar="DIR", help="the folder that studies write (default mlruns)"
    )
    parser.add_argument(
        "--storage", default=os.environ.get(STORAGE), metavar="URL",
        help=f"Optuna storage, when the study was given one (default: the environment's {STORAGE})",
    )  # fmt: skip
    return parser


def _add_bundle(parser: Any, command: Command) -> None:
    """A bundle, and the columns of data that are to be predicted, and weigh rows."""
    parser.set_defaults(command=command)
    parser.add_argument("bundle", metavar="DIR")
    parser.add_argument(
        "--target",
        metavar="COLUMN",
        help="what the data are to predict (default: what it was called in training); several by commas, as EVENT,TIME "
        "of survival",
    )
    parser.add_argument("--weights", metavar="COLUMN", help="what rows weigh in fits, and in scores where they did")
    parser.add_argument("--trust", action="append", metavar="TYPE", help="a type to trust; may be repeated")


def _add_script(parser: Any, what: str) -> None:
    """A script that has what a bundle does not."""
    parser.add_argument("--script", metavar="FILE", help=what)
    parser.add_argument("--study", metavar="NAME", help="which one, when the script defines several")


def _add_choice(parser: Any, script: bool = False) -> None:
    """One study and what chooses its trial; where the data are needed, the script that reads them."""
    parser.add_argument("study", metavar="STUDY")
    _add_rule(parser)
    _add_trial(parser)
    if script:
        parser.add_argument(
            "--script", metavar="FILE", help="where to read the data from (default: the script that was run)"
        )


def _add_selection(parser: Any) -> None:
    """How an ensemble is selected."""
    parser.add_argument("--size", type=positive, metavar="N", help="picks of an ensemble at most (default 25)")
    parser.add_argument("--among", type=positive, metavar="N", help="from so many of the best trials (default 50)")
    parser.add_argument(
        "--bags", type=positive, metavar="N", help="from so many random halves of them (default 1: all)"
    )


def _add_trial(parser: Any) -> None:
    parser.add_argument("--trial", type=natural, metavar="N", help="the trial of that number, in place of a rule's")
    parser.add_argument("--step", type=natural, metavar="S", help="of its path, counted from 0 (default: its own)")
    parser.set_defaults(rule=None)


def _add_rule(parser: Any) -> None:
    parser.add_argument("--rule", metavar="RULE", help="what chooses the trial (default best)")
    parser.late = analysis.rules_help


def _add_json(parser: Any) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")
