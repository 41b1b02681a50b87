"""The architectures."""

from regsearch.models.neural.architectures.cnn import CNN
from regsearch.models.neural.architectures.custom import Custom
from regsearch.models.neural.architectures.embedded import Embedded, with_embedding
from regsearch.models.neural.architectures.mlp import MLP
from regsearch.models.neural.architectures.residual import ResidualCNN, ResidualMLP, with_skips

__all__ = ["CNN", "MLP", "Custom", "Embedded", "ResidualCNN", "ResidualMLP", "with_embedding", "with_skips"]
