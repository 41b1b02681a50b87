"""Edits of bundles: what a damaged disk, a careless hand or an enemy makes of the files that are loaded."""

from __future__ import annotations

import copy
import io
import json
import random
import resource
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from damage.section import Attempt, processor_seconds, section
from regsearch import MLP, Choice, Estimator, Float, Net, RegsearchError, Study, load, load_config, spaces
from regsearch.export.bundle.files import PROVENANCE, open_bundle, sha256
from regsearch.export.bundle.loading import stored_example
from regsearch.export.retrain import retrain
from regsearch.export.verify import verify

SLOW_S, LARGE = 10.0, 1 << 30  # seconds and bytes that no edit may cost
DEEP = "deep"  # stands for lists in lists
VERIFIED = 50  # of so many edits one is verified too, in a process of its own
REHASHED = 0.8  # of the edits have the hashes made to fit, so that they reach what parses
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 7, 2**31, 200_000_000, 10**30, 1e308, -0.5, "", "x", "\x1b[31m", "f8", "l1", "a" * 10_000,
    [], {}, [[]], [1] * 500, ["a", "a"], {"type": "linear"}, {"type": "net.mlp", "hidden": [10**9]},
)  # fmt: skip
Editor = Callable[[bytes, random.Random], bytes]


# --- the bundles -----------------------------------------------------------------------------------------------


def make_bundles(folder: Path) -> list[Path]:
    """A bundle of each kind: an array, a table, an estimator, a net, and an ensemble of the first."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(80, 4))
    y = X[:, 0] - X[:, 1] + generator.normal(size=80)
    labels = np.where(y > 0, "up", "down")
    frame = pd.DataFrame(X[:, :2], columns=["a", "b"]).assign(
        kind=pd.Categorical(np.where(X[:, 2] > 0, "x", "y")), flag=X[:, 3] > 0
    )
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    net = Net(MLP(hidden=(4,)), lr=Choice(0.01, 0.02), dropout=0.1)
    studies: dict[str, tuple[Any, Any, Any]] = {
        "array": (X, y, spaces.linear()),
        "table": (frame, labels, spaces.linear()),
        "estimator": (X, labels, Estimator(pipeline, {"logisticregression__C": Float(0.1, 10, log=True)})),
        "net": (frame, labels, net),
    }
    made = []
    for name, (data, target, space) in studies.items():
        study = Study(name, data, target, space=space, root=folder / "root", tracking=False, cv=2)
        study.run(2, quiet=True)
        made.append(study.export(folder / name))
        if name == "array":
            made.append(study.export(folder / "ensemble", study.results().ensemble(size=2)))
    return made


# --- edits -----------------------------------------------------------------------------------------------------


def of_bytes(content: bytes, draw: random.Random) -> bytes:
    """Flip, cut, repeat or insert somewhere."""
    at = draw.randrange(len(content) + 1)
    length = draw.choice((1, 8, 100))
    noise = bytes(draw.randrange(256) for _ in range(length))
    return draw.choice(
        (
            content[:at] + noise + content[at + length :],
            content[:at],
            content[:at] + noise + content[at:],
            content[:at] + content[at : at + length] * 3 + content[at + length :],
            b"",
        )
    )


def of_json(content: bytes, draw: random.Random) -> bytes:
    """Put something odd in the place of a value, drop a key, or bury a value deep."""
    document = json.loads(content)
    for _ in range(draw.choice((1, 1, 3))):
        document = _changed(document, draw)
    return _text(document, draw)


def _text(document: Any, draw: random.Random) -> bytes:
    levels = draw.choice((70, 900, 100_000))
    return json.dumps(document).replace(f'"{DEEP}"', "[" * levels + "]" * levels).encode()


def _changed(document: Any, draw: random.Random) -> Any:
    places = [*_places(document)]
    if not places:
        return copy.deepcopy(draw.choice(ODD))
    holder, key = draw.choice(places)
    done = draw.randrange(8)
    if done == 0:
        del holder[key]
    elif done == 1:
        holder[key] = [holder[key]] * draw.choice((1, 2, 100))
    elif done == 2:
        holder[key] = DEEP
    else:
        holder[key] = copy.deepcopy(draw.choice(ODD))
    return document


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Every list or object in a document with each of its places."""
    if isinstance(document, (dict, list)):
        for key in document if isinstance(document, dict) else range(len(document)):
            yield document, key
            yield from _places(document[key])


def of_toml(content: bytes, draw: random.Random) -> bytes:
    """Another value in a line, a line less, or a key or a list that is far too deep."""
    lines = content.decode().splitlines()
    at = draw.randrange(len(lines))
    key = lines[at].partition("=")[0]
    odd = ("1e400", "nan", "-1", "1979-05-27", "[]", "{}", "true", '"x"', "10000000000", "[1, [2]]", '"\\u001b"')
    lines[at] = draw.choice(
        (
            f"{key}= {draw.choice(odd)}", "", f"{'a.' * draw.choice((3, 100, 60_000))}b = 1",
            f"{key}= {'[' * 5000}{']' * 5000}", f"{key}= {'{a=' * 2000}1{'}' * 2000}", lines[at] * 2,
        )
    )  # fmt: skip
    return "\n".join(lines).encode()


