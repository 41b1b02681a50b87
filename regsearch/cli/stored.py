"""What commands start from: the results of a stored study, and the study that a script makes."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from regsearch.cleaning import first_line, say
from regsearch.errors import InvalidInput, NotFound
from regsearch.inputs import did_you_mean, place

BEST = "best"  # the rule where a command line names none

if TYPE_CHECKING:
    from pathlib import Path

    from regsearch.results.results import Results
    from regsearch.study.study import Study


def results_of(arguments: argparse.Namespace, name: str) -> Results:
    """The results of a study under the root that the command line names.

    Raises
    ------
    NotFound
        When there is none of that name.
    """
    from regsearch.results.results import load_results
    from regsearch.storage.store import Store

    return _said(load_results(Store(arguments.root, name, arguments.storage)))


def _said(results: Results) -> Results:
    """Results, with a line for each part of the study that cannot be read."""
    for one in results.damage:
        say(f"regsearch: {results.name} is damaged: {one}", error=True)
    return results


def results_with_files(arguments: argparse.Namespace, name: str) -> Results:
    """The results of a study that curves are read of: they may lie where the `artifacts` of its script says.

    Raises
    ------
    NotFound
        When there is no study of that name.
    """
    from dataclasses import replace

    from regsearch.results.results import load_results

    results = results_of(arguments, name)
    script = script_of(arguments, results)
    if results.store.has_files or not _is_file(script):
        return results
    with contextlib.redirect_stdout(sys.stderr):
        options = study_of(script, name).options
    own = replace(options, root=arguments.root, storage=arguments.storage)
    return _said(load_results(own.store_of(name)))


def script_of(arguments: argparse.Namespace, results: Results) -> str:
    """The script that a command line names, else the one that ran the study; empty for none.

    Raises
    ------
    NotFound
        When there is no file of the name that was given.
    """
    given: str | None = getattr(arguments, "script", None)
    return str(results.identity["script"]) if given is None else str(_script_file(given))


def study_again(arguments: argparse.Namespace, doing: str) -> Study:
    """The stored study with its data, which the script reads again; what the script prints goes to standard error.

    Parameters
    ----------
    doing
        What needs the data, for an error.

    Raises
    ------
    NotFound
        When there is no such study, or its script is gone.
    """
    results = results_of(arguments, arguments.study)
    script = script_of(arguments, results)
    if not _is_file(script):
        missing = f"its script {script} is gone" if script else "it was not started from a script"
        raise NotFound(
            f"{doing} needs the data of {results.name!r}, and {missing}; "
            "pass --script FILE, or call the study's method where the data are."
        )
    say(f"Reading the data from {script}", error=True)
    with contextlib.redirect_stdout(sys.stderr):
        study = study_of(script, arguments.study)
    study = study.replace(root=arguments.root, storage=arguments.storage, seed=int(results.identity["seed"]))
    return study if study.name == results.name else study.widened()


def chooser(arguments: argparse.Namespace) -> tuple[str | int, int | None]:
    """What chooses: the rule that a command line names, or the trial, with a step of its path.

    Raises
    ------
    InvalidInput
        When there is a step of no trial, or a trial beside a rule.
    """
    if arguments.trial is None:
        if arguments.step is not None:
            raise InvalidInput(f"--step is on the path of a trial, got {arguments.step} and no --trial; add --trial N.")
        return arguments.rule or BEST, None
    if arguments.rule is not None:
        raise InvalidInput(
            f"Either --trial or --rule chooses, got {arguments.trial} and {arguments.rule!r}; leave one out."
        )
    return arguments.trial, arguments.step


def selection(arguments: argparse.Namespace) -> dict[str, int]:
    """How a command line selects an ensemble."""
    given = {name: getattr(arguments, name) for name in ("size", "among", "bags")}
    return {name: value for name, value in given.items() if value is not None}


def find_own_rule(name: str | None, script: str) -> None:
    """Read the script of a study where the rule is none of regsearch's, so that those which it defines are known."""
    from regsearch.results.rules import RULES, RULES_WITH_NUMBER

    if name is not None and name not in RULES and name.partition("=")[0] not in RULES_WITH_NUMBER and _is_file(script):
        with contextlib.redirect_stdout(sys.stderr):
            run_script(script)


def _is_file(script: str) -> bool:
    """Whether there is a script of that name; none has an empty one."""
    return bool(script) and place(script, "The script").is_file()


def own_module(study: Study) -> Callable[[], Any] | None:
    """The function that makes the net of a script's study, where it is the user's own."""
    found: Callable[[], Any] | None = getattr(study.space, "factory", None)
    return found


def own_scorer(study: Study) -> dict[str, Any] | None:
    """The deciding scorer of a script's study by its name, where it is the user's own."""
    from regsearch.metrics.scorer import known

    metric = study.setup.metrics[0]
    own = known(metric.name, metric.identity, study.problem) is None
    return {metric.name: metric.scorer} if own else None


def study_of(script: str, name: str | None) -> Study:
    """The study that a script makes at its module level, found by running it as a module of its file's name.

    For the name of a widened study, the one that was widened.

    Raises
    ------
    NotFound
        When there is no such script, or it makes no study of that name.
    InvalidInput
        When it makes none at all, or several and no name is given.
    """
    from regsearch.study.study import WIDE, Study

    studies = {study.name: study for study in run_script(script).values() if isinstance(study, Study)}
    if not studies:
        raise InvalidInput(
            f"A script must make a Study at its top level, {script!r} makes none; assign one there, in no function and "
            "not behind `if __name__ == '__main__':`."
        )
    if name is None and len(studies) > 1:
        raise InvalidInput(f"{script!r} makes several studies ({', '.join(studies)}); pass --study NAME.")
    if name is not None and name not in studies:
        name = name.removesuffix(WIDE)
    if name is not None and name not in studies:
        raise NotFound(f"{script!r} makes no study {name!r}; it makes {', '.join(studies)}.")
    return studies[name] if name is not None else next(iter(studies.values()))


def run_script(script: str) -> dict[str, Any]:
    """What a script defines at its top level, run as a module of its file's name.

    Raises
    ------
    NotFound
        When there is no such script.
    """
    import runpy

    path = _script_file(script)
    try:
        compile(path.read_bytes(), str(path), "exec")
    except (SyntaxError, ValueError, RecursionError, OSError) as error:
        raise InvalidInput(f"A script must be Python, {script!r} is not ({first_line(error)}); mend it.") from error
    sys.path.insert(0, str(path.parent.absolute()))  # as `python SCRIPT` would
    name_of_module = path.stem if path.stem != "__main__" else "regsearch_script"  # it is read, not started
    try:
        return runpy.run_path(str(path), run_name=name_of_module)
    except SystemExit as error:
        raise InvalidInput(
            f"A script must make its study and go on, {script!r} ends with status {error.code} while it is read; put "
            "what it does behind `if __name__ == '__main__':`."
        ) from error


def _script_file(script: str) -> Path:
    """The file of a script.

    Raises
    ------
    NotFound
        When there is none.
    """
    path = place(script, "The script")
    if not path.is_file():
        scripts = [str(one) for one in path.parent.glob("*.py")]
        hint = did_you_mean(path, scripts, "give the path of a Python file that makes a Study.")
        raise NotFound(f"There is no script {script!r}; {hint}")
    return path
