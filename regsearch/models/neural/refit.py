"""A net trained on all rows for the chosen number of epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from regsearch._types import Array
from regsearch.data.encoding import fit_transformer
from regsearch.data.folds import Folds
from regsearch.data.problem import Problem
from regsearch.errors import InvalidInput
from regsearch.models.base import Setup
from regsearch.models.deadline import NO_DEADLINE, Deadline, OutOfTime
from regsearch.models.neural.config import NetConfig
from regsearch.models.neural.files import Spec
from regsearch.models.neural.network.evaluator import Evaluator
from regsearch.models.neural.network.network import Network
from regsearch.models.neural.predictor import make_predictor
from regsearch.models.neural.training.pool import WorkerPool
from regsearch.models.neural.training.shared import ALL_ROWS, SharedParts, Structure
from regsearch.models.neural.training.worker import Failed
from regsearch.models.preparation import prepared

if TYPE_CHECKING:
    import torch
from regsearch.space.config import to_data


def refit(config: NetConfig, problem: Problem, seed: int, deadline: Deadline = NO_DEADLINE) -> Any:
    """Train a config on every row of a problem.

    The horizon of a schedule stays that of the search, and so does the number of epochs.

    Returns
    -------
    NetClassifier, NetRegressor or NetTasks
        From raw rows to labels or numbers.

    Raises
    ------
    InvalidInput
        When no epoch has been chosen, or training diverges.
    OutOfTime
        When the deadline passes between two epochs.
    """
    if not config.stopping.epochs:
        raise InvalidInput("A refit needs a number of epochs, got early stopping; take the chosen point of an outcome.")
    shared = SharedParts(Setup(problem, Folds((), (), "all rows"), (), seed, deadline=deadline), config.device)
    structure = shared.structure(config)
    with WorkerPool(shared, 1, isolated=True) as pool:
        pool.make(0, structure, [ALL_ROWS], [shared.row_config(config, structure)])
        (done,) = pool.advance([0], config.last, measure=False)
    if isinstance(done, Failed):
        raise InvalidInput(f"The net cannot be trained on all rows: {done.message}")
    if not done.segment.epochs:
        raise OutOfTime
    row = done.segment.weights_of(0)
    if not np.isfinite(row).all():
        raise InvalidInput("Training on all rows diverged; a smaller lr or gradient_clipping may help.")
    return _predictor(config, problem, structure, shared.evaluator(structure, ALL_ROWS), row)


def _predictor(config: NetConfig, problem: Problem, structure: Structure, trained: Evaluator, row: Array) -> Any:
    import torch

    scaling, data, network = trained.fold.scaling, trained.fold.data, trained.network
    prepare = None if problem.grid is not None else _preparing(config, problem)
    architecture = structure.module
    spec = Spec(
        to_data(architecture), tuple(int(size) for size in data.shape), data.outputs, structure.norm, problem.task,
        structure.precision, None if problem.classes is None else tuple(problem.classes.tolist()),
        "" if problem.classes is None else _type_name(problem.classes), prepare is not None,
        nets=len(row) // network.layout.length, clips=scaling.clips,
        tasks=tuple(one.data() for one in problem.tasks),
    )  # fmt: skip
    nets = [_state(network, one) for one in torch.from_numpy(row.reshape(spec.nets, -1))]
    tensors = {spec.of_net(i) + name: value for i, net in enumerate(nets) for name, value in net.items()}
    tensors |= {
        "offset": torch.from_numpy(data.offset), "center": scaling.center, "spread": scaling.spread,
        "target_center": scaling.target_center, "target_spread": scaling.target_spread,
    }  # fmt: skip
    plain = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
    return make_predictor(spec, plain, prepare, architecture)


def _state(network: Network, row: torch.Tensor) -> dict[str, torch.Tensor]:
    """The state of a plain module by name, from its row ``[Q]``."""
    state = {name: view[0] for name, view in network.layout.views(row[None]).items()}
    for name, kept in network.other_state.items():
        if isinstance(kept, str) and not kept:
            del state[name]
        else:
            state[name] = state[kept] if isinstance(kept, str) else kept
    return state


def _preparing(config: NetConfig, problem: Problem) -> Any:
    """The fitted steps in front of the net; `None` where rows go in as they are."""
    if config.prepare is None:
        return fit_transformer(problem.X, lambda: problem.encoded, problem.sample_weight)
    from sklearn.pipeline import make_pipeline

    made = prepared(config.prepare, problem, (np.arange(problem.rows),))
    table = made.problem(problem, 0)
    imputer = fit_transformer(table.X, lambda: table.encoded, table.sample_weight)
    return make_pipeline(*filter(None, (made.fitted[0], imputer)))


def _type_name(classes: np.ndarray[Any, Any]) -> str:
    return "str" if classes.dtype.kind in "UT" else str(classes.dtype)
