"""Nets as torch's own modules with a plain training loop.

The loop is one text; each technique adds its lines at `PLACES` of it, in the order of the slots, as in the stack.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

from regsearch.data.features import is_frame, is_sparse
from regsearch.data.problem import Problem
from regsearch.errors import InvalidInput
from regsearch.export.code.adapting import split_lines, splitter_of
from regsearch.export.code.embeddings import CLIPPED, HAS_CODE, QUANTILES, ROBUST, EmbeddingCode
from regsearch.export.code.inside import DISCREPANCY
from regsearch.export.code.loop import HELPERS, SKIP, write_loop, written
from regsearch.export.code.optimizers import DECAYED, OPTIMIZERS, SHRINK
from regsearch.export.code.preparing import Front, front_of
from regsearch.export.code.sources import NUMPY, CodeWriter
from regsearch.export.code.tasks import MERGED, TASKS, layer_text
from regsearch.export.code.technique_lines import INSIDE, LINES, NetForm, lines_of
from regsearch.export.code.weighting import unlike
from regsearch.models.class_weight import class_factors
from regsearch.models.neural.architectures import CNN, Custom
from regsearch.models.neural.config import NetConfig
from regsearch.models.neural.dropout_masks import rates
from regsearch.models.neural.network.architecture import Architecture
from regsearch.models.neural.network.data import CLIPPED as CLIPPED_SCALE
from regsearch.models.neural.network.data import Data, numeric_columns
from regsearch.models.neural.network.network import make_network
from regsearch.models.neural.network.streams import seed_of
from regsearch.models.neural.technique import PACKAGE, Technique
from regsearch.models.neural.techniques.adam import BETAS, EPS
from regsearch.models.neural.training.batches import USUAL_SIZE
from regsearch.models.neural.training.shared import ALL_ROWS
from regsearch.space.tree import number

if TYPE_CHECKING:
    from torch import nn

PLACES = (
    "before", "batch", "samples", "loss_lines", "rate", "ascent", "gradient", "stepped", "averaged",
    "epoch_end", "after",
)  # fmt: skip
TEXTS = HELPERS | {"merged": MERGED, "discrepancy": DISCREPANCY}  # by what lines call
_ELSEWHERE = (
    "dropout",
    "early_stopping",
    "embedding",
    "norm",
    "optimizer",
    "skip",
)  # in the module, the epochs and the optimizer


def net_code(config: NetConfig, problem: Problem, seed: int) -> str:
    """A net's module, and `fit`, which trains it as its refit was trained: same start, same steps, other draws."""
    given, front = problem, front_of(config.prepare, problem) if problem.grid is None else None
    problem = problem if front is None else front.table
    _check(config, problem)
    shape, outputs = _shape(config, problem), problem.outputs
    architecture = config.architecture.on_columns(lambda: _numeric(problem))
    network = make_network(architecture, shape, outputs, config.norm, seed, ALL_ROWS)
    on = frozenset(slot for slot, _, one in config.placed() if one.acting)
    form = NetForm(problem, network.layout, config.horizon, config.optimizer.kind, on, network.hidden_layers)
    placed = [
        (slot, pattern, one) for slot, pattern, one in config.placed() if one.acting and slot in {*LINES, *INSIDE}
    ]
    lines = [lines_of(slot, pattern, one, form) for slot, pattern, one in sorted(placed, key=lambda one: one[:2])]
    source = CodeWriter()
    prepare = source.of(_as_one(front)) if front and (config.prepare is not None or _prepared(given)) else ""
    called = {one["helper"] for one in lines if "helper" in one}
    module, clips = architecture.module(shape, outputs, config.norm), config.scale == CLIPPED_SCALE
    embedded = EmbeddingCode.of(config.techniques.get("embedding"), architecture, shape[0])
    optimizer, metric = _optimizer(config, called)
    values = {
        "target": "" if problem.transform is None else source.of(problem.transform.transformer),
        "unlike": unlike(config, problem), "prepare": prepare, "shape": shape, "definitions": source.definitions,
        "imports": "\n".join([
            *(line for line in source.imports if line != NUMPY),
            *([f"from sklearn.model_selection import {splitter_of(problem)}"] if config.inner else []),
        ]),
        "split": split_lines(problem, config.inner, seed) if config.inner else "", "grouped": "domain_penalty" in on,
        "dtype": config.precision,
        "epochs": config.last, "lr": number(config.optimizer.lr), "betas": BETAS, "eps": EPS, "optimizer": optimizer,
        "kernels": written(form.names("penalty", "")), "start": seed_of(seed, ALL_ROWS, "start"),
        "module": _module(config, architecture, module, embedded.call), "made": [*embedded.made],
        "helpers": metric + (SKIP if hasattr(module, "skip1") else "") + embedded.text
        + (TASKS if layer_text(module.get_submodule("out"), None) else "")
        + (QUANTILES if clips and QUANTILES not in embedded.text else "")
        + "".join(text for name, text in TEXTS.items() if name in called),
        "scale": (*_SCALES[config.scale], *(("given = weight",) if embedded.made else ())),
        "scaled": CLIPPED if clips else "(rows_of(X) - center) / spread", "batches": _batches(config.batch),
        **_TASKS[problem.task](problem, config.class_weight),
        **{place: [one[place] for one in lines if place in one] for place in PLACES},
    }  # fmt: skip
    return write_loop(values)


