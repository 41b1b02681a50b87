"""From a chosen trial to a folder that production can review, load and verify: see `regsearch.export.bundle.files`.

A bundle appears whole or not at all, loading it executes nothing that is not trusted, and the same study exports the
same bytes but for the date in ``provenance.json``, which ``SOURCE_DATE_EPOCH`` fixes.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regsearch.data.problem import Problem
from regsearch.data.rare import RareClasses
from regsearch.data.tasks import said_task
from regsearch.documents import without_constants
from regsearch.errors import InvalidInput
from regsearch.export.bundle.card import card
from regsearch.export.bundle.checked import Checked
from regsearch.export.bundle.example import example_of, predictions, rows_of
from regsearch.export.bundle.files import (
    CARD,
    CONFIG,
    EXAMPLE,
    FIGURES,
    FILES,
    FORM,
    LOAD,
    MEMBER,
    MODEL,
    PROVENANCE,
    SCHEMA,
    TARGET,
    sha256,
    to_json,
)
from regsearch.export.bundle.schema import form_of
from regsearch.export.bundle.settings import own_factory
from regsearch.inputs import place
from regsearch.metrics.scorer import POOLED
from regsearch.models.base import Model
from regsearch.models.path import Point
from regsearch.models.persist import Shipped, write_object
from regsearch.results.by_target import scores_by_target
from regsearch.results.choice import Chosen
from regsearch.results.formatting import json_safe
from regsearch.results.plots import static_images
from regsearch.results.results import Results
from regsearch.results.stored_study import comparable, unscored
from regsearch.space.config import to_data, to_toml
from regsearch.space.params import flat
from regsearch.version import __version__

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PACKAGES = ("scikit-learn", "numpy", "scipy", "optuna", "skops")
DPI = 110
# how a chosen point of a path becomes one of the full data
TRANSLATED = {
    "lambda": "The fit to all {rows} rows keeps lambda = {value:.6g}: the loss is a mean over rows, so that one lambda "
    "weighs as much there as in a fold.",
    "epochs": "The fit to all {rows} rows takes the {value:.0f} epochs that were chosen for all folds together, each "
    "over all rows.",
    "": "The config was fitted to all {rows} rows as to those of a fold.",
}


@dataclass(frozen=True)
class Parcel:
    """What is written.

    Attributes
    ----------
    config
        Filled.
    fitted
        The config fitted to all rows of `problem`.
    provenance
        Where it comes from: see `provenance_of`.
    figures
        For the model card, by name.
    """

    config: Model
    fitted: Any
    problem: Problem
    provenance: Mapping[str, Any]
    figures: Mapping[str, Figure] = field(default_factory=dict)


def export(
    results: Results,
    chosen: Chosen,
    problem: Problem,
    out: str | os.PathLike[str],
    drawn: Mapping[str, Any] | None = None,
) -> Path:
    """Refit the chosen config on all rows and write a bundle.

    Parameters
    ----------
    results, chosen
        Where the config comes from.
    problem
        The study's data.
    out
        A folder that does not exist, is empty, or is an earlier bundle, which is replaced.
    drawn
        How the held-out rows were drawn from all of them, so that they can be again: ``share`` and whether they are the
        last (``ordered``). `None` where they were given, or there are none.

    Raises
    ------
    InvalidInput
        When the folder holds something else or cannot be written, or the config cannot be refitted or loaded again.
    """
    check_target(out)
    check_exported(chosen)
    pictures = {name: image for name, image in static_images(results).items() if f"{name}.png" in FIGURES}
    return write(replace(parcel_of(results, chosen, problem, drawn), figures=pictures), out)


def check_exported(chosen: Chosen) -> None:
    """Refuse a choice that no bundle can hold, before anything is fitted.

    Raises
    ------
    InvalidInput
        Saying why.
    """
    if not isinstance(chosen.config, Model):
        raise InvalidInput("The config's kind is defined in the study's script; export from there: study.export(...).")
    if chosen.config.keeps_its_model:
        what = f"The model of trial {chosen.number}"
        raise InvalidInput(f"{what} cannot be exported: {chosen.config.cannot_be_exported()}")


def parcel_of(results: Results, chosen: Chosen, problem: Problem, drawn: Mapping[str, Any] | None) -> Parcel:
    """A choice refitted on all rows, with where it comes from."""
    fitted = chosen.config.refit(problem, int(results.identity["seed"]))
    return Parcel(chosen.config, fitted, problem, provenance_of(results, chosen, problem, drawn))


def write(parcel: Parcel, out: str | os.PathLike[str]) -> Path:
    """Write a bundle, whole or not at all; see `export`."""
    return written(out, lambda part: fill(parcel, part))


def written(out: str | os.PathLike[str], fill_folder: Callable[[Path], None]) -> Path:
    """A folder that is filled whole or not at all, in the place of an earlier bundle."""
    target = check_target(out)
    part = _part_of(target)
    try:
        fill_folder(part)
        _move(part, target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return target


def provenance_of(
    results: Results, chosen: Chosen, problem: Problem, drawn: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Where a choice comes from and how it scored, as plain data."""
    identity = results.identity
    trial = next(one for one in results.complete if one.number == chosen.number)
    comparable_to = comparable(results, trial.family) == results.references.get(trial.family)
    return {
        "study": results.name, "trial": chosen.number, "rule": chosen.rule, "why": chosen.why,
        **origin_of(results, problem, drawn),
        "score": score(chosen.metric, chosen.point, chosen.test)
        | {"corrected": _corrected(results, chosen), "weighted": chosen.weighted, "test_weighted": chosen.test_weighted}
        | {"pooled": identity["scoring"][0].endswith(POOLED)} | on_targets(scores_by_target(results, chosen)),
        "path": {
            "axis": chosen.axis, "value": chosen.value, "step": chosen.step, "steps": trial.steps,
            "translated": translated(chosen.axis, chosen.value, identity["rows"]),
            "config": without_constants(trial.config),
        },
    } | ({} if comparable_to else {"reference_diverges": True})  # fmt: skip


