"""A journal whose lines were damaged costs those lines: the others mean what they meant."""

from __future__ import annotations

import errno
import json
import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import optuna
import pytest
from samples import outcomes, study

from regsearch.storage import journal
from regsearch.storage.journal import BLOCK, DAMAGED, drop_partial_line, together
from regsearch.storage.journal_lines import BLANK, DOUBLED, GARBAGE, parsed, readable
from regsearch.storage.store import Store

TRIALS = 5


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The journal of a small study."""
    root = tmp_path_factory.mktemp("journal")
    study(root).run(TRIALS, quiet=True)
    return Store(root, "small").journal.read_bytes().splitlines(keepends=True)


def blank(lines: list[bytes], at: int) -> list[bytes]:
    return [*lines[:at], b" \n", *lines[at:]]


def doubled(lines: list[bytes], at: int) -> list[bytes]:
    return [*lines[: at + 1], *lines[at:]]


def repeated_later(lines: list[bytes], at: int) -> list[bytes]:
    return [*lines, lines[at]]


def overwritten(lines: list[bytes], at: int) -> list[bytes]:
    return [*lines[:at], b'{"op_code": 4, "worker\n', *lines[at + 1 :]]


def replayed(lines: list[bytes], folder: Path) -> list[tuple[int, str, object, object]]:
    """What Optuna reads of a journal through ours: of each trial its number, state, parameters and value."""
    store = Store(folder, "small")
    store.prepare()
    store.journal.write_bytes(b"".join(lines))
    found = optuna.load_study(study_name="small", storage=store.optuna())
    return [(one.number, one.state.name, one.params, one.values) for one in found.get_trials(deepcopy=False)]


@pytest.mark.parametrize("change", [blank, doubled, repeated_later])
def test_a_line_too_many_changes_nothing(
    lines: list[bytes], change: Callable[[list[bytes], int], list[bytes]], tmp_path: Path
) -> None:
    """A blank line or a copy of any line, wherever it stands, leaves every trial what it was."""
    whole = replayed(lines, tmp_path)
    for at in range(len(lines)):
        assert replayed(change(lines, at), tmp_path) == whole, lines[at]


def test_a_lost_line_costs_no_other_trial(lines: list[bytes], tmp_path: Path) -> None:
    """Whichever line is lost, only what that line said of its own trial is; no other trial gets another number."""
    whole = replayed(lines, tmp_path)
    of_trial: list[int] = []  # by line, the trial it is about, or -1
    made = 0
    for line in lines:
        log = json.loads(line)
        of_trial.append(made if log["op_code"] == 4 else log.get("trial_id", -1))
        made += log["op_code"] == 4
    for at, about in enumerate(of_trial):
        found = replayed(overwritten(lines, at), tmp_path)
        kept = [trial for trial in found if trial[0] != about]
        assert kept == [trial for trial in whole if trial[0] != about], lines[at]


@pytest.mark.slow
@pytest.mark.parametrize("at", [0, 1, 2, -1, -2, -6])
def test_a_study_goes_on_without_a_line(lines: list[bytes], at: int, tmp_path: Path) -> None:
    """A study with a lost line says which, and ends with the trials that it would have had."""
    whole = outcomes(study(tmp_path / "whole").run(TRIALS + 2, quiet=True))
    one = study(tmp_path / "lost")
    one.run(TRIALS, quiet=True)
    own = one.store.journal.read_bytes().splitlines(keepends=True)
    number = at % len(own)
    one.store.journal.write_bytes(b"".join(overwritten(own, number)))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert sorted(outcomes(one.run(TRIALS + 2, quiet=True)), key=repr) == sorted(whole, key=repr)
    assert str(said[0].message).startswith(f"line {number + 1} of {one.store.journal} {GARBAGE}")
    assert (one.store.folder / DAMAGED).exists()
    assert sorted(outcomes(one.run(TRIALS + 2, quiet=True)), key=repr) == sorted(whole, key=repr)


def test_what_is_wrong_with_a_line(lines: list[bytes]) -> None:
    """A line that holds nothing, no operation, or an operation that was there is told by its number."""
    wrong = {
        b"\n": BLANK, b"\0\0\0\n": BLANK, b"\xff\xfe\n": GARBAGE, b"[]\n": GARBAGE, b"null\n": GARBAGE,
        b'{"op_code":99,"worker_id":""}\n': GARBAGE, b'{"op_code":5,"worker_id":"","trial_id":"0"}\n': GARBAGE,
        b"[" * 100_000 + b"\n": GARBAGE, lines[3]: DOUBLED,
    }  # fmt: skip
    for text, problem in wrong.items():
        found = readable(parsed([*lines[:4], text, *lines[4:]]), "small")
        assert [(line.number, line.problem) for line in found if line.problem] == [(5, problem)], text


def test_a_journal_without_its_trials(lines: list[bytes]) -> None:
    """Lines that speak of trials which no line made nor can have made are refused: their numbers are not known."""
    without = [line for line in lines if json.loads(line)["op_code"] != 4]
    with pytest.raises(ValueError, match="speaks of trial 0, which no line made"):
        readable(parsed(without), "small")


@pytest.mark.parametrize("length", [1, 4096, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7])
def test_a_cut_record_is_found_however_long(length: int, tmp_path: Path) -> None:
    """What a kill left of a last line is cut, also where it is longer than what is read at a time."""
    journal = tmp_path / "journal.log"
    for whole in (b"", b"{}\n", b"{}\n" * 3):
        journal.write_bytes(whole + b"x" * length)
        drop_partial_line(journal)
        assert journal.read_bytes() == whole


def test_a_process_reads_what_another_writes_between_its_lines(tmp_path: Path) -> None:
    """Two that write one journal in turn both see every operation, in its order: none takes its own for all of them."""
    store = Store(tmp_path, "shared")
    store.prepare()
    one, other = (
        optuna.create_study(study_name="shared", storage=store.optuna(), load_if_exists=True) for _ in range(2)
    )
    for k in range(4):
        for study_ in (one, other, other, one)[: k + 1]:
            asked = study_.ask()
            asked.suggest_float("x", 0, 1)
            study_.tell(asked, k)
    both = [[(trial.number, trial.params, trial.values) for trial in each.get_trials()] for each in (one, other)]
    assert both[0] == both[1]
    assert [number for number, *_ in both[0]] == list(range(10))


def opened(folder: Path) -> optuna.Study:
    """The study of a journal, through a storage of its own."""
    store = Store(folder, "shared")
    store.prepare()
    return optuna.create_study(study_name="shared", storage=store.optuna(), load_if_exists=True)


def contents(one: optuna.Study) -> list[tuple[object, ...]]:
    """What a study knows of its trials."""
    found = one.get_trials(deepcopy=False)
    return [(trial.number, trial.state, trial.params, trial.values, trial.user_attrs) for trial in found]


def test_what_belongs_together_is_one_write(tmp_path: Path) -> None:
    """Within a block only new trials are written; all else follows at its end, also where the block is cut short."""
    one = opened(tmp_path)
    file = Store(tmp_path, "shared").journal
    before = file.stat().st_size
    with suppress(RuntimeError), together(one._storage):
        asked = one.ask()
        made = file.stat().st_size
        asked.suggest_float("x", 0, 1)
        with together(one._storage):
            asked.set_user_attr("said", "this")
        assert before < made == file.stat().st_size
        assert contents(one)[0][2:] == (asked.params, None, {"said": "this"})
        raise RuntimeError
    assert file.stat().st_size > made
    one.tell(asked, 1.0)
    assert contents(opened(tmp_path)) == contents(one)


def test_what_others_write_within_a_block_is_read_once(tmp_path: Path) -> None:
    """Lines of two that write in blocks which overlap mean the same to both, and to who reads them all later."""
    one, other = opened(tmp_path), opened(tmp_path)
    for k in range(3):
        with together(one._storage):
            mine = one.ask()
            mine.suggest_float("x", 0, 1)
            with together(other._storage):
                theirs = other.ask()
                theirs.suggest_float("x", 0, 1)
                mine.set_user_attr("k", k)
                other.tell(theirs, -k)
            mine.set_user_attr("later", k)
        one.tell(mine, k)
    assert contents(one) == contents(other) == contents(opened(tmp_path))
    assert len(contents(one)) == 6


@pytest.mark.parametrize("written", [False, True])
def test_ctrl_c_while_it_writes_loses_nothing(written: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is cut off before or after it reached the file is there once when the next operation is."""
    one = opened(tmp_path)
    asked = one.ask()
    write = journal._write

    def cut(*given: object) -> None:
        monkeypatch.setattr(journal, "_write", write)
        if written:
            write(*given)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(journal, "_write", cut)
    with suppress(KeyboardInterrupt), together(one._storage):
        asked.set_user_attr("k", 1)
        one.tell(asked, 1.0)
    known = contents(one)
    one.set_user_attr("after", "that")
    assert contents(one) == known == contents(opened(tmp_path))
    assert one.user_attrs == opened(tmp_path).user_attrs == {"after": "that"}


