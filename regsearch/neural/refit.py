"""A net trained on all rows for the chosen number of epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from regsearch.config import to_data
from regsearch.encoding import transformer
from regsearch.errors import InvalidInput
from regsearch.folds import Folds
from regsearch.neural.block import Block
from regsearch.neural.predictor import MODULE, Spec, make_predictor
from regsearch.neural.recipe import Recipe
from regsearch.neural.stack import threads
from regsearch.neural.workshop import Structure, Workshop
from regsearch.path import Setup
from regsearch.problem import Problem

if TYPE_CHECKING:
    import torch

ALL = -1  # the fold that trains on everything


def refit(config: Recipe, problem: Problem, seed: int) -> Any:
    """Train a config on every row of a problem.

    The horizon of a schedule stays that of the search, and so does the number of epochs.

    Returns
    -------
    NetClassifier or NetRegressor
        From raw rows to labels or numbers.

    Raises
    ------
    InvalidInput
        When no epoch has been chosen, or training diverges.
    """
    if not config.stopping.epochs:
        raise InvalidInput("A refit needs a number of epochs, got early stopping; take the chosen point of an outcome.")
    workshop = Workshop(Setup(problem, Folds((), (), "all rows"), (), seed))
    structure = workshop.structure(config)
    block = workshop.block(structure, ALL, [workshop.row(config, structure)])
    with threads(1) as run:
        run([lambda: block.advance(config.last, measure=False)])
    row = block.evaluated()[0]
    if not bool(row.isfinite().all()):
        raise InvalidInput("Training on all rows diverged; a smaller lr or gradient_clipping may help.")
    return _predictor(config, problem, structure, block, row)


def _predictor(config: Recipe, problem: Problem, structure: Structure, block: Block, row: torch.Tensor) -> Any:
    scaling, data = block.fold.scaling, block.fold.data
    spec = Spec(
        to_data(config.module), tuple(int(size) for size in data.shape), data.outputs, structure.norm, problem.task,
        structure.precision, None if problem.classes is None else tuple(problem.classes.tolist()),
        "" if problem.classes is None else _type_name(problem.classes), problem.image is not None,
    )  # fmt: skip
    tensors = {MODULE + name: view[0] for name, view in block.network.layout.views(row[None]).items()}
    tensors |= {
        "center": scaling.center, "spread": scaling.spread,
        "target_center": scaling.target_center, "target_spread": scaling.target_spread,
    }  # fmt: skip
    tensors |= {MODULE + name: count for name, count in block.network.counts.items()}
    plain = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
    prepare = None if problem.image is not None else transformer(problem)
    return make_predictor(spec, plain, None if prepare is None else prepare.fit(problem.X), config.module)


def _type_name(classes: np.ndarray[Any, Any]) -> str:
    return "str" if classes.dtype.kind in "UT" else str(classes.dtype)
