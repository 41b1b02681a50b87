"""Where the study of a search lies: under a root, to stay, or in a folder that goes with its results."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from regsearch.errors import warn
from regsearch.results.results import Results
from regsearch.space.config import digest
from regsearch.study.limits import ALREADY_HAS
from regsearch.study.options import StudyOptions
from regsearch.study.script import calling_script
from regsearch.study.study import Study


def kept(name: str, X: Any, y: Any, options: StudyOptions, how: Mapping[str, Any]) -> tuple[Study, Results]:
    """Run a study that stays, or go on with it.

    Its name gets a suffix of data, space and seed: the same search finds itself again, another one never meets it.
    """
    problem, _ = options.problem_of(X, y)
    suffix = digest([problem.fingerprint, digest(options.space), options.seed])[:8]
    study = Study.from_options(f"{name}-{suffix}", X, y, replace(options, experiment=name), calling_script())
    results = _run(study, how)
    if how.get("quiet") and ALREADY_HAS in results.stopped:  # elsewhere the run has said so
        said = f"{study.name}: {results.stopped}; n_trials counts those of earlier fits, too."
        warn(said)
    return study, results


def passing(name: str, X: Any, y: Any, options: StudyOptions, how: Mapping[str, Any]) -> tuple[Study, Results]:
    """Run a study in a temporary folder, which lives as long as the results in this process."""
    folder = tempfile.mkdtemp(prefix="regsearch-")
    try:
        study = Study.from_options(name, X, y, replace(options, root=folder, tracking=False))
        results = _run(study, how)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(results, _remove, folder, os.getpid())
    return study, results


def _run(study: Study, how: Mapping[str, Any]) -> Results:
    """Run a study as the arguments of `Study.run` say."""
    results = study.run(**how)
    if results.stopped == "interrupted":
        raise KeyboardInterrupt  # a study would return what it has; what called fit must not go on with that
    return results


def _remove(folder: str, process: int) -> None:
    """Remove a folder, in the process that made it: a fork of it that ends has no right to."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
