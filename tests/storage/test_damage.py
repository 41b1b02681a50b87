"""What of a stored study cannot be read costs itself alone: it is said, the rest is shown, and a run has it again."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from damage.files import TRIAL, cut, empty, folder, foreign, garbage, missing, pickled, reshaped
from hypothesis import given
from hypothesis import strategies as st
from optuna.exceptions import StorageInternalError
from optuna.samplers import RandomSampler
from samples import outcomes, study
from sklearn.linear_model import Ridge
from sqlalchemy.exc import OperationalError

from regsearch import Estimator, Float, Study
from regsearch.errors import Damaged, NotFound, SearchFailed, StorageFailed
from regsearch.models.persist import FEW, sync
from regsearch.results.report.sentences import about
from regsearch.storage.failures import storage_failures
from regsearch.storage.optuna_study import OptunaStudy
from regsearch.storage.pace import Pace
from regsearch.storage.store import KIND, Store, trial_file
from regsearch.storage.trial import INTERRUPTED, REASON_LENGTH, Trial
from regsearch.study.loop import FAILURES
from regsearch.study.progress_line import farewell

TRIALS = 8


class Verbose(Ridge):  # type: ignore[misc]
    """A ridge regression that always fails, at length."""

    def fit(self, X: object, y: object, sample_weight: object = None) -> Verbose:
        raise ValueError("long " * 100_000)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a finished study."""
    root = tmp_path_factory.mktemp("whole")
    study(root).run(TRIALS, quiet=True)
    return root


def copy_of(root: Path, folder: Path) -> Study:
    shutil.copytree(root, folder / "root")
    return study(folder / "root")


@pytest.mark.parametrize("fault", [empty, cut, foreign, pickled, reshaped, missing, folder, garbage])
@pytest.mark.parametrize("known", [True, False], ids=["with its digest", "without"])
def test_a_file_that_is_not_what_was_written(fault, known: bool, made: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Whatever became of a trial's file, reading it is one of the project's errors, which names the file."""
    store = copy_of(made, tmp_path).store
    file = store.folder / TRIAL
    digest = hashlib.sha256(file.read_bytes()).hexdigest() if known else ""
    store.check(5, digest)
    fault(file)
    with pytest.raises(Damaged, match=TRIAL):
        store.check(5, digest)
    with pytest.raises((Damaged, NotFound), match="rial"):
        store.trajectory(5)


@given(content=st.binary(max_size=200))
def test_any_bytes_are_no_trial(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Bytes that no study wrote are damage, and nothing else comes of them."""
    store = Store(tmp_path_factory.getbasetemp() / "bytes", "one")
    store.artifacts.write(trial_file(0), content)
    for read in (store.trajectory, store.predictions, lambda number: store.check(number, "")):
        with pytest.raises(Damaged):
            read(0)


def test_damaged_trials_are_run_again_under_their_numbers(made: Path, tmp_path: Path) -> None:
    """The reference, a start, a sampled trial and the best one: each has the same figures and arrays as before."""
    whole = study(made).results()
    one = copy_of(made, tmp_path)
    hurt = sorted({0, 1, TRIALS - 1, whole.complete[0].number})
    for number in hurt:
        (one.store.folder / trial_file(number)).write_bytes(b"")
    seen = one.results()
    assert [trial.number for trial in seen.all if trial.state == "damaged"] == hurt
    assert seen.counts["damaged"] == len(seen.damage) == len(hurt)
    assert [repr(vars(trial)) for trial in seen.complete] == [
        repr(vars(t)) for t in whole.complete if t.number not in hurt
    ]
    with pytest.warns(RuntimeWarning, match="is empty: it is run again"):
        results = one.run(TRIALS, quiet=True)
    assert results.counts["damaged"] == 0
    assert outcomes(results) == outcomes(whole)
    for trial in whole.complete:
        np.testing.assert_array_equal(results.trajectory(trial.number).axis, whole.trajectory(trial.number).axis)
        np.testing.assert_array_equal(results.decisions(trial.number), whole.decisions(trial.number))
    for number in hurt:
        (one.store.folder / trial_file(number)).write_bytes(b"")
    with pytest.warns(RuntimeWarning, match="is empty: it is run again"):
        more = one.run(TRIALS + 2, patience=2, quiet=True)
    assert outcomes(more)[:TRIALS] == outcomes(whole)
    assert len(more.all) == TRIALS + 2, "those that are run again are no new ones without a better score"


def test_arrays_that_lie_elsewhere_are_not_damaged(made: Path, tmp_path: Path) -> None:
    """Where nothing of a study lies in its folder but the journal, no trial is called damaged."""
    store = copy_of(made, tmp_path).store
    shutil.rmtree(store.folder / "trials")
    for name in ("folds.npz", "targets.npz"):
        (store.folder / name).unlink()
    from regsearch.results.results import load_results

    results = load_results(store)
    assert (results.damage, len(results.complete)) == ((), len(study(made).results().complete))


def test_findings_of_no_form_are_none(tmp_path: Path) -> None:
    """A finding is read as it was kept or not at all."""
    store = Store(tmp_path, "one")
    store.save_finding("ablation", {"a": 1})
    assert store.finding("ablation") == {"a": 1}
    file = store.folder / "findings" / "ablation.json"
    for content in (b"", b"{", b"[]", b"3", b"{}", b'{"%s": "nested"}' % KIND.encode(), b"\xff", b"[" * 100_000):
        file.write_bytes(content)
        assert store.finding("ablation") is None, content[:20]


def test_unfinished_files_are_tidied_away(made: Path, tmp_path: Path) -> None:
    """What killed processes left of files that they wrote goes when the study is opened for running."""
    one = copy_of(made, tmp_path)
    parts = [one.store.folder / name for name in (".folds.npz.1.part", "trials/.000003.npz.99.part")]
    for part in parts:
        part.write_bytes(b"half")
    one.results()
    assert all(part.exists() for part in parts)
    with one.store.running():
        assert not any(part.exists() for part in parts)


def test_a_write_outlives_a_tidying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose unfinished part is tidied away while it is written is written all the same."""
    from regsearch.models import persist

    real, swept = os.replace, list[Path]()

    def replace(part: Path, place: Path) -> None:
        if not swept:
            swept.append(part)
            persist.remove_parts(tmp_path)
        real(part, place)

    monkeypatch.setattr(os, "replace", replace)
    persist.write_whole(tmp_path / "file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"
    assert swept
    assert [*tmp_path.iterdir()] == [tmp_path / "file"]


def test_a_finished_trial_has_its_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When Optuna is told of a trial its file lies in its place, and the disk keeps it no later than the journal."""
    from regsearch.storage import artifacts, journal

    real, order = OptunaStudy.tell, list[set[str]]()

    def tell(self: OptunaStudy, trial: Trial, reached: int) -> None:
        one.store.check(trial.number, trial.sha256)
        real(self, trial, reached)

    one = study(tmp_path)
    monkeypatch.setattr(OptunaStudy, "tell", tell)
    monkeypatch.setattr(artifacts, "sync", lambda files: order.append({file.name for file in files}))
    monkeypatch.setattr(os, "fsync", lambda number: order.append({"journal"}))
    monkeypatch.setattr(journal, "KEEP_S", 0.0)
    one.run(4, quiet=True)
    told = [place for place, names in enumerate(order) if "journal" in names]
    assert told
    assert all("journal" not in order[place - 1] for place in told)  # what was written, then the journal
    assert {f"{number:06d}.npz" for number in range(4)} <= set().union(*order)


@pytest.mark.parametrize("length", [0, 1999, 2000, 2001, 10**6])
def test_reasons_are_short(length: int) -> None:
    """A reason is kept whole up to 2,000 characters, and its beginning of a longer one."""
    reason = Trial(0, "failed", reason="x" * length).reason
    assert len(reason) == min(length, REASON_LENGTH)
    assert reason == "x" * length if length <= REASON_LENGTH else reason.endswith("x…")


@pytest.mark.slow
def test_failures_with_long_reasons_are_stored_short(tmp_path: Path) -> None:
    """An estimator whose error prints all its data leaves 2,000 characters of it in the store and in every table."""
    one = study(tmp_path, space=Estimator(Verbose(), {"alpha": Float(0.1, 10.0, log=True)}))
    with pytest.raises(SearchFailed) as raised:
        one.run(6, quiet=True)
    results = one.results()
    assert results.counts["failed"] == FAILURES
    assert {len(reason) for reason in results.trials["reason"]} == {REASON_LENGTH}
    assert max(len(str(raised.value)), len(results.last_failure)) < REASON_LENGTH + 100
    assert one.store.journal.stat().st_size < FAILURES * 4 * REASON_LENGTH


@pytest.mark.parametrize("count", [1, FEW, FEW + 1, 100])
def test_files_are_kept_one_by_one_or_together(count: int, tmp_path: Path) -> None:
    """Few files or many, whatever became of some meanwhile: the disk is told, and the files are what they were."""
    files = [tmp_path / f"{number % 3}" / f"{number}" for number in range(count)]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"content")
    sync([*files, tmp_path / "gone"])
    assert all(file.read_bytes() == b"content" for file in files)


