"""An ensemble as one bundle: that of each member in a folder below it, and their weights."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from regsearch.data.problem import Problem
from regsearch.data.tasks import said_task
from regsearch.errors import InvalidInput
from regsearch.export.bundle.averaged import Averaged, averaged
from regsearch.export.bundle.card import ensemble_card
from regsearch.export.bundle.checked import Checked
from regsearch.export.bundle.files import CONFIG, LOAD, MEMBERS, PROVENANCE, SCHEMA, open_bundle, sha256
from regsearch.export.bundle.schema import form_of
from regsearch.export.write import (
    Parcel,
    check_exported,
    check_target,
    fill,
    now,
    origin_of,
    parcel_of,
    score,
    versions_of,
    write_form,
    write_said,
    write_text,
    written,
)
from regsearch.metrics.averaging import Averaging
from regsearch.metrics.blending import to_average, to_decisions
from regsearch.metrics.scorer import POOLED
from regsearch.models.base import Outcome
from regsearch.models.path import Point
from regsearch.results.ensemble import Ensemble
from regsearch.results.formatting import json_safe
from regsearch.results.results import Results
from regsearch.results.stored_study import Scoring
from regsearch.space.config import to_toml

SHOWN = ("folder", "weight", "trial", "config")  # what config.toml has of a member


@dataclass(frozen=True)
class ParcelOfMembers:
    """What is written of an ensemble.

    Attributes
    ----------
    parcels, weights
        Those of its members.
    told
        What tells the config of each from others.
    provenance
        Where it comes from and how it scored.
    """

    parcels: Sequence[Parcel]
    weights: Sequence[float]
    told: Sequence[str]
    provenance: Mapping[str, Any]

    @property
    def problem(self) -> Problem:
        """The rows that all members were fitted to."""
        return self.parcels[0].problem

    @property
    def model(self) -> Averaged:
        """The mean of its members."""
        return averaged([one.fitted for one in self.parcels], self.weights, form_of(self.problem))


def export_ensemble(
    results: Results,
    found: Ensemble,
    problem: Problem,
    out: str | os.PathLike[str],
    drawn: Mapping[str, Any] | None = None,
) -> Path:
    """Refit the members of an ensemble on all rows and write one bundle; see `regsearch.export.write.export`.

    Raises
    ------
    InvalidInput
        Also when members are made by several functions of the user's own: a bundle is loaded with one.
    """
    check_target(out)
    for member in found.members:
        check_exported(member.chosen)
    parcels = [parcel_of(results, member.chosen, problem, drawn) for member in found.members]
    told = [member.told for member in found.members]
    parcel = ParcelOfMembers(parcels, [one.weight for one in found.members], told, {})
    return write_ensemble(replace(parcel, provenance=_provenance(results, found, parcel, drawn)), out)


def _provenance(
    results: Results, found: Ensemble, parcel: ParcelOfMembers, drawn: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Where an ensemble comes from and how it scored, as plain data."""
    test, scoring, nothing = parcel.problem.test, results.scoring, float("nan")
    held_out = {} if test is None or scoring is None else {found.metric: scoring.metric.score(parcel.model, test)}
    corrected = None if found.corrected.score is None else json_safe(vars(found.corrected))
    return {
        "study": results.name, "rule": "ensemble", "why": found.verdict, **origin_of(results, parcel.problem, drawn),
        "score": score(found.metric, Point(found.score, found.se, nothing, nothing, nothing), held_out)
        | {"corrected": corrected, "weighted": results.weighted, "test_weighted": results.test_weighted}
        | {"pooled": results.identity["scoring"][0].endswith(POOLED)},
        "single": {"trial": found.single.number, "score": found.single_score}
        | json_safe({"difference": found.difference.mean, "se": found.difference.se, "p": found.difference.p}),
    }  # fmt: skip


def write_ensemble(parcel: ParcelOfMembers, out: str | os.PathLike[str]) -> Path:
    """Write the bundle of an ensemble, whole or not at all."""
    return written(out, lambda part: _fill(parcel, part))


def _fill(parcel: ParcelOfMembers, folder: Path) -> None:
    """Write every file to an empty folder: first the members, whose hashes the others have."""
    members = []
    for place, (one, weight) in enumerate(zip(parcel.parcels, parcel.weights, strict=True)):
        home = folder / f"member-{place:02}"
        home.mkdir()
        fill(one, home)
        members.append(_told(one.provenance, home, weight, parcel.told[place]))
    form = form_of(parcel.problem)
    write_form(folder, parcel.problem, Checked(parcel.model, form))
    opened = [open_bundle(folder / one["folder"]) for one in members]
    trusted = sorted({name for one in opened for name in one.trusted})
    factory = _factory([one.factory for one in opened if one.factory is not None])
    versions = {name: version for one in parcel.parcels for name, version in versions_of(one.config).items()}
    provenance = {"schema": SCHEMA, "exported": now(), **parcel.provenance, MEMBERS: members, "versions": versions}
    load = ({"trusted": trusted} if trusted else {}) | ({"factory": factory} if factory else {})
    head = {
        "schema": SCHEMA, "task": said_task(parcel.problem.task, parcel.problem.tasks), "seed": provenance["seed"],
        "scoring": provenance["score"]["metric"], "cv": provenance["folds"]["cv"],
    } | ({LOAD: load} if load else {}) | {MEMBERS: [{key: one[key] for key in SHOWN} for one in members]}  # fmt: skip
    write_text(folder / CONFIG, to_toml(head))
    trust = {"trusted": trusted, "factory": factory}
    write_said(folder, provenance, lambda names: ensemble_card({**provenance, **trust}, form, names))


def _told(provenance: Mapping[str, Any], home: Path, weight: float, config: str) -> dict[str, Any]:
    """What the bundle of an ensemble says of a member that was written to a folder."""
    return {
        "folder": home.name, "weight": weight, "trial": provenance["trial"], "step": provenance["path"]["step"],
        "score": provenance["score"]["val"], "config": config, "sha256": sha256(home / PROVENANCE),
    }  # fmt: skip


def _factory(found: Sequence[str]) -> str | None:
    """By what name others import the function that makes the members' module, if they have one of the user's own."""
    names = sorted(set(found))
    if len(names) > 1:
        raise InvalidInput(
            f"A bundle is loaded with one function that makes a module, the members have several ({', '.join(names)}); "
            "search one net at a time, or export a trial."
        )
    return names[0] if names else None


def score_of_mean(
    scoring: Scoring, averaging: Averaging, outcomes: Sequence[Outcome], weights: Sequence[float]
) -> Point:
    """What the mean of some outcomes scores outside training, as the score of a selected ensemble is computed.

    Raises
    ------
    InvalidInput
        When one has no predictions.
    """
    problem, nothing = scoring.problem, float("nan")
    said = [one.predictions for one in outcomes]
    if any(one is None for one in said):
        raise InvalidInput("A member of the ensemble makes no predictions outside training on these data.")
    mean = sum(w * to_average(problem, one) for one, w in zip(said, weights, strict=True) if one is not None)
    decisions = to_decisions(problem, np.asarray(mean))[:, None]
    by_fold = scoring.by_fold([decisions[val] for val in scoring.folds.val], averaging)[:, 0]
    return Point(float(averaging.mean(by_fold)), float(averaging.error(by_fold)), nothing, nothing, nothing)