def origin_of(results: Results, problem: Problem, drawn: Mapping[str, Any] | None) -> dict[str, Any]:
    """The seed, the data and the folds of a study as plain data."""
    identity = results.identity
    return {
        "seed": int(identity["seed"]),
        "data": {
            "fingerprint": identity["fingerprint"], "rows": identity["rows"], "columns": identity["columns"],
            "target": identity["target"], "task": identity["task"],
            "searched": replace(problem, test=None).fingerprint,  # without the held-out rows
        } | transformed(problem),
        "held_out": None if problem.test is None else {"rows": problem.test.rows, **(drawn or {})},
        "folds": {"cv": identity["cv"], "count": identity["folds"], "hash": identity["folds_hash"]}
        | {"weights": identity.get("fold_weights", "equal")} | what_lacks(**unscored(identity)),
    }  # fmt: skip


def transformed(problem: Problem) -> dict[str, Any]:
    """By what y is transformed for models to be fitted to, if it is."""
    return {} if problem.transform is None else {"transform": problem.transform.name}


def what_lacks(weightless: int, rare: RareClasses | None) -> dict[str, Any]:
    """How many folds were left out, and which classes never score; see `Folds`. Nothing where there is none."""
    return ({"weightless": weightless} if weightless else {}) | ({"rare": str(rare)} if rare else {})


def on_targets(scores: Mapping[str, float]) -> dict[str, Any]:
    """Scores of each of several targets as plain data; nothing where they are not known."""
    return {"by_target": json_safe(dict(scores))} if scores else {}


def score(metric: str, point: Point, test: Mapping[str, float]) -> dict[str, Any]:
    """A score as plain data; what is not finite is null."""
    document: dict[str, Any] = json_safe({"metric": metric, **vars(point), "corrected": None, "test": dict(test)})
    return document


def _corrected(results: Results, chosen: Chosen) -> dict[str, Any] | None:
    """What a choice's score is worth without what it owes to having been chosen, or that of the study's best where it
    comes from no rule with a name; `None` where unknown.
    """
    found = results.correct(chosen.rule if results.is_chosen_by_name(chosen) else "best")
    document: dict[str, Any] = json_safe(vars(found))
    return document if found.score is not None else None


def translated(axis: str, value: float | None, rows: int) -> str:
    """How the chosen point of a path was carried over to all rows, in a sentence."""
    return TRANSLATED[axis if axis in TRANSLATED and value is not None else ""].format(rows=rows, value=value)


