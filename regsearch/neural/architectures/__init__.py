"""The architectures."""

from regsearch.neural.architectures.cnn import CNN
from regsearch.neural.architectures.custom import Custom
from regsearch.neural.architectures.mlp import MLP

__all__ = ["CNN", "MLP", "Custom"]
