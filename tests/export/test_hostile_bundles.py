"""Bundles that someone damaged or made up: refused in a sentence, before they cost time or room."""

from __future__ import annotations

import json
import random
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest
from damage.edits import edited, make_bundles, problem_of
from hypothesis import given
from hypothesis import strategies as st
from samples import python

from regsearch import InvalidInput, RegsearchError, load, load_config
from regsearch.documents import parse_json, parse_toml, read_bounded
from regsearch.export.bundle.files import CONFIG, EXAMPLE, FORM, MODEL, PROVENANCE, SIGNATURE, sha256
from regsearch.export.bundle.schema import Form
from regsearch.export.retrain import retrain
from regsearch.export.verify import verify
from regsearch.export.write import check_target
from regsearch.models.neural.files import TENSORS

ROOM = 300 << 20  # bytes that a refusal may take beside what was there
SECONDS = 5.0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {bundle.name: bundle for bundle in make_bundles(tmp_path_factory.mktemp("made"))}


@pytest.fixture
def copied(made: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a bundle, to be edited."""

    def of(name: str) -> Path:
        return Path(shutil.copytree(made[name], tmp_path / name))

    return of


def rehash(bundle: Path, name: str) -> None:
    """Make the hash of a file fit."""
    said = json.loads((bundle / PROVENANCE).read_text())
    said["files"][name] = sha256(bundle / name)
    (bundle / PROVENANCE).write_text(json.dumps(said))


@pytest.fixture
def cheap() -> Iterator[None]:
    """Whatever happens takes little time and room."""
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.process_time() - began < SECONDS
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < ROOM


@pytest.mark.slow
@given(draw=st.randoms(use_true_random=False), name=st.sampled_from(["array", "table", "estimator", "net", "ensemble"]))
def test_edits(made: dict[str, Path], draw: random.Random, name: str) -> None:
    """However the files of a bundle are edited, it predicts or is refused by an error of regsearch's."""
    place = made[name].parent / "edited"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(made[name], place)
    done = edited(place, draw)
    assert not (problem := problem_of(place)), f"{done}: {problem}"


# --- what a net's file says ------------------------------------------------------------------------------------


def respec(bundle: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Edit what the header of a net's file says of the net."""
    content = (bundle / TENSORS).read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    said = json.loads(header["__metadata__"]["regsearch"])
    change(said)
    header["__metadata__"]["regsearch"] = json.dumps(said)
    text = json.dumps(header).encode()
    (bundle / TENSORS).write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :])
    rehash(bundle, TENSORS)


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize(
    "hidden", [[200_000_000], [4, 200_000_000], [10**18], [2**40, 2**40], [1] * 100_000, 10**9, [5], []]
)
def test_a_net_that_is_far_too_large(copied: Callable[[str], Path], hidden: Any) -> None:
    """A net whose layers are not those of its tensors is refused before there is any room made for it."""
    bundle = copied("net")
    respec(bundle, lambda said: said["module"].update(hidden=hidden))
    with pytest.raises(InvalidInput, match=r"not the one that was trained|whole numbers of at least 1"):
        load(bundle)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["module", "inputs", "outputs", "norm", "task", "precision", "classes", "label_type"])
@pytest.mark.parametrize("value", [None, 7, -1, [], [0], "x", {}, {"type": "l1"}, [1] * 9, True, "float16", 2**40])
def test_what_a_net_says_of_itself(copied: Callable[[str], Path], name: str, value: Any) -> None:
    """Each field of what tensors do not say is of its kind and goes with the others, or the net is refused."""
    bundle = copied("net")
    respec(bundle, lambda said: said.update({name: value}))
    with pytest.raises(InvalidInput, match=r"damaged|must|not the one|cannot"):
        load(bundle)


# --- archives --------------------------------------------------------------------------------------------------


