"""Configs of a penalty, and the terms that they have for estimates of several shapes: what its suite tries.

Shapes: K = 3 folds, p columns, m outputs.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from regsearch._types import Task
from regsearch.models.linear.general import GeneralTerms, PenalisedColumns
from regsearch.models.linear.penalty import Penalty
from regsearch.space.domains import Between
from regsearch.space.sampling import default
from regsearch.testing.designs import FOLDS
from regsearch.testing.suite import require

TASKS: tuple[Task, ...] = ("regression", "binary", "multiclass")
EXAMPLES = 50  # configs at random, beside those at the ends of their domains
LARGEST = 4.0  # number that a field is tried at: weights are powers, which need not overflow


def numbers(cls: type[Penalty]) -> dict[str, Between]:
    """The fields that hold a number between two others, with these."""
    declared = {field.name: field.metadata["domain"] for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    return {name: domain for name, domain in declared.items() if isinstance(domain, Between)}


def tasks(cls: type[Penalty]) -> tuple[Task, ...]:
    """Those that the penalty is for."""
    return tuple(task for task in TASKS if task in cls.tasks)


def configs(cls: type[Penalty]) -> Iterator[Penalty]:
    """A penalty by default, at the ends of its domains, and at random in them."""
    spans = {name: (max(of.low, -LARGEST), min(of.high, LARGEST)) for name, of in numbers(cls).items()}
    plain, random = default(cls()), np.random.default_rng(0)
    yield plain
    for ends in itertools.product(*spans.values()):
        yield plain.replace(**dict(zip(spans, ends, strict=True)))
    for _ in range(EXAMPLES):
        yield plain.replace(**{name: float(random.uniform(*span)) for name, span in spans.items()})


class Example(NamedTuple):
    """A config, its terms for an initial estimate of the shape ``[K, p, m]``, and what else to draw from."""

    penalty: Penalty
    terms: GeneralTerms
    shape: tuple[int, ...]
    random: np.random.Generator


def examples(cls: type[Penalty]) -> Iterator[Example]:
    """Every one of `configs`, each for an initial estimate of another shape."""
    return itertools.starmap(_example, enumerate(configs(cls)))


def _example(seed: int, penalty: Penalty) -> Example:
    random = np.random.default_rng(seed)
    initial = random.normal(size=(FOLDS, *random.integers(1, (7, 4)))) + 0.01
    columns = PenalisedColumns.plain(np.arange(initial.shape[1]) // 2)  # two of each feature
    terms = penalty.terms(lambda: initial)
    require(isinstance(terms, GeneralTerms), f"terms must return Terms, or other GeneralTerms, and returns {terms!r}.")
    return Example(penalty, terms.on(columns), initial.shape, random)
