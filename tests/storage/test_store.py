"""What a study writes: whole or not at all, by one process at a time, in a folder that a name can name."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from samples import ROOT, TIMEOUT_S, outcomes, poll, python, study

from regsearch._types import Array
from regsearch.data.folds import Folds
from regsearch.errors import InvalidInput, NotFound, RegsearchError
from regsearch.metrics.averaging import Averaging
from regsearch.models.out_of_fold import PathDecisions
from regsearch.models.path import Curves, Trajectory
from regsearch.storage.ownership import OWNER, claim, set_first_owner
from regsearch.storage.store import Store, study_names

HOLD = """
import sys
from regsearch.storage.store import Store
with Store(sys.argv[1], sys.argv[2]).running():
    print("held", flush=True)
    sys.stdin.read()
"""
ONE = Folds((np.array([0]),), (np.array([1]),), "one")


def prepared(root: Path, name: str = "one") -> Store:
    store = Store(root, name)
    store.prepare()
    return store


def measured(predictions: bool = True) -> tuple[Trajectory, Array | None]:
    """A trajectory of two metrics, and predictions."""
    rng = np.random.default_rng(0)
    curves = {name: Curves(rng.normal(size=(3, 7)), rng.normal(size=(3, 7))) for name in ("r2", "mae")}
    trajectory = Trajectory(np.geomspace(1, 1e-3, 7), curves, rng.normal(size=(3, 7)))
    return trajectory, rng.normal(size=(20, 1)) if predictions else None


def test_unsolved_points_are_kept(tmp_path: Path) -> None:
    """Which points of a path are not solved comes back with every metric's curves."""
    store, (one, _) = prepared(tmp_path), measured(predictions=False)
    unsolved = np.arange(7) > 4
    curves = {name: replace(own, unsolved=unsolved) for name, own in one.curves.items()}
    store.save(4, replace(one, curves=curves))
    for name in curves:
        found = store.curves(4, name).unsolved
        assert found is not None
        np.testing.assert_array_equal(found, unsolved)
    assert store.trajectory(4).unsolved_at(5)
    assert not store.trajectory(4).unsolved_at(4)


@pytest.mark.parametrize("predictions", [True, False])
def test_arrays_round_trip(tmp_path: Path, predictions: bool) -> None:
    """What a trial measured comes back as it was, predictions in single precision, and nothing else lies there."""
    store, (one, said) = prepared(tmp_path), measured(predictions)
    along = PathDecisions.of([1, 5], [said + 1, said + 2]) if said is not None else None
    store.save(4, one, said, along)
    with np.load(store.folder / "trials" / "000004.npz") as stored:
        assert set(stored) == {"axis", "complexity", "train/r2", "val/r2", "train/mae", "val/mae"} | (
            {"predictions", "along/steps", "along/decisions"} if predictions else set()
        )
    found = store.trajectory(4)
    assert found.metric == "r2"
    np.testing.assert_array_equal(found.axis, one.axis)
    np.testing.assert_array_equal(found.complexity, one.complexity)
    assert list(found.curves) == list(one.curves)
    for name, curves in one.curves.items():
        for read in (store.curves(4, name), found.curves[name]):
            np.testing.assert_array_equal(read.train, curves.train)
            np.testing.assert_array_equal(read.val, curves.val)
    again = store.predictions(4)
    assert (again is None) == (said is None)
    if said is not None:
        np.testing.assert_array_equal(again, said.astype(np.float32))
    kept = store.along(4)
    assert (kept is None) == (along is None)
    if kept is not None and along is not None:
        np.testing.assert_array_equal(kept.steps, [1, 5])
        np.testing.assert_array_equal(kept.decisions, along.decisions)
    assert [file.name for file in (store.folder / "trials").iterdir()] == ["000004.npz"]


def test_saving_again_replaces(tmp_path: Path) -> None:
    """A trial that was killed before Optuna knew of it overwrites its arrays."""
    store = prepared(tmp_path)
    store.save(0, Trajectory(np.zeros(3)))
    store.save(0, Trajectory(np.ones(2)))
    np.testing.assert_array_equal(store.trajectory(0).axis, np.ones(2))


def test_missing_arrays(tmp_path: Path) -> None:
    """A trial without arrays is not found, by its number and its study's name."""
    with pytest.raises(NotFound, match=r"Trial 7 of 'one' has no arrays"):
        prepared(tmp_path).trajectory(7)


def test_folds_are_kept(tmp_path: Path) -> None:
    """The folds lie beside the study, row for row."""
    store = prepared(tmp_path)
    folds = Folds((np.array([0, 1]), np.array([2, 3])), (np.array([2]), np.array([0])), "two")
    store.save_folds(folds, Averaging.of(folds))
    with np.load(store.folder / "folds.npz") as found:
        assert {name: rows.tolist() for name, rows in found.items()} == {
            "train0": [0, 1], "train1": [2, 3], "val0": [2], "val1": [0], "effective": 2.0, "overlap": 0.5,
        }  # fmt: skip


