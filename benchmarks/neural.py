"""Searches of neural nets against a PyTorch training loop, skorch and a sequential Optuna script.

    python benchmarks/neural.py [WORD ...] [--json] [--quick]

Both sides get the same nets, data, folds, epochs, batches and techniques (`loop.py` says what the other side does and
leaves out), measure both losses after each epoch, run in turn in one process, and were warmed up. One thread, unless a
row says otherwise.
"""

# ruff: noqa: E402 - the number of threads must be set before numpy loads
from __future__ import annotations

from harness import Row, all_in_turn, cpu_seconds, main, one_thread, paired, quick, seconds

one_thread()

import multiprocessing
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from loop import Split, fit, fit_skorch
from searches import Compared, Problem, Sizes, compare_seeds, rows, search
from sklearn.datasets import load_breast_cancer, load_digits, make_classification
from sklearn.model_selection import StratifiedKFold

from regsearch import CNN, MLP, Float, Net
from regsearch import nn_techniques as t
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Candidate, Outcome, Setup
from regsearch.models.neural.training.stack import Stack
from regsearch.space.sampling import fill, random_params
from regsearch.study.proposals.sampler import DefaultSampler

SEED = 0
FOLDS = 5
TRIALS = 32  # of a stack
PERCEPTRON = MLP(hidden=(64, 64))  # of searches
SHOWN = 50  # epochs of the fits that notes count
SEARCHED: list[Compared] = []  # of all sets that this program has searched, by seed


@dataclass(frozen=True)
class Scale:
    """How much is run."""

    rounds: int = 3  # of a comparison
    seeds: int = 3  # of a search
    horizon: int = 100  # most epochs of a trial of the whole search
    cnn_trials: int = 16
    cnn_epochs: int = 27


def scale() -> Scale:
    return Scale(1, 1, 6, 6, 4) if quick() else Scale()


def space(hidden: tuple[int, ...], stopping: Any) -> Net:
    """A perceptron with every technique on."""
    return everything(MLP(hidden=hidden), stopping)


def everything(module: Any, stopping: Any, **more: Any) -> Net:
    """Every technique of tables on, and more."""
    return Net(
        module, lr=Float(3e-4, 3e-2, log=True), penalty=t.ElasticNetPenalty(Float(1e-6, 1e-3, log=True)),
        weight_decay=t.WeightDecay(), dropout=t.Dropout(Float(0.01, 0.5)),
        input_dropout=t.InputDropout(Float(0.01, 0.3)), input_noise=t.InputNoise(Float(1e-3, 0.5, log=True)),
        label_smoothing=t.LabelSmoothing(Float(1e-3, 0.2)), gradient_clipping=t.GradientClipping(),
        max_norm=t.MaxNorm(), schedule=t.Cosine(), averaging=t.Ema(0.99),
        early_stopping=stopping, **more,
    )  # fmt: skip


@cache
def digits() -> tuple[Any, Any]:
    X, y = load_digits(return_X_y=True)
    return X, y


@cache
def images() -> tuple[Any, Any]:
    X, y = digits()
    return X.reshape(-1, 8, 8), y


def grey() -> tuple[Any, Any]:
    """The images with an axis for their one channel, as a plain module reads them."""
    X, y = images()
    return X[:, None], y


@cache
def cancer() -> tuple[Any, Any]:
    X, y = load_breast_cancer(return_X_y=True)
    return X, y


@cache
def synthetic() -> tuple[Any, Any]:
    X, y = make_classification(5000, 20, n_informative=10, n_classes=3, random_state=SEED)
    return X, y


def setup_of(X: Any, y: Any, n_jobs: int | None = 1, folds: int = FOLDS, seed: int = SEED) -> Setup:
    """Folds do not depend on the seed of the search."""
    problem = make_problem(X, y)
    pairs = StratifiedKFold(folds, shuffle=True, random_state=SEED).split(np.zeros(len(y)), y)
    return Setup(problem, make_folds(list(pairs), problem, SEED), resolve(None, problem), seed, n_jobs)


def splits(setup: Setup, device: str = "cpu") -> list[Split]:
    """What the other side trains on: the same rows of the same folds."""
    pairs = zip(setup.folds.train, setup.folds.val, strict=True)
    return [Split.of(np.asarray(setup.problem.X), setup.problem.y, *pair, device) for pair in pairs]


def drawn(net: Net, count: int) -> list[Net]:
    """Configs at random."""
    random = np.random.default_rng(SEED)
    return [fill(net, random_params(net, random)) for _ in range(count)]


