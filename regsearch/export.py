"""From a chosen trial to a folder that production can load.

A bundle, first form: ``best.toml``, the filled config with its provenance, and the model refitted on all rows: as
``model.skops``, a scikit-learn pipeline, or as ``net.safetensors``, a net's plain tensors (with ``prepare.skops``, its
preparing step). It appears whole or not at all, and loading it executes nothing that is not trusted.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from regsearch import __version__
from regsearch.chosen import Chosen
from regsearch.config import read_toml, to_data, to_toml
from regsearch.errors import InvalidInput, NotFound
from regsearch.neural.files import PREPARE, TENSORS
from regsearch.path import Model
from regsearch.problem import Problem
from regsearch.results import Results
from regsearch.serial import read_object, write_object

SCHEMA = 1
CONFIG, MODEL = "best.toml", "model.skops"
FILES = {CONFIG, MODEL, TENSORS, PREPARE}
PACKAGES = ("scikit-learn", "numpy", "scipy", "optuna", "skops")


def export(results: Results, chosen: Chosen, problem: Problem, out: str | os.PathLike[str]) -> Path:
    """Refit the chosen config on all rows and write a bundle.

    Parameters
    ----------
    results, chosen
        Where the config comes from.
    problem
        The study's data.
    out
        A folder that does not exist, is empty, or is an earlier bundle, which is replaced.

    Raises
    ------
    InvalidInput
        When the folder holds something else or cannot be written, or the config cannot be refitted or loaded again.
    """
    target = _target(out)
    if not isinstance(chosen.config, Model):
        raise InvalidInput("The config's kind is defined in the study's script; export from there: study.export(...).")
    fitted = chosen.config.refit(problem, int(results.identity["seed"]))
    part = _part_of(target)
    try:
        save = getattr(fitted, "save", None)  # a net knows its files
        trusted = write_object(fitted, part / MODEL) if save is None else save(part)
        document = _document(results, chosen, trusted)
        (part / CONFIG).write_text(to_toml(document), encoding="utf-8")
        part.chmod(0o755)
        _move(part, target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return target


def load(folder: str | os.PathLike[str], trusted: Sequence[str] = (), module: Callable[[], Any] | None = None) -> Any:
    """The fitted model of a bundle: a scikit-learn pipeline, or a net with scikit-learn's methods.

    Parameters
    ----------
    folder
        What `export` wrote.
    trusted
        Names of types beyond scikit-learn's own that you trust.
    module
        The function that makes the module of a net, where it is your own.

    Raises
    ------
    NotFound
        When the folder holds no bundle.
    InvalidInput
        When the bundle is of a newer schema, damaged, or holds types that are not trusted.
    """
    read_config(folder)
    if (Path(folder) / TENSORS).exists():
        from regsearch.neural.predictor import load_net

        return load_net(Path(folder), trusted, module)
    return read_object(Path(folder) / MODEL, trusted)


def read_config(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The checked ``best.toml`` of a bundle as plain data.

    Raises
    ------
    NotFound
        When there is none.
    InvalidInput
        When it is not one, or of a newer schema.
    """
    file = Path(folder) / CONFIG
    if not file.exists():
        raise NotFound(f"A bundle has a {CONFIG}, {folder} has none; is it what `regsearch export` wrote?")
    document = read_toml(file.read_text(encoding="utf-8", errors="replace"))
    schema = document.get("schema")
    if not isinstance(schema, int) or "config" not in document:
        raise InvalidInput(f"{file} must have a schema number and a config, got the keys {', '.join(document)}.")
    if schema > SCHEMA:
        raise InvalidInput(f"{file} has the schema {schema}, this regsearch reads up to {SCHEMA}; upgrade it.")
    return document


def to_trust(folder: str | os.PathLike[str]) -> list[str]:
    """The types beyond scikit-learn's own that `load` must be told to trust, as a bundle says."""
    return list(read_config(folder).get("load", {}).get("trusted", []))


def _target(out: str | os.PathLike[str]) -> Path:
    """The folder that a bundle goes to, checked: nothing but an earlier bundle may have to make room."""
    target = Path(out).expanduser().absolute()
    if target.is_symlink():
        target = target.resolve()  # the link stays, what it points to is replaced
    if target.exists() and not (target.is_dir() and _may_go(target)):
        raise InvalidInput(
            f"A bundle goes to a new or empty folder, or replaces a bundle, got {target}, which holds other files; "
            "choose another."
        )
    return target


def _may_go(folder: Path) -> bool:
    """Whether a folder is empty, or a bundle and nothing else."""
    names = {file.name for file in folder.iterdir()}
    return not names or (CONFIG in names and names <= FILES)


def _move(part: Path, target: Path) -> None:
    """Put a new bundle in its place; the old one is there, or whole beside it, until the new one is."""
    old = part.with_name(f"{part.name}.old")
    if target.exists():
        target.rename(old)
    try:
        part.replace(target)
    except BaseException:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _part_of(target: Path) -> Path:
    """A new folder beside the target, which it is to become."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise InvalidInput(
            f"A bundle goes to a folder that can be written, got {target} ({error.strerror}); choose another."
        ) from error


def _document(results: Results, chosen: Chosen, trusted: Sequence[str]) -> dict[str, Any]:
    identity, point = results.identity, chosen.point
    return {
        "schema": SCHEMA,
        "config": to_data(chosen.config),
        "score": {
            "metric": chosen.metric, "val": point.val, "val_se": point.val_se, "train": point.train,
            "gap": point.gap, "gap_se": point.gap_se,
        },
        "provenance": {
            "study": results.name, "trial": chosen.number, "rule": chosen.rule, "why": chosen.why,
            "data": identity["fingerprint"], "folds": identity["folds_hash"], "cv": identity["cv"],
            "seed": identity["seed"], "rows": identity["rows"], "columns": identity["columns"],
            "task": identity["task"], "exported": datetime.now(UTC).isoformat(timespec="seconds"),
        },
        "versions": {"python": platform.python_version(), "regsearch": __version__}
        | {name: importlib.metadata.version(name) for name in (*PACKAGES, *chosen.config.packages)},
    } | ({"load": {"trusted": list(trusted)}} if trusted else {})  # fmt: skip
