"""Kills: a search that is ended at a random moment by a signal that no process can catch."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import signal
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sklearn.linear_model import Ridge

from damage.section import Attempt, section
from damage.stored import in_order
from regsearch import Estimator, Float, Study, spaces
from regsearch.models.base import Model
from regsearch.results.results import load_results

TRIALS = 40
ROUND = 3  # kills of one root: the first hits its first two seconds
TRACKED = 1 / 4  # of the roots have an MLflow
FIRST_S, LATER_S = 2.0, 1.0
RIDGE = Estimator(Ridge(), {"alpha": Float(0.01, 100.0, log=True)})
SPACES: dict[str, Model] = {"linear": spaces.linear(), "estimator": RIDGE}


def study(root: Path, kind: str, tracking: bool) -> Study:
    """A small study whose trials depend on nothing but its seed."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(60, 8))
    y = X @ generator.normal(size=8) + generator.normal(size=60)
    return Study("killed", X, y, space=SPACES[kind], root=root, tracking=tracking)


def killed(one: Study, after_s: float) -> bool:
    """Run a study in a process of its own, and kill that after some seconds: whether it still ran."""
    process = multiprocessing.get_context("fork").Process(target=lambda: one.run(TRIALS, quiet=True))
    process.start()
    process.join(after_s)
    running = process.is_alive()
    if running:
        os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    return running


def problem_of(one: Study, expected: list[float], before: int) -> tuple[str, int]:
    """What is wrong with a study after a kill, and how many of its trials are finished: never fewer than before."""
    if not one.store.exists or not one.store.has_files:
        return "", 0
    results = load_results(one.store, one.space)
    found = in_order(results)
    if results.counts["failed"] or results.counts["damaged"]:
        return f"it has {results.counts}", len(found)
    if found != expected[: len(found)] or len(found) < before:
        return f"{len(found)} trials are finished, after {before}, or have other scores", len(found)
    return "", len(found)


def ending(one: Study, expected: list[float]) -> str:
    """What is wrong with a study that goes on to its end."""
    with warnings.catch_warnings(record=True) as said:
        results = one.run(TRIALS, quiet=True)
    left = [str(part) for part in one.store.folder.rglob(".*.part")] + [str(one.message) for one in said]
    return "" if in_order(results) == expected and not left else f"it ended otherwise, and left {left}"


@section(count=100)
def kills(count: int, seed: int) -> Iterator[Attempt]:
    """What was finished is never lost, nothing counts as failed, and the study ends as one that was not killed."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # an orphan may still write to MLflow
        whole = {kind: in_order(study(Path(folder, kind), kind, False).run(TRIALS, quiet=True)) for kind in SPACES}
        number = 0
        for root in itertools.count():
            kind = draw.choice([*SPACES])
            one, finished = study(Path(folder, str(root)), kind, tracking=draw.random() < TRACKED), 0
            for first in (True, *[False] * (ROUND - 1)):
                after_s = draw.uniform(0.0, FIRST_S if first else LATER_S)
                if number == count or not killed(one, after_s):
                    break  # it had ended before
                problem, finished = problem_of(one, whole[kind], finished)
                number += 1
                yield Attempt(f"kill {number} of {kind} after {after_s:.3f} s, {finished} finished", problem)
            if problem := ending(one, whole[kind]):
                yield Attempt(f"the end of {kind} after {number} kills", problem)
            if number == count:
                return
