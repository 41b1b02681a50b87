"""The mirror on a SQLite store: everything arrives once, whatever happens on the way."""

from __future__ import annotations

import math
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow_stores import ROOT, START_MS, Store, poll, study, trial

from regsearch.mirror import Artifact, Dataset, Mirror, Series, Status, SummaryRecord
from regsearch.mirror.records import StoreRecord
from regsearch.mirror.runs import UNWRITTEN, StudyStore

PATIENCE_S = 30.0


def history(store: Store, number: int) -> dict[str, list[tuple[int, float]]]:
    """Return every metric row of one trial."""
    run = store.trials()[number]
    return {
        key: [(row.step, row.value) for row in store.client.get_metric_history(run.info.run_id, key)]
        for key in run.data.metrics
    }


def run_script(text: str, *arguments: str) -> str:
    """Run a script in a fresh interpreter and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", text, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300, check=True
    )
    return done.stdout.strip()


@pytest.mark.slow
def test_a_whole_study(store: Store) -> None:
    """Parent, children, states, parameters, curves, data and artifacts are all there, and each once."""
    report = store.root / "report.html"
    report.write_text("<p>fine</p>")
    data = Dataset("wine", "d1g35t", "file:///wine.csv", 178, 13, "classification", "cultivar")
    with store.mirror() as mirror:
        mirror.start(study(dataset=data, params={"folds": 5}, note="# Ridge", experiment_tags={"view": "v"}))
        ready = mirror.wait_ready(PATIENCE_S)
        for number, state in enumerate(["COMPLETE", "PRUNED", "FAIL"]):
            mirror.send(trial(number, state=state, tags={"reason": f"r{number}"}))
        best = Series((0, 1, 2), (3.0, 2.0, 2.0))
        end = SummaryRecord("COMPLETE", START_MS + 9000, {"best": 2.0}, {"best/val": best}, {"rule": "1se"}, "# Done")
        mirror.finish(SummaryRecord(**{**vars(end), "artifacts": (Artifact(str(report), "report"),)}))
        status = mirror.drain(PATIENCE_S)
    assert status.complete
    assert (status.sent, status.mirrored, status.failed, status.finished) == (3, 3, 0, True)

    parent, trials = store.parent(), store.trials()
    assert ready is not None
    assert (ready.run_id, ready.experiment_id, ready.mirrored) == (
        parent.info.run_id, parent.info.experiment_id, frozenset(),
    )  # fmt: skip
    assert parent.info.status == "FINISHED"
    assert parent.data.params == {"folds": "5"}
    assert parent.data.tags["mlflow.note.content"] == "# Done"
    assert parent.data.metrics == {"best": 2.0, "best/val": 2.0}
    assert parent.inputs is not None
    assert parent.inputs.dataset_inputs[0].dataset.digest == "d1g35t"
    assert [file.path for file in store.client.list_artifacts(parent.info.run_id, "report")] == ["report/report.html"]
    assert (store.root / "artifacts" / parent.info.run_id / "artifacts/report/report.html").exists()
    experiment = store.client.get_experiment(parent.info.experiment_id)
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert experiment.tags["view"] == "v"

    assert [trials[n].info.status for n in range(3)] == ["FINISHED", "KILLED", "FAILED"]
    assert trials[1].data.tags.items() >= {
        "mlflow.parentRunId": parent.info.run_id, "mlflow.runName": "trial 1", "regsearch.study_id": "abc",
        "reason": "r1",
    }.items()  # fmt: skip
    assert trials[1].data.params == {"lambda": "0.05", "penalty": "l1", "dropout": "0"}
    assert (trials[1].info.start_time, trials[1].info.end_time) == (START_MS + 1000, START_MS + 1500)
    assert history(store, 1) == {
        "val/mean": [(0, 0.5)],
        "gap/mean": [(0, 0.25)],
        "fold/val": [(0, 0.5), (1, 0.75)],
        "path/val": [(1, 3.0), (2, 2.0), (3, 2.5)],
    }


@pytest.mark.slow
def test_sending_again_changes_nothing(store: Store) -> None:
    """A second mirror of the same study reports what is there, and sending it again adds no run and no row."""
    with store.mirror() as first:
        first.start(study())
        first.send(trial(0))
        first.send(trial(0))
    before, rows = store.trials()[0], history(store, 0)
    with store.mirror() as again:
        again.start(study())
        ready = again.wait_ready(PATIENCE_S)
        again.send(trial(0))
        again.finish(SummaryRecord("INTERRUPTED", START_MS + 9000))
        assert again.drain(PATIENCE_S).complete
    assert ready is not None
    assert ready.mirrored == {0}
    assert store.trials()[0].info.run_id == before.info.run_id
    assert history(store, 0) == rows
    assert store.parent().info.status == "KILLED"


@pytest.mark.slow
def test_a_stopped_trial_is_replaced(store: Store) -> None:
    """A trial that was stopped is shown as killed, is not counted among what MLflow has, and makes room for what came
    of it since, also where its run was left half written.
    """
    before = StudyStore(store.uri)
    before.open(study())
    for number in range(2):
        before.write_trial(trial(number, state="STOPPED", params={"lambda": 7.0}, tags={"reason": "time was up"}))
    before.write_trial(trial(2))
    assert [store.trials()[n].info.status for n in range(3)] == ["KILLED", "KILLED", "FINISHED"]
    store.client.update_run(store.trials()[1].info.run_id, status="RUNNING")
    after = StudyStore(store.uri)
    assert after.open(study()).mirrored == {2}
    for number in range(2):
        after.write_trial(trial(number))
        found = store.trials()[number]
        assert (found.info.status, found.data.params["penalty"]) == ("FINISHED", "l1")
        assert not {"reason", "regsearch.stopped"} & found.data.tags.keys()
        assert history(store, number)["path/val"] == [(1, 3.0), (2, 2.0), (3, 2.5)]


@pytest.mark.slow
def test_a_run_left_half_written_is_completed(store: Store) -> None:
    """A child run that a kill left running gets its missing rows, and no second copy of those it has."""
    with store.mirror() as mirror:
        mirror.start(study())
        mirror.send(trial(0))
    run_id, rows = store.trials()[0].info.run_id, history(store, 0)
    store.client.update_run(run_id, status="RUNNING")
    with sqlite3.connect(store.root / "mlflow.db") as database:
        database.execute("delete from metrics where key = 'path/val' and step = 2")
        database.execute("delete from params where key = 'dropout'")
    with store.mirror() as mirror:
        mirror.start(study())
        ready = mirror.wait_ready(PATIENCE_S)
        mirror.send(trial(0))
    assert ready is not None
    assert ready.mirrored == frozenset()
    assert store.trials()[0].info.run_id == run_id
    assert store.trials()[0].info.status == "FINISHED"
    assert {key: sorted(row) for key, row in history(store, 0).items()} == rows
    assert store.trials()[0].data.params["dropout"] == "0"


@pytest.mark.slow
def test_what_the_store_refuses_does_not_stay_running(store: Store) -> None:
    """A child run that a store did not take ends as failed and says why, is not counted among what MLflow has, and
    makes room for the trial: also one that a kill left with other parameters, which MLflow does not change."""
    first = StudyStore(store.uri)
    first.open(study())
    with pytest.raises(MlflowException, match="timestamp"):
        first.write_trial(trial(0, end_ms=-1))
    first.write_trial(trial(1))
    left = store.trials()
    assert [(left[n].info.status, "timestamp" in left[n].data.tags.get(UNWRITTEN, "")) for n in range(2)] == [
        ("FAILED", True), ("FINISHED", False),
    ]  # fmt: skip
    store.client.update_run(left[1].info.run_id, status="RUNNING")
    for expected in (set(), {0}):  # what the next ones find
        after = StudyStore(store.uri)
        assert after.open(study()).mirrored == expected
        after.write_trial(trial(0))
        if not expected:
            with pytest.raises(MlflowException, match="param"):
                after.write_trial(trial(1, params={"lambda": 7.0}))
            assert store.trials()[1].info.status == "FAILED"
    after.write_trial(trial(1, params={"lambda": 7.0}))
    assert [(run.info.status, UNWRITTEN in run.data.tags) for run in store.trials().values()] == [
        ("FINISHED", False)
    ] * 2
    assert store.trials()[1].data.params["lambda"] == "7.0"


@pytest.mark.slow
@pytest.mark.parametrize("status", ["FINISHED", "RUNNING"])
def test_a_run_that_was_created_twice_is_there_once(store: Store, status: str) -> None:
    """Where the answer that a child run was created was lost, the one that nobody wrote to goes."""
    first = StudyStore(store.uri)
    first.open(study())
    first.write_trial(trial(0))
    written = store.trials()[0]
    tags = {key: written.data.tags[key] for key in ("mlflow.parentRunId", "regsearch.trial", "regsearch.study_id")}
    store.client.create_run(written.info.experiment_id, start_time=START_MS, tags=tags)
    store.client.update_run(written.info.run_id, status=status)
    after = StudyStore(store.uri)
    assert after.open(study()).mirrored == ({0} if status == "FINISHED" else set())
    after.write_trial(trial(0))
    found = store.trials()[0]
    assert found.info.status == "FINISHED"
    assert history(store, 0)["path/val"] == [(1, 3.0), (2, 2.0), (3, 2.5)]


@pytest.mark.slow
def test_a_killed_writer_is_noticed_and_the_next_one_completes(store: Store) -> None:
    """After kill -9 of the writer the status says so, sending stays harmless, and a new mirror fills the gaps."""
    with store.mirror() as mirror:
        mirror.start(study())
        mirror.wait_ready(PATIENCE_S)
        for number in range(40):
            mirror.send(trial(number))
        assert poll(lambda: mirror.status.mirrored > 2, PATIENCE_S)
        assert mirror.pid is not None
        os.kill(mirror.pid, signal.SIGKILL)
        status = mirror.drain(PATIENCE_S)
        assert 0 < status.mirrored < 40
        assert status.failed == 40 - status.mirrored
        assert "ended with code -9" in status.reason
        mirror.send(trial(40))
    with store.mirror() as mirror:
        mirror.start(study())
        ready = mirror.wait_ready(PATIENCE_S)
        assert ready is not None
        assert status.mirrored <= len(ready.mirrored) < 40
        for number in set(range(41)) - ready.mirrored:
            mirror.send(trial(number))
        assert mirror.drain(PATIENCE_S).complete
    assert sorted(store.trials()) == list(range(41))
    assert {run.info.status for run in store.trials().values()} == {"FINISHED"}


@pytest.mark.slow
def test_ctrl_c_leaves_the_writer_to_finish(store: Store) -> None:
    """Ctrl-C while draining ends the study at once; what was sent still arrives."""
    script = """
