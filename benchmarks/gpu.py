"""Nets on a GPU: fold-fits per second of a stack against a plain PyTorch loop on the same card.

    python benchmarks/gpu.py [WORD ...] [--minutes 8] [--json] [--quick] [--device cuda|cpu]

Both sides get the same nets, data, folds, epochs and techniques (`loop.py` says what the other side does), and a clock
that waits for the card. Of each net 160 and 1,000 rows are in flight, a row being a trial on one of five folds; the
other side trains a few of them, one after the other. A second line says what a step is made of: *launch* is the time in
which the card waits for the program, *compute* that of products and convolutions, *memory* that of all else, which
passes over numbers once. Notes have both sides' fold-fits per second and most memory.

It keeps to its minutes by itself: epochs become fewer, and what does not fit is left out and named at the end. On a CPU
it shows that it works; what is said of a step is the time of operations there, and everything between them is launch.
"""

from __future__ import annotations

import argparse
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import torch
from harness import Row, main, quick, seconds
from loop import BATCH, fit
from neural import FOLDS, drawn, everything, images, setup_of, splits, synthetic, trained
from torch.nn import functional

from regsearch import CNN, MLP
from regsearch import nn_techniques as t
from regsearch.models.base import Setup
from regsearch.models.neural.training.block import Block, Stopped
from regsearch.models.neural.training.limits import StackLimits
from regsearch.models.neural.training.shared import SharedParts
from regsearch.models.neural.training.stack import Stack

ROWS = (160, 1000)  # in flight
MOST_FITS = 5  # of the other side, of one net
GRAPH_STEPS = 50
PRODUCTS = re.compile(r"gemm|gemv|cutlass|xmma|conv|wgrad|dgrad|splitk|mm$", re.IGNORECASE)
STARTED = time.monotonic()


def parser() -> argparse.ArgumentParser:
    """What this file takes beside what every benchmark does."""
    made = argparse.ArgumentParser(add_help=False)
    made.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help="where both sides train")
    made.add_argument("--minutes", type=float, default=8.0, help="after which it has ended")
    return made


@cache
def options() -> Any:
    return parser().parse_known_args()[0]


@dataclass(frozen=True)
class Net:
    """A net and its data, to be trained for some epochs if there is time."""

    name: str
    data: Callable[[], tuple[Any, Any]]
    module: Any
    epochs: int
    augment: Any = None

    @property
    def setup(self) -> Setup:
        X, y = self.data()
        return setup_of(X[:300], y[:300]) if quick() else setup_of(X, y)

    def configs(self, count: int, epochs: int) -> list[Any]:
        """Configs at random that train for so many epochs."""
        more = {} if self.augment is None else {"augment": self.augment}
        return drawn(everything(self.module, t.FixedEpochs(epochs), **more), count)


# --- time ------------------------------------------------------------------------------------------------------


@dataclass
class Plan:
    """What is still to be measured in the minutes that are left."""

    pieces: int
    left_out: list[str]

    def share(self) -> float:
        """Seconds for the next piece."""
        left = max(0.0, 60 * float(options().minutes) - (time.monotonic() - STARTED))
        share = left / max(1, self.pieces)
        self.pieces -= 1
        return share


@cache
def plan() -> Plan:
    """Begin; where the device is not there, end with a sentence."""
    if options().device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("torch finds no CUDA GPU here; run this on a machine with one, or add --device cpu to try it.")
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    return Plan(len(NETS) * len(ROWS) + 2, [])


def waiting_seconds(work: Callable[[], object]) -> float:
    """Wall time of one call, from when the card has nothing else to do until it is done with it."""

    def whole() -> None:
        work()
        synchronize()

    synchronize()
    return seconds(whole)


def synchronize() -> None:
    if options().device == "cuda":
        torch.cuda.synchronize()


def with_memory(work: Callable[[], object]) -> tuple[float, str]:
    """Wall time of one call, and the most memory that tensors had meanwhile."""
    if options().device != "cuda":
        return waiting_seconds(work), "memory not measured"
    torch.cuda.reset_peak_memory_stats()
    spent = waiting_seconds(work)
    return spent, f"{torch.cuda.max_memory_allocated() / 2**20:.0f} MiB"


# --- fold-fits -------------------------------------------------------------------------------------------------


