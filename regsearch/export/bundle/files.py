"""The files of a bundle, and whether they are what was exported.

::

    config.toml         the filled config, for people and for `load_config`
    provenance.json     where it comes from, how it scored, and the sha256 of every other file
    model.skops         the fitted scikit-learn pipeline; or net.safetensors with prepare.skops, target.skops
    schema.json         the columns that the model takes and what it predicts
    example.json        a few rows and what the model says of them
    README.md, *.png    the model card
    model.sig           its signature, where someone signed it

An ensemble has no model and no config of its own: the bundles of its members lie in folders below it, ``member-00`` and
so on, whose weights ``config.toml`` and ``provenance.json`` have, with the sha256 of the provenance of each.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from regsearch._types import Task
from regsearch.data.tasks import OF_A_TARGET
from regsearch.documents import JSON_BYTES, TOML_BYTES, parse_json, parse_toml, read_bounded, with_constants
from regsearch.errors import InvalidInput, NotFound
from regsearch.inputs import place
from regsearch.metrics.averaging import FOLD_WEIGHTS
from regsearch.models.neural.files import PREPARE, TENSORS, TRANSFORM

SCHEMA = 1
CONFIG, PROVENANCE, MODEL, FORM, EXAMPLE, CARD = (
    "config.toml", "provenance.json", "model.skops", "schema.json", "example.json", "README.md",
)  # fmt: skip
ONNX = "model.onnx"  # written beside the others when asked for, so not among the hashes
SIGNATURE = "model.sig"  # of OpenSSF's model signing, put there by whoever signs the folder
FIGURES = ("path.png", "gap.png")
FILES = {CONFIG, PROVENANCE, MODEL, FORM, EXAMPLE, CARD, TENSORS, PREPARE, TRANSFORM, ONNX, SIGNATURE, *FIGURES}
MEMBERS = "members"  # what an ensemble has in place of a config, and of a trial and its path
MEMBER = re.compile(r"member-\d{2,3}")  # the folder of one
HEAD = {"config": "a table", "task": "a task", "seed": "a seed", "scoring": "text"}  # what config.toml must have
LOAD, TARGET = "load", "target"  # and what it may have: a table, and the text of what y is transformed by
SAID = {"study": "text", "trial": "a whole number", "rule": "text", "why": "text", "exported": "text", "seed": "a seed"}
_DATA = {"fingerprint": "text", "rows": "a whole number", "columns": "a whole number"}
PARTS: Mapping[str, Mapping[str, str]] = {  # what provenance.json must have, and what each part of it
    "data": _DATA,
    "folds": {"cv": "text", "count": "a whole number", "hash": "text"},
    "score": {
        "metric": "text", "val": "a number", "val_se": "a number or null", "train": "a number or null",
        "gap": "a number or null",
    },
    "path": {"axis": "text", "value": "a number or null", "step": "a whole number", "config": "a table"},
    "versions": {},
    "files": {CONFIG: "text", FORM: "text"},
}  # fmt: skip
_OF_ONE = ("trial", "path", "config")  # what an ensemble does not have
_OF_MEMBERS = {"folder": "a member", "weight": "a weight", "trial": "a whole number", "sha256": "text"}
_MAY: Mapping[str, Mapping[str, str]] = {  # what provenance.json may have, or null
    "held_out": {"rows": "a whole number"},
    "retrained": {"data": "a table", "searched": "a table"},
}  # fmt: skip
_HOW: Mapping[str, Mapping[str, str]] = {  # what parts of it may say of how was scored
    "folds": {"weights": "a weighting of folds", "weightless": "a whole number", "rare": "text"},
    "score": dict.fromkeys(("weighted", "test_weighted", "pooled"), "true or false") | {"by_target": "a table"},
}
_KINDS: Mapping[str, Callable[[Any], bool]] = {
    "a table": lambda value: isinstance(value, dict),
    "text": lambda value: isinstance(value, str),
    "a whole number": lambda value: type(value) is int and 0 <= value < 2**53,
    "a seed": lambda value: type(value) is int and 0 <= value < 2**32,
    "a number": lambda value: type(value) in (int, float) and abs(value) < math.inf,
    "a number or null": lambda value: value is None or (type(value) in (int, float) and abs(value) < math.inf),
    "a member": lambda value: isinstance(value, str) and MEMBER.fullmatch(value) is not None,
    "a weight": lambda value: type(value) is float and 0 < value <= 1,
    "a task": lambda value: (
        value in get_args(Task) or (isinstance(value, list) and len(value) > 1 and {*value} <= {*OF_A_TARGET})
    ),
    "a weighting of folds": lambda value: value in FOLD_WEIGHTS,
    "true or false": lambda value: isinstance(value, bool),
}


@dataclass(frozen=True)
class Bundle:
    """A folder that `regsearch export` wrote.

    Attributes
    ----------
    head
        ``config.toml`` as plain data.
    provenance
        ``provenance.json``.
    """

    folder: Path
    head: Mapping[str, Any]
    provenance: Mapping[str, Any]

    @property
    def trusted(self) -> list[str]:
        """The types beyond scikit-learn's own that its reader must trust."""
        return list(self.head.get(LOAD, {}).get("trusted", []))

    @property
    def factory(self) -> str | None:
        """By what name others import the function that makes the module of a net; `None` for all that is made here."""
        found: str | None = self.head.get(LOAD, {}).get("factory")
        return found

    @property
    def searched(self) -> dict[str, Any]:
        """The config as it was searched, its path unfilled, as plain data; an ensemble has none."""
        found: dict[str, Any] = with_constants(self.provenance["path"]["config"])
        return found

    @property
    def members(self) -> Mapping[str, float]:
        """Weights of the members of an ensemble, by their folders; empty for any other bundle."""
        return {one["folder"]: one["weight"] for one in self.provenance.get(MEMBERS, ())}

    @property
    def parts(self) -> tuple[Bundle, ...]:
        """The bundles that it consists of: those of its members, else itself.

        Raises
        ------
        NotFound, InvalidInput
            When one is missing, is not what was exported, or is an ensemble itself.
        """
        return tuple(map(self._member, self.provenance[MEMBERS])) if MEMBERS in self.provenance else (self,)

    def _member(self, said: Mapping[str, Any]) -> Bundle:
        found = open_bundle(self.folder / said["folder"])
        if sha256(found.folder / PROVENANCE) != said["sha256"]:
            raise InvalidInput(
                f"{found.folder} is damaged: it is not the member that was exported (the sha256 of its {PROVENANCE} is "
                f"not that of {self.folder / PROVENANCE}); export the ensemble again."
            )
        if found.members:
            raise InvalidInput(f"A member of an ensemble must be no ensemble, {found.folder} is one; export it again.")
        return found

    def single(self, doing: str) -> Bundle:
        """Itself, unless it is an ensemble.

        Raises
        ------
        InvalidInput
            Then: what is asked for, `doing`, is of one model.
        """
        if self.members:
            raise InvalidInput(
                f"{doing} is of one model, {self.folder} is an ensemble of {len(self.members)}; pass the folder of a "
                f"member, {self.folder / next(iter(self.members))}, say, or export the best trial."
            )
        return self

    @property
    def files(self) -> tuple[str, ...]:
        """Names of its files but for the provenance, which lists them."""
        return (*self.provenance["files"],)

    @property
    def model(self) -> str:
        """The file that the model lies in; an ensemble has none."""
        return TENSORS if TENSORS in self.files else MODEL

    def file(self, name: str) -> Path:
        """A file, as it was exported.

        Raises
        ------
        NotFound
            When it is missing.
        InvalidInput
            When it has changed since.
        """
        path = self.folder / name
        if name not in self.files or not path.is_file():
            raise NotFound(f"A bundle has a {name}, {self.folder} has none; export it again.")
        if sha256(path) != self.provenance["files"][name]:
            raise InvalidInput(
                f"{path} is damaged: it is not what was exported (its sha256 is not that of {PROVENANCE}); "
                "export it again."
            )
        return path

    def json(self, name: str) -> dict[str, Any]:
        """A JSON file, as it was exported."""
        return read_json(self.file(name))


