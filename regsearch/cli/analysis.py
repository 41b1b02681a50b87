"""The commands that say what a study has found: report, compare, ablate, learn."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from regsearch.cleaning import say
from regsearch.cli.stored import BEST, chooser, find_own_rule, results_with_files, selection, study_again


def report(arguments: argparse.Namespace) -> int:
    """Write the report of a study, here and to its run in MLflow."""
    from regsearch.mirror.pages import log_report
    from regsearch.results.report import write_report

    results = results_with_files(arguments, arguments.study)
    wanted, step = chooser(arguments)
    chosen = None if (wanted, step) == (BEST, None) else results.choose(wanted, step)
    file = write_report(results, arguments.out or ".", chosen, templates=arguments.templates)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # a server that is gone is not waited for
    whole = chosen is None and file.is_file()  # the one of another trial is nobody else's
    failed = log_report(results.store, file) if whole else None
    say(f"Written to {file}{' and to the run of the study in MLflow' if failed == '' else ''}")
    if failed:
        say(f"regsearch: the report in MLflow is as it was: {failed}", error=True)
    if arguments.open:
        import webbrowser

        webbrowser.open(file.absolute().as_uri())
    return 0


def compare(arguments: argparse.Namespace) -> int:
    """Compare studies with the first."""
    from regsearch.results import comparison

    studies = [results_with_files(arguments, name) for name in arguments.studies]
    find_own_rule(arguments.rule, str(studies[0].identity["script"]))
    return _print(comparison.compare(*studies, rule=arguments.rule or BEST), arguments)


def ensemble(arguments: argparse.Namespace) -> int:
    """Select an ensemble of a study's trials."""
    return _print(results_with_files(arguments, arguments.study).ensemble(**selection(arguments)), arguments)


def ablate(arguments: argparse.Namespace) -> int:
    """Fit a choice again without each of its techniques."""
    study = study_again(arguments, "An ablation")
    return _print(study.ablate(study.results().choose(*chooser(arguments))), arguments)


def learn(arguments: argparse.Namespace) -> int:
    """Fit a choice to growing parts of the rows."""
    from regsearch.results.learning_curve import SIZES

    study = study_again(arguments, "A learning curve")
    chosen = study.results().choose(*chooser(arguments))
    return _print(study.learning_curve(arguments.sizes or SIZES, chosen), arguments)


def rules_help() -> str:
    """The rules that there are, for a command's help."""
    from regsearch.results.rules import rule_names

    return f"rules: {', '.join(rule_names())}, such as gap_budget=0.05, and those that the script defines"


def _print(found: Any, arguments: argparse.Namespace) -> int:
    if arguments.json:
        print(json.dumps(found.row(), allow_nan=False))
    else:
        say(found)
    return 0
