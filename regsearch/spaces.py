"""Ready-made spaces, with the default ranges of the field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from regsearch.errors import InvalidInput
from regsearch.models.linear import Linear
from regsearch.models.linear.penalties import AdaptiveLasso
from regsearch.models.neural import CNN, MLP, Net
from regsearch.models.neural import techniques as t
from regsearch.models.neural.dropout_masks import SHAPES
from regsearch.space.path import Path
from regsearch.space.tree import Choice, Float


def linear() -> Linear:
    """Penalty type, lambda, L1 ratio, adaptive weights and scaling of a linear model."""
    return Linear(
        penalty=Choice("elastic_net", "l1", "l2", AdaptiveLasso(gamma=Float(0.5, 2.0))),
        lambda_=Path(100),
        scale=Choice("standard", "minmax", "none"),
    )


def mlp(hidden: tuple[int, ...] = (64, 64), max_epochs: int = 100, embedding: bool = False) -> Net:
    """Penalty type, lambda, L1 ratio, weight decay, dropout, input noise, patience and learning rate of an MLP.

    Parameters
    ----------
    hidden
        Widths of the hidden layers.
    max_epochs
        Where training ends at the latest.
    embedding
        Whether to search over embeddings of numbers, too: for dense tables.
    """
    embeddings: dict[str, Any] = {"embedding": Choice(None, t.Periodic(), t.PiecewiseLinear())} if embedding else {}
    return Net(
        MLP(hidden=hidden),
        lr=Float(3e-4, 1e-2, log=True),  # what regularizes well at one rate does not at another
        **embeddings,
        penalty=Choice(None, t.L1Penalty(), t.L2Penalty(), t.ElasticNetPenalty()),
        weight_decay=Float(1e-5, 1e-1, log=True),
        dropout=Float(0.0, 0.5),
        input_noise=Float(1e-3, 1.0, log=True),
        early_stopping=t.EarlyStopping(max_epochs, patience=Choice(10, 20)),
    )


def cnn(channels: tuple[int, ...] = (16, 32), max_epochs: int = 30, dims: int = 2) -> Net:
    """Augmentation, dropout, weight decay and patience of a small convolutional net.

    Parameters
    ----------
    channels
        Of each convolution.
    max_epochs
        After which training ends at the latest.
    dims
        1 for sequences, 2 for images, 3 for volumes, which have no augmentation.
    """
    augment = {1: t.SequenceAugment, 2: t.Augment}.get(dims)
    changed: dict[str, Any] = {} if augment is None else {"augment": Choice(None, augment())}
    return Net(
        CNN(channels=channels, dims=dims),
        **changed,
        dropout=Float(0.0, 0.5),
        weight_decay=Float(1e-5, 1e-1, log=True),
        early_stopping=t.EarlyStopping(max_epochs, patience=Choice(3, 6)),
    )


def cocktail(
    hidden: tuple[int, ...] = (128, 128, 128), first: int = 15, cycles: int = 3, without: Sequence[str] = (),
    **pinned: Any,
) -> Net:  # fmt: skip
    """The regularization cocktail of Kadra et al. 2021 for tables: any of its techniques together, each on or off.

    Batch norm, stochastic weight averaging or an ensemble of three snapshots, lookahead, weight decay, dropout with its
    shape, skip connections with stochastic depth or ShakeDrop, and one of mixup, CutMix, Cutout and adversarial
    training. Fixed are Adam's learning rate of 1e-3, batches of about 128, and epochs: cosine restarts, each cycle
    twice as long, to the end of the last. The paper's net is ``hidden=(512,) * 9``. What its space has and this has
    not: shake-shake, and averaged weights together with snapshots. Its one validation split, which is too noisy to tune
    on, is cross-validation here.

    Parameters
    ----------
    hidden
        Widths of the hidden layers; skip connections need two of them.
    first, cycles
        Epochs of the first cycle, and how many cycles there are: 15 + 30 + 60 epochs by default, as in the paper.
    without
        Slots and techniques to leave out, by name: ``["swa", "skip"]``.
    **pinned
        Fields of `Net` to fix or to search otherwise: ``norm="batch_norm"``, ``lr=Float(1e-4, 1e-2, log=True)``.

    Raises
    ------
    InvalidInput
        When nothing in the space has a name that is to be left out.
    """
    return _cocktail(MLP(hidden=hidden), t.Dropout, (first, cycles), without, len(hidden), pinned)


def image_cocktail(
    channels: tuple[int, ...] = (16, 32), first: int = 5, cycles: int = 3, without: Sequence[str] = (), **pinned: Any
) -> Net:
    """The cocktail for images: as that for tables, of a convolutional net, with augmentation and dropout of channels.

    Parameters
    ----------
    channels
        Of each convolution.
    first, cycles, without, **pinned
        As of `cocktail`.

    Raises
    ------
    InvalidInput
        When nothing in the space has a name that is to be left out.
    """
    augment = pinned.pop("augment", Choice(None, t.Augment()))
    pinned["augment"] = augment
    return _cocktail(CNN(channels=channels), t.SpatialDropout, (first, cycles), without, len(channels), pinned)


def _cocktail(
    module: MLP | CNN, dropout: type[t.Dropout], cycles: tuple[int, int], without: Sequence[str], layers: int,
    pinned: dict[str, Any],
) -> Net:  # fmt: skip
    first, count = cycles
    slots: dict[str, Any] = {
        "norm": Choice(None, t.BatchNorm()),
        "averaging": Choice(None, t.SWA(0.75), t.Snapshots(count, 2.0, last=3)),
        "lookahead": Choice(None, t.Lookahead()),
        "weight_decay": Choice(None, t.WeightDecay()),
        "dropout": Choice(None, dropout(Float(0.0, 0.8), Choice(*SHAPES))),
        "skip": Choice(None, t.SkipConnection(), t.StochasticDepth(), t.ShakeDrop()),
        "data_augmentation": Choice(None, t.Mixup(), t.CutMix(), t.Cutout(), t.AdversarialTraining(0.007)),
    }
    if layers < 2:
        del slots["skip"]  # there is nothing to skip
    fixed = {
        "lr": 1e-3, "schedule": t.CosineRestarts(first, 2.0),
        "early_stopping": t.FixedEpochs(first * (2**count - 1)),
    }  # fmt: skip
    return Net(module, **{**fixed, **_left(slots | pinned, without)})


def _left(slots: dict[str, Any], without: Sequence[str]) -> dict[str, Any]:
    """What is left of slots without some of them, and without some options of others."""
    names = {slot: {getattr(one, "kind", "") for one in _options(value)} for slot, value in slots.items()}
    known = sorted({*names, *(name for kinds in names.values() for name in kinds)} - {""})
    unknown = [name for name in without if name not in known]
    if unknown:
        raise InvalidInput(
            f"The cocktail has no {', '.join(map(repr, unknown))} to leave out; it has {', '.join(known)}."
        )
    left = {}
    for slot, value in slots.items():
        options = [one for one in _options(value) if getattr(one, "kind", "") not in without]
        if slot not in without and any(one is not None for one in options):
            left[slot] = value if len(options) == len(_options(value)) else Choice(*options)
    return left


def _options(value: Any) -> tuple[Any, ...]:
    return value.options if isinstance(value, Choice) else (value,)
