"""The outcome of a training run; what is measured at the chosen epoch alone is measured here, with its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from regsearch._types import Array, Rows
from regsearch.cleaning import first_line
from regsearch.data.problem import Problem
from regsearch.errors import FOREIGN
from regsearch.metrics.by_target import of_targets
from regsearch.metrics.pooled import pooled_scores
from regsearch.metrics.scorer import Metric, metric_of_target, unmeasured
from regsearch.models.base import Outcome
from regsearch.models.deadline import Stop
from regsearch.models.neural.config import NetConfig
from regsearch.models.neural.training.run import TrainingRun
from regsearch.models.neural.training.shared import SharedParts, Structure
from regsearch.models.out_of_fold import PathDecisions, out_of_fold_mean
from regsearch.models.path import Curves, Trajectory


def make_outcome(shared: SharedParts, run: TrainingRun, stop: Stop | None = None) -> Outcome:
    """The outcome of a run that has ended or failed, or is left before its end.

    One that is stopped has all that a complete one has where it could have ended there.
    """
    candidate, structure, seconds = run.candidate, run.structure, run.seconds
    step, trajectory = (run.step, _trajectory(shared, run, run.curves)) if run.epoch else (0, Trajectory())
    measures = _weight_measures(shared, structure, run)
    if run.failure:
        return Outcome(
            candidate, "failed", trajectory, step, seconds=seconds, measures=measures, reason=run.failure
        )  # fmt: skip
    if stop is not None and not (stop.state == "stopped" and run.stands):
        return Outcome.left(candidate, stop, trajectory, seconds, step, measures)
    failures: dict[str, str] = {}
    trajectory = _trajectory(shared, run, run.curves | _late_curves(shared, structure, run, failures))
    measures = measures | _target_measures(shared, structure, run)
    complete = Outcome(
        candidate, "complete", trajectory, step, _predictions(shared, structure, run), _along(shared, structure, run),
        seconds, measures, unmeasured(failures),
    )  # fmt: skip
    return complete if stop is None else complete.stopped(stop)


def _trajectory(shared: SharedParts, run: TrainingRun, curves: Mapping[str, Curves]) -> Trajectory:
    """The path of a run so far, with its metrics in the study's order."""
    ordered = {metric.name: curves[metric.name] for metric in shared.setup.metrics if metric.name in curves}
    config = run.candidate.config
    assert isinstance(config, NetConfig)
    followed = {config.recorded[slot]: run.on_all(values) for slot, values in run.recorded.items()}
    return Trajectory(np.round(np.median(run.counting, axis=0)), ordered, run.on_all(run.nonzero), followed)


def _late_curves(
    shared: SharedParts, structure: Structure, run: TrainingRun, failures: dict[str, str]
) -> dict[str, Curves]:
    """Metrics that only a scorer knows, at the chosen step alone; NaN elsewhere, and where a scorer fails."""
    import torch

    late = tuple(metric for metric in shared.setup.metrics if metric.kernel is None and metric is not run.metrics[0])
    unknown = np.full_like(run.nonzero, np.nan)
    found = {metric.name: Curves(unknown.copy(), unknown.copy(), run.settings.averaging) for metric in late}
    pooled = [metric for metric in late if metric.pooled]
    if pooled:
        scores = pooled_of_nets(shared, structure, pooled, run.weights, failures)
        for metric, values in zip(pooled, scores, strict=True):
            found[metric.name].val[:, run.step] = values
    for k, weights in enumerate(run.weights if late else []):
        evaluator = shared.evaluator(structure, k)
        for part in ("train", "val"):
            for metric in late if part == "train" else (one for one in late if not one.pooled):
                try:
                    score = evaluator.measure(torch.from_numpy(weights[None]), part, (metric,))[0, 0]
                except FOREIGN as error:  # a scorer is anyone's code
                    failures[metric.name] = first_line(error)
                    continue
                getattr(found[metric.name], part)[k, run.step] = score
    return found


def _predictions(shared: SharedParts, structure: Structure, run: TrainingRun) -> Array:
    """``[n, m]``: what the folds' nets say of their validation rows, the mean where several do."""
    shape = shared.setup.problem.rows, shared.data(structure).outputs
    folds = (_validated(shared, structure, k, weights) for k, weights in enumerate(run.weights))
    return out_of_fold_mean(folds, shape)