import sys
from regsearch.mirror import Mirror
from mlflow_stores import study, trial
with Mirror(sys.argv[1]) as mirror:
    mirror.start(study())
    for number in range(60):
        mirror.send(trial(number))
    print("draining", flush=True)
    mirror.drain()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script, store.uri],
        cwd=ROOT / "tests",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert b"KeyboardInterrupt" in errors
    assert poll(lambda: bool(store.runs()) and store.parent().info.status == "KILLED", PATIENCE_S)
    assert sorted(store.trials()) == list(range(60))


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> tuple[Store, Status]:
    """Return a store with trials that strain MLflow, and what the mirror says of them."""
    store = Store.copied(empty_database, tmp_path_factory.mktemp("odd"))
    values = {"val/mean": math.nan, "gap/mean": math.inf, "time/fit_s": 1.0}
    many = {f"p{n}": n for n in range(150)}
    with store.mirror() as mirror:
        mirror.start(study())
        mirror.send(trial(0, metrics=values, series={"path/val": Series((1, 2, 3), (2.0, math.nan, 1.0))}))
        mirror.send(trial(1, params={"layers[0]": "x" * 9000, **many}, tags={"reason": "y" * 9000}))
        mirror.send(trial(2, series={f"path/{n}": Series(tuple(range(1, 51)), tuple(range(50))) for n in range(25)}))
        mirror.send(trial(3, end_ms=-1))
        mirror.send(
            trial(
                4,
                series={},
                metrics={"../up": 1.0, "a//b": 2.0, "/lead": 3.0, "F1 (x)": 4.0, "F1 [x]": 5.0, "F1 _x_": 6.0},
            )
        )
        return store, mirror.drain(PATIENCE_S)


