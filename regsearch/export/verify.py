"""Whether a bundle still is and does what was exported: a checklist."""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from regsearch.cleaning import first_line
from regsearch.data.folds import Folds
from regsearch.data.problem import Problem
from regsearch.documents import without_constants
from regsearch.errors import InvalidInput, RegsearchError
from regsearch.export.bundle.example import difference, predictions
from regsearch.export.bundle.files import CONFIG, MEMBERS, TARGET, Bundle, open_bundle
from regsearch.export.bundle.folding import folds_like, searched_rows
from regsearch.export.bundle.loading import fitted, form_of, load, stored_example
from regsearch.export.bundle.settings import Undefined, evaluate, rebuilt, settings_of
from regsearch.export.ensembles import score_of_mean
from regsearch.metrics.scorer import Metric, label_of, resolve
from regsearch.models.base import Model, Outcome, Setup
from regsearch.models.estimator import Estimator
from regsearch.results.stored_study import Scoring
from regsearch.space.config import to_data, without_none
from regsearch.version import __version__

SAME = 1e-6  # relative difference of predictions that another processor or library version may make
TOLERANCE = 1e-3  # relative difference of scores that training again may make
TIMEOUT_S = 300
MARKS = {True: "ok", False: "FAILS", None: "not checked"}


class Uncheckable(InvalidInput):
    """What a check takes is not at hand."""


@dataclass(frozen=True)
class BundleCheck:
    """One line of the checklist: `holds` is `None` where it could not be checked."""

    name: str
    holds: bool | None
    said: str


