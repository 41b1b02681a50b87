"""What cannot be trained is refused before anything is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial, reduce
from itertools import product
from typing import Any

from regsearch.data.magnitudes import check_single_precision
from regsearch.data.problem import Problem
from regsearch.data.survival import check_not_survival
from regsearch.data.table_checks import check_columns
from regsearch.data.weights import weighing
from regsearch.errors import InvalidInput
from regsearch.models.base import Setup
from regsearch.models.class_weight import check_class_weight
from regsearch.models.neural.columns import part_of
from regsearch.models.neural.config import CHANGES, NetConfig, options
from regsearch.models.neural.network.architecture import Architecture
from regsearch.models.neural.network.data import CLIPPED, Data, inner_split
from regsearch.models.neural.network.hooks import HiddenHooks
from regsearch.models.neural.network.network import Network, make_network
from regsearch.models.neural.network.streams import seed_of
from regsearch.models.neural.technique import OF_LAYERS, SCHEDULE, ProblemInfo, Technique
from regsearch.models.neural.training.shared import SharedParts, Structure, device_of, structure_of
from regsearch.models.preparation import check_preparations, preparations
from regsearch.space.domains import bounds_of
from regsearch.space.sampling import default, fill
from regsearch.space.starts import initial_params
from regsearch.space.tree import Choice


def check(space: NetConfig, setup: Setup) -> None:
    """Refuse a space that does not fit a problem.

    Raises
    ------
    InvalidInput
        Naming what does not fit, and what to do.
    """
    if None in preparations(space.prepare):
        check_columns(setup.problem, "Net")
    check_preparations(space.prepare, setup.problem, setup.folds.train, lambda seen: None)
    check_not_survival(setup.problem.task, "Net")
    _check_device(space)
    _check_batch(space, setup)
    _check_scale(space, setup)
    _check_schedules(space)
    check_class_weight(space.class_weight, setup.problem)
    _check_inner(space, setup)
    shared = SharedParts(setup, space.device)
    first = structure_of(default(space))
    data = shared.data(first)
    _check_embeddings(
        space, ProblemInfo(setup.problem.task, data.outputs, (), data.shape, data.groups, setup.problem.targets)
    )
    changes = product(*(_changes(space, slot) for slot in CHANGES))
    for own, norm, each in product(_modules(space.module), _norms(space), changes):
        changed = reduce(lambda made, change: change(made), each, own).with_named(space.named)
        structure = shared.on_columns(replace(first, module=changed, norm=norm))
        module = structure.module
        info, network = _check_module(module, structure, shared.data(structure), setup)
        for slot, value in space.techniques.items():
            for pattern, one in value.items() if isinstance(value, dict) else (("", value),):
                _check_pattern(slot, pattern, module, network)
                for technique in options(one):
                    technique.check(info)
                    _check_hidden_layers(slot, pattern, technique, network)
                    technique.check_part(part_of(slot, pattern, technique.acts_on, network.layout), info)


def _check_embeddings(space: NetConfig, info: ProblemInfo) -> None:
    """Before a net is made, as the columns that an embedding takes are part of its architecture."""
    for technique in options(space.techniques.get("embedding")):
        technique.check(info)


def _check_schedules(space: NetConfig) -> None:
    """Whatever has a schedule has a rate that it changes, in each of its options; of none it changes nothing."""
    for slot in space.techniques:
        target = slot.removesuffix(SCHEDULE)
        if target == slot:
            continue
        found = list(options(space.techniques.get(target)))
        without = next((type(one).__name__ for one in found if not one.schedulable), None)
        if without or not found:
            got = without or f"no {target}"
            raise InvalidInput(f"{slot} changes the rate of {target}, got {got}; give it a rate, or leave it out.")


def _check_hidden_layers(slot: str, pattern: str, technique: Technique, network: Network) -> None:
    acting = type(technique).implementation(slot)
    inside = acting.on_hidden is not Technique.on_hidden or acting.on_activity is not Technique.on_activity
    if inside and not pattern and network.named.issuperset(network.hidden_layers) and technique.acting:
        raise InvalidInput(
            f"{slot} acts where your module has nn.Dropout layers, it has none; add them, name the layers that are "
            f"meant, {slot}={{'NAME': ...}}, or leave it out."
        )


def _norms(space: NetConfig) -> Iterator[str]:
    """Every kind of norm layer that a net of the space may have; empty for none."""
    value = space.techniques.get("norm")
    for norm in value.options if isinstance(value, Choice) else (value,):
        yield "" if norm is None else norm.kind


def _changes(space: NetConfig, slot: str) -> Iterator[Callable[[Architecture], Architecture]]:
    """What nets of the space may make of an architecture by a slot: nothing, and what each of its techniques does."""
    value = space.techniques.get(slot)
    for one in value.options if isinstance(value, Choice) else (value,):
        if one is None:
            yield lambda architecture: architecture
        else:
            filled = (fill(one, params) for params in initial_params(one))
            yield from (partial(_changed, slot=slot, technique=each) for each in filled)


def _changed(architecture: Architecture, slot: str, technique: Any) -> Architecture:
    return CHANGES[slot](architecture, technique)


def _modules(value: Any) -> Iterator[Architecture]:
    """Every option of the architecture, filled in each way that shows a further one."""
    for module in value.options if isinstance(value, Choice) else (value,):
        yield from (fill(module, params) for params in initial_params(module))


def _check_device(space: NetConfig) -> None:
    import torch

    try:
        torch.empty(1, device=device_of(space.device))
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition(chr(10))[0]
        raise InvalidInput(
            f"device must be one that torch has here, got {space.device!r} ({reason}); use 'auto'."
        ) from error


def _check_batch(space: NetConfig, setup: Setup) -> None:
    largest = max(0 if size == "auto" else size for size in bounds_of(space.batch_size))
    rows, fold = min((len(train), k) for k, train in enumerate(setup.folds.train))
    if largest > rows:
        raise InvalidInput(
            f"batch_size must not exceed the training rows of a fold, got {largest} and fold {fold} has {rows}; "
            f"use at most {rows}."
        )


def _check_scale(space: NetConfig, setup: Setup) -> None:
    if setup.problem.grid is not None and CLIPPED in getattr(space.scale, "options", (space.scale,)):
        raise InvalidInput(
            f"scale={CLIPPED!r} is for tables, got rows of the shape {setup.problem.grid}; use 'standard'."
        )


def _check_inner(space: NetConfig, setup: Setup) -> None:
    """Every fold can be split as asked for, at both ends of what is searched, and what decides an epoch has a score."""
    stopping = {end for one in options(space.techniques["early_stopping"]) for end in bounds_of(_inner(one)) if end}
    needed = (one.held_out() for value in space.techniques.values() for one in options(value))
    problem, weight = setup.problem, setup.problem.score_weight
    for share in sorted(stopping | {end for value in needed for end in bounds_of(value) if end}):
        for k, train in enumerate(setup.folds.train):
            rows = weighing(train, problem.sample_weight)
            _, inner = inner_split(problem, rows, share, seed_of(setup.seed, k, "inner"))
            if share in stopping and weight is not None and not weight[inner].any():
                raise InvalidInput(
                    f"Rows that early stopping holds out must score, all {len(inner)} of fold {k} have a score_weight "
                    "of 0; hold out a larger share, or none: EarlyStopping(inner=0)."
                )


def _inner(stopping: Technique) -> Any:
    """Which share of the training rows an early stopping holds out."""
    return stopping.fields().get("inner", 0.0)


def _check_module(module: Architecture, structure: Structure, data: Data, setup: Setup) -> tuple[ProblemInfo, Network]:
    """What the space may need to know of a net, and the net; its output is looked at for a few rows."""
    import torch

    if data.dtype == torch.float32:
        check_single_precision(data.problem.X)
    network = make_network(module, data.shape, data.outputs, structure.norm, setup.seed, 0)
    if not network.layout.trainable:
        raise InvalidInput("A net needs parameters to train, got a module without any; give it a layer that has some.")
    rows = torch.arange(min(4, setup.problem.rows), device=data.device)
    theta = network.theta.to(data.device, data.dtype)[None]
    x = data.take(rows).nan_to_num()
    try:
        with torch.no_grad():
            out = network.make_forward()(network.layout.views(theta), x, HiddenHooks(), False)[0].T
    except InvalidInput:
        raise
    except Exception as error:  # anyone's module
        shape = "x".join(map(str, data.shape))
        said = f"{type(error).__name__}: {error}"
        grid = setup.problem.grid
        hint = "; X[:, None] has an axis for one channel" if grid is not None and len(grid) == 2 else ""
        raise InvalidInput(f"The net cannot be given rows of shape {shape}: {said}{hint}") from error
    two = module.gives_log_odds(module.module(data.shape, data.outputs, structure.norm))
    own = [len(rows), 2] if two and setup.problem.classes is None else list(out.shape)
    if own != [len(rows), data.outputs]:
        raise InvalidInput(
            f"A net for a {setup.problem.task} task must return the shape [rows, {data.outputs}], "
            f"got {own} for {len(rows)} rows; change its last layer{_outputs_of(setup.problem)}."
        )
    scaled = (x - x.mean()) / x.std().clamp(min=1e-6)
    with torch.no_grad():
        finite = network.make_forward()(network.layout.views(theta), scaled, HiddenHooks(), False).isfinite().all()
    if not finite:
        raise InvalidInput(
            "The net returns NaN or infinity for the first rows before any training; mend its forward pass."
        )
    info = ProblemInfo(
        setup.problem.task, data.outputs, network.hidden_layers, data.shape, data.groups, setup.problem.targets
    )
    return info, network


def _outputs_of(problem: Problem) -> str:
    """Which outputs are whose, where targets have tasks of their own."""
    each = ", ".join(f"{one.outputs} of {one.name!r}" for one in problem.tasks)
    return f", its outputs are in order {each}" if each else ""


def _check_pattern(slot: str, pattern: str, module: Architecture, network: Network) -> None:
    if pattern and slot in OF_LAYERS:
        module.check_layer(pattern, network.hidden_layers)
    elif pattern:
        network.layout.matching(pattern)