def test_a_full_disk_hides_nothing_that_others_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a write failed, what another process writes there is read, and one's own when there is room again."""
    one, other = opened(tmp_path), opened(tmp_path)
    asked = one.ask()
    with monkeypatch.context() as full:
        full.setattr(journal, "_write", raising(OSError(errno.ENOSPC, "No space left on device")))
        with suppress(OSError), together(one._storage):
            asked.set_user_attr("k", 1)
            one.tell(asked, 1.0)
    other.set_user_attr("theirs", "there")
    assert one.user_attrs == {"theirs": "there"}
    one.set_user_attr("after", "that")
    assert contents(one) == contents(other) == contents(opened(tmp_path))
    assert one.user_attrs == other.user_attrs == {"theirs": "there", "after": "that"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
def test_a_process_that_is_forked_off_holds_no_file_of_its_parent(tmp_path: Path) -> None:
    """The lock of who writes ends with it, whoever was forked off meanwhile; the child has a file of its own."""
    one = opened(tmp_path)
    one.set_user_attr("k", 0)
    file = one._storage._backend._file  # type: ignore[attr-defined]
    child = os.fork()
    if not child:
        closed = not file.is_in(Store(tmp_path, "shared").journal)
        one.set_user_attr("child", closed)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    one.set_user_attr("k", 1)
    assert opened(tmp_path).user_attrs == {"k": 1, "child": True}


def raising(error: BaseException) -> Callable[..., None]:
    def fails(*given: object) -> None:
        raise error

    return fails


def test_a_journal_that_was_put_in_the_place_of_another_is_written_to(tmp_path: Path) -> None:
    """The file that stays open is that of the name: where another lies there now, the next operations go to that."""
    one = opened(tmp_path)
    asked = one.ask()
    file = Store(tmp_path, "shared").journal
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content)
    assert len(one.get_trials()) == 1
    one.tell(asked, 1.0)
    assert contents(opened(tmp_path)) == contents(one)