def fits(net: Net) -> Iterator[Row]:
    """Seconds of a fold-fit in a stack with 160 and 1,000 rows in flight, and in the loop; what a step is made of."""
    for rows in ROWS:
        budget, name = plan().share(), f"{net.name}, {rows} rows"
        trials = max(1, rows // FOLDS // 40) if quick() else rows // FOLDS
        try:
            yield from in_flight(net, name, trials, budget)
        except (Stopped, TimeoutError):
            plan().left_out.append(name)
        except RuntimeError as error:  # of torch: the other pieces are still worth their time
            plan().left_out.append(f"{name} ({str(error).partition(chr(10))[0]})")


def in_flight(net: Net, name: str, trials: int, budget: float) -> Iterator[Row]:
    """The rows of one number of trials.

    Raises
    ------
    TimeoutError, Stopped
        When it takes longer than `budget` seconds.
    """
    ends, setup = time.monotonic() + budget, net.setup
    stacked(setup, net.configs(1, 1), ends)  # what is slow the first time on a card
    first = waiting_seconds(partial(stacked, setup, net.configs(trials, 1), ends))  # of an epoch, before it is warm
    epochs = min(2 if quick() else net.epochs, int(budget / 3 / first))
    if epochs < 1:
        raise TimeoutError
    configs = net.configs(trials, epochs)
    spent, memory = with_memory(partial(stacked, setup, configs, ends))
    ours = spent / (trials * FOLDS)
    theirs, other_memory = looped(setup, configs, epochs, min(ends, time.monotonic() + budget / 4))
    note = f"{1 / ours:.4g} / {1 / theirs:.4g} fold-fits of {epochs} epochs a second; {memory} / {other_memory}"
    yield Row(f"{name}: fold-fit", ours / theirs, 1.0, note)
    if time.monotonic() + 2 * first > ends:
        plan().left_out.append(f"{name}: a step")
        return
    mine, other = step_of_stack(setup, configs), step_of_loop(setup, configs[0])
    yield Row(f"{name}: launch, of a step", mine.launch, 1.0, f"{mine} / {other}")


def stacked(setup: Setup, configs: list[Any], ends: float) -> None:
    """Train a stack with all configs in flight until a time.

    Raises
    ------
    Stopped
        When that is over.
    """
    device = options().device
    limits = replace(StackLimits.of(torch.device(device)), stacked=len(configs), unstacked=len(configs))
    stack = Stack(setup, device, limits)
    timer = threading.Timer(max(0.0, ends - time.monotonic()), stack.stop.set)
    timer.start()
    try:
        trained(setup, configs, stack)
    finally:
        timer.cancel()


def looped(setup: Setup, configs: list[Any], epochs: int, ends: float) -> tuple[float, str]:
    """Seconds of a fold-fit in the loop and the most memory: of some fits one after the other, until a time."""
    folds = splits(setup, options().device)
    fit(configs[0], folds[0], 1)  # what is slow the first time
    spent = []
    for k in range(1 if quick() else MOST_FITS):
        spent.append(with_memory(partial(fit, configs[k % len(configs)], folds[k % FOLDS], epochs)))
        if time.monotonic() > ends:
            break
    return sum(one for one, _ in spent) / len(spent), spent[-1][1]


# --- what a step is made of --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shares:
    """Of the time of a step; `None` where it is not known."""

    launch: float
    memory: float | None
    compute: float | None

    @classmethod
    def of(cls, wall: float, products: float, others: float) -> Shares:
        """Where a device worked for some seconds of `wall`."""
        return cls(max(0.0, 1 - (products + others) / wall), min(1.0, others / wall), min(1.0, products / wall))

    def __str__(self) -> str:
        known = {"launch": self.launch, "memory": self.memory, "compute": self.compute}
        return ", ".join(f"{name} {'unknown' if share is None else f'{share:.2f}'}" for name, share in known.items())


def step_of_stack(setup: Setup, configs: list[Any]) -> Shares:
    """Of an epoch of one block."""
    block = block_of(setup, configs)
    return shares(lambda: block.advance(1, measure=False))


def step_of_loop(setup: Setup, config: Any) -> Shares:
    """Of an epoch of the other side, with its making and its scores."""
    split = splits(setup, options().device)[0]
    return shares(lambda: fit(config, split, 1))


def block_of(setup: Setup, configs: list[Any]) -> Block:
    """The first block of a stack: as many of the rows as train together."""
    shared = SharedParts(setup, options().device)
    structure = shared.structure(configs[0])
    together = [k for k in range(FOLDS) if shared.shape(structure, k) == shared.shape(structure, 0)]
    rows = [(k, shared.row_config(config, structure)) for k in together for config in configs]
    rows = rows[: shared.max_rows(structure)]
    return shared.block(structure, [k for k, _ in rows], [row for _, row in rows])


def shares(work: Callable[[], object]) -> Shares:
    """What the time of a call is made of, once it is warm."""
    on_card = options().device == "cuda"
    work()
    wall = waiting_seconds(work)
    activity = torch.profiler.ProfilerActivity
    if on_card and activity.CUDA not in torch.profiler.supported_activities():  # type: ignore[no-untyped-call]
        return launched(work)
    with torch.profiler.profile(activities=[activity.CUDA if on_card else activity.CPU]) as profile:
        profiled = waiting_seconds(work)
    if not on_card:
        found = [(one.key, one.self_cpu_time_total) for one in profile.key_averages() if one.key.startswith("aten::")]
        return Shares.of(profiled, *summed(found))
    kernels = [
        (one.name, one.time_range.elapsed_us()) for one in profile.events()
        if one.device_type == torch.profiler.DeviceType.CUDA and not getattr(one, "is_user_annotation", False)
    ]  # fmt: skip
    return Shares.of(wall, *summed(kernels)) if kernels else launched(work)


def summed(spent: list[tuple[str, float]]) -> tuple[float, float]:
    """Seconds of products and of all else, from microseconds by name."""
    products = sum(us for name, us in spent if PRODUCTS.search(name))
    return products / 1e6, (sum(us for _, us in spent) - products) / 1e6


def launched(work: Callable[[], object]) -> Shares:
    """Without a profiler of the card: how much of the time passes until all is launched."""
    synchronize()
    started = time.perf_counter()
    work()
    until = time.perf_counter() - started
    synchronize()
    return Shares(until / (time.perf_counter() - started), None, None)


# --- measurements ----------------------------------------------------------------------------------------------

NETS = (
    Net("5000x20, 2x64", synthetic, MLP(hidden=(64, 64)), 5),
    Net("5000x20, 2x128", synthetic, MLP(hidden=(128, 128)), 5),
    Net("5000x20, 3x256", synthetic, MLP(hidden=(256,) * 3), 5),
    Net("8x8 images, augmented CNN", images, CNN(channels=(8, 16)), 3, t.Augment()),
)


def small() -> Iterator[Row]:
    """Two layers of 64 units."""
    yield from fits(NETS[0])


def medium() -> Iterator[Row]:
    """Two layers of 128 units."""
    yield from fits(NETS[1])


def large() -> Iterator[Row]:
    """Three layers of 256 units."""
    yield from fits(NETS[2])


def cnn() -> Iterator[Row]:
    """A convolutional net whose images are augmented on the device."""
    yield from fits(NETS[3])


def graph() -> Iterator[Row]:
    """A step of a block of 160 rows replayed as a CUDA graph, over the same step launched one operation at a time.

    It is what the package does not do: a graph would have to be captured anew whenever trials come and go.
    """
    budget, name = plan().share(), "5000x20, 2x64: a step as a graph, as launched"
    if options().device != "cuda" or budget <= 0:
        plan().left_out.append(name + ("" if budget <= 0 else " (a CPU has none)"))
        return
    block = block_of(NETS[0].setup, NETS[0].configs(ROWS[0] // FOLDS, 1))
    try:
        plain, replayed = graph_seconds(block)
    except RuntimeError as error:  # some operations cannot be captured
        plan().left_out.append(f"{name} ({str(error).partition(chr(10))[0]})")
        return
    yield Row(name, replayed / plain, 1.0, f"{1e3 * replayed:.3g} ms / {1e3 * plain:.3g} ms")


def graph_seconds(block: Block) -> tuple[float, float]:
    """Seconds of a step as it is launched, and replayed from a graph; numbers drawn in the graph go on."""
    step = next(block.steps())
    plain = waiting_seconds(partial(repeated, step))
    made, side = torch.cuda.CUDAGraph(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # what is allocated and chosen the first time must not be captured
        repeated(step)
    torch.cuda.current_stream().wait_stream(side)
    for streams in step.args[1].values():
        for stream in streams.streams:
            made.register_generator_state(stream.generator)
    with torch.no_grad(), torch.cuda.graph(made):
        step()
    return plain / GRAPH_STEPS, waiting_seconds(partial(repeated, made.replay)) / GRAPH_STEPS


def repeated(step: Callable[[], None]) -> None:
    with torch.no_grad():
        for _ in range(GRAPH_STEPS):
            step()


def grouped() -> Iterator[Row]:
    """The convolutions of 160 nets and their gradients as one grouped convolution, over those of one net after another.

    It is what the package does not do: rows of a stack are convolved one after the other.
    """
    budget, nets, name = plan().share(), 8 if quick() else ROWS[0], "8x8 images: convolutions in groups, one by one"
    if budget <= 0:
        plan().left_out.append(name)
        return
    x = torch.randn(BATCH, nets, 8, 8, device=options().device)
    shapes = ((8, 1), (16, 8))  # outputs and inputs of each
    weights = [torch.randn(nets, *shape, 3, 3, device=x.device, requires_grad=True) for shape in shapes]
    sides = [partial(convolved, x, weights, size) for size in (nets, 1)]
    for side in sides:  # what is chosen the first time
        side()
    together, apart = (min(waiting_seconds(side) for _ in range(3)) for side in sides)
    yield Row(name, together / apart, 1.0, f"{1e3 * together:.3g} ms / {1e3 * apart:.3g} ms")


def convolved(x: torch.Tensor, weights: list[torch.Tensor], size: int) -> None:
    """Gradients of layers of convolutions, of so many nets at a time; `x` ``[B, nets, 8, 8]`` has an image for each."""
    for start in range(0, x.shape[1], size):
        h, mine = x[:, start : start + size], [weight[start : start + size] for weight in weights]
        for weight in mine:
            h = functional.conv2d(h, weight.flatten(0, 1), padding=1, groups=size)
            h = functional.max_pool2d(h, 2).relu_()
        torch.autograd.grad(h.sum(), mine)


if __name__ == "__main__":
    main([small, medium, large, cnn, graph, grouped], "Nets on a GPU against a plain PyTorch loop there.", [parser()])
    if plan().left_out:
        print(f"Left out: {'; '.join(plan().left_out)}.", file=sys.stderr)