def test_non_finite_metrics_are_left_out_and_named(odd: tuple[Store, Status]) -> None:
    """NaN and infinity are no rows; a tag says which metrics had them."""
    store, _ = odd
    assert history(store, 0) == {"time/fit_s": [(0, 1.0)], "path/val": [(1, 2.0), (3, 1.0)]}
    assert store.trials()[0].data.tags["regsearch.non_finite"] == "val/mean, gap/mean, path/val"


def test_limits_of_mlflow_are_met(odd: tuple[Store, Status]) -> None:
    """Long values are cut visibly, many entities are split, and odd characters in names are replaced."""
    store, _ = odd
    first = store.trials()[1].data
    assert first.params["layers_0_"] == "x" * 5999 + "…"
    assert first.tags["reason"] == "y" * 7999 + "…"
    assert len(first.params) == 151
    assert len(history(store, 2)["path/24"]) == 50


def test_names_that_mlflow_refuses_lose_nothing(odd: tuple[Store, Status]) -> None:
    """Whatever a scorer is called, its figure is there, and figures whose names come out alike are not mixed."""
    found = {name: [value for _, value in rows] for name, rows in history(odd[0], 4).items()}
    assert found == {
        "_/up": [1.0],
        "a/_/b": [2.0],
        "_/lead": [3.0],
        "F1 _x__2": [4.0],
        "F1 _x__3": [5.0],
        "F1 _x_": [6.0],
    }


