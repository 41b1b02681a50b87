"""From a chosen trial to a folder that production can load.

A bundle, first form: ``best.toml``, the filled config with its provenance, and ``model.skops``, the pipeline refitted
on all rows. It appears whole or not at all, and loading it executes nothing that skops does not trust.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from regsearch import __version__
from regsearch.config import read_toml, to_data, to_toml
from regsearch.errors import InvalidInput, NotFound
from regsearch.path import Model
from regsearch.problem import Problem
from regsearch.results import Chosen, Results

SCHEMA = 1
CONFIG, MODEL = "best.toml", "model.skops"
TRUSTED = ("numpy.dtype",)  # which skops leaves to its caller: a description of numbers, nothing that runs
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
        _dump(fitted, part / MODEL)
        document = _document(results, chosen, _to_trust(part / MODEL))
        (part / CONFIG).write_text(to_toml(document), encoding="utf-8")
        part.chmod(0o755)
        _move(part, target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return target


def load(folder: str | os.PathLike[str], trusted: Sequence[str] = ()) -> Any:
    """The fitted pipeline of a bundle.

    Parameters
    ----------
    folder
        What `export` wrote.
    trusted
        Names of types beyond scikit-learn's own that you trust.

    Raises
    ------
    NotFound
        When the folder holds no bundle.
    InvalidInput
        When the bundle is of a newer schema, damaged, or holds types that are not trusted.
    """
    from skops import io

    read_config(folder)
    file = Path(folder) / MODEL
    if not file.exists():
        raise NotFound(f"A bundle has a {MODEL}, {folder} has none; export it again.")
    try:
        unknown = sorted(set(io.get_untrusted_types(file=file)) - {*TRUSTED, *trusted})
    except Exception as error:  # a damaged archive fails in many ways inside skops; all of them mean the same
        raise InvalidInput(f"{file} is damaged ({type(error).__name__}: {error}); export it again.") from error
    if unknown:
        raise InvalidInput(
            f"A bundle loads only types that are trusted, {file} also has {', '.join(unknown)}; "
            f"if you know them, pass trusted={unknown!r}."
        )
    return io.load(file, trusted=[*TRUSTED, *trusted])


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
    return not names or (CONFIG in names and names <= {CONFIG, MODEL})


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
        | {name: importlib.metadata.version(name) for name in PACKAGES},
    } | ({"load": {"trusted": list(trusted)}} if trusted else {})  # fmt: skip


def _dump(fitted: Any, file: Path) -> None:
    from skops import io

    try:
        io.dump(fitted, file)
    except Exception as error:  # skops names no error type of its own for what it cannot write
        raise InvalidInput(f"The model cannot be written without pickle: {error}") from error


def _to_trust(file: Path) -> list[str]:
    """The types that a user must trust to load a model that was just written; refused when even that is not enough."""
    from skops import io

    try:
        unknown = sorted(set(io.get_untrusted_types(file=file)) - set(TRUSTED))
        io.load(file, trusted=[*TRUSTED, *unknown])
    except Exception as error:  # what skops writes but cannot rebuild fails in the constructor of its type
        raise InvalidInput(
            f"A model must load again from what is written of it, this one does not ({type(error).__name__}: {error}); "
            "turn columns such as categories of dates into text, and define own classes in a module."
        ) from error
    return unknown