@dataclass(frozen=True)
class Verdict:
    """What was checked of a bundle."""

    checks: tuple[BundleCheck, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing that was checked fails."""
        return not any(check.holds is False for check in self.checks)

    def __str__(self) -> str:
        lines = [f"{MARKS[check.holds]:<12} {check.name}: {check.said}" for check in self.checks]
        return "\n".join([*lines, "", "The bundle holds." if self.holds else "The bundle does NOT hold."])


@dataclass(frozen=True)
class Evidence:
    """Data to verify a bundle by, and where a script has them the study's own folds and scorer."""

    problem: Problem
    folds: Folds | None = None
    metric: Metric | None = None


def verify(
    folder: str | os.PathLike[str],
    evidence: Evidence | None = None,
    *,
    trusted: Sequence[str] = (),
    module: Callable[[], Any] | None = None,
) -> Verdict:
    """Check a bundle.

    Parameters
    ----------
    folder
        What `regsearch export` wrote.
    evidence
        The data that it was made from: with them, its cross-validated score is computed again. They may have the rows
        that the study held out, where it drew them itself: they are held out again.
    trusted, module
        As `regsearch.load` takes them.

    Raises
    ------
    NotFound
        When the folder holds no bundle.
    InvalidInput
        When what it says of itself cannot be read.
    """
    bundle = open_bundle(folder)
    files = _files(bundle)
    checks = [files, _versions(bundle)]
    lacking = _lacking(bundle, trusted, module) if files.holds else "the files are not those that were exported"
    if lacking:
        checks += [
            BundleCheck("example", None, lacking),
            *(BundleCheck(name, None, "likewise") for name in ("config", "score")),
        ]
        return Verdict(tuple(checks))
    checks += [_example(bundle, trusted, module), _configs(bundle, trusted, module)]
    if evidence is None:
        checks.append(
            BundleCheck("score", None, "pass the data (--data and --target, or --script) to score the config again")
        )
    else:
        checks += _score(bundle, evidence, trusted, module)
    return Verdict(tuple(checks))


def _lacking(bundle: Bundle, trusted: Sequence[str], module: Callable[[], Any] | None) -> str:
    """What a sound bundle cannot be loaded without, and who must bring it; empty where nothing is missing."""
    factory = bundle.factory
    if factory is not None and module is None:
        hint = "pass --script FILE that has it, or module= in Python"
        return f"this net is your own module, made by {factory}; {hint}"
    unknown = [name for name in bundle.trusted if name not in trusted]
    if unknown:
        given = " ".join(f"--trust {name}" for name in unknown)
        return f"the model holds types beyond scikit-learn's own; if you know them, pass {given}"
    return ""


def _files(bundle: Bundle) -> BundleCheck:
    """Every file that the provenance lists is there, and what it was."""
    wrong, count = [], 0
    try:
        whole = (bundle, *bundle.parts) if bundle.members else (bundle,)
    except RegsearchError as error:
        return BundleCheck("files", False, str(error))
    for one in whole:
        count += len(one.files)
        for name in one.files:
            try:
                one.file(name)
            except RegsearchError as error:
                wrong.append(str(error))
    of = f", those of {len(bundle.members)} members among them" if bundle.members else ""
    return BundleCheck("files", not wrong, " ".join(wrong) or f"all {count} are what was exported{of}")


def _versions(bundle: Bundle) -> BundleCheck:
    """Which packages differ: no fault, but the first suspect when something else is."""
    others = [
        f"{name} {then} then, {now} now"
        for name, then in bundle.provenance["versions"].items() if (now := _version(name)) != then
    ]  # fmt: skip
    return BundleCheck("versions", True, "; ".join(others) or "the same packages as at export")


def _version(name: str) -> str:
    own = {"python": platform.python_version(), "regsearch": __version__}
    try:
        return own.get(name) or importlib.metadata.version(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):  # the latter of what names no package
        return "none"


def _configs(bundle: Bundle, trusted: Sequence[str], module: Callable[[], Any] | None) -> BundleCheck:
    """The config of a bundle, or those of all members and their weights, are what was searched and selected."""
    if not bundle.members:
        return _config(bundle, trusted, module)
    said = {one.get("folder"): one.get("weight") for one in bundle.head[MEMBERS] if isinstance(one, dict)}
    if said != dict(bundle.members):
        return BundleCheck("config", False, f"{CONFIG} was edited: members or weights are not those that were selected")
    for one in bundle.parts:
        check = _config(one, trusted, module if one.factory else None)
        if not check.holds:
            return replace(check, said=f"{one.folder.name}: {check.said}")
    many = f"each of {len(bundle.members)} members has the config that was searched, and its weight"
    return BundleCheck("config", True, many)


def _config(bundle: Bundle, trusted: Sequence[str], module: Callable[[], Any] | None) -> BundleCheck:
    """The config that people read is the one that was searched, at the point of its path that was chosen."""
    said, then, value = bundle.head["config"], bundle.searched, bundle.provenance["path"]["value"]
    try:
        settings_of(bundle, lambda: fitted(bundle, trusted, module), module)  # what it says can be fitted
        own = then.get("type") == Estimator.tag()
        filled = Estimator.data_at(then, value) if own else to_data(_searched(bundle, trusted, module).at(value))
        searched = without_none(filled | ({"prepare": then["prepare"]} if "prepare" in then else {}))
    except Undefined as error:
        return BundleCheck("config", None, str(error))
    except RegsearchError as error:
        return BundleCheck("config", False, str(error))
    said, searched = without_constants(said), without_constants(searched)  # no NaN is equal to another
    names = dict.fromkeys([*said, *searched])
    other = [name for name in names if said.get(name) != searched.get(name) and (name != "module" or module is None)]
    if bundle.head.get(TARGET) != bundle.provenance["data"].get("transform"):
        other.append(TARGET)
    if other:
        return BundleCheck(
            "config", False, f"{CONFIG} was edited: {', '.join(other)} is not what was searched and scored"
        )
    return BundleCheck("config", True, f"{CONFIG} has the config that was searched")


def _example(bundle: Bundle, trusted: Sequence[str], module: Callable[[], Any] | None) -> BundleCheck:
    """A clean process loads the model and predicts what is stored; a module of the user's own is made in this one."""
    try:
        given, expected = stored_example(bundle, form_of(bundle))
        if module is None:
            said, where = _said_elsewhere(bundle, trusted), "a clean process"
        else:
            said, where = predictions(load(bundle.folder, trusted, module), given), "this process"
        off = difference(expected, said)
    except RegsearchError as error:
        return BundleCheck("example", False, str(error))
    except (TypeError, ValueError) as error:  # stored lists that are no array
        return BundleCheck("example", False, f"what is stored of it is no prediction ({first_line(error)})")
    rows = f"{given.shape[0]} stored rows"
    if off == 0:
        return BundleCheck("example", True, f"{where} predicts the {rows} to the bit")
    if off <= SAME:
        return BundleCheck("example", True, f"{where} predicts the {rows} up to {off:.1g} of their size")
    return BundleCheck("example", False, f"{where} predicts the {rows} otherwise, by {off:.2g} of their size")


def _said_elsewhere(bundle: Bundle, trusted: Sequence[str]) -> Any:
    """What a clean process predicts of the stored example.

    Raises
    ------
    InvalidInput
        With the reason why it does not.
    """
    # -P and the path: run from inside a bundle, Python would import the modules that someone put beside its files
    command = [sys.executable, "-P", "-m", "regsearch.export.bundle", str(bundle.folder), *trusted]
    places = {**os.environ, "PYTHONPATH": os.pathsep.join(_importable(bundle))}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=places)
    except subprocess.TimeoutExpired as error:
        raise InvalidInput(f"a clean process took longer than {TIMEOUT_S} s to load it and predict") from error
    if done.returncode:
        raise InvalidInput(done.stderr.strip().splitlines()[-1] if done.stderr else "the process died")
    found = json.loads(done.stdout.splitlines()[-1])  # what it imports may print too
    if found["loaded"]:
        raise InvalidInput(f"loading must not import {' and '.join(found['loaded'])}, and does")
    return found["said"]


