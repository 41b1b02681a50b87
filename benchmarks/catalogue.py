"""What each technique of nets costs, and how far nets come on open tables beside other tools.

    python benchmarks/catalogue.py cost
    python benchmarks/catalogue.py sets

*cost* is what an epoch takes with a technique at its strongest over one without any, each row a net of its own, 32 of
them in one stack and one alone, measuring both losses as a search does; both sides in turn, one thread, CPU time. Where
everything is there and off, that is what `nothing` says. Optimizers are compared with Adam.

*sets* is described in `tabular_sets.py`: by default a minute of search for all ten halves of a set. ``--write`` puts
what was measured into the page of the docs, beside what it has of other budgets.
"""

from __future__ import annotations

from harness import Row, all_in_turn, cpu_seconds, main, one_thread, paired, quick

if __name__ == "__main__":
    one_thread()

import argparse
import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from tabular_sets import Compared, compare

from regsearch import MLP, Net
from regsearch import nn_techniques as t
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Setup
from regsearch.models.neural.technique import SCHEDULE, Technique
from regsearch.models.neural.techniques import SHIPPED, slots
from regsearch.models.neural.training.block import Block
from regsearch.models.neural.training.shared import SharedParts
from regsearch.testing.techniques import fits, is_stacked, is_trained, strong

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks" / "catalogue.md"
STACKED, ROWS, EPOCHS, ROUNDS = (4, 200, 1, 1) if quick() else (32, 1000, 2, 5)
OFF_BAR = 1.05
KINDS: dict[str, dict[str, Any]] = {"table": {}, "image": {"image": True}, "sequence": {"sequence": True},
                                    "targets": {"targets": 3}, "groups": {"groups": True}}  # fmt: skip
Costs = dict[str, tuple[float, float]]  # by technique: of a stack, and alone


# --- what a technique costs ---------------------------------------------------------------------------------------


def setup_of(kind: str, task: str) -> Setup:
    """Digits as a table, as images, as sequences, in groups, or as a regression of three targets."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:ROWS], y[:ROWS]
    X = X.reshape(-1, 8, 8) if kind in ("image", "sequence") else X
    if task == "regression":
        y = X.reshape(len(X), -1)[:, [20, 28, 36][: 3 if kind == "targets" else 1]].squeeze()
    problem = make_problem(X, y, groups=np.arange(len(X)) % 30 if kind == "groups" else None)
    return Setup(problem, make_folds(3, problem, 0), resolve("neg_mean_squared_error" if task == "regression" else None,
                                                            problem))  # fmt: skip


def place(cls: type[Technique]) -> tuple[str, str]:
    """The kind of problem, and the task, that a technique fits first."""
    for task in ("multiclass", "regression"):
        for kind, options in KINDS.items():
            if fits(cls, task, **options):
                return kind, task
    raise RuntimeError(f"{cls.__name__} fits nothing")


def net(kind: str, **techniques: Any) -> Net:
    """A perceptron that trains for longer than is measured."""
    rate: dict[str, Any] = {} if "optimizer" in techniques else {"lr": 1e-3}
    module = MLP(hidden=(64, 64), dims=1 if kind == "sequence" else 2)
    return Net(module, device="cpu", early_stopping=t.FixedEpochs(1000), **rate, **techniques)


def block(setup: Setup, config: Net, rows: int) -> Block:
    """So many rows with a config on the first fold."""
    shared = SharedParts(setup)
    structure = shared.structure(config)
    return shared.block(structure, [0] * rows, [shared.row_config(config, structure)] * rows)


def ratio(setup: Setup, ours: Net, theirs: Net, rows: int) -> float:
    """The median ratio of an epoch's CPU time."""
    mine, other = block(setup, ours, rows), block(setup, theirs, rows)
    epochs = EPOCHS if rows > 1 else 3 * EPOCHS
    mine.advance(1), other.advance(1)
    spent = all_in_turn((lambda _: mine.advance(epochs), lambda _: other.advance(epochs)), ROUNDS, cpu_seconds)
    return paired(*spent)


