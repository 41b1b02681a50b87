"""What makes a study itself, as stored with it: two runs of one study have the same, but for when and by what."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from typing import Any

from regsearch.data.problem import Problem
from regsearch.models.base import Model, Setup
from regsearch.space.config import Written
from regsearch.space.params import parameter_names
from regsearch.storage.arrays import TASKS
from regsearch.version import __version__


def identity_of(
    name: str, experiment: str, setup: Setup, space: Model, written: Written, script: str, held_out: float | None = None
) -> dict[str, Any]:
    """The identity of a study that is made now, as JSON has it.

    Parameters
    ----------
    experiment
        The MLflow experiment.
    written
        The space as it was when the study was made.
    script
        The file that makes the study; empty where none does.
    held_out
        The share of the rows that was drawn to be held out, if one was.
    """
    problem, folds, metrics = setup.problem, setup.folds, [metric.name for metric in setup.metrics]
    identity = {
        "study": name, "id": uuid.uuid4().hex, "experiment": experiment, "version": __version__,
        "created_ms": round(time.time() * 1000), "task": problem.task, "rows": problem.rows,
        "columns": problem.columns, "target": problem.name, "fingerprint": problem.fingerprint,
        "folds": len(folds), "cv": folds.name, "folds_hash": folds.digest, "seed": setup.seed,
        "metric": metrics[0], "metrics": metrics, "scoring": [metric.identity for metric in setup.metrics],
        "reference": space.reference_name, "space": space.title, "space_hash": written.digest,
        "space_data": written.data, "script": script,
        "parameters": dict(parameter_names(space).leaves),
    }  # fmt: skip
    identity |= _weights(problem) | ({"weightless_folds": folds.weightless} if folds.weightless else {})
    identity |= {"rare_classes": folds.rare.data()} if folds.rare else {}
    identity |= {TASKS: [one.data() for one in problem.tasks]} if problem.tasks else {}
    identity |= {} if problem.transform is None else {"target_transform": problem.transform.name}
    identity |= {} if held_out is None else {"held_out": held_out}
    return identity if setup.fold_weights == "equal" else identity | {"fold_weights": setup.fold_weights}


def _weights(problem: Problem) -> dict[str, Any]:
    """What is known of weights, where there are any: what scores weigh by, and what the data are without."""
    held_out = {"test_weighted": True} if problem.test is not None and problem.test.score_weight is not None else {}
    if problem.sample_weight is None and problem.score_weight is None:
        return held_out
    bare = problem.without_weights()
    return {
        "weighted": problem.score_weight is not None, "unweighted_fingerprint": bare.fingerprint,
        "scores_fingerprint": replace(bare, sample_weight=problem.score_weight).fingerprint,
    } | held_out  # fmt: skip
