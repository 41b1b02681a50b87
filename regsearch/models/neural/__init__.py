"""Neural nets: many trials and folds as one computation."""

from regsearch.models.neural.architectures import CNN, MLP, Custom
from regsearch.models.neural.net import Net

__all__ = ["CNN", "MLP", "Custom", "Net"]