@pytest.mark.parametrize("name", ["a", "A-b_c.9", "0", "x" * 100])
def test_names(tmp_path: Path, name: str) -> None:
    """A name of letters, digits, dots, underscores and dashes becomes a folder."""
    assert prepared(tmp_path, name).folder == tmp_path / "studies" / name
    assert (tmp_path / "studies" / name / "trials").is_dir()


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "a/b", "a\\b", "../up", "a b", "é", "x" * 101, "a\n", "-x", None, 3, b"a"]
)
def test_bad_names(tmp_path: Path, name: object) -> None:
    """A name that could leave the folder, hide in it or be misread is refused."""
    with pytest.raises(InvalidInput, match="name must be letters"):
        Store(tmp_path, name)  # type: ignore[arg-type]


def test_root_that_cannot_be_written(tmp_path: Path) -> None:
    """A root below a regular file is refused in one sentence that names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match=r"root must be a folder that can be written, got .*file"):
        Store(tmp_path / "file" / "below", "one").prepare()
    with pytest.raises(InvalidInput, match="root"):
        study(tmp_path / "file").run(3, quiet=True)


def test_study_names(tmp_path: Path) -> None:
    """The studies under a root are those that were started, in alphabetical order; an absent root has none."""
    assert study_names(tmp_path / "absent") == []
    for name in ("b", "a"):
        study(tmp_path, name).run(1, quiet=True)
    prepared(tmp_path, "empty")
    assert study_names(tmp_path) == ["a", "b"]


@pytest.mark.slow
def test_one_process_at_a_time(tmp_path: Path) -> None:
    """A study that another process runs is refused until that process is gone, and other studies are free."""
    prepared(tmp_path, "small")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path), "small"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RegsearchError, match=r"one process at a time, 'small' is being run by another"):
            study(tmp_path).run(2, quiet=True)
        assert len(study(tmp_path, "other").run(2, quiet=True).complete) == 2
        holder.kill()
    assert len(study(tmp_path).run(2, quiet=True).complete) == 2


@pytest.mark.slow
def test_a_half_written_line_is_mended(tmp_path: Path) -> None:
    """Wherever a kill cut the journal, the study goes on, keeps what was finished, and comes to the same trials."""
    whole = outcomes(study(tmp_path / "whole").run(9, quiet=True))
    study(tmp_path / "cut").run(6, quiet=True)
    journal = Store(tmp_path / "cut", "small").journal
    size = journal.stat().st_size
    for cut in (1, 30, 200):
        with journal.open("rb+") as file:
            file.truncate(size - cut)
        assert not journal.read_bytes().endswith(b"\n")
        kept = len(study(tmp_path / "cut").results().complete)
        assert kept >= 5
        size = journal.stat().st_size
    assert outcomes(study(tmp_path / "cut").run(9, quiet=True)) == whole
    assert journal.read_bytes().endswith(b"\n")


def test_a_journal_that_is_only_a_partial_line(tmp_path: Path) -> None:
    """A journal whose first line was cut starts anew."""
    store = prepared(tmp_path, "small")
    store.journal.write_bytes(b'{"op_code":0,"work')
    assert len(study(tmp_path).run(3, quiet=True).complete) == 3


@pytest.mark.slow
@pytest.mark.process
def test_a_killed_process_holds_no_lock(tmp_path: Path) -> None:
    """A process that is killed while it writes leaves no lock behind: the next run starts at once."""
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r})\n"
        "from pathlib import Path\nfrom samples import ROOT, study\n"
        f"study(Path({str(tmp_path)!r})).run(100000, quiet=True)\n"
    )
    journal = Store(tmp_path, "small").journal
    with subprocess.Popen([sys.executable, str(script)]) as run:
        assert poll(lambda: journal.exists() and journal.stat().st_size > 20_000)
        run.kill()
    before = len(study(tmp_path).results().complete)
    results = study(tmp_path).run(before + 2, quiet=True)
    assert len(results.complete) >= before + 2
    assert results.counts["running"] == results.counts["waiting"] == 0


@pytest.mark.slow
def test_a_study_reads_while_another_process_runs(tmp_path: Path) -> None:
    """Reading results needs no lock."""
    study(tmp_path).run(3, quiet=True)
    with Store(tmp_path, "small").running():
        done = python("-m", "regsearch", "show", "small", "--root", str(tmp_path))
    assert done.returncode == 0, done.stderr


# --- a storage URL ----------------------------------------------------------------------------------------------

CLAIM = """
import os, sys
import optuna
from regsearch.storage.ownership import claim
from regsearch.storage.store import Store
store = Store(sys.argv[1], "small", sys.argv[2])
store.prepare()
with store.running():
    storage = store.optuna()
    claim(store, optuna.create_study(study_name="small", storage=storage, load_if_exists=True), storage)
    print(os.getpid(), flush=True)
    sys.stdin.read()