def test_a_slow_disk_is_told_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is told after the pace's seconds, and after so many more that waiting for it stays a small share."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    for took, pause in ((0.001, 1.0), (0.02, 1.0), (0.5, 10.0)):
        pace = Pace(1.0)
        assert pace.due
        with pace.telling():
            now[0] += took
        now[0] += pause - 0.01
        assert not pace.due
        now[0] += 0.02
        assert pace.due
    assert Pace(0.0).due


def test_a_trial_that_was_cut_off_has_not_failed(tmp_path: Path) -> None:
    """After a kill while a trial was proposed none counts as failed, and every place that counts says interrupted."""
    one = study(tmp_path)
    one.run(9, quiet=True)
    asked = OptunaStudy.open(one.store, one._identity()).ask(RandomSampler(0))  # of a process that is gone now
    assert one.results().counts["running"] == 1
    results = one.run(12, quiet=True)
    assert (results.counts["failed"], results.counts["interrupted"]) == (0, 1)
    assert results.trials.loc[asked.number, ["state", "reason"]].tolist() == ["interrupted", INTERRUPTED]
    assert results.last_failure == ""
    for said in (farewell(results, 3), about(results)):
        assert "1 interrupted" in said
        assert "failed" not in said


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/secret/place"), "No space left on device"),
        (sqlite3.OperationalError("disk I/O error\nmore"), None),
        (OperationalError("SELECT 1", {}, Exception("server closed the connection\nmore")), "server closed"),
        (StorageInternalError("An exception is raised during the commit."), "An exception is raised"),
        (KeyError("anyone's"), None),
    ],
)
def test_a_storage_that_fails_is_one_sentence(error: Exception, why: str | None) -> None:
    """What a full disk and a lost database raise becomes a sentence with its cause; what anyone else raises stays."""
    with pytest.raises(StorageFailed if why else type(error)) as raised, storage_failures("It could not be written"):
        raise error
    if why:
        assert str(raised.value).startswith("It could not be written: ")
        assert why in str(raised.value)
        assert "\n" not in str(raised.value)
        assert "everything finished is kept" in str(raised.value)