def with_members(bundle: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    with ZipFile(bundle / MODEL) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with ZipFile(bundle / MODEL, "w", ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    rehash(bundle, MODEL)


def bomb(members: dict[str, bytes]) -> None:
    members["zeros"] = bytes(400_000_000)


def nested_bomb(members: dict[str, bytes]) -> None:
    inner = BytesIO()
    with ZipFile(inner, "w", ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("data.npy", bytes(300_000_000))
    members["1.npz"] = inner.getvalue()


def many(members: dict[str, bytes]) -> None:
    members.update({f"{number}": b"" for number in range(21_000)})


def huge_array(members: dict[str, bytes]) -> None:
    name = next(name for name in members if name.endswith(".npy"))
    made = BytesIO()
    np.lib.format.write_array_header_1_0(made, {"descr": "<f8", "fortran_order": False, "shape": (10**10,)})
    members[name] = made.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [(bomb, "unpack to"), (nested_bomb, "unpack to"), (many, "unpack to"), (huge_array, "must hold an array")],
)
def test_archives_that_grow(copied: Callable[[str], Path], change: Callable[[Any], None], said: str) -> None:
    """An archive that would take far more room than it has is refused before it is unpacked."""
    bundle = copied("estimator")
    with_members(bundle, change)
    began = time.process_time()
    with pytest.raises(InvalidInput, match=said):
        load(bundle)
    assert time.process_time() - began < SECONDS


# --- documents -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize(
    "text",
    [
        f"{'a.' * 60_000}b = 1", f"[{'a.' * 60_000}b]", f"x = {{{'a.' * 60_000}b = 1}}", f"{'a . ' * 60_000}b = 1",
        f'{chr(34)}a{chr(34)}.{"a." * 60_000}b = 1', f"a = {'[' * 50_000}{']' * 50_000}", f"a = {'{a=' * 50_000}",
        f"a = {'[' * 70}{']' * 70}", f"a = '{'x' * (2 << 20)}'", "a = 1e", "\x00",
        f"a = {'9' * 10_000}",
    ],
    ids=range(12),
)  # fmt: skip
def test_toml_that_is_too_much(copied: Callable[[str], Path], text: str) -> None:
    """A config that is too long, too deep or none is refused, quickly."""
    with pytest.raises(InvalidInput):
        parse_toml(text, "it")
    bundle = copied("array")
    (bundle / CONFIG).write_text(f"{text}\n{(bundle / CONFIG).read_text()}")
    rehash(bundle, CONFIG)
    for use in (load, load_config, verify):
        with pytest.raises(InvalidInput):
            use(bundle)


@pytest.mark.parametrize("text", ["a.b.c = 1", '[a."b.c".d]\ne = "x.y.z.x.y.z.x.y.z.x.y.z.x.y.z.x.y.z.x.y.z.x.y.z"'])
def test_toml_that_is_not_too_much(text: str) -> None:
    """Keys of a few parts, and texts with as many points as they like, are read."""
    assert parse_toml(text, "it")["a"]


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize("name", [PROVENANCE, FORM, EXAMPLE])
@pytest.mark.parametrize("levels", [70, 900, 200_000])
def test_json_that_is_too_deep(copied: Callable[[str], Path], name: str, levels: int) -> None:
    """A document that is deeper than a stack is refused, wherever it lies in the bundle."""
    bundle = copied("array")
    said = json.loads((bundle / name).read_text()) | {"more": "deep"}
    (bundle / name).write_text(json.dumps(said).replace('"deep"', "[" * levels + "]" * levels))
    if name != PROVENANCE:
        rehash(bundle, name)
    with pytest.raises(InvalidInput, match=r"levels of lists|recursion"):
        load(bundle)


@pytest.mark.parametrize("text", [b"NaN", b"[Infinity]", b"[-Infinity]", b"9" * 10_000, b"\xff", b""])
def test_json_that_is_none(text: bytes) -> None:
    """What JSON does not have is not read."""
    with pytest.raises(InvalidInput, match="must be JSON"):
        parse_json(text, "it")


def test_files_that_are_too_large(tmp_path: Path) -> None:
    """No more of a file is read than it may have."""
    (tmp_path / "it").write_bytes(b"12345")
    assert read_bounded(tmp_path / "it", 5) == b"12345"
    with pytest.raises(InvalidInput, match="at most"):
        read_bounded(tmp_path / "it", 4)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_bounded(tmp_path, 4)


# --- the schema ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["array", "table"])
@pytest.mark.parametrize("field", ["rows", "shape", "dtype", "columns", "task", "targets", "classes"])
@pytest.mark.parametrize(
    "value", [[], [1], ["a"], ["a", "a"], [1, 2, 3, 4, 5], "x", "f8", 4, None, [-1], [10**30], {}, [[1]], [{}], True]
)
def test_schemas_that_do_not_fit(copied: Callable[[str], Path], name: str, field: str, value: Any) -> None:
    """A schema whose lists have another length or kind than its model is refused when the model is loaded."""
    bundle = copied(name)
    said = json.loads((bundle / FORM).read_text())
    if said[field] == value:
        return
    said[field] = value
    (bundle / FORM).write_text(json.dumps(said))
    rehash(bundle, FORM)
    try:
        model = load(bundle)
    except RegsearchError:
        return
    assert (field, value) == ("targets", ["a"]), model  # a name, which is shown and nothing else


@pytest.mark.parametrize(
    "change",
    [
        {"name": [1]}, {"name": True}, {"kind": "text"}, {"dtype": "f16,f8"}, {"dtype": 7}, {"dtype": "object"},
        {"categories": [[1], [2]]}, {"categories": ["x", "x"]}, {"values": 3}, {"other": 1}, {"name": "b"},
        {"kind": "category", "dtype": "float64"}, {"kind": "boolean"}, {"categories": 5},
    ],
    ids=str,
)  # fmt: skip
def test_columns_that_cannot_be(copied: Callable[[str], Path], change: dict[str, Any]) -> None:
    """Each column of a schema is one that a table can have."""
    said = json.loads((copied("table") / FORM).read_text())
    said["columns"][0] |= change
    with pytest.raises(InvalidInput, match="schema of a bundle must describe rows"):
        Form.read(said)


# --- the other ways in -----------------------------------------------------------------------------------------


def test_a_model_that_is_none(copied: Callable[[str], Path]) -> None:
    """What is no estimator is not loaded as one."""
    from skops import io

    bundle = copied("estimator")
    (bundle / MODEL).write_bytes(io.dumps([1, 2]))
    rehash(bundle, MODEL)
    for use in (load, load_config, lambda folder: retrain(folder, np.ones((9, 4)), np.arange(9), folder / "x")):
        with pytest.raises(InvalidInput, match="A bundle has an estimator"):
            use(bundle)
    assert "estimator" in str(verify(bundle))


def test_the_module_is_a_command(copied: Callable[[str], Path]) -> None:
    """The process that checks a bundle says what is wrong in one line."""
    bundle = copied("array")
    (bundle / CONFIG).write_text(f"a = {'[' * 50_000}")
    for arguments, said in (((str(bundle),), "must be TOML"), ((), "usage"), (("absent",), "has a config.toml")):
        done = python("-m", "regsearch.export.bundle", *arguments)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
        assert said in done.stderr


def test_a_signature_beside_the_files(copied: Callable[[str], Path], tmp_path: Path) -> None:
    """A bundle that openssl or model signing has signed is verified, loaded and replaced as any other."""
    bundle, key, public = copied("array"), tmp_path / "key.pem", tmp_path / "key.pub"
    for command in (
        ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key],
        ["ec", "-in", key, "-pubout", "-out", public],
        ["dgst", "-sha256", "-sign", key, "-out", bundle / SIGNATURE, bundle / PROVENANCE],
    ):
        subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True)
    check = ["openssl", "dgst", "-sha256", "-verify", public, "-signature", bundle / SIGNATURE, bundle / PROVENANCE]
    assert subprocess.run(check, check=False, capture_output=True).returncode == 0
    assert verify(bundle).holds
    assert load(bundle).predict(np.zeros((1, 4))).shape == (1,)
    assert check_target(bundle) == bundle
    (bundle / PROVENANCE).write_text((bundle / PROVENANCE).read_text().replace('"array"', '"other"'))
    assert subprocess.run(check, check=False, capture_output=True).returncode == 1