def _importable(bundle: Bundle) -> list[str]:
    """Where this process imports from, but for the folder of the bundle: its files are read and never run."""
    places = [place or os.getcwd() for place in sys.path]
    return [place for place in places if Path(place).resolve() != bundle.folder.resolve()]


def _score(
    bundle: Bundle, evidence: Evidence, trusted: Sequence[str], module: Callable[[], Any] | None
) -> list[BundleCheck]:
    """The data and the folds are those of the study, and the config scores on them what it did."""
    made = bundle.provenance
    try:
        problem = searched_rows(made, evidence.problem)
    except RegsearchError as error:
        return [
            BundleCheck("data", False, str(error)),
            BundleCheck("score", None, "it takes the rows that were searched"),
        ]
    data = _data(made, evidence.problem, problem)
    try:
        folds = evidence.folds or folds_like(made["folds"], problem, made["seed"])
    except RegsearchError as error:
        return [data, BundleCheck("folds", None, str(error)), BundleCheck("score", None, "it takes the same folds")]
    same_folds = _same("folds", made["folds"]["hash"], folds.digest, f"{len(folds)} x {folds.name}; pass --script FILE")
    try:
        metric = evidence.metric or replace(
            resolve(made["score"]["metric"], problem)[0], pooled=bool(made["score"].get("pooled"))
        )
    except RegsearchError:
        own = f"{made['score']['metric']} is no scorer of scikit-learn's; pass --script FILE, which has it"
        return [data, same_folds, BundleCheck("score", None, own)]
    try:
        setup = Setup(problem, folds, (metric,), made["seed"], fold_weights=made["folds"].get("weights", "equal"))
        found, stored = _scored(bundle, setup, trusted, module), made["score"]["val"]
    except Uncheckable as error:
        return [data, same_folds, BundleCheck("score", None, str(error))]
    except RegsearchError as error:
        return [data, same_folds, BundleCheck("score", False, str(error))]
    holds = abs(found - stored) <= TOLERANCE * max(abs(stored), made["score"]["val_se"] or 0.0)
    said = f"{label_of(metric.name, problem.score_weight is not None)} {found:.6g}, exported with {stored:.6g}"
    if not holds:
        same = data.holds and same_folds.holds
        said += "; data and folds are the same: see versions" if same else "; data or folds are not the same"
    return [data, same_folds, BundleCheck("score", holds, said)]


