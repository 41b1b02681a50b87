"""Workers on a real Ray cluster of several nodes on this machine, one of which is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import psutil  # type: ignore[import-untyped]
import pytest
from numpy.typing import NDArray
from samples import ROOT, outcomes, random_sampler, study
from sklearn.base import BaseEstimator, RegressorMixin

from regsearch import Estimator, Float, InvalidInput, Ray
from regsearch.errors import SearchFailed

pytestmark = pytest.mark.slow(of="Ray")

NODES = 2  # beside the head, which has no place for a worker


class Fragile(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A constant; ends its process where `level` is above .8."""

    def __init__(self, level: float = 0.0) -> None:
        self.level = level

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> Fragile:
        if self.level > 0.8:
            os._exit(3)
        self.mean_ = y.mean() * (1 + self.level)
        return self

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        return np.full(len(X), self.mean_)


SPACE = Estimator(Fragile(), {"level": Float(0.0, 1.0)})


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head and two nodes, with a place for one worker each."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT / "tests"), str(ROOT))))  # as installed on each node
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        try:
            made.nodes = [made.add_node(num_cpus=1, num_gpus=1) for _ in range(NODES)]
            yield made
        finally:
            made.shutdown()


@pytest.fixture
def ray(cluster: Any) -> Ray:
    return Ray(cluster.address, workers=NODES)


def at(count: int, act: Any) -> Any:
    """A sampler that does something in the driver when it proposes a trial of that number, others being in flight."""
    done: list[int] = []

    def made(trials: int) -> optuna.samplers.BaseSampler:
        if trials >= count and not done:
            done.append(trials)
            act()
        return random_sampler(trials)

    return made


def test_a_cluster_finds_what_this_machine_does(ray: Ray, tmp_path: Path) -> None:
    """What is evaluated in turns is the same on Ray as in processes of this machine."""
    here = study(tmp_path, "here").run(10, workers=NODES, deterministic=True, quiet=True)
    there = study(tmp_path, "there").run(10, workers=ray, deterministic=True, quiet=True)
    assert outcomes(there) == outcomes(here)


def test_what_ends_its_actor_fails_after_a_second_try(ray: Ray, tmp_path: Path) -> None:
    """A config at which the process of an actor ends fails with Ray's reason; all others come to their end."""
    results = study(tmp_path, space=SPACE, prune=False, sampler=random_sampler).run(8, workers=ray, quiet=True)
    assert len(results.all) == 8
    for trial in results.all:
        bad = trial.role != "reference" and trial.draws["level"] > 0.8
        assert trial.state == ("failed" if bad else "complete")
        assert not bad or "in flight at 2 deaths of a worker" in trial.reason
    assert any(trial.state == "failed" for trial in results.all)


def kill_an_actor() -> None:
    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["cmdline"] and process.info["cmdline"][0].startswith("ray::WorkerActor"):
            process.send_signal(signal.SIGKILL)
            return


def test_an_actor_that_is_killed_costs_nothing(ray: Ray, tmp_path: Path) -> None:
    """Where an actor is killed in the middle, every trial is complete all the same, once."""
    results = study(tmp_path, sampler=at(6, kill_an_actor)).run(14, workers=ray, quiet=True)
    assert [trial.state for trial in results.all] == ["complete"] * 14


def test_a_node_that_is_killed_costs_nothing(cluster: Any, ray: Ray, tmp_path: Path) -> None:
    """Where a node is killed in the middle, those that are left evaluate the rest."""
    lost = cluster.nodes.pop()
    sampler = at(6, lambda: cluster.remove_node(lost, allow_graceful=False))
    results = study(tmp_path, sampler=sampler).run(14, workers=ray, quiet=True)
    assert [trial.state for trial in results.all] == ["complete"] * 14


class Devices(Fragile):
    """Says which GPUs it sees."""

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> Devices:
        raise ValueError(f"sees {os.environ['CUDA_VISIBLE_DEVICES']!r}")


@pytest.mark.parametrize(("gpus", "seen"), [(0.5, "'0'"), (0, "''")])
def test_a_worker_sees_the_gpus_that_it_asked_for(ray: Ray, tmp_path: Path, gpus: float, seen: str) -> None:
    """Who takes a part of a GPU sees that one, who takes none sees none: libraries use all that they see."""
    asked, space = replace(ray, gpus=gpus), Estimator(Devices(), {"level": Float(0.0, 1.0)})
    with pytest.raises(SearchFailed, match=f"sees {seen}"):
        study(tmp_path, space=space).run(9, workers=asked, quiet=True)


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"workers": "all"}, {"cpus": 0}, {"gpus": -1}, {"cpus": None}])
def test_what_a_worker_takes_must_be_possible(wrong: dict[str, Any]) -> None:
    """A number of workers, cores or GPUs that there cannot be is refused."""
    with pytest.raises(InvalidInput, match=f"Ray\\({next(iter(wrong))}=...\\)"):
        Ray(**wrong)
