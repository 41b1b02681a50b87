"""Replays of recorded searches: which trials to give up, when, and what should propose the next.

    python benchmarks/replay.py record digits
    python benchmarks/replay.py rungs --write
    python benchmarks/replay.py samplers --write
    python benchmarks/replay.py estimators --write

`record` trains random configs without pruning, all folds to the last epoch, and keeps their curves in `build/replay`;
it can be killed and goes on where it was. The rest is computed from these curves: `rungs` gives up trials of random
searches of recorded configs, `samplers` lets samplers propose configs to a surrogate that was fitted to them. The names
of sets choose these, and ``--write`` puts the figures into the page of the docs. `estimators` needs no recording: it
fits scikit-learn's estimators of sets of its own, and gives them up between folds.
"""

from __future__ import annotations

from harness import one_thread

one_thread()

import argparse  # noqa: E402
import re  # noqa: E402
import sys  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402

from replays import estimators, rungs, samplers  # noqa: E402
from replays.recording import SETS, RecordedSet  # noqa: E402
from replays.rungs import Recorded  # noqa: E402

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks" / "search.md"
ARRIVALS = ((60, 16), (60, 1), (200, 16))  # trials of a search, and how many of them come together


def record(sets: list[RecordedSet]) -> Iterator[str]:
    """Record what is not recorded yet."""
    for one in sets:
        one.record()
        yield f"{one.name}: {one.what}"


def rung_lines(sets: list[RecordedSet]) -> Iterator[str]:
    """What schedules of rungs cost, and how often they lose the winner."""
    recorded = {one.name: Recorded.of(one.curves(), one.updates) for one in sets}
    for trials, together in ARRIVALS:
        yield f"at most {trials} trials, {together} at a time: epochs that are spent, searches that lose the winner"
        yield from rungs.table(recorded, trials, together)
        yield ""


def sampler_lines(sets: list[RecordedSet]) -> Iterator[str]:
    """What samplers take until the script's best, and what a proposal costs."""
    yield "epochs until the script's best over those of the script: median, and how many seeds arrived"
    yield from samplers.table(sets)
    yield ""
    yield f"CPU of a proposal, {sets[0].name}"
    yield from samplers.costs(sets[0])


def estimator_lines(sets: list[RecordedSet]) -> Iterator[str]:
    """What is saved and lost where estimators are given up between folds."""
    yield from estimators.table((60, 120))


WHAT = {"record": record, "rungs": rung_lines, "samplers": sampler_lines, "estimators": estimator_lines}


def rewritten(page: str, what: str, lines: list[str]) -> str:
    """A page with new figures in the block of that name."""
    figures = "\n".join(lines).strip()
    return re.sub(rf"(<!-- {what} -->\n```text\n).*?\n```", lambda found: f"{found[1]}{figures}\n```", page, flags=re.S)


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=WHAT)
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(SETS)} (default all)")
    parser.add_argument("--write", action="store_true", help="put the figures into the page of the docs")
    arguments = parser.parse_args()
    unknown = set(arguments.sets) - set(SETS)
    if unknown:
        parser.error(f"there is no set {', '.join(sorted(unknown))}; there are {', '.join(SETS)}")
    lines = []
    for line in WHAT[arguments.what]([SETS[name] for name in arguments.sets or SETS]):
        lines.append(line)
        print(line, flush=True)
    if arguments.write:
        PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8"), arguments.what, lines), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