def fill(parcel: Parcel, folder: Path) -> None:
    """Write every file of a bundle to an empty folder; the provenance, which has the hashes of the others, last."""
    config, fitted, form = parcel.config, parcel.fitted, form_of(parcel.problem)
    trusted = fitted.ship(folder) if isinstance(fitted, Shipped) else write_object(fitted, folder / MODEL)
    write_form(folder, parcel.problem, Checked(fitted, form))
    for name, figure in parcel.figures.items():
        figure.savefig(folder / f"{name}.png", dpi=DPI, metadata={"Software": None})  # no version in the picture
    provenance = {"schema": SCHEMA, "exported": now(), **parcel.provenance, "versions": versions_of(config)}
    factory, transform = own_factory(config), parcel.problem.transform
    load = ({"trusted": trusted} if trusted else {}) | ({"factory": factory} if factory else {})
    head = {
        "schema": SCHEMA, "task": said_task(parcel.problem.task, parcel.problem.tasks), "seed": provenance["seed"],
        "scoring": provenance["score"]["metric"], "cv": provenance["folds"]["cv"], "config": to_data(config),
    } | ({LOAD: load} if load else {}) | ({TARGET: transform.name} if transform else {})  # fmt: skip
    write_text(folder / CONFIG, to_toml(head))
    row = {name: to_data(value) for name, value in flat(config).items()}
    trust = {"trusted": trusted, "factory": factory}
    write_said(folder, provenance, lambda names: card({**provenance, **trust}, row, form, names))


def write_form(folder: Path, problem: Problem, model: Checked) -> None:
    """Write which rows a model takes, and what it says of a few."""
    write_text(folder / FORM, to_json({"schema": SCHEMA, **model.form.data()}))
    rows = example_of(problem, model.form)
    said = predictions(model, rows_of(rows, model.form))
    write_text(folder / EXAMPLE, to_json({"schema": SCHEMA, "rows": rows, **said}))


def write_said(folder: Path, provenance: Mapping[str, Any], describe: Callable[[Sequence[str]], str]) -> None:
    """Write the card, made of the names of the files beside it, and the provenance, which has the hashes of all."""
    names = sorted(file.name for file in folder.iterdir() if file.is_file())
    write_text(folder / CARD, describe(names))
    hashes = {name: sha256(folder / name) for name in sorted([*names, CARD])}
    write_text(folder / PROVENANCE, to_json({**provenance, "files": hashes}))


def write_text(file: Path, text: str) -> None:
    file.write_bytes(text.encode())  # line ends as they are, on any system


def now() -> str:
    """The date of an export; that of ``SOURCE_DATE_EPOCH`` where builds are to repeat to the bit."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH")
    if fixed is not None and not fixed.isdigit():
        raise InvalidInput(f"SOURCE_DATE_EPOCH must be seconds since 1970, got {fixed!r}; unset it.")
    return (datetime.fromtimestamp(int(fixed), UTC) if fixed else datetime.now(UTC)).isoformat(timespec="seconds")


def versions_of(config: Model) -> dict[str, str]:
    own = {"python": platform.python_version(), "regsearch": __version__}
    return own | {name: importlib.metadata.version(name) for name in (*PACKAGES, *config.packages)}


# --- where it goes ---------------------------------------------------------------------------------------------


def check_target(out: str | os.PathLike[str]) -> Path:
    """The folder that a bundle goes to: nothing but an earlier bundle may have to make room.

    Raises
    ------
    InvalidInput
        When it holds other files.
    """
    target = place(out, "A bundle's folder").absolute()
    if target.is_symlink():
        target = target.resolve()  # the link stays, what it points to is replaced
    if target.exists() and not (target.is_dir() and _may_go(target)):
        raise InvalidInput(
            f"A bundle goes to a new or empty folder, or replaces a bundle, got {target}, which "
            f"{'holds other files' if target.is_dir() else 'is a file'}; "
            "choose another."
        )
    return target


def _may_go(folder: Path) -> bool:
    """Whether a folder is empty, or a bundle and nothing else."""
    members = [file for file in folder.iterdir() if MEMBER.fullmatch(file.name) and file.is_dir()]
    names = {file.name for file in folder.iterdir() if file not in members}
    whole = {CONFIG, PROVENANCE, FORM} <= names <= FILES  # other projects have a config.toml too
    return (not names and not members) or (whole and all(map(_may_go, members)))


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
        part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
        part.mkdir()  # who may read it says the umask, as of its files
        return part
    except OSError as error:
        raise InvalidInput(
            f"A bundle goes to a folder that can be written, got {target} ({error.strerror}); choose another."
        ) from error
