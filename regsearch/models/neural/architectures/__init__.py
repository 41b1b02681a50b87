"""The architectures."""

from regsearch.models.neural.architectures.cnn import CNN
from regsearch.models.neural.architectures.custom import Custom
from regsearch.models.neural.architectures.mlp import MLP

__all__ = ["CNN", "MLP", "Custom"]
