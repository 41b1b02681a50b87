"""Ready-made spaces, with the default ranges of the field."""

from __future__ import annotations

from regsearch.models.linear import Linear
from regsearch.models.linear.penalties import AdaptiveLasso
from regsearch.models.neural import CNN, MLP, Net
from regsearch.models.neural import techniques as t
from regsearch.space.tree import Choice, Float, Path


def linear() -> Linear:
    """Penalty type, lambda, L1 ratio, adaptive weights and scaling of a linear model."""
    return Linear(
        penalty=Choice("elastic_net", "l1", "l2", AdaptiveLasso(gamma=Float(0.5, 2.0))),
        lambda_=Path(100),
        scale=Choice("standard", "minmax", "none"),
    )


def mlp(hidden: tuple[int, ...] = (64, 64), max_epochs: int = 100) -> Net:
    """Penalty type, lambda, L1 ratio, weight decay, dropout, input noise and patience of an MLP, for any task."""
    return Net(
        MLP(hidden=hidden),
        penalty=Choice(None, t.L1Penalty(), t.L2Penalty(), t.ElasticNetPenalty()),
        weight_decay=Float(1e-5, 1e-1, log=True),
        dropout=Float(0.0, 0.5),
        input_noise=Float(1e-3, 1.0, log=True),
        early_stopping=t.EarlyStopping(max_epochs, patience=Choice(10, 20)),
    )


def cnn(channels: tuple[int, ...] = (16, 32), max_epochs: int = 30) -> Net:
    """Augmentation, dropout, weight decay and patience of a small convolutional net."""
    return Net(
        CNN(channels=channels),
        augment=Choice(None, t.Augment()),
        dropout=Float(0.0, 0.5),
        weight_decay=Float(1e-5, 1e-1, log=True),
        early_stopping=t.EarlyStopping(max_epochs, patience=Choice(3, 6)),
    )