def open_bundle(folder: str | os.PathLike[str]) -> Bundle:
    """Read what a bundle says of itself; its other files are read, and compared with their hashes, when they are used.

    Raises
    ------
    NotFound
        When the folder holds no bundle.
    InvalidInput
        When it is of a newer schema, or was edited into something that is none.
    """
    folder = place(folder, "A bundle")
    head = read_config(folder)
    if not (folder / PROVENANCE).is_file():
        raise NotFound(f"A bundle has a {PROVENANCE}, {folder} has none; export it again.")
    provenance = read_json(folder / PROVENANCE)
    check_schema(provenance, folder / PROVENANCE)
    bundle = Bundle(folder, head, provenance)
    _check_provenance(provenance, folder / PROVENANCE)
    if (MEMBERS in head) != (MEMBERS in provenance):
        raise InvalidInput(f"{folder} has {MEMBERS!r} in one of {CONFIG} and {PROVENANCE} alone; export it again.")
    outside = [name for name in bundle.files if name in (".", "..") or Path(name).name != name]
    if outside:
        raise InvalidInput(
            f"The files of a bundle lie in its folder, {folder / PROVENANCE} names {outside[0]!r}; export it again."
        )
    bundle.file(CONFIG)
    return bundle


def _check_provenance(said: Mapping[str, Any], file: Path) -> None:
    """Refuse a provenance without what verifying, retraining or starting from it reads, or with other kinds of it."""
    without = _OF_ONE if MEMBERS in said else ()
    for name, kind in SAID.items():
        if name not in without and not _is(said.get(name), kind):
            raise InvalidInput(f"{file} must have {name!r}, {kind}; export it again.")
    for part in (name for name in PARTS if name not in without):
        _check_part(said.get(part), part, PARTS[part], file)
    if MEMBERS in said:
        _check_members(said[MEMBERS], file)
    for part, kinds in _HOW.items():
        _check_part(said[part], part, {name: kind for name, kind in kinds.items() if name in said[part]}, file)
    for part in (name for name in _MAY if said.get(name) is not None):
        _check_part(said[part], part, _MAY[part], file)
    for name in ("data", "searched") if said.get("retrained") else ():
        _check_part(said["retrained"][name], name, _DATA, file)
    for part in ("versions", "files"):
        _check_texts(said[part], part, file)


