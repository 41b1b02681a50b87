"""Neural nets: many trials and folds as one computation."""

from regsearch.neural.architectures import CNN, MLP, Custom
from regsearch.neural.net import Net

__all__ = ["CNN", "MLP", "Custom", "Net"]
