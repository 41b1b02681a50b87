"""The commands that run studies and ship what they chose: run, sync, list, show, export, ui."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from regsearch.cleaning import printable, say
from regsearch.cli import shipping
from regsearch.cli.stored import find_own_rule, results_of, results_with_files, study_again, study_of
from regsearch.errors import NotFound, RegsearchError
from regsearch.study.arguments import INTERRUPTED

if TYPE_CHECKING:
    from regsearch.results.choice import Chosen
    from regsearch.results.results import Results
    from regsearch.results.table import Table

FINISHED = ("complete", "pruned", "failed")


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


def list_(arguments: argparse.Namespace) -> int:
    """List the studies under a root."""
    from regsearch.results.table import Table
    from regsearch.storage.store import study_names

    def row(name: str) -> list[str]:
        try:
            return _list_row(results_of(arguments, name))
        except RegsearchError as error:  # one that cannot be read must not hide the others
            return [name, *("-" for _ in (*FINISHED, "score", "gap")), str(error)]

    names = study_names(arguments.root, arguments.storage)
    if not names:
        say(f"No study under {Path(arguments.root).absolute()}; `regsearch run SCRIPT` starts one.")
        return 0
    say(Table(("study", *FINISHED, "score", "gap", "metric"), [*map(row, names)], words={"study", "metric"}).text())
    return 0


def _list_row(results: Results) -> list[str]:
    point = results.point(results.candidates[0]) if results.complete else None
    figures = [f"{point.val:.5g}", f"{point.gap:.3g}"] if point else ["-", "-"]
    return [results.name, *(str(results.counts[state]) for state in FINISHED), *figures, results.metric_label]


def show(arguments: argparse.Namespace) -> int:
    """Show what a rule chooses, what to make of it, and the best trials."""
    from regsearch.results.formatting import json_safe

    if arguments.flavor:
        return shipping.show_code(arguments)
    results = results_with_files(arguments, arguments.study)
    find_own_rule(arguments.rule, arguments.script or str(results.identity["script"]))
    chosen, corrected = results.choose(arguments.rule), results.correct(arguments.rule)
    top = results.top(arguments.top)
    if arguments.json:
        document = {
            "study": results.name, "metric": results.metric, "weighted": results.weighted,
            "test_weighted": results.test_weighted, "counts": results.counts, "rule": chosen.rule,
            "why": chosen.why, "chosen": chosen.row(), "corrected": json_safe(vars(corrected)),
            "advice": [str(one) for one in results.advice], "top": [one.row() for one in top],
        }  # fmt: skip
        print(json.dumps(document, allow_nan=False))
        return 0
    say(f"{results.name}: " + ", ".join(f"{count} {state}" for state, count in results.counts.items() if count))
    say(f"\n{arguments.rule}: {chosen}\n")
    if corrected.score is not None:
        say(f"{corrected}\n")
    if results.advice:
        say("\n".join(f"- {printable(one)}" for one in results.advice) + "\n")
    say(_top_table(top).text())
    return 0


def _top_table(top: list[Chosen]) -> Table:
    """A row for each trial; only those that were the best when they finished have a test score."""
    from regsearch.metrics.scorer import label_of
    from regsearch.results.choice import describe
    from regsearch.results.table import Table

    held_out = [label_of("test", top[0].test_weighted)] if any(one.test for one in top) else []
    rows = []
    for one in top:
        point, score = one.point, one.test.get(one.metric)
        figures = [f"{point.val:.5g}", f"{point.val_se:.2g}", f"{point.train:.5g}", f"{point.gap:.3g}"]
        tests = ["-" if score is None else f"{score:.5g}" for _ in held_out]
        rows.append([one.number, *figures, *tests, describe(one.trial, {**one.settings, **one.measures}, " ")])
    head = ("trial", label_of("score", top[0].weighted), "se", "train", "gap", *held_out, "config")
    return Table(head, rows, words={"config"})


def export(arguments: argparse.Namespace) -> int:
    """Refit a choice and write its bundle."""
    shipping.check(arguments)
    study = study_again(arguments, "An export")
    folder = study.export(arguments.out, arguments.rule)
    say(f"{study.results().choose(arguments.rule)}\n\nWritten to {folder}")
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
    address = f"http://127.0.0.1:{arguments.port}"
    say(f"MLflow at {address} (Ctrl-C ends it)")
    for name in study_names(root, arguments.storage):
        links = page_links(Store(root, name, arguments.storage), address)
        if links:
            say(f"{name}\n  trials  {links[0]}\n  charts  {links[1]}")
    sys.stdout.flush()  # the server takes this process over
    server = ["-m", "mlflow", "ui", "--backend-store-uri", tracking_uri(root), "--port", str(arguments.port)]
    os.execv(sys.executable, [sys.executable, *server])
