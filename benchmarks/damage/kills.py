"""Kills: a search that is ended at a random moment by a signal that no process can catch."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from damage.section import Attempt, section
from regsearch import Study, spaces
from regsearch.results.results import Results, load_results

TRIALS = 12
FRESH = 3  # of so many kills one hits the first two seconds of a root
FIRST_S, LATER_S = 2.0, 0.6
Scores = dict[int, float]


def study(root: Path) -> Study:
    """A study of linear models without MLflow, whose trials depend on nothing but its seed."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(60, 8))
    y = X @ generator.normal(size=8) + generator.normal(size=60)
    return Study("killed", X, y, space=spaces.linear(), root=root, tracking=False)


def scores(results: Results) -> Scores:
    """The scores of complete trials by number, each with its arrays read."""
    return {trial.number: results.curves(trial.number).mean()[trial.step] for trial in results.complete}


def killed(root: Path, after_s: float) -> None:
    """Run the study in a process of its own, and kill that after some seconds if it still runs."""
    process = multiprocessing.get_context("fork").Process(target=lambda: study(root).run(TRIALS, quiet=True))
    process.start()
    process.join(after_s)
    if process.is_alive():
        os.kill(process.pid or 0, signal.SIGKILL)
    process.join()


def problem_of(root: Path, expected: Scores) -> str:
    """What is wrong with a study after a kill: a finished trial that is not what it must be, or cannot be read."""
    one = study(root)
    if not one.store.exists:
        return ""
    found = scores(load_results(one.store, one.space))
    wrong = sorted(number for number, score in found.items() if score != expected[number])
    return f"trials {wrong} have other scores" if wrong else ""


@section(count=100)
def kills(count: int, seed: int) -> Iterator[Attempt]:
    """A finished trial is never lost, and the study ends with the trials of one that was not killed."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        expected = scores(study(Path(folder, "whole")).run(TRIALS, quiet=True))
        root = Path(folder, "killed")
        for number in range(count):
            first = number % FRESH == 0
            if first:
                shutil.rmtree(root, ignore_errors=True)
            after_s = draw.uniform(0.0, FIRST_S if first else LATER_S)
            killed(root, after_s)
            problem = problem_of(root, expected)
            if not problem and number % FRESH == FRESH - 1:
                problem = "" if scores(study(root).run(TRIALS, quiet=True)) == expected else "it ended otherwise"
            yield Attempt(f"kill {number} after {after_s:.3f} s", problem)