def of_tensors(content: bytes, draw: random.Random) -> bytes:
    """The header of a net's file: what it says of the net, or of its tensors."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    if draw.random() < 0.7:
        said = header["__metadata__"]["regsearch"].encode()
        header["__metadata__"]["regsearch"] = of_json(said, draw).decode()
    else:
        header = _changed(header, draw)
    text = _text(header, draw)
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


def of_archive(content: bytes, draw: random.Random) -> bytes:
    """One member of an archive: its tree, an array's header, a few bytes, or far too many."""
    with zipfile.ZipFile(io.BytesIO(content)) as given:
        members = {name: given.read(name) for name in given.namelist()}
    name = draw.choice([*members, "schema.json"])
    if name.endswith(".json"):
        members[name] = of_json(members[name], draw)
    elif draw.random() < 0.5:
        shape = draw.choice(("(10000000000,)", "(1,)", "(2, 2)", "()", "(-1,)", "(1, 1, 9)"))
        head, _, tail = members[name].partition(b"'shape': ")
        _, _, tail = tail.partition(b")")
        members[name] = head + b"'shape': " + shape.encode() + tail
    else:
        members[name] = of_bytes(members[name], draw)
    if draw.random() < 0.02:
        members["bomb"] = bytes(1_500_000_000)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for member, part in members.items():
            archive.writestr(member, part)
    return made.getvalue()


EDITORS: dict[str, Editor] = {
    ".json": of_json, ".toml": of_toml, ".safetensors": of_tensors, ".skops": of_archive,
}  # fmt: skip


def edited(bundle: Path, draw: random.Random) -> str:
    """Edit one file of a bundle, and make the hashes fit or not; what was done."""
    file = draw.choice([one for one in sorted(bundle.rglob("*")) if one.suffix in EDITORS])
    editor = draw.choice((of_bytes, *3 * (EDITORS[file.suffix],)))
    file.write_bytes(editor(file.read_bytes(), draw))
    fits = draw.random() < REHASHED
    home = file.parent
    if fits and file.name != PROVENANCE:
        said = json.loads((home / PROVENANCE).read_text())
        said["files"][file.name] = sha256(file)
        (home / PROVENANCE).write_text(json.dumps(said))
    if fits and home != bundle:
        said = json.loads((bundle / PROVENANCE).read_text())
        for member in said["members"]:
            member["sha256"] = sha256(bundle / member["folder"] / PROVENANCE)
        (bundle / PROVENANCE).write_text(json.dumps(said))
    return f"{file.relative_to(bundle.parent)} {editor.__name__}{' rehashed' if fits else ''}"


# --- what must hold --------------------------------------------------------------------------------------------


def _use(bundle: Path) -> None:
    model = load(bundle)
    model.predict(stored_example(open_bundle(bundle), model.form)[0])


def _verify(bundle: Path) -> None:
    """A folder that opens has a verdict, whatever else is wrong with it."""
    verify(bundle)


def _retrain(bundle: Path) -> None:
    X = np.random.default_rng(1).normal(size=(40, 4))
    with tempfile.TemporaryDirectory() as folder:
        retrain(bundle, X, X[:, 0], Path(folder, "again"))


def problem_of(bundle: Path, more: Sequence[Callable[[Path], None]] = ()) -> str:
    """What came out of a bundle that must not: another error than regsearch's, or the time and memory of none.

    Parameters
    ----------
    more
        What else is done with it.
    """
    began, before = processor_seconds(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    uses: tuple[Callable[[Path], object], ...] = (_use, load_config, open_bundle, *more)
    for use in uses:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                use(bundle)
        except RegsearchError as error:
            if "\n" in str(error):
                return f"{use.__name__}: an error of several lines: {str(error)[:200]!r}"
        except BaseException as error:  # noqa: BLE001 - a panic of Rust is none of Exception
            return f"{use.__name__}: {type(error).__name__}: {str(error)[:200]}"
    taken, grown = processor_seconds() - began, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    if taken > SLOW_S or grown > LARGE:
        return f"it took {taken:.0f} s and {grown >> 20} MiB"
    return ""


@section(count=5000)
def edits(count: int, seed: int) -> Iterator[Attempt]:
    """A bundle whose files were edited predicts, or is refused in a sentence: no other error, no long wait."""
    with tempfile.TemporaryDirectory() as folder:
        bundles = make_bundles(Path(folder))
        for number in range(count):
            draw = random.Random(f"{seed} {number}")
            place = Path(folder, "edited")
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(bundles[number % len(bundles)], place)
            done = edited(place, draw)
            more = [_verify] if number % VERIFIED == 0 else [_retrain] if number % len(bundles) == 0 else []
            yield Attempt(f"edit {number}: {bundles[number % len(bundles)].name} {done}", problem_of(place, more))