def trained(setup: Setup, configs: list[Net], stack: Stack | None = None) -> list[Outcome]:
    """A whole stack without pruning, from making its folds to the predictions of the last trial."""
    stack = stack or Stack(setup)
    outcomes = list(stack.stream(Candidate(i, config) for i, config in enumerate(configs)))
    if any(outcome.state != "complete" for outcome in outcomes):
        raise RuntimeError(next(outcome.reason for outcome in outcomes if outcome.state != "complete"))
    return outcomes


@cache
def warm_up() -> None:
    """What is slow the first time on either side."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    X, y = digits()
    setup = setup_of(X[:300], y[:300], n_jobs=2, folds=2)
    config = drawn(space((8,), t.FixedEpochs(2)), 1)[0]
    trained(setup, [config])
    fit(config, splits(setup)[0], 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit_skorch(config, splits(setup)[0], 2)


# --- fold-fits -----------------------------------------------------------------------------------------------------


def fit_rows(name: str, data: Callable[[], Any], hidden: tuple[int, ...], bar: float, epochs: int) -> Iterator[Row]:
    """CPU seconds of a fold-fit: 5 folds x 32 trials in one stack, against the loop and skorch, a fit at a time.

    The other side fits one config of the 32 on one fold in each round, for as many epochs.
    """
    warm_up()
    size, trials = scale(), 4 if quick() else TRIALS
    setup = setup_of(*data())
    configs, folds = drawn(space(hidden, t.FixedEpochs(epochs)), trials), splits(setup)

    def others(k: int, one: Callable[..., Any]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one(configs[k], folds[k % FOLDS], epochs)

    sides = (lambda k: trained(setup, configs), partial(others, one=fit), partial(others, one=fit_skorch))
    ours, loop, skorch = all_in_turn(sides, size.rounds, cpu_seconds)
    ours = [spent / (trials * FOLDS) for spent in ours]
    for other, theirs, most in (("a PyTorch loop", loop, bar), ("skorch", skorch, 1.0)):
        yield Row(f"{name}: fold-fit, {other}", paired(ours, theirs), most, _per_minute(ours, theirs, epochs))


def _per_minute(ours: list[float], theirs: list[float], epochs: int) -> str:
    mine, other = (60 * epochs / SHOWN / statistics.median(side) for side in (ours, theirs))
    return f"{mine:.0f} / {other:.0f} fits of {SHOWN} epochs per CPU-minute"


def fits_digits_64() -> Iterator[Row]:
    yield from fit_rows("digits, 2x64", digits, (64, 64), 1 / 7, 10)


def fits_digits_128() -> Iterator[Row]:
    yield from fit_rows("digits, 2x128", digits, (128, 128), 1 / 4, 10)


def fits_synthetic_64() -> Iterator[Row]:
    yield from fit_rows("5000x20, 2x64", synthetic, (64, 64), 1 / 7, 10)


def fits_synthetic_128() -> Iterator[Row]:
    yield from fit_rows("5000x20, 3x128", synthetic, (128,) * 3, 1 / 4, 5)


def fits_synthetic_256() -> Iterator[Row]:
    yield from fit_rows("5000x20, 3x256", synthetic, (256,) * 3, 1.0, 2)


def threads() -> Iterator[Row]:
    """Wall time of one stack on two cores over that on one, each in a program of its own."""
    pairs = [(apart(stack_seconds, 2), apart(stack_seconds, 1)) for _ in range(scale().rounds)]
    ratio, mine, other = (statistics.median(side) for side in ([a / b for a, b in pairs], *zip(*pairs, strict=True)))
    yield Row("digits, 2x64: two cores, one", ratio, 1 / 1.6, f"{mine:.3g} s / {other:.3g} s")


def stack_seconds(n_jobs: int) -> float:
    """Seconds of a stack, once everything is warm."""
    configs, setup = (
        drawn(space((64, 64), t.FixedEpochs(20)), 4 if quick() else TRIALS),
        setup_of(*digits(), n_jobs=n_jobs),
    )
    trained(setup, configs[:1])
    return seconds(lambda: trained(setup, configs))


def apart(work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a function in a fresh program: one that has used autograd cannot fork training any more, as users' do."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments, **options).result()


# --- searches ------------------------------------------------------------------------------------------------------


def cnn() -> Iterator[Row]:
    """A search with rungs on all cores against the same search without pruning on one, at the same validation loss.

    A small CNN with augmentation on the 8x8 digits. Ours ends when its best loss is within 1 % of the best that the
    other search finds in all its trials; it may take up to three times as many trials. The other side's time is that of
    its whole search; the note has the ratio to the moment when it had come within 1 % of its own best, too.
    """
    warm_up()
    size = scale()
    X, y = images()
    net = Net(
        CNN(channels=(8, 16)), lr=Float(1e-3, 3e-2, log=True), dropout=Float(0.0, 0.5), augment=t.Augment(),
        weight_decay=t.WeightDecay(), early_stopping=t.EarlyStopping(max_epochs=size.cnn_epochs),
    )  # fmt: skip
    whole, strict, notes = [], [], []
    for seed in range(size.seeds):
        theirs = apart(search, X, y, net, seed, size.cnn_trials, folds=3, prune=False, n_jobs=1)
        goal = 1.01 * theirs.best
        ours = apart(search, X, y, net, seed, size.cnn_trials, goal, most=3, folds=3)
        reached = ours.reach(goal)
        whole.append(reached / theirs.total)
        strict.append(reached / theirs.reach(goal))
        notes.append(f"{reached:.3g} s / {theirs.total:.3g} s")
    note = f"{', '.join(notes)}; to the moment it got there {statistics.median(strict):.3g}"
    yield Row("CNN search: rungs and all cores, neither", statistics.median(whole), 1 / 3, note)


def sampler() -> Iterator[Row]:
    """The best loss of a search with the default sampler over that with Optuna's multivariate TPE, as many trials.

    The claim is only that a sampler of our own costs nothing, up to what three seeds can tell.
    """
    warm_up()
    net, (X, y) = space((64, 64), t.EarlyStopping(max_epochs=scale().horizon)), cancer()
    trials = 6 if quick() else 100
    pairs = [
        (
            apart(search, X, y, net, seed, trials).best,
            apart(search, X, y, net, seed, trials, sampler=partial(multivariate, seed)).best,
        )
        for seed in range(scale().seeds)
    ]
    note = ", ".join(f"{ours:.4f} / {theirs:.4f}" for ours, theirs in pairs)
    yield Row("breast cancer: best loss, the default sampler", paired(*zip(*pairs, strict=True)), 1.05, note)


def multivariate(seed: int, count: int) -> Any:
    """Optuna's multivariate TPE for the trial that comes after so many."""
    import optuna

    return optuna.samplers.TPESampler(seed=1000 * seed + count, multivariate=True, group=True, constant_liar=True)


