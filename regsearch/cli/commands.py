"""The commands that run studies and ship what they chose: run, sync, watch, list, show, export, ui."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from regsearch.cleaning import say
from regsearch.cli import shipping
from regsearch.cli.browser import can_show, is_free, show_later
from regsearch.cli.combinations import excludes
from regsearch.cli.stored import (
    chooser,
    find_own_rule,
    results_of,
    results_with_files,
    script_of,
    selection,
    study_again,
    study_of,
)
from regsearch.errors import InvalidInput, NotFound, RegsearchError
from regsearch.study.arguments import INTERRUPTED

if TYPE_CHECKING:
    from regsearch.results.choice import Chosen
    from regsearch.results.ensemble import Ensemble
    from regsearch.results.results import Results

TOP = 10  # trials that are listed
LISTED = ("complete", "pruned", "failed", "stopped")  # states of trials that are counted for each study


def run(arguments: argparse.Namespace) -> int:
    """Run the study that a script makes."""
    from regsearch.study.script import run_with

    return run_with(study_of(arguments.script, arguments.study), vars(arguments))


def sync(arguments: argparse.Namespace) -> int:
    """Bring MLflow up to date from what is stored of a study."""
    from regsearch.progress import Progress
    from regsearch.study.sync import sync as bring_up_to_date

    store = results_with_files(arguments, arguments.study).store
    written, said = bring_up_to_date(store, arguments.tracking, Progress())
    say(said)
    return INTERRUPTED if written.in_background else 0


def watch(arguments: argparse.Namespace) -> int:
    """Show a study that another process runs, until its run or Ctrl-C ends it."""
    from regsearch.storage.store import Store
    from regsearch.study.watching import watch as show_while_it_runs

    try:
        show_while_it_runs(Store(arguments.root, arguments.study, arguments.storage), sys.stdout, arguments.once)
    except KeyboardInterrupt:
        say()
    return 0


def list_(arguments: argparse.Namespace) -> int:
    """List the studies under a root."""
    from regsearch.results.table import Table
    from regsearch.storage.store import study_names

    def row(name: str) -> list[str]:
        try:
            return _list_row(results_of(arguments, name))
        except RegsearchError as error:  # one that cannot be read must not hide the others
            return [name, *("-" for _ in (*LISTED, "score", "gap")), str(error)]

    names = study_names(arguments.root, arguments.storage)
    if not names:
        say(f"No study under {Path(arguments.root).absolute()}; `regsearch run SCRIPT` starts one.")
        return 0
    say(Table(("study", *LISTED, "score", "gap", "metric"), [*map(row, names)], words={"study", "metric"}).text())
    return 0


def _list_row(results: Results) -> list[str]:
    from regsearch.numeric import format_number

    point = results.point(results.candidates[0]) if results.complete else None
    figures = [format_number(point.val, 5), format_number(point.gap, 3)] if point else ["-", "-"]
    return [results.name, *(str(results.counts[state]) for state in LISTED), *figures, results.metric_label]


def show(arguments: argparse.Namespace) -> int:
    """Show what a rule chooses, what to make of it, and the best trials."""
    from dataclasses import replace

    excludes(arguments, "--as", "prints the code of the choice alone", "--json", "--top")
    if vars(arguments)["as"]:
        return shipping.show_code(arguments)
    results = results_with_files(arguments, arguments.study)
    find_own_rule(arguments.rule, script_of(arguments, results))
    results.choose(*chooser(arguments))  # what cannot be chosen is an error; a study alone shows what there is of it
    overview = replace(results.overview(*chooser(arguments), top=arguments.top or TOP), damage=())  # it was said
    if arguments.json:
        print(json.dumps(overview.row(), allow_nan=False))
    else:
        say(overview)
    return 0


def export(arguments: argparse.Namespace) -> int:
    """Refit a choice and write its bundle."""
    shipping.check(arguments)
    study = study_again(arguments, "An export")
    chosen: Chosen | Ensemble
    if arguments.ensemble:
        chosen = study.results().ensemble(**selection(arguments))
    else:
        chosen = study.results().choose(*chooser(arguments))
    folder = study.export(arguments.out, chosen)
    say(f"{chosen}\n\nWritten to {folder}")
    say(f"Use it:  {shipping.usage(folder, arguments.out)}")
    return shipping.ship(folder, study, arguments)


def ui(arguments: argparse.Namespace) -> int:
    """Serve MLflow's pages in this process's place."""
    from regsearch.mirror.pages import has_store, page_links, tracking_uri
    from regsearch.storage.store import Store, study_names

    root = Path(arguments.root).absolute()
    if not has_store(root):
        raise NotFound(
            f"There is no MLflow database in {root}, or none that is whole; run a study, or pass its --root."
        )
    if not is_free(arguments.port):
        raise InvalidInput(
            f"--port must be free, {arguments.port} is taken, perhaps by another `ui`; end it, or name another."
        )
    address = f"http://127.0.0.1:{arguments.port}"
    shown = {
        name: page_links(Store(root, name, arguments.storage), address) for name in study_names(root, arguments.storage)
    }
    for name, links in shown.items():
        if links:
            say(f"{name}\n  trials  {links[0]}\n  charts  {links[1]}")
    if arguments.open if arguments.open is not None else can_show():
        show_later(_latest(root, arguments.storage, shown) or address)
    if any(shown.values()):
        say(
            f"Open one of these once MLflow is up, which takes a while, not {address} itself, which knows nothing of "
            "studies (Ctrl-C ends it)."
        )
    else:
        say(f"MLflow at {address} (Ctrl-C ends it)")
    sys.stdout.flush()  # the server takes this process over
    server = ["-m", "mlflow", "ui", "--backend-store-uri", tracking_uri(root), "--port", str(arguments.port)]
    os.execv(sys.executable, [sys.executable, *server])


def _latest(root: Path, storage: str | None, shown: Mapping[str, tuple[str, str] | None]) -> str:
    """The table of the study that ran last; empty where no study has one."""
    from regsearch.storage.store import Store

    links = {Store(root, name, storage).folder: found[0] for name, found in shown.items() if found}
    return links[max(links, key=lambda folder: folder.stat().st_mtime)] if links else ""
