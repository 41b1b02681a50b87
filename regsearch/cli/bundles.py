"""Commands on what was exported: verify a bundle, retrain its config."""

from __future__ import annotations

import argparse
import contextlib
import sys
from typing import TYPE_CHECKING, Any

from regsearch.cli.stored import study_of
from regsearch.errors import InvalidInput

if TYPE_CHECKING:
    from regsearch.verifying import Evidence


def verify(arguments: argparse.Namespace) -> int:
    """Print the checklist of a bundle; exit status 1 where something fails."""
    from regsearch import verifying

    verdict = verifying.verify(arguments.bundle, _evidence(arguments), trusted=arguments.trust)
    print(verdict)
    return 0 if verdict.holds else 1


def retrain(arguments: argparse.Namespace) -> int:
    """Fit a bundle's config to new data, and print score and gap beside the old."""
    from regsearch import retraining

    X, y = _table(arguments)
    found = retraining.retrain(
        arguments.bundle, X, y, arguments.out, cv=arguments.cv, scoring=arguments.scoring, trusted=arguments.trust
    )
    print(f"{found}\n\nWritten to {found.folder}")
    return 0


def _evidence(arguments: argparse.Namespace) -> Evidence | None:
    """The data that the command line names, from a script or from a file."""
    from regsearch.bundle import open_bundle
    from regsearch.problem import make_problem
    from regsearch.verifying import Evidence

    if arguments.script:
        with contextlib.redirect_stdout(sys.stderr):
            study = study_of(arguments.script, arguments.study)
        study = study.replace(seed=int(open_bundle(arguments.bundle).provenance["seed"]))
        return Evidence(study.problem, study.folds, study.setup.metrics[0])
    if arguments.data is None:
        return None
    X, y = _table(arguments)
    return Evidence(make_problem(X, y, task=open_bundle(arguments.bundle).head["task"]))


def _table(arguments: argparse.Namespace) -> tuple[Any, Any]:
    from regsearch.bundle import open_bundle
    from regsearch.bundle.loading import form_of
    from regsearch.bundle.tables import read_table

    if arguments.target is None:
        raise InvalidInput("Data need a column to predict, got no --target; name it.")
    return read_table(arguments.data, arguments.target, form_of(open_bundle(arguments.bundle)))
