"""A trained net as production uses it: plain tensors, what they mean, and scikit-learn's methods.

Nothing of the training is needed here: the architecture's plain module, and how inputs and targets were scaled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from regsearch._types import Array
from regsearch.data.features import is_sparse
from regsearch.data.frames import index_of, to_pandas
from regsearch.data.target_transforms import FittedTransform
from regsearch.errors import InvalidInput
from regsearch.metrics.predictions import (
    decisions_of_tasks,
    labels_of_tasks,
    probabilities,
    probabilities_of_tasks,
    values_of_tasks,
    winners,
)
from regsearch.models.neural.files import METADATA, MODULE, PREPARE, TENSORS, TRANSFORM, Spec, read_tensors
from regsearch.models.neural.network.architecture import Architecture
from regsearch.models.neural.network.robust import smoothly_clipped
from regsearch.models.persist import read_object, write_object
from regsearch.space.config import from_data

if TYPE_CHECKING:
    import torch

ROWS = 1024  # predicted together


class Predictor(BaseEstimator):  # type: ignore[misc]
    """A trained net.

    Parameters
    ----------
    spec
        See `Spec`.
    tensors
        The module's tensors by name behind ``module.``, and ``offset``, ``center``, ``spread`` of inputs,
        ``target_center``, ``target_spread`` of targets.
    prepare
        The fitted scikit-learn step from raw columns to numbers, or `None`.
    architecture
        What builds the module.
    target
        The fitted transformer of y that is undone in predictions, or `None`.
    """

    def __init__(
        self, spec: Spec, tensors: Mapping[str, torch.Tensor], prepare: Any, architecture: Architecture,
        target: Any = None,
    ) -> None:  # fmt: skip
        self.spec, self.tensors, self.prepare, self.architecture = spec, tensors, prepare, architecture
        self.target = target

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_clone__(self) -> Predictor:
        """Itself, as a frozen estimator: a copy of its parts would come without what its preparing step has learned."""
        return self

    def fit(self, X: Any, y: Any) -> Predictor:
        """Refuse: a trained net stays as it is. scikit-learn takes only what has a ``fit`` for an estimator.

        Raises
        ------
        InvalidInput
            Always.
        """
        raise InvalidInput(
            f"A {type(self).__name__} is trained and cannot be fitted again: for another, fit a RegSearchCV of a Net; "
            "to use this one as it is, wrap it in sklearn.frozen.FrozenEstimator."
        )

    @property
    def module_(self) -> torch.nn.Module:
        """The plain torch module, in evaluation mode; it takes scaled rows ``[B, *inputs]``."""
        if not hasattr(self, "_module"):
            self._module = _module(self.spec, self.tensors, self.architecture)
        return self._module

    def decision(self, X: Any) -> Array:
        """``[n, m]``: logits, or numbers in the units of what the net was fitted to."""
        import torch

        found = []
        with torch.inference_mode():
            for rows in self._batches(X):
                x = (rows - self.tensors["center"]) / self.tensors["spread"]
                out = (
                    self.module_(smoothly_clipped(x) if self.spec.clips else x).double()
                    * self.tensors["target_spread"][:, 0]
                )
                found.append((out + self.tensors["target_center"][:, 0]).numpy())
        return np.concatenate(found) if found else np.empty((0, self.spec.outputs))

    def _batches(self, X: Any) -> Iterator[torch.Tensor]:
        """Raw rows as tensors, some at a time."""
        import torch

        X, offset = self._checked(X), self.tensors["offset"].numpy()
        far = bool(offset.any())
        for start in range(0, X.shape[0], ROWS):
            rows = X[start : start + ROWS]
            rows = rows.toarray() if is_sparse(rows) else rows
            rows = rows - offset if far else np.ascontiguousarray(rows)
            x = torch.tensor(rows, dtype=getattr(torch, self.spec.precision))
            if not bool(x.isfinite().all()):
                raise InvalidInput("Rows must hold finite numbers, got NaN or infinity; fill or drop them.")
            yield x

    def _checked(self, X: Any) -> Any:
        X = to_pandas(X)
        if self.prepare is not None:
            made = self.prepare.transform(X)
            return made.tocsr() if is_sparse(made) else np.asarray(made)
        X = X.tocsr() if is_sparse(X) else np.asarray(X)
        if X.ndim > 2:
            X = X.reshape(len(X), *self.architecture.inputs(X.shape[1:]))
        if X.shape[1:] != self.spec.inputs:
            raise InvalidInput(f"Rows must have the shape {self.spec.inputs} as in training, got {tuple(X.shape[1:])}.")
        return X

    def ship(self, folder: Path) -> list[str]:
        """Write the net as plain tensors, and the preparing step without pickle; what must be trusted to read it."""
        from safetensors.torch import save

        plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in self.tensors.items()}
        written = save(plain, metadata={METADATA: self.spec.text()})
        (folder / TENSORS).write_bytes(written)  # what safetensors writes itself, its owner alone may read
        steps = {PREPARE: self.prepare, TRANSFORM: self.target}
        return sorted({
            one for name, step in steps.items() if step is not None for one in write_object(step, folder / name)
        })  # fmt: skip

    def undoing(self, target: Any) -> Predictor:
        """The same net, whose predictions are what a fitted transformer of y makes of them when it is undone."""
        return type(self)(replace(self.spec, transformed=True), self.tensors, self.prepare, self.architecture, target)


class NetClassifier(ClassifierMixin, Predictor):  # type: ignore[misc]
    """A trained net that tells classes apart."""

    @property
    def classes_(self) -> NDArray[Any]:
        return np.array(self.spec.classes, dtype=self.spec.label_type)

    def decision_function(self, X: Any) -> Array:
        """Log-odds ``[n]`` of the second of two classes, or logits ``[n, C]``."""
        decision = self.decision(X)
        return decision[:, 0] if decision.shape[1] == 1 else decision

    def predict_proba(self, X: Any) -> Array:
        """``[n, C]``."""
        return probabilities(self.decision(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """Labels ``[n]``."""
        return np.asarray(self.classes_[winners(self.decision(X))])


class NetRegressor(RegressorMixin, Predictor):  # type: ignore[misc]
    """A trained net that predicts numbers."""

    def predict(self, X: Any) -> Array:
        """``[n]``, or ``[n, targets]``."""
        decision = self.decision(X)
        if self.target is not None and len(decision):
            decision = FittedTransform(self.target).undone(decision)
        return decision[:, 0] if decision.shape[1] == 1 else decision


class NetTasks(Predictor):
    """A trained net of several targets, each of a task of its own."""

    @property
    def classes_(self) -> dict[str, NDArray[Any]]:
        """Labels by target, of those that are classes."""
        return labels_of_tasks(self.spec.targets)

    def predict(self, X: Any) -> Any:
        """A DataFrame ``[n, t]`` with the index of X: numbers and labels, each column of its own type."""
        return values_of_tasks(self.spec.targets, self.decision(X), index_of(X))

    def predict_proba(self, X: Any) -> dict[str, Array]:
        """``[n, C]`` by target, of those that are classes."""
        return probabilities_of_tasks(self.spec.targets, self.decision(X))

    def decision_function(self, X: Any) -> dict[str, Array]:
        """Log-odds ``[n]`` of two classes, or a logit per class ``[n, C]``, by target, of those that are classes."""
        return decisions_of_tasks(self.spec.targets, self.decision(X))


def make_predictor(
    spec: Spec, tensors: Mapping[str, torch.Tensor], prepare: Any, architecture: Architecture, target: Any = None
) -> Predictor:
    """The predictor of a task."""
    if spec.tasks:
        return NetTasks(spec, tensors, prepare, architecture, target)
    return (NetRegressor if spec.classes is None else NetClassifier)(spec, tensors, prepare, architecture, target)


def load_net(folder: Path, trusted: Sequence[str] = (), module: Callable[[], Any] | None = None) -> Predictor:
    """The net of a bundle.

    Parameters
    ----------
    trusted
        Names of types beyond scikit-learn's own that the user trusts.
    module
        The function that makes the module, where it is the user's own.

    Raises
    ------
    NotFound
        When the folder holds no net.
    InvalidInput
        When it is damaged, or its module is not the one that was trained.
    """
    spec, tensors = read_tensors(folder)
    prepare = read_object(folder / PREPARE, trusted) if spec.prepared else None
    target = read_object(folder / TRANSFORM, trusted) if spec.transformed else None
    predictor = make_predictor(spec, tensors, prepare, _architecture(spec, module), target)
    _ = predictor.module_
    return predictor


def _architecture(spec: Spec, module: Callable[[], Any] | None) -> Architecture:
    from regsearch.models.neural.architectures import Custom

    if spec.module.get("type") != Custom.tag():
        made = from_data(spec.module)
        if not isinstance(made, Architecture):
            raise InvalidInput(f"The module of a net must be an architecture, got {made!r}; export it again.")
        return made
    if module is None:
        raise InvalidInput(
            f"This net is your own module, made by {spec.module.get('factory')}; pass module= that function: loading a "
            "bundle imports nothing by name."
        )
    return Custom(module)


def _module(spec: Spec, tensors: Mapping[str, torch.Tensor], architecture: Architecture) -> torch.nn.Module:
    import torch

    from regsearch.models.neural.architectures import Custom

    own = {name.removeprefix(MODULE): tensor for name, tensor in tensors.items() if name.startswith(MODULE)}
    if not isinstance(architecture, Custom):
        _check_sizes(spec, own, architecture)
    with torch.random.fork_rng(devices=[]):  # the start is overwritten: nobody's random numbers move
        module = _new_module(spec, architecture).to(getattr(torch, spec.precision))
    try:
        module.load_state_dict(own)
    except RuntimeError as error:
        raise InvalidInput(f"The module is not the one that was trained: {error}") from error
    return module.eval()


def _new_module(spec: Spec, architecture: Architecture) -> torch.nn.Module:
    """The module as it starts: a net, or several as one."""
    nets = [architecture.module(spec.inputs, spec.outputs, spec.norm) for _ in range(spec.nets)]
    if len(nets) == 1:
        return nets[0]
    from regsearch.models.neural.network.mean_net import MeanNet

    return MeanNet(nets, spec.parts)


def _check_sizes(spec: Spec, own: Mapping[str, torch.Tensor], architecture: Architecture) -> None:
    """Refuse an architecture whose parameters have not the shapes of the tensors, before any room is made for them.

    Raises
    ------
    InvalidInput
        When it is another one.
    """
    import torch

    sizes = getattr(architecture, "net", architecture).fields().values()
    layers = max((len(value) for value in sizes if isinstance(value, tuple)), default=0)
    if max(layers, 1) * spec.nets > len(own):
        raise InvalidInput(
            f"The module is not the one that was trained: {layers * spec.nets} layers for {len(own)} tensors."
        )
    try:
        with torch.device("meta"):  # shapes without numbers
            made = _new_module(spec, architecture).state_dict()
    except (RuntimeError, TypeError, ValueError, ArithmeticError) as error:
        raise InvalidInput(f"The module is not the one that was trained: {error}") from error
    wanted, found = ({name: tuple(one.shape) for name, one in state.items()} for state in (made, own))
    other = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
    if other:
        raise InvalidInput(
            f"The module is not the one that was trained: {other[0]} must have the shape {wanted.get(other[0])}, got "
            f"{found.get(other[0])}."
        )
