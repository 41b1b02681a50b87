"""Losses and scores of nets are those of torch and of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from regsearch.metrics.kernels import KERNELS
from regsearch.metrics.predictions import fixed_prediction
from regsearch.metrics.scorer import formula, resolve
from regsearch.models.neural.network.loss import _SUMMED, Tally, losses
from regsearch.models.neural.network.objective import parts_of
from regsearch.testing.nets import fold, problem, setup_for

REGRESSION = ["neg_mean_squared_error", "neg_root_mean_squared_error", "neg_mean_absolute_error", "r2"]
SCORES = {
    "regression": [*REGRESSION, "explained_variance"],
    "binary": ["neg_log_loss", "accuracy", "roc_auc", "average_precision", "balanced_accuracy"],
    "multiclass": ["neg_log_loss", "accuracy", "balanced_accuracy", "roc_auc_ovr"],
}
ROWS = 3


def outputs(made: Any, seed: int = 0) -> torch.Tensor:
    """``[R, m, n]``: what some nets might return."""
    return torch.randn(
        ROWS, made.outputs, made.rows, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


def tallied(of: Any, out: torch.Tensor, part: str, size: int = 5) -> Any:
    where = fold(of)
    tally = Tally(of.metrics, where, part)
    for rows in where.rows[part].split(size):
        tally.add(out[:, :, rows], rows)
    return tally.scores()


@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("task", "targets"), [("regression", 1), ("regression", 2), ("binary", 1), ("multiclass", 1)])
def test_scores_are_the_scorers(task: str, targets: int, weighted: bool, part: str) -> None:
    """Summed up batch by batch, every score is its scikit-learn scorer's on the whole part."""
    made = problem(task, targets=targets, weighted=weighted)
    of = setup_for(made, SCORES[task])
    out = outputs(made)
    found = tallied(of, out, part)
    rows = fold(of).parts[part]
    options = {"sample_weight": made.sample_weight[rows]} if made.sample_weight is not None else {}
    decisions = fold(of).decisions(out).numpy()
    for metric, scores in zip(of.metrics, found, strict=True):
        for r in range(ROWS):
            fixed = fixed_prediction(made, decisions[r][:, rows].T)
            assert scores[r] == pytest.approx(metric.scorer(fixed, None, made.labels[rows], **options), rel=1e-10)


def test_every_summed_score_is_tested() -> None:
    """Each score that is summed up has a formula and is in this file."""
    assert set(_SUMMED) <= set(KERNELS)
    assert set(_SUMMED) <= {name for names in SCORES.values() for name in names}
    assert all(formula(metric) == name for name in REGRESSION for metric in resolve(name, problem("regression")))


@pytest.mark.parametrize("task", SCORES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_has_no_score(task: str, bad: float) -> None:
    """A row that says NaN or infinity of one sample has minus infinity for every score, which tells it from one whose
    score is not defined; the rows beside it keep theirs."""
    made = problem(task)
    of = setup_for(made, SCORES[task])
    out = outputs(made)
    whole = tallied(of, out, "val")
    out[1, 0, fold(of).rows["val"][0]] = bad
    found = tallied(of, out, "val")
    assert np.isneginf(found[:, 1]).all()
    np.testing.assert_allclose(found[:, [0, 2]], whole[:, [0, 2]])


def test_losses_are_torchs() -> None:
    """The losses are torch's, with smoothed and mixed targets too."""
    out = torch.randn(2, 3, 8, dtype=torch.float64)
    y = torch.softmax(torch.randn(1, 3, 8, dtype=torch.float64), 1)
    for r in range(2):
        plain = torch.nn.functional.cross_entropy(out[r].T, y[0].T, reduction="none")
        torch.testing.assert_close(losses(parts_of("multiclass", ()), out, y)[r], plain)
        plain = torch.nn.functional.binary_cross_entropy_with_logits(out[r, 0], y[0, 0], reduction="none")
        torch.testing.assert_close(losses(parts_of("binary", ()), out[:, :1], y[:, :1])[r], plain)
        plain = torch.nn.functional.mse_loss(out[r], y[0], reduction="none").mean(0) / 2
        torch.testing.assert_close(losses(parts_of("regression", ()), out, y)[r], plain)
    far = torch.tensor([[[1e3, -1e3]]], dtype=torch.float64)
    assert losses(parts_of("binary", ()), far, torch.tensor([[[0.0, 1.0]]])).tolist() == [[1e3, 1e3]]
