"""Commands on what was exported: verify a bundle, retrain its config."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from regsearch.cleaning import say
from regsearch.cli.combinations import excludes, needs
from regsearch.cli.stored import own_module, own_scorer, study_of
from regsearch.errors import InvalidInput

if TYPE_CHECKING:
    from regsearch.export.verify import Evidence
    from regsearch.study.study import Study


def verify(arguments: argparse.Namespace) -> int:
    """Print the checklist of a bundle; exit status 1 where something fails."""
    from regsearch.export import verify

    excludes(arguments, "--script", "has the data of its study", "--data")
    needs(arguments, "--data FILE", "a column of the data", "--target", "--weights")
    needs(arguments, "--script FILE", "the one of a script's studies", "--study")
    evidence, module = _evidence(arguments)
    verdict = verify.verify(arguments.bundle, evidence, trusted=arguments.trust or (), module=module)
    say(verdict)
    return 0 if verdict.holds else 1


def retrain(arguments: argparse.Namespace) -> int:
    """Fit a bundle's config to new data, and print score and gap beside the old."""
    from regsearch.export import retrain

    needs(arguments, "--script FILE", "the one of a script's studies", "--study")
    X, y, weights = _table(arguments)
    scoring, module = arguments.scoring, None
    if arguments.script:
        study = _scripted(arguments)
        scoring, module = scoring or own_scorer(study), own_module(study)
    found = retrain.retrain(
        arguments.bundle, X, y, arguments.out, cv=arguments.cv, sample_weight=weights,
        score_weight=_score_weight(arguments), scoring=scoring, trusted=arguments.trust or (), module=module,
    )  # fmt: skip
    say(f"{found}\n\nWritten to {found.folder}")
    return 0


def _evidence(arguments: argparse.Namespace) -> tuple[Evidence | None, Callable[[], Any] | None]:
    """The data that the command line names, from a script or a file, and the script's own module if it has one."""
    from regsearch.data.problem import make_problem
    from regsearch.export.bundle import open_bundle
    from regsearch.export.verify import Evidence

    if arguments.script:
        study = _scripted(arguments)
        study = study.replace(seed=int(open_bundle(arguments.bundle).provenance["seed"]))
        evidence = Evidence(study.problem, study.folds, study.setup.metrics[0])
        return evidence, own_module(study)
    if arguments.data is None:
        return None, None
    X, y, weights = _table(arguments)
    task, score_weight = open_bundle(arguments.bundle).head["task"], _score_weight(arguments)
    return Evidence(make_problem(X, y, sample_weight=weights, score_weight=score_weight, task=task)), None


def _scripted(arguments: argparse.Namespace) -> Study:
    """The study that a script makes; what the script prints goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        return study_of(arguments.script, arguments.study)


def _score_weight(arguments: argparse.Namespace) -> Any:
    """Scores weigh rows where those of the bundle do: else there is nothing to compare them with."""
    from regsearch.data.problem import SAME
    from regsearch.export.bundle import open_bundle

    return SAME if open_bundle(arguments.bundle).provenance["score"].get("weighted") else None


def _table(arguments: argparse.Namespace) -> tuple[Any, Any, Any]:
    from regsearch.export.bundle import open_bundle
    from regsearch.export.bundle.loading import form_of
    from regsearch.export.bundle.tables import read_table

    bundle = open_bundle(arguments.bundle)
    if arguments.weights is None and bundle.provenance["score"].get("weighted"):
        raise InvalidInput("Rows weighed in the scores of this bundle, got no --weights; name the column of the data.")
    return read_table(arguments.data, arguments.target, form_of(bundle), arguments.weights)
