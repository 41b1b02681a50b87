"""How long MLflow's pages of a large study take to show what a user came for, in a real headless Chromium.

    python benchmarks/browsing.py [WORD ...] [--json] [--quick]

A study of 2,000 trials with paths of 50 points is mirrored as the search does it, `mlflow server` serves the SQLite
file, and each page is opened in a fresh browser profile, with the server warm: what counts is the time from the address
to the trials in the table, the points in the scatter, the summary on the parent's page. The median of three.
"""

# ruff: noqa: E402 - the number of threads must be set before numpy loads
from __future__ import annotations

import sys
from pathlib import Path

from harness import Row, main, one_thread, quick, seconds

one_thread()
sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "tests")]

import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from browser import launched, opened
from mlflow_stores import free_port, serving
from playwright.sync_api import Browser, Locator, Page
from samples import study

from regsearch.mirror import Mirror, Ready
from regsearch.mirror.content import study_record, summary_record, trial_record, view_of
from regsearch.mirror.view import links
from regsearch.results.report import note
from regsearch.results.results import Results
from regsearch.storage.trial import Trial

TRIALS = 60 if quick() else 2_000
SEARCHED = 40  # trials that are really searched; the others are theirs again under other numbers and scores
ROUNDS = 1 if quick() else 3
BAR_S = 5.0


@dataclass(frozen=True)
class Site:
    """The pages of one mirrored study."""

    server: str
    ready: Ready
    browser: Browser

    def median(self, address: str, shown: Callable[[Page], Locator]) -> float:
        """Seconds from the address to what is shown."""
        spent = []
        for _ in range(ROUNDS):
            with opened(self.browser) as page:
                spent.append(seconds(partial(self._visit, page, address, shown)))
        return statistics.median(spent)

    def _visit(self, page: Page, address: str, shown: Callable[[Page], Locator]) -> None:
        page.goto(address)
        shown(page).wait_for()


def many(results: Results) -> Iterator[Trial]:
    """The trials of a study again and again, each with scores of its own."""
    random = np.random.default_rng(0)
    for number in range(TRIALS):
        trial = results.complete[number % len(results.complete)]
        shift = random.normal() * 0.01
        points = {name: replace(point, val=point.val + shift) for name, point in trial.points.items()}
        yield replace(trial, number=number, points=points)


def mirrored(root: Path) -> tuple[Ready, float]:
    """Write the study to MLflow; its parent run, and the seconds that it took."""
    one = study(root, "large")
    results = one.run(SEARCHED, quiet=True)
    trials = list(many(results))
    trajectories = [results.trajectory(trial.number) for trial in results.complete]

    def write() -> Ready:
        with Mirror(f"sqlite:///{root / 'mlflow.db'}", root / "artifacts") as mirror:
            mirror.start(study_record(results.identity, view_of(results.identity["metrics"], one.space)))
            for trial in trials:
                mirror.send(
                    trial_record(trial, trajectories[trial.number % len(trajectories)], results.metric, results.name)
                )
            best, end = results.complete[0], max(trial.end_ms for trial in trials)
            mirror.finish(summary_record("COMPLETE", end, trials, results.metric, best, {}, note(results), ()))
            assert mirror.drain().complete
            ready = mirror.wait_ready()
            assert ready is not None
            return ready

    found: list[Ready] = []
    spent = seconds(lambda: found.append(write()))
    return found[0], spent


@contextmanager
def site() -> Iterator[tuple[Site, float]]:
    """A served study and a browser; the seconds that mirroring took."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        ready, spent = mirrored(root)
        with serving(root, free_port()) as server, launched() as browser:
            yield Site(server, ready, browser), spent


def pages() -> Iterator[Row]:
    """The table of trials, the charts, the parent run."""
    with site() as (here, spent):
        table, charts = links(here.server, here.ready.view)
        parent = f"{here.server}/#/experiments/{here.ready.experiment_id}/runs/{here.ready.run_id}"
        points = min(TRIALS, 100)
        todo: tuple[tuple[str, str, Callable[[Page], Locator]], ...] = (
            ("table shows trials, s", table, lambda page: page.locator('.ag-row [col-id^="metrics."]').first),
            ("charts are drawn, s", charts, lambda page: page.locator(".js-plotly-plot .point").nth(points - 1)),
            ("parent shows its summary, s", parent, lambda page: page.get_by_role("link", name="All trials")),
        )
        here.median(table, todo[0][2])  # the server's first answer loads its modules
        for name, address, shown in todo:
            yield Row(name, here.median(address, shown), BAR_S, f"{TRIALS} trials, mirrored in {spent:.0f} s")


if __name__ == "__main__":
    main((pages,), __doc__ or "")