def _along(shared: SharedParts, structure: Structure, run: TrainingRun) -> PathDecisions | None:
    """The same after other epochs, where the epoch was chosen by these rows."""
    shape, val = (shared.setup.problem.rows, shared.data(structure).outputs), shared.setup.folds.val
    others = {step: parts for step, parts in run.decisions.kept.items() if step != run.step}
    means = [out_of_fold_mean(zip(val, parts, strict=True), shape) for parts in others.values()]
    return PathDecisions.of(list(others), means)


def _validated(
    shared: SharedParts, structure: Structure, k: int, weights: Array, part: str = "val"
) -> tuple[Rows, Array]:
    """Rows ``[r]`` of a part of a fold, and the decisions ``[r, m]`` of its nets with weights ``[S Q]``."""
    import torch

    evaluator = shared.evaluator(structure, k)
    parts = [
        (rows.cpu().numpy(), evaluator.fold.decisions(out)[0].T.double().cpu().numpy())
        for out, rows in evaluator.outputs(torch.from_numpy(weights[None]), part)
    ]
    return np.concatenate([rows for rows, _ in parts]), np.concatenate([decisions for _, decisions in parts])


def pooled_of_nets(
    shared: SharedParts, structure: Structure, metrics: Sequence[Metric], weights: Sequence[Array],
    failures: dict[str, str] | None = None,
) -> Array:  # fmt: skip
    """``[metrics, K]`` of scores of all folds' decisions together, by weights ``[Q]`` of each fold's net.

    NaN where a scorer fails; what it says goes into `failures`, but for an epoch that is one of many nobody reads it.
    """
    said = {} if failures is None else failures
    held = [_validated(shared, structure, k, one) for k, one in enumerate(weights)]
    val, decisions = [rows for rows, _ in held], [found[:, None] for _, found in held]
    problem, averaging = shared.setup.problem, shared.setup.averaging
    return np.stack([pooled_scores(metric, problem, val, decisions, averaging, said)[:, 0] for metric in metrics])


def _target_measures(shared: SharedParts, structure: Structure, run: TrainingRun) -> dict[str, float]:
    """Of each of several targets, by its name, the validation score at the chosen epoch and the gap; means over folds.

    Not of a metric that needs all targets.
    """
    problem, metric = shared.setup.problem, shared.setup.metrics[0]
    if problem.targets == 1:
        return {}
    said = {
        part: [_validated(shared, structure, k, weights, part) for k, weights in enumerate(run.weights)]
        for part in ("train", "val")
    }

    def measured(alone: Problem, own: slice, j: int, failures: dict[str, str]) -> dict[str, float]:
        of_target, averaging = metric_of_target(metric, j), run.settings.averaging
        scores = {
            part: np.array([of_target.along(alone, rows, out[:, None, own], failures)[0] for rows, out in of_folds])
            for part, of_folds in said.items()
            if part == "train" or not of_target.pooled
        }
        if of_target.pooled:
            val, decisions = [rows for rows, _ in said["val"]], [out[:, None, own] for _, out in said["val"]]
            scores["val"] = pooled_scores(of_target, alone, val, decisions, averaging, failures)[:, 0]
        return {
            "val": float(averaging.mean(scores["val"])), "gap": float(averaging.mean(scores["train"] - scores["val"])),
        }  # fmt: skip

    return {
        f"target/{name}/{what}": value for name, found in of_targets(problem, measured) for what, value in found.items()
    }


def _weight_measures(shared: SharedParts, structure: Structure, run: TrainingRun) -> dict[str, float]:
    """Mean over folds of the chosen weights' norm, of each where several nets count, and number of non-zeros."""
    import torch

    if not run.weights:
        return {}
    layout = shared.network(structure, 0).layout
    rows = [torch.from_numpy(weights.reshape(-1, layout.length)) for weights in run.weights]
    kernels = layout.part("kernel")
    norms = [(sum(float(view.square().sum()) for view in kernels.views(row)) / len(row)) ** 0.5 for row in rows]
    return {"weights/norm": float(np.mean(norms)), "weights/nonzero": float(run.nonzero[:, run.step].mean())}
