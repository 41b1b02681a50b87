"""The mirror over HTTP: a server that answers, one that comes late, and one that never does."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow_stores import START_MS, Store, free_port, serving, study, trial

from regsearch.mirror import Artifact, Mirror, Series, SummaryRecord


@pytest.mark.slow
def test_a_late_server_gets_everything(tmp_path: Path, empty_database: Path) -> None:
    """Trials sent before the server answers are kept, written when it does, and found again by the next mirror."""
    database = tmp_path / "mlflow.db"
    database.write_bytes(empty_database.read_bytes())
    report = tmp_path / "report.html"
    report.write_text("fine")
    port = free_port()
    store = Store(f"http://127.0.0.1:{port}", tmp_path)
    with store.mirror() as mirror:
        mirror.start(study())
        for number in range(5):
            mirror.send(trial(number))
        with serving(tmp_path, port):
            mirror.finish(
                SummaryRecord(
                    "COMPLETE", START_MS, series={"best/val": Series((0,), (1.0,))}, artifacts=(Artifact(str(report)),)
                )
            )
            assert mirror.drain(30).complete
            assert sorted(store.trials()) == list(range(5))
            assert store.parent().info.status == "FINISHED"
            assert [file.path for file in store.client.list_artifacts(store.parent().info.run_id)] == ["report.html"]

            again = store.mirror()
            mirror.close()
            again.start(study())
            again.send(trial(4))
            again.send(trial(5))
            ready = again.wait_ready(30)
            assert ready is not None
            assert ready.mirrored == set(range(5))
            assert again.close(30).complete
            assert sorted(store.trials()) == list(range(6))


@pytest.mark.slow
def test_a_dead_server_costs_the_study_nothing_but_the_mirror(tmp_path: Path) -> None:
    """With nobody listening, sending and waiting are bounded, and the status says what was not mirrored."""
    with Mirror(f"http://127.0.0.1:{free_port()}", log_path=tmp_path / "mirror.log") as mirror:
        mirror.start(study())
        for number in range(200):
            mirror.send(trial(number))
        assert mirror.wait_ready(0.0) is None
        status = mirror.drain(30)
    assert (status.sent, status.mirrored, status.failed) == (200, 0, 200)
    assert status.reason == "the MLflow store did not answer: Connection refused"
    assert "Connection refused" in (tmp_path / "mirror.log").read_text()