def _optimizer(config: NetConfig, called: AbstractSet[str]) -> tuple[str, str]:
    """The optimizer as code, and what it needs beside."""
    one, decay = config.optimizer, config.techniques.get("weight_decay")
    text = OPTIMIZERS[one.kind]
    call = text.call(one)
    scheduled = bool(getattr(config.techniques.get("weight_decay_schedule"), "acting", ()))
    if one.kind == "adam" and decay is not None and decay.kind == "weight_decay" and not scheduled:
        call = DECAYED.format(decay=number(decay.rate))
    own = text.metric(one)
    if "shrink" in called:
        return call, own + SHRINK
    return call, own if "class" in own or "metric" in called else ""


def _check(config: NetConfig, problem: Problem) -> None:
    """Refuse what the loop has no lines for, naming it."""
    if isinstance(config.module, Custom):
        raise InvalidInput(
            "Plain code is written for MLP and CNN, got your own module; train it in a loop of your own."
        )
    if not config.stopping.epochs:
        raise InvalidInput(
            "Plain code needs a number of epochs, got early stopping; take the chosen point: results.best."
        )
    if problem.tasks:
        raise InvalidInput(
            "Plain code is written for one task, got several targets with tasks of their own; train it by "
            "load_config(DIR).build().fit(X, y), or take the module of the exported net: load(DIR).module_."
        )
    if is_sparse(problem.X):
        raise InvalidInput(
            "The plain loop takes a table or images, got a sparse X; pass X.toarray() to the study, or let its "
            "transformer give a dense table (sparse_threshold=0)."
        )
    unknown = _unknown(config, problem)
    if unknown:
        raise InvalidInput(
            f"A plain training loop has no {', '.join(sorted(unknown))}; export the net, or search without it."
        )


def _unknown(config: NetConfig, problem: Problem) -> list[str]:
    """What the loop has no lines for, by name."""
    unknown = [f"{type(one).__name__} ({slot})" for slot, _, one in config.placed() if not _has_code(slot, one)]
    if config.optimizer.kind not in OPTIMIZERS:
        unknown.append(f"{type(config.optimizer).__name__} (optimizer)")
    slots = {slot: one for slot, _, one in config.placed() if one.acting}
    if "embedding" in slots and slots["embedding"].kind not in HAS_CODE:
        unknown.append(f"{type(slots['embedding']).__name__} (embedding)")
    twice = ["sam"] if "sam" in slots else []  # a batch is passed twice, and terms of the loss are of the first pass
    if getattr(slots.get("data_augmentation"), "kind", "") == "adversarial_training":
        twice.append("data_augmentation")
    if len(twice) > 1:
        unknown.append("SAM (sam) of AdversarialTraining (data_augmentation)")
    unknown += [f"{slot} beside {twice[0]}" for slot in INSIDE if slot in slots and twice]
    apart = problem.groups is not None or problem.transform is not None or config.class_weight != "none"
    if config.inner and apart:
        unknown.append("AdaptiveStrength beside groups, a transformed y or class weights")
    return unknown


def _has_code(slot: str, one: Technique) -> bool:
    """Whether the loop has lines for what a technique does; for what a script defines it has none."""
    known = slot in {*LINES, *INSIDE, *_ELSEWHERE} and type(one).__module__.startswith(PACKAGE)
    return not one.acting or known


def _shape(config: NetConfig, problem: Problem) -> tuple[int, ...]:
    """Of a row that the net sees."""
    return (len(problem.encoded_names),) if problem.grid is None else config.architecture.inputs(problem.grid)


def _numeric(problem: Problem) -> tuple[int, ...]:
    """The columns that an embedding embeds."""
    import torch

    return numeric_columns(Data(problem, torch.device("cpu"), torch.float64))


def _as_one(front: Front) -> Any:
    """The steps in front of a net as one."""
    from sklearn.pipeline import make_pipeline

    return front.steps[0] if len(front.steps) == 1 else make_pipeline(*front.steps)


def _prepared(problem: Problem) -> bool:
    """Whether columns need more than numpy before they are scaled."""
    return problem.grid is None and (is_frame(problem.X) or problem.has_holes)


def _module(config: NetConfig, architecture: Architecture, module: nn.Module, embedded: str) -> str:
    """The layers as torch prints them, by name, with the dropout that follows hidden layers."""
    hidden_layers = architecture.hidden_layers(module)
    dropped = _dropped(config, architecture, hidden_layers)
    skipped, sharing = _branch_rates(config, len(hidden_layers)), config.techniques.get("tasks")

    def chain(layers: nn.Module, way: str) -> Iterator[str]:
        for name, layer in layers.named_children():
            if name == "embedding":
                yield f"{name}={embedded},"
            elif name.startswith("skip"):
                yield f"{name}=Skip(OrderedDict({' '.join(chain(layer, f'{name}.'))[:-1]}){next(skipped)}),"
            else:
                yield f"{name}={layer_text(layer, sharing) or f'nn.{layer!r}'},"
            for i, drop in enumerate(dropped[way + name]):
                yield f"drop{i or ''}_{name}={drop},"

    return "\n".join(f"        {layer}" for layer in chain(module, ""))