def _scored(bundle: Bundle, setup: Setup, trusted: Sequence[str], module: Callable[[], Any] | None) -> float:
    """What a bundle scores on folds; an ensemble, the mean of what its members predict outside training."""
    outcomes = []
    for one in bundle.parts:
        own = module if one.factory or not bundle.members else None
        try:
            config, settings = _searched(one, trusted, own), settings_of(one, partial(fitted, one, trusted, own), own)
        except Undefined as error:
            raise Uncheckable("it takes the config") from error
        aimed = replace(setup, problem=settings.aimed(setup.problem))
        outcome, path = evaluate(config, aimed), one.provenance["path"]
        outcomes.append(_at_step(outcome, config, path, aimed) if bundle.members else outcome)
    if bundle.members:
        return score_of_mean(Scoring.of(setup), setup.averaging, outcomes, [*bundle.members.values()]).val
    step = min(bundle.provenance["path"]["step"], outcomes[0].trajectory.steps - 1)
    return float(outcomes[0].trajectory.deciding.point(step).val)


def _at_step(outcome: Outcome, config: Model, path: Mapping[str, Any], setup: Setup) -> Outcome:
    """The outcome of a config at the step that was exported: what was stopped before its end may be better further on.

    Raises
    ------
    Uncheckable
        When it cannot be told what it says there.
    """
    step, along, curves = path["step"], outcome.along, outcome.trajectory.deciding
    if step == outcome.step:
        return outcome
    if along is not None and step in along.steps:
        return replace(outcome, step=step, predictions=along.decisions[along.steps.tolist().index(step)].astype(float))
    ended = evaluate(config.at(path["value"]), setup)  # the same training to there, unless each fold ended by itself
    if step < outcome.trajectory.steps and math.isclose(ended.point.val, curves.point(step).val, rel_tol=TOLERANCE):
        return ended
    raise Uncheckable(f"a member was stopped at step {step} of its path, and what it said there is not known any more")


def _same(name: str, then: str, now: str, hint: str) -> BundleCheck:
    return BundleCheck(
        name, then == now, f"fingerprint {now}" if then == now else f"{now} now, {then} at export ({hint})"
    )


def _data(made: Mapping[str, Any], given: Problem, problem: Problem) -> BundleCheck:
    """Whether the rows are those that were searched, whatever was held out beside them."""
    then, now = made["data"], problem.fingerprint
    if now in (then["fingerprint"], then.get("searched")):
        apart = f", {given.rows - problem.rows} of {given.rows} rows held out again" if given is not problem else ""
        return BundleCheck("data", True, f"fingerprint {now}{apart}")
    sizes = f"{problem.rows} rows and {problem.columns} columns now, {then['rows']} and {then['columns']} at export"
    held = made.get("held_out") or made["score"].get("test")
    hint = f"; the study held rows out, pass the {then['rows']} that it searched, or --script FILE" if held else ""
    return _same("data", then["fingerprint"], now, f"{sizes}{hint}")


def _searched(bundle: Bundle, trusted: Sequence[str], module: Callable[[], Any] | None) -> Model:
    """The config as it was searched, its path unfilled; an estimator has none."""
    data = bundle.searched
    if data.get("type") == Estimator.tag():
        return settings_of(bundle, lambda: fitted(bundle, trusted, module), module).config
    return rebuilt(data, lambda: fitted(bundle, trusted, module), module, "the provenance")
