"""What a net is trained on: the loss of each task, and the scores that can be summed up batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Task
from regsearch.metrics.scorer import Metric, formula
from regsearch.models.neural.network.data import Fold
from regsearch.models.neural.network.objective import Parts

if TYPE_CHECKING:
    import torch


def losses(parts: Parts, out: torch.Tensor, y: torch.Tensor, shares: torch.Tensor | None = None) -> torch.Tensor:
    """``[R, B]`` loss of each sample.

    Parameters
    ----------
    parts
        Which outputs are those of which task.
    out
        ``[R, m, B]``: logits, or numbers.
    y
        ``[1 or R, m, B]``: one-hot or smoothed classes, 0 and 1, or numbers.
    shares
        ``[1 or R, t]`` of several tasks: what the loss of each counts.
    """
    if shares is None:
        return _losses(parts[0][1], out, y)
    found = (_losses(task, out[:, part], y[:, part]) for part, task in parts)
    total: torch.Tensor = sum(shares[:, j, None] * each for j, each in enumerate(found))  # type: ignore[assignment]
    return total


def task_losses(parts: Parts, out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """``[R, t, B]`` loss of each sample by each task, or by each target of a regression."""
    import torch

    if len(parts) == 1:
        return (out - y).square() / 2
    return torch.stack([_losses(task, out[:, part], y[:, part]) for part, task in parts], 1)


def _losses(task: Task, out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """``[R, B]`` of one task."""
    import torch

    if task == "multiclass":
        return -(torch.log_softmax(out, 1) * y).sum(1)
    if task == "binary":
        return (torch.nn.functional.softplus(out) - out * y)[:, 0]
    return (out - y).square().mean(1) / 2


class Tally:
    """Scores of R rows on one part of a fold, summed up as batches come.

    Parameters
    ----------
    metrics
        What to measure, in this order.
    """

    def __init__(self, metrics: tuple[Metric, ...], fold: Fold, part: str) -> None:
        self.metrics, self.fold, self.part = metrics, fold, part
        summed = fold.data.problem.transform is None  # else sums are not in the units of y
        self._formulas = [formula(metric) if summed else "" for metric in metrics]
        self._sums: dict[str, Any] = {}
        self._decisions: list[Array] = []
        self._finite: Any = (
            True  # [R]: a row that says nothing finite of one sample has no score, whatever the score is
        )
        self._whole = any(name not in _SUMMED for name in self._formulas)

    def add(self, out: torch.Tensor, rows: torch.Tensor) -> None:
        """Take note of what a net returned ``[R, m, B]`` for some rows of the data."""
        y, weight = self.fold.y[:, rows], self.fold.data.score_weight[rows]
        self._finite = out.isfinite().flatten(1).all(1) & self._finite
        for name in {_SUMMED[name] for name in self._formulas if name in _SUMMED}:
            value = _PARTS[name](self.fold, out, y)
            value = value @ weight.to(value.dtype)
            self._sums[name] = self._sums.get(name, 0.0) + value.double()
        if self._whole:
            self._decisions.append(self.fold.decisions(out).double().cpu().numpy())

    def scores(self) -> Array:
        """``[metrics, R]``; infinite where a net diverged, NaN where a score is not defined for what it says."""
        finite = self._finite.cpu().numpy()
        scores = [self._score(m, name, finite) for m, name in zip(self.metrics, self._formulas, strict=True)]
        return np.where(finite, np.stack(scores), -np.inf)

    def _score(self, metric: Metric, name: str, finite: NDArray[np.bool_]) -> Array:
        rows = self.fold.parts[self.part]
        if metric.pooled and self.part == "val":  # a matter of all folds: `regsearch.models.neural.training.outcome`
            return np.full(len(finite), np.nan)
        if name not in _SUMMED:
            decision = np.concatenate(self._decisions, axis=2).transpose(2, 0, 1)  # [n, R, m], as a path of R steps
            scores = np.full(len(finite), np.nan)
            problem, raised = self.fold.data.problem, dict[str, str]()  # of points that are then not chosen
            scores[finite] = metric.along(problem, rows, decision[:, finite], raised)  # scorers refuse NaN
            return scores
        weight = self.fold.data.score_weight[self.fold.rows[self.part]].double()
        mean = (self._sums[_SUMMED[name]] / weight.sum()).cpu().numpy()  # [R, 1 or targets]
        return np.asarray(metric.exact(_FINISH[name](mean, self.fold, rows)))


def _squared(fold: Fold, out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """``[R, targets, B]`` in the units of y."""
    return ((out - y) * fold.scaling.target_spread).square()


def _log_loss(fold: Fold, out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return losses(fold.data.parts, out, y)[:, None]


def _correct(fold: Fold, out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    if out.shape[1] == 1:
        return ((out > 0) == (y > 0)).to(out.dtype)
    return (out.argmax(1) == y.argmax(0)).to(out.dtype)[:, None]


def _r2(mse: Array, fold: Fold, rows: Any) -> Array:
    problem = fold.data.problem
    y = problem.y[rows].reshape(len(rows), -1)
    weight = np.ones(len(rows)) if problem.score_weight is None else problem.score_weight[rows]
    variance = np.average((y - np.average(y, axis=0, weights=weight)) ** 2, axis=0, weights=weight)
    with np.errstate(divide="ignore", invalid="ignore"):  # constant on a few rows: no score
        return np.asarray(np.where(variance > 0, 1 - mse / variance, np.nan).mean(axis=1))


_PARTS: dict[str, Callable[[Fold, Any, Any], Any]] = {
    "squared": _squared, "log_loss": _log_loss, "correct": _correct,
}  # fmt: skip
_SUMMED = {
    "neg_mean_squared_error": "squared", "neg_root_mean_squared_error": "squared", "r2": "squared",
    "neg_log_loss": "log_loss", "accuracy": "correct",
}  # fmt: skip
_FINISH: dict[str, Callable[[Array, Fold, Any], Array]] = {
    "neg_mean_squared_error": lambda mean, fold, rows: -mean.mean(axis=1),
    "neg_root_mean_squared_error": lambda mean, fold, rows: -np.sqrt(mean).mean(axis=1),
    "r2": _r2,
    "neg_log_loss": lambda mean, fold, rows: -mean[:, 0],
    "accuracy": lambda mean, fold, rows: mean[:, 0],
}
