"""The seam behind which the files of a study lie: what holds for a folder holds for anything that has its methods."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import regression

from regsearch import InvalidInput, Linear, Study
from regsearch import Path as Axis
from regsearch.data.folds import Folds
from regsearch.data.problem import make_problem
from regsearch.errors import NotFound
from regsearch.metrics.averaging import Averaging
from regsearch.models.path import Curves, Trajectory
from regsearch.storage.artifacts import Artifacts, FolderArtifacts
from regsearch.storage.store import PNG, PNG_END, Store


class ZipArtifacts:
    """Artifacts that are members of one zip file, the last of a name being the one that counts."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def write(self, name: str, content: bytes) -> None:
        kept = self._members()
        part = self.file.with_suffix(".part")
        with zipfile.ZipFile(part, "w") as archive:
            for member, old in (kept | {name: content}).items():
                archive.writestr(member, old)
        part.replace(self.file)

    def open(self, name: str) -> BinaryIO:
        if not self.has(name):
            raise NotFound(f"There is no {name} in {self.file}; it was not kept.")
        return io.BytesIO(self._members()[name])

    def has(self, name: str) -> bool:
        return name in self._members()

    def names(self, folder: str) -> list[str]:
        return sorted(name for name in self._members() if name.rpartition("/")[0] == folder)

    def _members(self) -> dict[str, bytes]:
        if not self.file.exists():
            return {}
        with zipfile.ZipFile(self.file) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


MADE: dict[str, Callable[[Path], Artifacts]] = {
    "folder": lambda root: FolderArtifacts(root / "folder"),
    "zip": lambda root: ZipArtifacts(root / "files.zip"),
}
every = pytest.mark.parametrize("kind", MADE)


@every
@given(
    written=st.lists(
        st.tuples(st.sampled_from(["a/x.npz", "a/y.json", "b/x.npz", "top.npz"]), st.binary(max_size=20)), max_size=6
    )
)
def test_the_last_content_of_a_name_counts(
    kind: str, written: list[tuple[str, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What was written last under a name is read, at any position; names are listed by folder; others are not found."""
    root = tmp_path_factory.mktemp("files")
    artifacts, kept = MADE[kind](root), dict[str, bytes]()
    for name, content in written:
        artifacts.write(name, content)
        kept[name] = content
    for name, content in kept.items():
        with artifacts.open(name) as file:
            file.seek(len(content) // 2)
            assert file.read() == content[len(content) // 2 :]
    assert artifacts.names("a") == sorted(name for name in kept if name.startswith("a/"))
    assert artifacts.names("none") == []
    for name in ("a/x.npz", "top.npz", "a", "absent"):
        assert artifacts.has(name) == (name in kept)
        if name in ("absent", "a/x.npz") and name not in kept:
            with pytest.raises(NotFound, match=f"There is no {name}"):
                artifacts.open(name)
    shutil.rmtree(root)


@every
def test_a_study_lives_behind_the_seam(kind: str, tmp_path: Path) -> None:
    """Trials, folds, targets, findings and pictures come back through the four methods alone."""
    store = Store(tmp_path / "root", "one", artifacts=MADE[kind](tmp_path))
    curves = Curves(np.arange(6.0).reshape(2, 3), np.ones((2, 3)))
    path = Trajectory(np.geomspace(1, 0.1, 3), {"r2": curves}, np.zeros((2, 3)))
    store.save(7, path, np.zeros((4, 1)))
    np.testing.assert_array_equal(store.trajectory(7).axis, path.axis)
    np.testing.assert_array_equal(store.curves(7, "r2").train, curves.train)
    np.testing.assert_array_equal(store.predictions(7), np.zeros((4, 1)))
    with pytest.raises(NotFound, match="Trial 8 of 'one' has no arrays"):
        store.predictions(8)
    assert store.load_folds("two") is None
    folds = Folds((np.array([0, 1]), np.array([2, 3])), (np.array([2]), np.array([0])), "two")
    store.save_folds(folds, Averaging.of(folds))
    assert (read := store.load_folds("two")) is not None
    assert read.digest == folds.digest
    assert store.load_targets("binary") is None
    store.save_targets(make_problem(np.arange(4.0)[:, None], np.array(["a", "b", "a", "b"])))
    assert (targets := store.load_targets("binary")) is not None
    assert targets.classes is not None
    assert targets.classes.tolist() == ["a", "b"]
    assert store.finding("absent") is None
    store.save_finding("found", {"é": [1, None, 0.1]})
    assert store.finding("found") == {"é": [1, None, 0.1]}
    first, second = (PNG + content + PNG_END for content in (b"1", b"2"))
    store.save_picture("second", second)
    store.save_picture("first", first)
    assert store.pictures == {"first": first, "second": second}
    assert not (tmp_path / "root").exists()


def test_studies_made_of_a_study_have_files_of_their_own(tmp_path: Path) -> None:
    """Where `artifacts` puts the arrays of a study, it puts those of the studies of its outer folds, by their names."""
    X, y = regression()
    options: Any = {"space": Linear("l1", Axis(10)), "cv": 3, "root": tmp_path / "root", "tracking": False}
    one = Study("one", X, y, artifacts=lambda name: ZipArtifacts(tmp_path / f"{name}.zip"), **options)
    one.run(3, quiet=True)
    nested = one.nested(2, 3, quiet=True)
    assert one.results().finding("nested") == nested.row()
    assert {file.name for file in tmp_path.glob("*.zip")} == {"one.zip", "one.outer0.zip", "one.outer1.zip"}
    assert not [*(tmp_path / "root").rglob("*.npz")]
    with pytest.raises(InvalidInput, match="artifacts must be a function from a study's name"):
        one.replace(artifacts=ZipArtifacts(tmp_path / "one.zip"))


def test_a_failed_write_changes_nothing(tmp_path: Path) -> None:
    """A file that could not be written whole leaves the earlier one, and nothing beside it."""
    artifacts = FolderArtifacts(tmp_path)
    artifacts.write("a/x.npz", b"old")
    with pytest.raises(TypeError):
        artifacts.write("a/x.npz", "no bytes")  # type: ignore[arg-type]
    with artifacts.open("a/x.npz") as file:
        assert file.read() == b"old"
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["x.npz"]
