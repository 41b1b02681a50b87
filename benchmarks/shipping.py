"""What shipping costs: an export beyond its refit, one row's prediction, and what loading imports."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import harness

harness.one_thread()

import numpy as np  # noqa: E402

from regsearch import MLP, Float, Net, Study, load, spaces  # noqa: E402
from regsearch import nn_techniques as t  # noqa: E402

ROWS, COLUMNS = (200, 10) if harness.quick() else (5000, 50)
CALLS = 20 if harness.quick() else 300
IMPORTED = """
import json, sys
import regsearch
regsearch.load(sys.argv[1])
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules} & {"optuna", "mlflow", "torch", "numba"})))
"""


def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, COLUMNS))
    return X, X[:, :3].sum(axis=1) + rng.normal(size=ROWS)


def searched(root: str, space: Any, trials: int) -> Study:
    study = Study("shipping", *data(), space=space, cv=3, root=root, tracking=False)
    study.run(trials, quiet=True)
    return study


def net() -> Net:
    """A small net."""
    return Net(MLP(hidden=(32,)), dropout=Float(0, 0.5), early_stopping=t.EarlyStopping(max_epochs=5))


def linear() -> Iterator[harness.Row]:
    """A linear winner."""
    yield from shipped("linear", spaces.linear(), 10, 2.0, 2.0)


def nets() -> Iterator[harness.Row]:
    """A net."""
    yield from shipped("net", net(), 3, 5.0, 5.0)


def shipped(name: str, space: Any, trials: int, export_s: float, predict_ms: float) -> Iterator[harness.Row]:
    """Export, prediction and imports of one family."""
    with tempfile.TemporaryDirectory() as root:
        study = searched(root, space, trials)
        folder = Path(root) / "bundle"
        first = harness.seconds(lambda: study.export(folder))
        best = study.results().best
        sides: list[Callable[[int], object]] = [
            lambda k: study.export(folder), lambda k: best.config.refit(study.problem, study.seed),
        ]  # fmt: skip
        export, refit = map(statistics.median, harness.all_in_turn(sides, 3))
        note = f"refit {refit:.2g} s; the first export of a process takes {first:.2g} s"
        yield harness.Row(f"export of a {name} beyond its refit, s", export - refit, export_s, note)
        model, row = load(folder), data()[0][:1]
        model.predict(row)
        times = [harness.seconds(lambda: model.predict(row)) * 1e3 for _ in range(CALLS)]
        bare = [harness.seconds(lambda: model.model.predict(row)) * 1e3 for _ in range(CALLS)]
        note = f"without the check of the row {statistics.median(bare):.2g} ms"
        yield harness.Row(f"one row predicted by a {name}, ms", statistics.median(times), predict_ms, note)
        command = [sys.executable, "-c", IMPORTED, str(folder)]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        forbidden = len({"optuna", "mlflow"} & set(found))
        yield harness.Row(f"optuna and mlflow imported by load of a {name}", forbidden, 0, f"of the heavy: {found}")


if __name__ == "__main__":
    harness.main((linear, nets), __doc__ or "")
