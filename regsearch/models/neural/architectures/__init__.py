"""The architectures."""

from regsearch.models.neural.architectures.cnn import CNN
from regsearch.models.neural.architectures.custom import Custom
from regsearch.models.neural.architectures.embedded import Embedded, with_embedding
from regsearch.models.neural.architectures.mlp import MLP
from regsearch.models.neural.architectures.residual import ResidualCNN, ResidualMLP, with_skips
from regsearch.models.neural.architectures.task_mlp import TaskMLP, with_tasks

__all__ = [
    "CNN", "MLP", "Custom", "Embedded", "ResidualCNN", "ResidualMLP", "TaskMLP", "with_embedding", "with_skips",
    "with_tasks",
]  # fmt: skip