def sampler_share() -> Iterator[Row]:
    """The share of a search's time that the default sampler takes, everything searched."""
    warm_up()
    share = statistics.median(apart(share_of_sampler, seed) for seed in range(scale().seeds))
    yield Row("breast cancer: the sampler's share of a search of 300 trials", share, 0.05)


def share_of_sampler(seed: int) -> float:
    net, (X, y), spent = everything(PERCEPTRON, t.EarlyStopping(max_epochs=scale().horizon)), cancer(), [0.0]
    default = DefaultSampler(net, seed, lambda config: False)

    def timed(count: int) -> Any:
        sampler = default.at(count)
        infer = sampler.infer_relative_search_space

        def infer_timed(study: Any, trial: Any) -> Any:
            started = time.perf_counter()
            try:
                return infer(study, trial)
            finally:
                spent[0] += time.perf_counter() - started

        sampler.infer_relative_search_space = infer_timed  # type: ignore[method-assign]
        return sampler

    whole = search(X, y, net, seed, 12 if quick() else 300, sampler=timed)
    return spent[0] / whole.total


def search_rows(
    name: str,
    data: Callable[[], tuple[Any, Any]],
    folds: int = FOLDS,
    module: Any = PERCEPTRON,
    horizon: int = 100,
    **more: Any,
) -> Iterator[Row]:
    """Whole searches of a net with every technique against a script; see `searches.py`."""
    warm_up()
    problem = Problem(name, data, lambda most: everything(module, t.EarlyStopping(max_epochs=most), **more), folds)
    found = compare_seeds(problem, Sizes(1, 3, 6, 1, 6) if quick() else Sizes(horizon=horizon), apart)
    SEARCHED.extend(found)
    yield from rows(name, found)


def search_digits() -> Iterator[Row]:
    yield from search_rows("digits", digits)


def search_cancer() -> Iterator[Row]:
    yield from search_rows("breast cancer", cancer)


def search_synthetic() -> Iterator[Row]:
    yield from search_rows("5000x20", synthetic)


def search_images() -> Iterator[Row]:
    """Of 40 epochs at most, as those of a convolution take long."""
    yield from search_rows("8x8 images", grey, 3, CNN(channels=(8, 16)), 40, augment=t.Augment())


def search_all() -> Iterator[Row]:
    """Over the seeds of all sets that were searched before it."""
    if SEARCHED:
        yield from rows("all sets", SEARCHED)


if __name__ == "__main__":
    main(
        [
            fits_digits_64, fits_synthetic_64, fits_digits_128, fits_synthetic_128, fits_synthetic_256,
            threads, cnn, sampler, sampler_share, search_digits, search_cancer, search_synthetic, search_images,
            search_all,
        ],
        "Searches of neural nets against a PyTorch loop, skorch and a sequential Optuna script.",
    )  # fmt: skip
