"""The benchmark of one driver: its workers are as real ones are to the driver, and its figures are what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import study
from scale import BLOCK, Figures, Simulated, Watch, expected, main, rewritten, watched

from regsearch import ElasticNet, Float, Linear
from regsearch import Path as Along

SPACE = Linear(ElasticNet(l1_ratio=Float(0.01, 1.0)), Along(100))


def test_simulated_workers_hand_over_what_real_ones_do(tmp_path: Path) -> None:
    """Each trial that they evaluate is complete, with a path, predictions and a score of its own."""
    simulated = Simulated(3, 0.001, 0.0, 60.0)
    results = study(tmp_path, space=SPACE, prune=False).run(8, workers=simulated, quiet=True)
    assert sorted(trial.number for trial in results.complete) == list(range(8))
    assert len({trial.point.val for trial in results.complete}) == 8
    assert all(results.store.trajectory(trial.number).steps > 10 for trial in results.complete if trial.number)
    assert all(results.store.predictions(trial.number) is not None for trial in results.complete)


def test_a_measurement_ends_as_a_run_does_by_ctrl_c(tmp_path: Path) -> None:
    """When its time is over the run is interrupted; what is finished by then counts."""
    simulated = Simulated(3, 0.001, 0.0, 0.2)
    results = study(tmp_path, space=SPACE, prune=False).run(10**6, workers=simulated, quiet=True)
    assert results.stopped == "interrupted"
    assert results.complete
    begun, ended = simulated.window
    assert begun == simulated.waits[0][0] < ended <= simulated.waits[-1][0]


@pytest.mark.process
def test_only_what_writes_to_mlflow_is_ended(tmp_path: Path) -> None:
    """Other children of the process, such as joblib's tracker of resources, outlive a watch."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        with watched(tmp_path / "mlflow.db"):
            pass
        assert other.poll() is None


def test_figures_are_those_of_the_window() -> None:
    """What was added between two looks is shared out by the time between them."""
    watch = Watch(Path("nowhere"))
    watch.seen = [(0.0, 1.0, 0), (10.0, 3.0, 40)]
    assert watch.between(5.0, 10.0) == pytest.approx((1.0, 20.0))
    assert Figures(1000, 5.0, 189.0, 0.0, 0.0, 0.0).bends
    assert not Figures(1000, 5.0, 191.0, 0.0, 0.0, 0.0).bends


@pytest.mark.slow
@given(st.integers(1, 10_000), st.floats(0.01, 1e4), st.floats(1e-4, 1.0))
def test_nothing_is_expected_beyond_what_driver_and_workers_can(workers: int, seconds: float, driver_s: float) -> None:
    """Expected trials a second are at most what is offered and what the driver can; more workers are never fewer."""
    done, busy = expected(workers, seconds, driver_s)
    assert done <= min(workers / seconds, 1 / driver_s)
    assert 0 < busy <= 1
    assert done <= expected(workers + 1, seconds, driver_s)[0] * (1 + 1e-12)


def test_the_page_ends_with_the_figures() -> None:
    """New figures take the place of the old ones; what stands before them stays."""
    page = f"# Words\n\n{BLOCK}old\n```\n"
    assert rewritten(page, ["new  ", "", "last"]) == f"# Words\n\n{BLOCK}new\n\nlast\n```\n"


@pytest.mark.slow
def test_the_benchmark_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """From the command line: a line of figures, and what is expected of more workers."""
    assert main(["--workers", "2", "--seconds", "0.05", "--measure", "0.5", "--no-mirror", "--no-bend"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1].split()[:3] == ["2", "0.05", "40"]
    assert said[-1].split()[:2] == ["1,000", "600"]