def _check_texts(found: Mapping[str, Any], part: str, file: Path) -> None:
    if not all(isinstance(value, str) for value in found.values()):
        raise InvalidInput(f"{file} must have {part!r}, an object of texts; export it again.")


def _check_members(found: Any, file: Path) -> None:
    """Refuse members that are none, or whose weights do not sum to one."""
    if not isinstance(found, list) or not found:
        raise InvalidInput(f"{file} must have {MEMBERS!r}, a list of one or more; export it again.")
    for one in found:
        _check_part(one, MEMBERS, _OF_MEMBERS, file)
    if len({one["folder"] for one in found}) < len(found) or abs(sum(one["weight"] for one in found) - 1) > 1e-6:
        raise InvalidInput(
            f"{file} must have {MEMBERS!r} in folders of their own, whose weights sum to 1; export it again."
        )


def _check_part(found: Any, part: str, kinds: Mapping[str, str], file: Path) -> None:
    if not isinstance(found, dict) or not all(name in found and _is(found[name], kind) for name, kind in kinds.items()):
        what = f" with {', '.join(f'{name} ({kind})' for name, kind in kinds.items())}" if kinds else ""
        raise InvalidInput(f"{file} must have {part!r}, an object{what}; export it again.")


def read_config(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The checked ``config.toml`` of a bundle as plain data.

    Raises
    ------
    NotFound
        When there is none.
    InvalidInput
        When it is not one, or of a newer schema.
    """
    file = place(folder, "A bundle") / CONFIG
    if not file.is_file():
        raise NotFound(f"A bundle has a {CONFIG}, {folder} has none; is it what `regsearch export` wrote?")
    head = parse_toml(read_bounded(file, TOML_BYTES).decode(errors="replace"), str(file))
    check_schema(head, file)
    for name, what in HEAD.items():
        if not (name in _OF_ONE and MEMBERS in head) and not _is(head.get(name), what):
            raise InvalidInput(f"{file} must have {name!r}, {what}, got {head.get(name)!r}; export it again.")
    if not isinstance(head.get(MEMBERS, []), list):
        raise InvalidInput(f"{file} may have {MEMBERS!r}, a list, got {head[MEMBERS]!r}; export it again.")
    if not isinstance(head.get(TARGET, ""), str):
        raise InvalidInput(f"{file} may have {TARGET!r}, text, got {head[TARGET]!r}; export it again.")
    load = head.get(LOAD, {})
    trusted = load.get("trusted", []) if isinstance(load, dict) else None
    if not isinstance(trusted, list) or not all(isinstance(name, str) for name in (*trusted, load.get("factory", ""))):
        raise InvalidInput(f"{file} may have {LOAD!r}, a table with a list of names, got {load!r}; export it again.")
    return head


def _is(value: Any, kind: str) -> bool:
    return _KINDS[kind](value)


def check_schema(document: Mapping[str, Any], file: Path) -> None:
    """Refuse a file of a newer regsearch, or of none."""
    schema = document.get("schema")
    if not isinstance(schema, int) or isinstance(schema, bool):
        raise InvalidInput(f"{file} must have a schema number, got the keys {', '.join(document) or 'of nothing'}.")
    if schema > SCHEMA:
        raise InvalidInput(f"{file} has the schema {schema}, this regsearch reads up to {SCHEMA}; upgrade it.")


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object.

    Raises
    ------
    InvalidInput
        When the file holds none.
    """
    found = parse_json(read_bounded(file, JSON_BYTES), str(file))
    if not isinstance(found, dict):
        raise InvalidInput(f"{file} is damaged, it must be a JSON object, got a {type(found).__name__}.")
    return found


def to_json(document: Mapping[str, Any]) -> str:
    """JSON for people and for diffs: one entry a line, keys in their order."""
    return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def sha256(file: Path) -> str:
    """The hash of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