def test_a_refused_trial_does_not_stop_the_others(odd: tuple[Store, Status]) -> None:
    """A record that MLflow rejects is counted and explained; the next one is written."""
    store, status = odd
    assert (status.mirrored, status.failed) == (4, 1)
    assert "timestamp" in status.reason
    assert store.trials()[3].info.status == "FAILED"
    assert store.trials()[4].info.status == "FINISHED"


@pytest.mark.slow
def test_two_writers_on_one_fresh_root(tmp_path: Path) -> None:
    """Two studies that start at the same moment on a folder that does not exist yet both succeed."""
    store = Store(f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}", tmp_path / "new")
    mirrors = [store.mirror(), store.mirror()]
    for n, mirror in enumerate(mirrors):
        mirror.start(study(study=f"s{n}", study_id=f"id{n}"))
    for mirror in mirrors:
        mirror.send(trial(0))
    assert [mirror.close(PATIENCE_S).mirrored for mirror in mirrors] == [1, 1]
    assert len(store.runs()) == 4
    with sqlite3.connect(store.root / "mlflow.db") as database:
        assert database.execute("pragma journal_mode").fetchone() == ("wal",)


@pytest.mark.slow
def test_a_deleted_experiment_is_restored(store: Store) -> None:
    """An experiment in MLflow's bin comes back, as its name can be used for no other."""
    experiment = store.client.create_experiment("family")
    store.client.delete_experiment(experiment)
    with store.mirror() as mirror:
        mirror.start(study())
        ready = mirror.wait_ready(PATIENCE_S)
    assert ready is not None
    assert ready.experiment_id == experiment
    assert store.client.get_experiment(experiment).lifecycle_stage == "active"