def cost_of(cls: type[Technique]) -> tuple[float, float]:
    """What an epoch with a technique takes over one without: of a stack, and alone."""
    (kind, task), slot = place(cls), cls.slots[0]
    setup, target = setup_of(kind, task), slot.removesuffix(SCHEDULE)
    without = {target: strong(slots()[target][0])} if target != slot else {}
    pair = net(kind, **without, **{slot: strong(cls)}), net(kind, **without)
    return ratio(setup, *pair, STACKED), ratio(setup, *pair, 1)


def nothing() -> tuple[float, float]:
    """Every technique that may be off beside others, off."""
    setup = setup_of("table", "multiclass")
    off = {cls.slots[0]: cls.neutral() for cls in reversed(SHIPPED) if is_stacked(cls) and place(cls) ==
           ("table", "multiclass") and not cls.slots[0].endswith(SCHEDULE)}  # fmt: skip
    pair = net("table", **off), net("table")
    return ratio(setup, *pair, STACKED), ratio(setup, *pair, 1)


def cost() -> Iterator[Row]:
    """An epoch with each technique over one without."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    off = nothing()
    yield Row("nothing: every technique off", off[0], OFF_BAR, f"alone {off[1]:.2f}")
    for cls in sorted(filter(is_trained, SHIPPED), key=lambda cls: cls.__name__):
        stacked, alone = cost_of(cls)
        yield Row(cls.__name__, stacked, math.inf, f"alone {alone:.2f}")


# --- open tables ------------------------------------------------------------------------------------------------------


def sets() -> Iterator[Row]:
    """The mean rank of each net among nets; the bar of ours is the best of the others."""
    given = options()
    found = compare(given.seconds, given.repeats)
    KEPT.append(found)
    nets = [name for name in found.tools if found.tools[name].net]
    ranks, of_all = found.ranks(nets), found.ranks(list(found.tools))
    others = min(ranks[name] for name in nets if not found.tools[name].ours)
    for name, rank in ranks.items():
        bar = others if found.tools[name].ours else math.inf
        yield Row(f"mean rank of {name} among nets", rank, bar, f"among all {of_all[name]:.2f}")


KEPT: list[Compared] = []


# --- the page ---------------------------------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    """What this file takes beside what every benchmark does."""
    made = argparse.ArgumentParser(add_help=False)
    made.add_argument("--seconds", type=float, default=6.0, help="of a search of one tool on one outer half")
    made.add_argument("--repeats", type=int, default=5, help="of the two outer halves")
    made.add_argument("--write", action="store_true", help="put what was measured into the page of the docs")
    return made


def options() -> Any:
    return parser().parse_known_args()[0]


def costs_as_markdown(rows: Sequence[Row]) -> str:
    """A table of what techniques cost."""
    lines = ["| technique | in a stack of 32 | alone |", "| --- | --- | --- |"]
    return "\n".join(lines + [f"| {one.name} | {one.ratio:.2f} | {one.note.split()[-1]} |" for one in rows])


def write(rows: Sequence[Row]) -> None:
    """Put the parts that were measured between their marks."""
    measured = [one for one in rows if not one.name.startswith("mean rank")]
    page = PAGE.read_text(encoding="utf-8")
    parts: dict[str, Callable[[str], str]] = {"cost": lambda _: costs_as_markdown(measured)} if measured else {}
    if KEPT:
        parts["sets"] = partial(beside_others, KEPT[0].as_markdown())
    for name, part in parts.items():
        marks = rf"(<!-- {name} -->\n)(.*?)\n(<!-- /{name} -->)"
        page = re.sub(marks, lambda found, part=part: f"{found[1]}{part(found[2])}\n{found[3]}", page, flags=re.DOTALL)  # type: ignore[misc]
    PAGE.write_text(page, encoding="utf-8")


def beside_others(table: str, before: str) -> str:
    """The tables of several budgets, each under a line of its own, one of them new."""
    tables = {one.splitlines()[0]: one for one in re.split(r"\n\n(?=Log loss)", before)}
    return "\n\n".join({**tables, table.splitlines()[0]: table}.values())


if __name__ == "__main__":
    np.seterr(all="ignore")
    ended = main([cost, sets], "What techniques cost, and how far nets come on open tables.", [parser()])
    if options().write:
        write(ended)