def _dropped(config: NetConfig, architecture: Architecture, hidden_layers: tuple[str, ...]) -> Mapping[str, list[str]]:
    """The dropout layers that follow each hidden layer."""
    found: dict[str, list[str]] = defaultdict(list)
    for pattern, dropout in [(pattern, one) for slot, pattern, one in config.placed() if slot == "dropout"]:
        of_channels = isinstance(architecture, CNN) and dropout.kind == "spatial_dropout"
        kind = f"Dropout{getattr(architecture, 'dims', '')}d" if of_channels else "Dropout"
        fields = dropout.fields()
        each = rates(number(fields["rate"]), fields["dropout_shape"], len(hidden_layers))
        for name, rate in zip(hidden_layers, each, strict=True):
            if rate and fnmatchcase(name, pattern or "*"):
                found[name].append(f"nn.{kind}({rate!r})")
    return found


def _branch_rates(config: NetConfig, layers: int) -> Iterator[str]:
    """For each skip connection, further arguments: how often its branch is dropped, and whether it is shaken then."""
    skip = config.techniques.get("skip")
    for i in range(1, layers):
        rate = number(getattr(skip, "skip_rate", 0.0)) * i / (layers - 1)
        yield f", {rate!r}, shakes={getattr(skip, 'kind', '') == 'shake_drop'}" if rate else ""


def _batches(size: int) -> str:
    """Where an epoch of n rows is cut; see `regsearch.models.neural.training.batches.batch_slices`."""
    if size:
        return f"list(range({size}, n - 1, {size}))"
    return f"[n * i // max(1, round(n / {USUAL_SIZE})) for i in range(1, round(n / {USUAL_SIZE}))]"


# --- tasks and scales ------------------------------------------------------------------------------------------

_SCALES = {
    "standard": (
        "center = weight @ columns.mean(2) / weight.sum()",
        "spread = np.sqrt(weight @ ((columns - center[:, None]) ** 2).mean(2) / weight.sum())",
    ),
    "minmax": ("center = columns.min((0, 2))", "spread = np.ptp(columns, (0, 2))"),
    "none": ("center, spread = np.zeros(SHAPE[0]), np.ones(SHAPE[0])",),
    "robust": ROBUST,
}


def _classes(problem: Problem, class_weight: Any) -> dict[str, Any]:
    assert problem.classes is not None
    many = len(problem.classes) > 2
    lines = ["codes = np.array([CLASSES.index(label) for label in np.asarray(y).tolist()])"]
    if class_weight == "balanced":
        lines += [
            "counts = np.bincount(codes, weight)",
            "weight = weight * (counts.sum() / (len(counts) * counts))[codes]",
        ]
    elif class_weight != "none":
        factors = class_factors(problem, np.arange(problem.rows), class_weight)
        of_classes = [float(factors[problem.y == code][0]) for code in range(len(problem.classes))]
        lines.append(f"weight = weight * np.array({of_classes!r})[codes]")
    lines.append("targets = torch.tensor(np.eye(len(CLASSES))[codes], dtype=DTYPE)" if many
                 else "targets = torch.tensor(codes[:, None], dtype=DTYPE)")  # fmt: skip
    return {
        "classes": problem.classes.tolist(), "targets": lines, "returns": "probabilities [n, C] of CLASSES",
        "loss": "functional.cross_entropy(out, t, reduction='none')" if many
        else "functional.binary_cross_entropy_with_logits(out, t, reduction='none')[:, 0]",
        "answer": "out.softmax(1).numpy()" if many else "torch.cat([1 - out.sigmoid(), out.sigmoid()], 1).numpy()",
    }  # fmt: skip


def _numbers(problem: Problem, class_weight: Any) -> dict[str, Any]:
    one, transformed = problem.y.ndim == 1, problem.transform is not None
    said = "out.numpy() * deviation + mean"
    return {
        "classes": None, "returns": "numbers [n]" if one else "numbers [n, t]",
        "targets": [
            "y = np.asarray(y, dtype=float).reshape(len(X), -1)",
            *(["y = TARGET.fit_transform(y)"] if transformed else []),
            "mean = weight @ y / weight.sum()",
            "deviation = np.sqrt(weight @ (y - mean) ** 2 / weight.sum())",
            "deviation[deviation <= 1e-12] = 1.0",
            "targets = torch.tensor((y - mean) / deviation, dtype=DTYPE)",
        ],
        "loss": "((out - t) ** 2).mean(1) / 2",
        "answer": f"{'TARGET.inverse_transform' if transformed else ''}({said}){'[:, 0]' if one else ''}",
    }  # fmt: skip


_TASKS: dict[str, Callable[[Problem, Any], dict[str, Any]]] = {
    "regression": _numbers, "binary": _classes, "multiclass": _classes,
}  # fmt: skip