def no_database(path: Path) -> None:
    """Put something else in the database's place."""
    path.write_text("this is not a database, whatever its name says" * 100)


def newer_schema(path: Path) -> None:
    """Mark the database as written by a later MLflow."""
    with sqlite3.connect(path) as database:
        database.execute("update alembic_version set version_num = 'from_the_future'")


@pytest.mark.parametrize(("spoil", "words"), [(no_database, "not a database"), (newer_schema, "from_the_future")])
def test_a_store_that_cannot_be_used_is_reported(store: Store, spoil: object, words: str) -> None:
    """A store that will never work is refused in one sentence, at once, and the study goes on."""
    assert callable(spoil)
    spoil(store.root / "mlflow.db")
    with store.mirror() as mirror:
        mirror.start(study())
        mirror.send(trial(0))
        assert mirror.wait_ready(PATIENCE_S) is None
        mirror.send(trial(1))
        status = mirror.drain(PATIENCE_S)
    assert (status.sent, status.failed) == (2, 2)
    assert "cannot be used" in status.reason
    assert words in status.reason
    assert "\n" not in status.reason


@pytest.mark.slow
def test_missing_artifacts_are_named(store: Store) -> None:
    """A summary whose file is gone still ends the run; the status names the file."""
    with store.mirror() as mirror:
        mirror.start(study())
        mirror.finish(SummaryRecord("COMPLETE", START_MS, artifacts=(Artifact("/nowhere/report.html"),)))
        status = mirror.drain(PATIENCE_S)
    assert "/nowhere/report.html" in status.reason
    assert store.parent().info.status == "FINISHED"


def test_the_study_never_imports_mlflow() -> None:
    """Importing the mirror leaves MLflow out of the study's process."""
    assert run_script("import sys, regsearch.mirror; print('mlflow' in sys.modules)") == "False"


def test_fluent_state_is_untouched(store: Store) -> None:
    """A user's own MLflow session in the study's process is as it was."""
    before = mlflow.get_tracking_uri(), mlflow.active_run(), os.environ.get("MLFLOW_TRACKING_URI")
    with store.mirror() as mirror:
        mirror.start(study())
        mirror.send(trial(0))
    assert (mlflow.get_tracking_uri(), mlflow.active_run(), os.environ.get("MLFLOW_TRACKING_URI")) == before


def test_a_mirror_that_never_started_closes() -> None:
    """Draining and closing an unused mirror return at once."""
    with Mirror("sqlite:///x.db") as mirror:
        assert mirror.drain(PATIENCE_S).complete


@pytest.mark.slow
@pytest.mark.parametrize("rest", [trial(1).encode()[:40].encode(), b'{"kind": "Fl', b"\xff\xfe", b"", b"[]\n"])
def test_a_study_killed_within_a_record(store: Store, rest: bytes) -> None:
    """A writer whose input ends within a record writes the whole ones, ends the parent run as killed, and goes."""
    begun = StoreRecord(store.uri, None).encode() + study().encode() + trial(0).encode()
    writer = [sys.executable, "-m", "regsearch.mirror.writer"]
    done = subprocess.run(
        writer, input=begun.encode() + rest, cwd=ROOT, capture_output=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    assert sorted(store.trials()) == [0]
    assert store.parent().info.status == "KILLED"


def test_an_answer_that_is_none(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that answers with anything but a record is given up at once, and the status says so."""
    babble = "import sys; print('no record', flush=True); sys.stdin.read()"
    monkeypatch.setattr(
        Mirror, "_spawn",
        lambda _: subprocess.Popen([sys.executable, "-c", babble], stdin=-1, stdout=-1, encoding="utf-8"),
    )  # fmt: skip
    with store.mirror() as mirror:
        mirror.start(study())
        mirror.send(trial(0))
        assert mirror.wait_ready(PATIENCE_S) is None
        status = mirror.drain(PATIENCE_S)
    assert (status.sent, status.failed) == (1, 1)
    assert "did not answer with a record" in status.reason
