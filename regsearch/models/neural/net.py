"""`Net`, the space and config of neural nets."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.data.problem import Problem
from regsearch.data.target_transforms import FittedTransform
from regsearch.errors import InvalidInput
from regsearch.models.base import Backend, Model, Setup
from regsearch.models.deadline import Deadline
from regsearch.models.neural.config import NetConfig
from regsearch.models.neural.training.limits import MAX_STACKED
from regsearch.models.preparation import cannot_be_exported
from regsearch.models.scored_by_predictions import check_scored_by_predictions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from regsearch.models.default_columns import DefaultColumns


@dataclass(frozen=True, init=False)
class Net(NetConfig):
    """A neural net and what regularizes it, trained by Adam or another optimizer.

    ``sum_i w_i loss_i / sum_i w_i + lambda * penalty``: squared error halved (targets standardised inside the fold), or
    log loss.

    Parameters
    ----------
    module
        `MLP`, `CNN`, their names, or a function without arguments that returns a `torch.nn.Module` with an output for
        each target or each class; for two classes one (the logit) or two (their difference is the logit).
    lr
        Learning rate, where `optimizer=` has not been given one: by default 1e-3, and with `optimizer=` its usual
        range. ``optimizer`` stands there where the optimizer has it.
    batch_size
        Rows of a batch; ``auto`` cuts a fold into batches of one size, of about 128 rows.
    scale
        How columns (or channels of images) are scaled inside each fold: ``standard``, ``minmax``, ``none``, or
        ``robust``, for tables alone: by their quartiles, then clipped smoothly to less than 3 (RealMLP).
    class_weight
        What classes weigh in training, times the rows' weights, and not in scores: `None`, ``balanced`` (every class
        the same) or a dict from labels to weights, as scikit-learn has it.
    precision
        ``float32`` or ``float64``.
    prepare
        A transformer of scikit-learn, a `Prepare` with leaves for its parameters, or a `Choice` of them: fitted inside
        each fold on its training rows, it makes numbers of X, text and dates among it.
    device
        ``auto`` (a CUDA GPU where there is one), or a torch device.
    **techniques
        By slot, for example ``dropout=Float(0, 0.5)``, ``penalty=Choice(None, t.L1Penalty(), t.L2Penalty())``; see
        `regsearch.nn_techniques`. A number or a leaf stands for the technique's first field, `None` for none. A penalty
        may be a dict from patterns of parameter names (``{"linear0.weight": t.L1Penalty()}``), and `activity_penalty`
        and `dropout` one from patterns of hidden layers' names: of a module of your own, of any layer's.

    Raises
    ------
    InvalidInput
        When a value does not fit its field, or no technique has such a slot.

    Examples
    --------
    >>> from regsearch import Float, nn_techniques as t
    >>> space = Net(MLP(hidden=(64,)), penalty=t.L1Penalty(), dropout=Float(0, 0.5))
    """

    packages: ClassVar[tuple[str, ...]] = ("torch", "safetensors")
    cost: ClassVar[int] = 2
    holds: ClassVar[int] = MAX_STACKED

    @property
    def factory(self) -> Callable[[], Any] | None:
        """The function that makes a module of the user's own; `None` where there is no such option."""
        options = getattr(self.module, "options", (self.module,))
        return next((option.factory for option in options if hasattr(option, "factory")), None)

    def check(self, setup: Setup) -> None:
        if importlib.util.find_spec("torch") is None:
            raise InvalidInput("A Net needs torch, which is not installed; pip install 'regsearch[torch]'.")
        from regsearch.models.neural.training.checks import check

        check_scored_by_predictions(setup, "Net")
        check(self, setup)

    def cannot_be_exported(self) -> str:
        return cannot_be_exported(self.prepare)

    def prepared_by(self, columns: DefaultColumns) -> Model:
        return self if self.prepare is not None or not columns.needed else self.replace(prepare=columns.encoding)

    def preload(self) -> None:
        import torch  # noqa: F401

        import regsearch.models.neural.training.stack  # noqa: F401

    def backend(self, setup: Setup) -> Backend:
        from regsearch.models.neural.training.stack import Stack

        return Stack(setup, self.device)

    def _refit(self, problem: Problem, seed: int, deadline: Deadline) -> Any:
        from regsearch.models.neural.refit import refit

        return refit(self, problem, seed, deadline)

    def _undoing(self, fitted: Any, problem: Problem, transformer: FittedTransform) -> Any:
        return fitted.undoing(transformer.transformer)

    def figures(self, problem: Problem, seed: int) -> Mapping[str, Figure]:
        from regsearch.models.neural.figures import figures

        return figures(self, problem, seed)