"""


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'optuna.db'}"


def claimed(root: Path, url: str) -> tuple[Store, Any]:
    """A store and its Optuna study, claimed for this process."""
    store = Store(root, "small", url)
    store.prepare()
    storage = store.optuna()
    opened = optuna.create_study(study_name="small", storage=storage, load_if_exists=True)
    claim(store, opened, storage)
    return store, opened


@pytest.mark.slow
def test_another_root_is_refused(tmp_path: Path) -> None:
    """A study of a storage URL belongs to its first root, whether its process lives or not; the refusal names both."""
    url, arguments = url_of(tmp_path), [sys.executable, "-c", CLAIM, str(tmp_path / "a"), url_of(tmp_path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        pid = int(holder.stdout.readline())
        said = rf"belongs to {tmp_path / 'a'} \(process {pid} on {socket.gethostname()}\), not to {tmp_path / 'b'}"
        with pytest.raises(RegsearchError, match=said):
            claimed(tmp_path / "b", url)
        with (
            pytest.raises(RegsearchError, match="one process at a time"),
            Store(tmp_path / "a", "small", url).running(),
        ):
            pass
        holder.kill()
    with pytest.raises(RegsearchError, match=said):
        claimed(tmp_path / "b", url)


@pytest.mark.slow
def test_two_first_runs_at_once(tmp_path: Path) -> None:
    """Of two processes that claim a new study from two roots at the same moment, exactly one gets it."""
    url = url_of(tmp_path)
    optuna.create_study(study_name="small", storage=url)
    both = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, str(tmp_path / root), url], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for root in ("a", "b")
    ]  # fmt: skip
    said = [process.communicate(timeout=TIMEOUT_S)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1], said
    assert "belongs to" in "".join(said)


def test_the_first_of_two_owners_stays(tmp_path: Path) -> None:
    """Of two roots that have both seen no owner, the second one's claim changes nothing."""
    storage = Store(tmp_path, "small", url_of(tmp_path)).optuna()
    opened = optuna.create_study(study_name="small", storage=storage)
    for root in ("a", "b", "c"):
        set_first_owner(opened, storage, {"root": root})
    assert opened.user_attrs[OWNER] == {"root": "a"}


@pytest.mark.slow
def test_a_dead_owner_is_taken_over(tmp_path: Path) -> None:
    """The root of a killed owner goes on under its new process."""
    url = url_of(tmp_path)
    done = python("-c", CLAIM.replace("sys.stdin.read()", "os.kill(os.getpid(), 9)"), str(tmp_path / "a"), url)
    assert done.returncode == -9, done.stderr
    assert claimed(tmp_path / "a", url)[1].user_attrs[OWNER] == {
        "host": socket.gethostname(), "pid": os.getpid(), "root": str(tmp_path / "a"),
    }  # fmt: skip


@pytest.mark.slow
def test_owner_on_another_host(tmp_path: Path) -> None:
    """The same path on another host owns a study only where the study's files are."""
    url = url_of(tmp_path)
    store, opened = claimed(tmp_path / "a", url)
    elsewhere = {"host": "elsewhere", "pid": 1, "root": str(tmp_path / "a")}
    opened.set_user_attr(OWNER, elsewhere)
    with pytest.raises(RegsearchError, match="process 1 on elsewhere"):
        claimed(tmp_path / "a", url)
    store.save_folds(ONE, Averaging.of(ONE))
    assert claimed(tmp_path / "a", url)[1].user_attrs[OWNER]["host"] == socket.gethostname()


def test_a_moved_root_takes_its_study_along(tmp_path: Path) -> None:
    """A root that was moved, files and all, still owns its study."""
    url = url_of(tmp_path)
    claimed(tmp_path / "a", url)[0].save_folds(ONE, Averaging.of(ONE))
    (tmp_path / "a").rename(tmp_path / "b")
    assert claimed(tmp_path / "b", url)[1].user_attrs[OWNER]["root"] == str(tmp_path / "b")


@pytest.mark.slow
def test_a_foreign_study_is_not_marked(tmp_path: Path) -> None:
    """An Optuna study that has trials and no owner is left as it is."""
    foreign = optuna.create_study(study_name="small", storage=url_of(tmp_path))
    foreign.enqueue_trial({})
    assert claimed(tmp_path / "a", url_of(tmp_path))[1].user_attrs == {}


@pytest.mark.parametrize("content", [b"no journal\n" * 2, b"\xff\xfe\x00\n" * 2, b"[]\n", b'{"op_code": 0}\n'])
def test_a_foreign_journal(tmp_path: Path, content: bytes) -> None:
    """A journal that Optuna did not write is refused in one sentence that names the file."""
    store = prepared(tmp_path)
    store.journal.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"journal must be one that Optuna wrote, .*journal\.log"):
        store.optuna()


@pytest.mark.slow
def test_a_study_runs_from_its_root_only(tmp_path: Path) -> None:
    """A run from another root is refused before it touches a trial, and the first root goes on."""
    url = url_of(tmp_path)
    before = outcomes(study(tmp_path / "a", storage=url).run(3, quiet=True))
    with pytest.raises(RegsearchError, match=f"belongs to {tmp_path / 'a'} "):
        study(tmp_path / "b", storage=url).run(5, quiet=True)
    results = study(tmp_path / "a", storage=url).run(5, quiet=True)
    assert outcomes(results)[:3] == before
    assert (len(results.complete), results.counts["running"]) == (5 - results.counts["pruned"], 0)
