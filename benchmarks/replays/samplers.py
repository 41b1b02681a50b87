"""Samplers replayed against a sequential script: Optuna's default sampler, no pruning, sixty trials.

Figures are epochs of one fold until the script's best score, over those of the whole script. An epoch costs the script
more than ten times what it costs a stack (`neural.py`): here, both count alike.
"""

from __future__ import annotations

import json
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from regsearch._types import Array
from regsearch.space.sampling import sample
from replays.recording import FOLDER, RecordedSet
from replays.searching import Replay
from replays.surrogate import KINDS, surrogate

SCRIPT_TRIALS, MOST_TRIALS, SEEDS = 60, 200, 10
AHEAD = (50, 150, 300)  # finished trials, at which a proposal is timed


def _default(replay: Replay, count: int) -> Any:
    return replay.default.at(count)


def _tpe(replay: Replay, count: int) -> Any:
    """What the default sampler is where its process does not serve."""
    sampler: Any = replay.default.at(count)
    sampler.process = None
    return sampler


def _multivariate(replay: Replay, count: int) -> Any:
    from optuna.samplers import TPESampler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is experimental
        return TPESampler(seed=1000 * replay.seed + count, multivariate=True, group=True, constant_liar=True)


def _optunas_process(replay: Replay, count: int) -> Any:
    from optuna.samplers import GPSampler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is experimental
        return GPSampler(seed=1000 * replay.seed + count, n_startup_trials=8)


def _random(replay: Replay, count: int) -> Any:
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=1000 * replay.seed + count)


SAMPLERS: Mapping[str, Callable[[Replay, int], Any]] = {
    "TPE": _tpe, "multivariate TPE": _multivariate, "regsearch": _default,
}  # fmt: skip


@dataclass(frozen=True)
class Script:
    """The other side with one seed: its best score, and what it spent."""

    best: float
    spent: float


@cache
def script(recorded: RecordedSet, kind: str, seed: int) -> Script:
    """The script with a seed."""
    from optuna.samplers import TPESampler

    sampler = TPESampler(seed=seed)
    replay = Replay(recorded.space, surrogate(recorded, kind), lambda _, count: sampler, seed, updates=0, in_flight=1)
    replay.run(SCRIPT_TRIALS, starts=False)
    return Script(max(replay.scores), replay.now)


def ratios(recorded: RecordedSet, kind: str, name: str) -> list[float]:
    """What it takes until the script's best, over what the script takes, by seed; infinite where it did not come.

    Kept in a file: a run that is killed goes on where it was.
    """
    file = FOLDER / f"{recorded.name}_{kind}_{name.replace(' ', '_')}.json"
    found = [float(one) for one in json.loads(file.read_text())] if file.exists() else []
    for seed in range(len(found), SEEDS):
        theirs = script(recorded, kind, seed)
        replay = Replay(recorded.space, surrogate(recorded, kind), SAMPLERS[name], seed, recorded.updates)
        found.append(replay.run(MOST_TRIALS, theirs.spent).reach(theirs.best) / theirs.spent)
        file.write_text(json.dumps(found))
    return found[:SEEDS]


def table(sets: list[RecordedSet]) -> Iterator[str]:
    """Lines: medians over seeds, and how many of them arrived."""
    yield f"{'set':10}{'surrogate':12}" + "".join(f"{name:>20}" for name in SAMPLERS)
    for recorded in sets:
        for kind in KINDS:
            cells = []
            for name in SAMPLERS:
                found = ratios(recorded, kind, name)
                median, came = statistics.median(found), sum(np.isfinite(found))
                cells.append(f"{median:.2f} ({came}/{SEEDS})" if np.isfinite(median) else f"- ({came}/{SEEDS})")
            yield f"{recorded.name:10}{kind:12}" + "".join(f"{cell:>20}" for cell in cells)


def costs(recorded: RecordedSet) -> Iterator[str]:
    """Lines: CPU milliseconds of a proposal after so many trials, sixteen proposals to a set of finished ones."""
    curve = surrogate(recorded, KINDS[0])
    named = {**SAMPLERS, "Optuna's GPSampler": _optunas_process}
    yield f"{'trials':10}" + "".join(f"{name:>20}" for name in named)
    for trials in AHEAD:
        cells = [f"{1000 * _proposal(recorded, curve, sampling, trials):.0f} ms" for sampling in named.values()]
        yield f"{trials:<10}" + "".join(f"{cell:>20}" for cell in cells)


def _proposal(recorded: RecordedSet, curve: Callable[[dict[str, Any]], Array], sampling: Any, trials: int) -> float:
    """Seconds of CPU of a proposal once so many trials are finished."""
    replay = Replay(recorded.space, curve, _random, 0, recorded.updates).run(trials)
    started = time.process_time()
    for i in range(16 if sampling is not _optunas_process else 2):
        replay.view.sampler = sampling(replay, trials + i)
        sample(recorded.space, replay.view.ask())
    return (time.process_time() - started) / (i + 1)
