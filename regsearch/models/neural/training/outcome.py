"""What a trial in flight turns into when it ends."""

from __future__ import annotations

import numpy as np

from regsearch._types import Array
from regsearch.metrics.scorer import unmeasured
from regsearch.models.base import Outcome
from regsearch.models.neural.training.run import Flight
from regsearch.models.neural.training.shared import Structure, Workshop
from regsearch.models.path import Curves, Trajectory


class Finish:
    """Makes outcomes; what is measured at the chosen epoch alone is measured here, with the best weights restored."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop, self.setup = workshop, workshop.setup

    def __call__(self, flight: Flight, structure: Structure, pruned: str) -> Outcome:
        candidate = flight.candidate
        state = "failed" if flight.failure else "pruned" if pruned else "complete"
        if not flight.epoch:
            return Outcome(candidate, "failed", seconds=flight.seconds, reason=flight.failure)
        curves, predictions, reason = flight.curves, None, flight.failure or pruned
        if state == "complete":
            failures: dict[str, str] = {}
            curves |= self._late(flight, structure, failures)
            reason = unmeasured(failures)
            predictions = self._predictions(flight, structure)
        ordered = {metric.name: curves[metric.name] for metric in self.setup.metrics if metric.name in curves}
        return Outcome(
            candidate, state,  # type: ignore[arg-type]
            Trajectory(np.round(np.median(flight.picked, axis=0)), ordered, flight.nonzero), flight.step,
            predictions, flight.seconds, self._measures(flight, structure), reason,
        )  # fmt: skip

    def _late(self, flight: Flight, structure: Structure, failures: dict[str, str]) -> dict[str, Curves]:
        """Metrics that only a scorer knows, at the chosen step alone; NaN elsewhere, and where a scorer fails."""
        import torch

        late = tuple(
            metric for metric in self.setup.metrics if metric.kernel is None and metric is not flight.metrics[0]
        )
        found = {metric.name: Curves(*np.full((2, *flight.nonzero.shape), np.nan)) for metric in late}
        for k, weights in enumerate(flight.weights if late else []):
            evaluator = self.workshop.evaluator(structure, k)
            for part in ("train", "val"):
                for metric in late:
                    try:
                        score = evaluator.measure(torch.from_numpy(weights[None]), part, (metric,))[0, 0]
                    except Exception as error:  # noqa: BLE001 - a scorer is anyone's code
                        failures[metric.name] = str(error)
                        continue
                    getattr(found[metric.name], part)[k, flight.step] = score
        return found

    def _predictions(self, flight: Flight, structure: Structure) -> Array:
        """``[n, m]``: what the folds' nets say of their validation rows, the mean where several do."""
        import torch

        n = self.setup.problem.rows
        total, times = np.zeros((n, self.workshop.data(structure).outputs)), np.zeros((n, 1))
        for k, weights in enumerate(flight.weights):
            evaluator = self.workshop.evaluator(structure, k)
            for out, rows in evaluator.run(torch.from_numpy(weights[None]), "val"):
                total[rows.cpu()] += evaluator.fold.decisions(out)[0].T.double().cpu().numpy()
                times[rows.cpu()] += 1
        with np.errstate(invalid="ignore"):
            return np.asarray(total / times)

    def _measures(self, flight: Flight, structure: Structure) -> dict[str, float]:
        """Mean over folds of the chosen weights' norm and number of non-zeros."""
        import torch

        if not flight.weights:
            return {}
        kernels = self.workshop.network(structure, 0).layout.part("kernel")
        rows = [torch.from_numpy(weights[None]) for weights in flight.weights]
        norms = [sum(float(view.square().sum()) for view in kernels.views(row)) ** 0.5 for row in rows]
        return {"weights/norm": float(np.mean(norms)), "weights/nonzero": float(flight.nonzero[:, flight.step].mean())}
