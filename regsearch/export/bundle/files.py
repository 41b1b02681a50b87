"""The files of a bundle, and whether they are what was exported.

::

    config.toml         the filled config, for people and for `load_config`
    provenance.json     where it comes from, how it scored, and the sha256 of every other file
    model.skops         the fitted scikit-learn pipeline; or net.safetensors with prepare.skops
    schema.json         the columns that the model takes and what it predicts
    example.json        a few rows and what the model says of them
    README.md, *.png    the model card
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regsearch.errors import InvalidInput, NotFound
from regsearch.models.neural.files import PREPARE, TENSORS
from regsearch.space.config import read_toml

SCHEMA = 1
CONFIG, PROVENANCE, MODEL, FORM, EXAMPLE, CARD = (
    "config.toml", "provenance.json", "model.skops", "schema.json", "example.json", "README.md",
)  # fmt: skip
ONNX = "model.onnx"  # written beside the others when asked for, so not among the hashes
FIGURES = ("path.png", "gap.png")
FILES = {CONFIG, PROVENANCE, MODEL, FORM, EXAMPLE, CARD, TENSORS, PREPARE, ONNX, *FIGURES}
HEAD = {"config": "a table", "task": "text", "seed": "a whole number", "scoring": "text"}  # what config.toml must have
LOAD = "load"  # and what it may have: a table
PARTS: Mapping[str, Mapping[str, str]] = {  # what provenance.json must have, and what each part of it
    "data": {"fingerprint": "text", "rows": "a whole number", "columns": "a whole number"},
    "folds": {"cv": "text", "count": "a whole number", "hash": "text"},
    "score": {
        "metric": "text", "val": "a number", "val_se": "a number or null", "train": "a number or null",
        "gap": "a number or null",
    },
    "path": {"axis": "text", "value": "a number or null", "step": "a whole number", "config": "a table"},
    "versions": {},
    "files": {CONFIG: "text", FORM: "text"},
}  # fmt: skip
_KINDS: Mapping[str, tuple[type, ...]] = {
    "a table": (dict,), "text": (str,), "a whole number": (int,), "a number": (int, float),
    "a number or null": (int, float, type(None)),
}  # fmt: skip


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
    def files(self) -> tuple[str, ...]:
        """Names of its files but for the provenance, which lists them."""
        return (*self.provenance["files"],)

    @property
    def model(self) -> str:
        """The file that the model lies in."""
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
    folder = Path(folder).expanduser()
    head = read_config(folder)
    if not (folder / PROVENANCE).is_file():
        raise NotFound(f"A bundle has a {PROVENANCE}, {folder} has none; export it again.")
    provenance = read_json(folder / PROVENANCE)
    check_schema(provenance, folder / PROVENANCE)
    bundle = Bundle(folder, head, provenance)
    for part, kinds in PARTS.items():
        found = provenance.get(part)
        if not isinstance(found, dict) or not all(
            name in found and _is(found[name], kind) for name, kind in kinds.items()
        ):
            what = f" with {', '.join(f'{name} ({kind})' for name, kind in kinds.items())}" if kinds else ""
            raise InvalidInput(f"{folder / PROVENANCE} must have {part!r}, an object{what}; export it again.")
    if not _is(provenance.get("seed"), "a whole number"):
        raise InvalidInput(f"{folder / PROVENANCE} must have 'seed', a whole number; export it again.")
    outside = [name for name in bundle.files if name in (".", "..") or Path(name).name != name]
    if outside:
        raise InvalidInput(
            f"The files of a bundle lie in its folder, {folder / PROVENANCE} names {outside[0]!r}; export it again."
        )
    bundle.file(CONFIG)
    return bundle


def read_config(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The checked ``config.toml`` of a bundle as plain data.

    Raises
    ------
    NotFound
        When there is none.
    InvalidInput
        When it is not one, or of a newer schema.
    """
    file = Path(folder).expanduser() / CONFIG
    if not file.is_file():
        raise NotFound(f"A bundle has a {CONFIG}, {folder} has none; is it what `regsearch export` wrote?")
    head = read_toml(file.read_text(encoding="utf-8", errors="replace"), str(file))
    check_schema(head, file)
    for name, what in HEAD.items():
        if not _is(head.get(name), what):
            raise InvalidInput(f"{file} must have {name!r}, {what}, got {head.get(name)!r}; export it again.")
    load = head.get(LOAD, {})
    trusted = load.get("trusted", []) if isinstance(load, dict) else None
    if not isinstance(trusted, list) or not all(isinstance(name, str) for name in (*trusted, load.get("factory", ""))):
        raise InvalidInput(f"{file} may have {LOAD!r}, a table with a list of names, got {load!r}; export it again.")
    return head


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, _KINDS[kind]) and not isinstance(value, bool)


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
    try:
        found = json.loads(file.read_bytes())
    except ValueError as error:
        raise InvalidInput(f"{file} is damaged, it must be JSON ({error}); export it again.") from error
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
