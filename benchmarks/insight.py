"""What it takes to read a large study: the whole analysis, and opening its report in a browser.

The study is synthetic, 2,000 trials of 10 folds and 100 lambdas, and stored as a search stores it. All figures are
seconds; those of the browser are told by the page itself, from the moment that it is asked for.
"""

from __future__ import annotations

from harness import Row, main, one_thread, quick, seconds

one_thread()

import tempfile  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from contextlib import ExitStack  # noqa: E402
from pathlib import Path  # noqa: E402
from shutil import which  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

from regsearch import ElasticNet, Linear, Study, spaces  # noqa: E402
from regsearch import Path as Along  # noqa: E402
from regsearch.models.base import Candidate, Outcome  # noqa: E402
from regsearch.models.path import Curves, Trajectory  # noqa: E402
from regsearch.results.report import write_report  # noqa: E402
from regsearch.results.results import Results, load_results  # noqa: E402
from regsearch.results.rules import RULES  # noqa: E402
from regsearch.space.params import parameter_names  # noqa: E402
from regsearch.storage.optuna_study import OptunaStudy  # noqa: E402
from regsearch.storage.store import Store  # noqa: E402
from regsearch.storage.trial import ATTRIBUTE, Trial  # noqa: E402

TRIALS = 60 if quick() else 2000
ROWS, FOLDS, STEPS = 1000, 10, 100
SCALES = ("standard", "minmax", "none")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ANALYSIS_S, OPEN_S, WHOLE_S = 10.0, 1.0, 1.5
OPENINGS = 5
# When the first figure is there, and when all of its trials are: a page says so itself, sooner than it can be asked.
WATCH = """
  globalThis.seen = {};
  const look = () => {
    const marks = document.querySelectorAll(".canvas .main-svg .points path").length;
    if (marks) seen.first ??= performance.now();
    if (marks >= TRIALS) return seen.whole = performance.now();
    requestAnimationFrame(look);
  };
  look();
"""


def made(root: Path) -> Store:
    """A study as 2,000 trials would leave it, without a fit."""
    import optuna

    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, 8))
    y = (X[:, 0] + rng.normal(size=ROWS) > 0).astype(int)
    study = Study("large", X, y, space=spaces.linear(), cv=FOLDS, root=root, tracking=False)
    study.store.prepare()
    OptunaStudy.open(study.store, study._identity())
    stored = optuna.load_study(study_name=study.name, storage=study.store.optuna())
    study.store.save_folds(study.folds, study.setup.averaging)
    study.store.save_targets(study.problem)
    for number in range(TRIALS):
        outcome = one(number, rng, study)
        study.store.save(number, outcome.trajectory, outcome.predictions, outcome.along)
        attribute = Trial.from_outcome(outcome, {}, parameter_names(study.space), 0, 0).to_attribute()
        stored.add_trial(optuna.trial.create_trial(value=outcome.point.val, user_attrs={ATTRIBUTE: attribute}))
    return study.store


def one(number: int, rng: np.random.Generator, study: Study) -> Outcome:
    """A trial whose validation score has a top along lambda, the higher the nearer its L1 ratio is to a half."""
    ratio = float(rng.uniform(0.05, 0.95))
    config = Linear(ElasticNet(ratio), lambda_=Along(STEPS), scale=SCALES[number % 3])
    axis = np.logspace(0, -4, STEPS)
    top = -0.45 - 0.1 * (ratio - 0.5) ** 2 - 0.02 * (np.log10(axis) + 2) ** 2 + 0.002 * rng.normal()
    val = top + rng.normal(scale=0.03, size=(FOLDS, 1))
    train = val + 0.02 * (1 - np.log10(axis))
    decisions = study.problem.X[:, :1] * 2 + rng.normal(scale=0.3, size=(ROWS, 1))
    candidate = Candidate(number, config) if number else Candidate(0, study.space.reference(), "reference")
    trajectory = Trajectory(axis, {study.setup.metrics[0].name: Curves(train, val)}, np.full(val.shape, 8.0))
    return Outcome(candidate, "complete", trajectory, int(np.argmax(top)), decisions, seconds=0.1)


def analysed(store: Store, file: Path) -> Results:
    """Everything that a report is made of, from what is stored to the page."""
    results = load_results(store)
    for rule in RULES:
        results.choose(rule)
    _ = results.corrected, results.advice
    write_report(results, file)
    return results


def openings(file: Path) -> Iterator[dict[str, float]]:
    """Milliseconds until a page has its first figure, and every trial in it, in fresh tabs of a running Chromium."""
    from playwright.sync_api import sync_playwright

    with ExitStack() as stack:
        playwright: Any = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(
            executable_path=next(filter(None, map(which, BROWSERS))), args=["--no-sandbox"]
        )
        stack.callback(browser.close)
        for _ in range(OPENINGS):
            tab = browser.new_context().new_page()
            tab.add_init_script(WATCH.replace("TRIALS", str(TRIALS - 1)))  # the reference may lie outside the frame
            tab.goto(file.as_uri())
            tab.wait_for_function("seen.whole")
            yield tab.evaluate("seen")
            tab.context.close()


def insight() -> Iterator[Row]:
    """The analysis of a large study, and its report in a browser."""
    with tempfile.TemporaryDirectory() as folder:
        store = made(Path(folder))
        file = Path(folder) / "report.html"
        spent = seconds(lambda: analysed(store, file))
        yield Row("seconds: whole analysis", spent, ANALYSIS_S, f"{TRIALS} trials, {FOLDS} folds, {STEPS} lambdas")
        size = f"{file.stat().st_size / 1e6:.1f} MB"
        opened = [*openings(file)]
        first, whole = (min(one[what] for one in opened) / 1e3 for what in ("first", "whole"))
        yield Row("seconds: report open, first figure drawn", first, OPEN_S, size)
        yield Row("seconds: report open, every trial in it", whole, WHOLE_S)


if __name__ == "__main__":
    main([insight], __doc__)
