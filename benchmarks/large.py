"""Data larger than memory: what a search holds beside the mapped file that it reads.

    python benchmarks/large.py [WORD ...] [--rows N] [--json] [--quick]

A file of random numbers is written to a temporary folder (see TMPDIR), and searched by a process of its own. What it
holds is its anonymous memory, the interpreter and all libraries included: pages of the mapped file are not, which the
system takes back as it needs them. The peak is what is looked at every few milliseconds shows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from harness import Row, main, quick

COLUMNS = 50
ROWS = 50_000 if quick() else 5_000_000
NET_ROWS = 200_000 if quick() else 500_000
CLASS_ROWS = 200_000 if quick() else 2_700_000  # too many for a copy
AT_ONCE = 65_536
BAR_GB = 1.0
CLASS_BAR_GB = 2.0  # a few dozen numbers of each row and fold are held, whatever the columns
TRIALS = 20

parser = argparse.ArgumentParser(add_help=False)
parser.add_argument("--rows", type=int, default=ROWS, help="of the regression")


def write(folder: Path, rows: int) -> None:
    """``X.dat`` ``[rows, COLUMNS]`` and ``y.dat`` in single precision: a third of the columns matter."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=COLUMNS) * (np.arange(COLUMNS) % 3 == 0)
    with (folder / "X.dat").open("wb") as X, (folder / "y.dat").open("wb") as y:
        for start in range(0, rows, AT_ONCE):
            block = rng.normal(size=(min(AT_ONCE, rows - start), COLUMNS)).astype(np.float32) + 1
            X.write(block.tobytes())
            y.write((block @ truth + rng.normal(size=len(block))).astype(np.float32).tobytes())


def anonymous_gb() -> float:
    """What this process holds that is no file's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon", "RssShmem"))) / 2**20


def searched(folder: str, kind: str, rows: int, trials: int) -> dict[str, float]:
    """Search the file in this process: seconds, and gigabytes before and at the peak."""
    from regsearch import MLP, ElasticNet, Float, Linear, Net, Study
    from regsearch import Path as Along
    from regsearch import nn_techniques as t

    spaces: dict[str, Any] = {
        "linear": Linear(ElasticNet(Float(0.0, 1.0))),
        "classes": Linear(ElasticNet(Float(0.5, 1.0)), Along(5, ratio=0.1)),
        "net": Net(MLP(hidden=(16,)), dropout=Float(0.0, 0.5), batch_size=4096,
                   early_stopping=t.EarlyStopping(max_epochs=2)),
    }  # fmt: skip
    held, ended = [anonymous_gb()], threading.Event()

    def look() -> None:
        while not ended.wait(0.005):
            held.append(anonymous_gb())

    watch = threading.Thread(target=look)
    watch.start()
    started = time.perf_counter()
    try:
        X = np.memmap(Path(folder) / "X.dat", np.float32, "r", shape=(rows, COLUMNS))
        y: Any = np.memmap(Path(folder) / "y.dat", np.float32, "r", shape=(rows,))
        y = (y > 0).astype(np.int8) if kind == "classes" else y
        study = Study("large", X, y, space=spaces[kind], cv=5, root=Path(folder) / "mlruns", tracking=False)
        study.run(trials, quiet=True)
        spent = time.perf_counter() - started
    finally:
        ended.set()
        watch.join()
    return {"seconds": spent, "before": held[0], "peak": max(held)}


def measured(kind: str, rows: int, trials: int, bar_gb: float = BAR_GB) -> Iterator[Row]:
    """A search of a file by a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), rows)
        size = (Path(folder) / "X.dat").stat().st_size / 2**30
        code = f"import json, large; print(json.dumps(large.searched({folder!r}, {kind!r}, {rows}, {trials})))"
        command = [sys.executable, "-c", code, *sys.argv[1:]]
        here = Path(__file__).resolve().parent
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=here).stdout
    found = json.loads(out.splitlines()[-1])
    note = f"a file of {size:.2f} GB, {trials} trials in {found['seconds']:.0f} s; {found['before']:.2f} GB before"
    yield Row(f"{kind}, {rows}x{COLUMNS}: beside the file, GB", found["peak"], bar_gb, note)


def linear() -> Iterator[Row]:
    """A regression, from moments that are formed by blocks of rows."""
    yield from measured("linear", parser.parse_known_args()[0].rows, 3 if quick() else TRIALS)


def net() -> Iterator[Row]:
    """A net that reads batches from the file."""
    yield from measured("net", NET_ROWS, 2)


def classes() -> Iterator[Row]:
    """A logistic regression, whose every step reads the file."""
    yield from measured("classes", CLASS_ROWS, 2, CLASS_BAR_GB)


if __name__ == "__main__":
    main([linear, net, classes], "Data larger than memory: what a search holds beside the mapped file.", [parser])
