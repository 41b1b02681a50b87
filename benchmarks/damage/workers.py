"""Deaths of workers: a process that evaluates, or the one that searches, is killed at a random moment."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from damage.kills import SPACES, TRIALS, study
from damage.section import Attempt, section
from regsearch import Study
from regsearch.results.results import load_results

WORKERS = 2
ROUND = 3  # kills of one study
APART_S = 4.0  # at most, between two of them


def victims(process: multiprocessing.process.BaseProcess) -> list[int]:
    """The process that searches, and all that it has started."""
    with suppress(psutil.Error):
        return [process.pid or 0, *(one.pid for one in psutil.Process(process.pid).children(recursive=True))]
    return []


def killed_at_random(one: Study, draw: random.Random, kills: int) -> int:
    """Run a study to its end, and kill some of its processes on the way: how many were."""
    context, done = multiprocessing.get_context("fork"), 0
    while True:
        process = context.Process(target=lambda: one.run(TRIALS, workers=WORKERS, quiet=True))
        process.start()
        while process.is_alive():
            process.join(draw.uniform(0.0, APART_S) if done < kills else None)
            found = victims(process) if process.is_alive() else []
            if found:
                with suppress(ProcessLookupError):
                    os.kill(draw.choice(found), signal.SIGKILL)
                    done += 1
        if process.exitcode == 0:
            return done


def problem_of(one: Study) -> str:
    """What is wrong with a study that has come to its end."""
    results = load_results(one.store, one.space)
    ended = [trial.number for trial in results.all if trial.state in ("complete", "pruned")]
    return "" if ended == list(range(TRIALS)) else f"it has {results.counts}, of {len(results.all)} trials"


@section(count=50)
def workers(count: int, seed: int) -> Iterator[Attempt]:
    """Whoever is killed, a worker or the process that searches, every trial comes to its end, once."""
    draw, number = random.Random(seed), 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        while number < count:
            kind = draw.choice([*SPACES])
            one = study(Path(folder, str(number)), kind, tracking=False)
            number += (kills := killed_at_random(one, draw, min(ROUND, count - number)))
            for _ in range(kills):
                yield Attempt(f"kill {number} with {WORKERS} workers, {kind}", problem_of(one))
