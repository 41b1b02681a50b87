"""The command line: ``regsearch run | list | show | export | ui``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regsearch import __version__
from regsearch.errors import InvalidInput, NotFound, RegsearchError
from regsearch.options import add_run_options

if TYPE_CHECKING:
    from regsearch.chosen import Chosen
    from regsearch.results import Results
    from regsearch.study import Study


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; an error of regsearch's is one line and exit status 2."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.command(arguments))
    except RegsearchError as error:
        print(f"regsearch: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="regsearch", description="Search the regularization that a model needs.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run the study that a script defines")
    run.add_argument("script", metavar="SCRIPT")
    run.add_argument("--study", metavar="NAME", help="which one, when the script defines several")
    add_run_options(run)
    run.set_defaults(command=_run)

    listing = commands.add_parser("list", help="list the studies under a root")
    listing.set_defaults(command=_list)

    show = commands.add_parser("show", help="show a study's choice and its best trials")
    show.add_argument("study", metavar="STUDY")
    show.add_argument("--rule", default="best", metavar="RULE", help="best or one_se")
    show.add_argument("--top", type=int, default=10, metavar="N", help="how many trials to list")
    show.add_argument("--json", action="store_true", help="print one JSON object")
    show.set_defaults(command=_show)

    export = commands.add_parser("export", help="refit a study's choice on all rows and write it to a folder")
    export.add_argument("study", metavar="STUDY")
    export.add_argument("--out", required=True, metavar="DIR")
    export.add_argument("--rule", default="best", metavar="RULE", help="best or one_se")
    export.add_argument(
        "--script", metavar="FILE", help="where to read the data from (default: the script that was run)"
    )
    export.set_defaults(command=_export)

    ui = commands.add_parser("ui", help="browse the trials in MLflow")
    ui.add_argument("--port", type=int, default=5000)
    ui.set_defaults(command=_ui)

    for command in (listing, show, export, ui):
        command.add_argument(
            "--root", default="mlruns", metavar="DIR", help="the folder that studies write (default mlruns)"
        )
        command.add_argument("--storage", metavar="URL", help="Optuna storage, when the study was given one")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    from regsearch.study import run_from

    return run_from(_study_of(arguments.script, arguments.study), vars(arguments))


def _list(arguments: argparse.Namespace) -> int:
    from regsearch.storage import study_names

    names = study_names(arguments.root, arguments.storage)
    if not names:
        print(f"No study under {Path(arguments.root).absolute()}; `regsearch run SCRIPT` starts one.")
        return 0
    print(f"{'study':<28}{'trials':>8}{'score':>12}{'gap':>10}  metric")
    for name in names:
        try:
            line = _line(_results(arguments, name))
        except RegsearchError as error:  # one that cannot be read must not hide the others
            line = f"{'-':>8}{'-':>12}{'-':>10}  {error}"
        print(f"{name:<28}{line}")
    return 0


def _line(results: Results) -> str:
    point = results.point(results.complete[0]) if results.complete else None
    numbers = f"{point.val:>12.5g}{point.gap:>10.3g}" if point else f"{'-':>12}{'-':>10}"
    return f"{results.counts['complete']:>8}{numbers}  {results.metric}"


def _show(arguments: argparse.Namespace) -> int:
    results = _results(arguments, arguments.study)
    chosen = results.choose(arguments.rule)
    top = results.top(arguments.top)
    if arguments.json:
        document = {
            "study": results.name, "metric": results.metric, "counts": results.counts, "rule": chosen.rule,
            "why": chosen.why, "chosen": chosen.row(), "top": [one.row() for one in top],
        }  # fmt: skip
        print(json.dumps(document, allow_nan=False))
        return 0
    print(f"{results.name}: " + ", ".join(f"{count} {state}" for state, count in results.counts.items() if count))
    print(f"\n{arguments.rule}: {chosen}\n")
    held_out = any(one.test for one in top)
    test = f"{'test':>12}" if held_out else ""
    print(f"{'trial':>6}{'score':>12}{'se':>9}{'train':>12}{'gap':>10}{test}  config")
    for one in top:
        print(_row(one, held_out))
    return 0


def _row(one: Chosen, held_out: bool) -> str:
    """A trial as one line of the table; only those that were the best when they finished have a test score."""
    from regsearch.chosen import listed

    point, score = one.point, one.test.get(one.metric)
    test = (f"{'-':>12}" if score is None else f"{score:>12.5g}") if held_out else ""
    numbers = f"{point.val:>12.5g}{point.val_se:>9.2g}{point.train:>12.5g}{point.gap:>10.3g}{test}"
    return f"{one.number:>6}{numbers}  {listed({**one.settings, **one.measures}, ' ')}"


def _export(arguments: argparse.Namespace) -> int:
    from regsearch.export import to_trust

    results = _results(arguments, arguments.study)
    script = arguments.script or results.identity["script"]
    if not script or not Path(script).exists():
        missing = f"its script {script} is gone" if script else "it was not started from a script"
        raise NotFound(
            f"Export refits on the data of {results.name!r}, and {missing}; "
            "pass --script FILE, or call study.export(DIR) where the data are."
        )
    print(f"Reading the data from {script}", file=sys.stderr)
    study = _study_of(script, arguments.study).replace(
        root=arguments.root, storage=arguments.storage, seed=int(results.identity["seed"])
    )
    folder = study.export(arguments.out, arguments.rule)
    print(f"{results.choose(arguments.rule)}\n\nWritten to {folder}")
    trusted = to_trust(folder)
    extra = f", trusted={trusted!r}" if trusted else ""
    print(f'Use it:  python -c "import regsearch; model = regsearch.load({arguments.out!r}{extra})"')
    return 0


def _ui(arguments: argparse.Namespace) -> int:
    from regsearch.study import tracking_uri

    root = Path(arguments.root).absolute()
    if not (root / "mlflow.db").exists():
        raise NotFound(f"There is no MLflow database in {root}; run a study first, or pass its --root.")
    address = f"http://127.0.0.1:{arguments.port}"
    print(f"MLflow at {address} (Ctrl-C ends it)", flush=True)
    server = ["-m", "mlflow", "ui", "--backend-store-uri", tracking_uri(root), "--port", str(arguments.port)]
    os.execv(sys.executable, [sys.executable, *server])


def _results(arguments: argparse.Namespace, name: str) -> Results:
    from regsearch.results import load_results
    from regsearch.storage import Store

    return load_results(Store(arguments.root, name, arguments.storage))


def _study_of(script: str, name: str | None) -> Study:
    """The study that a script makes at its module level, found by running it under another name than ``__main__``."""
    import runpy

    from regsearch.study import Study

    path = Path(script)
    if not path.is_file():
        raise NotFound(f"There is no script {script!r}; give the path of a Python file that makes a Study.")
    sys.path.insert(0, str(path.parent.absolute()))  # as `python SCRIPT` would
    values: dict[str, Any] = runpy.run_path(str(path), run_name="regsearch_script")
    studies = {study.name: study for study in values.values() if isinstance(study, Study)}
    if not studies:
        raise InvalidInput(f"A script must make a Study at its top level, {script!r} makes none; assign one.")
    if name is None and len(studies) > 1:
        raise InvalidInput(f"{script!r} makes several studies ({', '.join(studies)}); pass --study NAME.")
    if name is not None and name not in studies:
        raise NotFound(f"{script!r} makes no study {name!r}; it makes {', '.join(studies)}.")
    return studies[name] if name is not None else next(iter(studies.values()))
