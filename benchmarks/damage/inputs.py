"""Bad inputs: every option of every command, and every argument of what a user calls, given what it cannot be."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import inspect
import io
import math
import random
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import Ridge

from damage.section import Attempt, processor_seconds, section
from regsearch import (
    MLP,
    Choice,
    Estimator,
    Float,
    Int,
    Linear,
    Net,
    RegSearchCV,
    RegsearchError,
    Study,
    load,
    load_config,
    spaces,
)  # fmt: skip
from regsearch import Path as LambdaPath
from regsearch.cli import _parser, main
from regsearch.export.retrain import retrain
from regsearch.export.verify import verify
from regsearch.results.report import write_report
from regsearch.results.results import Results
from regsearch.space.tree import Node
from regsearch.study.options import StudyOptions

SCRIPT = """
import numpy as np
from regsearch import Linear, Study
X = np.random.default_rng(0).normal(size=(40, 3))
one = Study("one", X, X[:, 0] + X[:, 1], space=Linear("l2"), cv=2, tracking=False, root="root")
"""
LONG, SLOW_S = 5000, 120.0
NEEDED = {"low": 1, "high": 3, "estimator": Ridge(), "params": {"alpha": Float(0.1, 1)}, "factory": print}
# none of these is opened, run or searched: a value for each way in which one can be wrong
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, -3, 1, 2.5, 10**9, 10**30, math.nan, math.inf, 1e300, "", " ", "a\nb", "a\0b",
    "\x1b[31mred", "\ud800", "\u202eabc", "x" * LONG, "no/such", b"bytes", [], {}, [None], ["a", "a"], (), object(),
    int, np.ones(3), np.ones((40, 3)), 1j, lambda: None, print,
)  # fmt: skip
TEXTS = (
    "", " ", "a\nb", "\x1b[31mred", "\u202eabc", "x" * LONG, "-1", "0", "-3", "nan", "inf", "1e999", "99999999", "2.5",
    "no/such", "folder", "picture.png", "one", "../one", "/dev/null/x", "foo://bar", "a=b", "--", "9" * LONG,
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Somewhere that takes a value: its name, and what is done with one."""

    name: str
    give: Callable[[Any], Any]


@dataclass(frozen=True)
class Made:
    """What there is to be asked: data, a study that was run, its results and its bundle."""

    folder: Path
    X: Any
    y: Any
    study: Study
    results: Results
    bundle: Path


def make(folder: Path) -> Made:
    """A small study that was run, and a script that makes it."""
    (folder / "script.py").write_text(SCRIPT)
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0" + bytes(range(256)))
    (folder / "folder").mkdir()
    X = np.random.default_rng(0).normal(size=(40, 3))
    study = Study("made", X, X[:, 0], space=spaces.linear(), cv=2, tracking=False, root=folder / "root")
    results = study.run(3, quiet=True)
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        main(["run", "script.py", "--trials", "2"])
    return Made(folder, X, X[:, 0], study, results, study.export(folder / "bundle"))


def places(made: Made) -> Iterator[Place]:
    """Every argument of what a user calls in Python."""
    yield from _options(made)
    yield from _fields()
    yield from _functions(made)


def _options(made: Made) -> Iterator[Place]:
    space = Estimator(Ridge(), {"alpha": Float(0.1, 1)})
    base: dict[str, Any] = {"space": space, "cv": 2, "root": made.folder / "other", "tracking": False}

    def study(name: str) -> Callable[[Any], Any]:
        return lambda value: Study("other", made.X, made.y, **(base | {name: value}))

    yield from (Place(f"Study({field.name}=)", study(field.name)) for field in dataclasses.fields(StudyOptions))
    yield Place("Study(name)", lambda value: Study(value, made.X, made.y, **base))
    yield Place("Study(X)", lambda value: Study("other", value, made.y, **base))
    yield Place("Study(y)", lambda value: Study("other", made.X, value, **base))
    search: dict[str, Any] = {"n_trials": 2, "cv": 2, "tracking": False, "timeout": 1.0}

    def fit(name: str) -> Callable[[Any], Any]:
        return lambda value: RegSearchCV(**(search | {name: value})).fit(made.X, made.y)

    yield from (Place(f"RegSearchCV({name}=)", fit(name)) for name in RegSearchCV().get_params())


def _fields() -> Iterator[Place]:
    """Of every penalty, technique, architecture and leaf."""

    def node(cls: type[Node], name: str) -> Callable[[Any], Any]:
        needed = {key: NEEDED[key] for key, one in signature(cls).items() if one.default is one.empty and key in NEEDED}
        return lambda value: cls(**(needed | {name: value}))

    def signature(cls: type[Node]) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(cls).parameters

    own = [cls for cls in {*Node.registry.values()} if cls.__module__.startswith("regsearch.")]
    every: set[Any] = {*own, Linear, MLP}
    for cls in sorted(every, key=lambda one: one.__name__):
        for one in signature(cls).values():
            if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY):
                yield Place(f"{cls.__name__}({one.name}=)", node(cls, one.name))
    for name in ("module", "lr", "batch_size", "scale", "penalty", "dropout", "early_stopping", "device", "precision"):
        yield Place(f"Net({name}=)", partial(_net, name))
    yield Place("Float(low)", lambda value: Float(value, 1))
    yield Place("Int(high)", lambda value: Int(1, value))
    yield Place("Choice()", lambda value: Choice(value, value))
    yield Place("Path()", LambdaPath)
    yield Place("Path(ratio=)", lambda value: LambdaPath(10, ratio=value))


def _net(name: str, value: Any) -> Net:
    return Net(**{name: value})


def _functions(made: Made) -> Iterator[Place]:
    limits: dict[str, Any] = {"n_trials": 3}
    bundle, study, results = made.bundle, made.study, made.results
    calls: Mapping[str, Callable[[Any], Any]] = {
        "run(n_trials=)": lambda value: study.run(value, timeout=5, quiet=True) if _small(value) else None,
        "run(timeout=)": lambda value: study.run(**limits, timeout=value, quiet=True),
        "run(patience=)": lambda value: study.run(**limits, patience=value, quiet=True),
        "export(out)": lambda value: _inside(made, lambda: study.export(value)),
        "export(rule=)": lambda value: study.export(made.folder / "again", value),
        "ablate(rule)": lambda value: study.ablate(value, quiet=True),
        "learning_curve(sizes)": lambda value: study.learning_curve(value, quiet=True),
        "nested(outer=)": lambda value: study.nested(value, 2, quiet=True) if _small(value) else None,
        "replace(root=)": lambda value: study.replace(root=value).results(),
        "choose()": results.choose,
        "top()": results.top,
        "curves()": results.curves,
        "predictions()": results.predictions,
        "predictions(step=)": lambda value: results.predictions(0, value),
        "ensemble(size=)": results.ensemble,
        "ensemble(among=)": lambda value: results.ensemble(among=value),
        "ensemble(bags=)": lambda value: results.ensemble(bags=value),
        "compare()": lambda value: results.compare(value) if hasattr(results, "compare") else None,
        "write_report(file)": lambda value: _inside(made, lambda: write_report(results, value)),
        "load(folder)": load,
        "load(trusted=)": lambda value: load(bundle, trusted=value),
        "load(module=)": lambda value: load(bundle, module=value),
        "load_config(folder)": load_config,
        "verify(folder)": verify,
        "retrain(folder)": lambda value: retrain(value, made.X, made.y, made.folder / "new"),
        "retrain(X)": lambda value: retrain(bundle, value, made.y, made.folder / "new"),
        "retrain(y)": lambda value: retrain(bundle, made.X, value, made.folder / "new"),
        "retrain(out)": lambda value: _inside(made, lambda: retrain(bundle, made.X, made.y, value)),
        "retrain(cv=)": lambda value: retrain(bundle, made.X, made.y, made.folder / "new", cv=value),
        "retrain(scoring=)": lambda value: retrain(bundle, made.X, made.y, made.folder / "new", scoring=value),
        "predict(X)": lambda value: load(bundle).predict(value),
    }
    yield from (Place(name, give) for name, give in calls.items())


def _small(value: Any) -> bool:
    """Whether a number of trials or folds can be tried: a large one is no error."""
    return not isinstance(value, (int, float)) or isinstance(value, bool) or not 3 < value < math.inf


def _inside(made: Made, do: Callable[[], Any]) -> Any:
    with contextlib.chdir(made.folder):
        return do()


# --- the command line ------------------------------------------------------------------------------------------


def command_lines(folder: Path) -> Iterator[tuple[str, Callable[[str], list[str]]]]:
    """Every argument and option of every command with the line that gives it a text."""
    base = {
        "run": ["script.py", "--trials", "2", "--timeout", "1"], "list": ["--root", "root"],
        "show": ["one", "--root", "root"],
        "export": ["one", "--out", "out", "--root", "root"], "ui": ["--root", "folder"],
        "report": ["one", "--root", "root"], "sync": ["one", "--root", "root"], "watch": ["one", "--root", "root"],
        "compare": ["one", "one", "--root", "root"], "ablate": ["one", "--root", "root"],
        "ensemble": ["one", "--root", "root"],
        "learn": ["one", "--sizes", "0.5", "1", "--root", "root"], "verify": [str(folder / "bundle")],
        "retrain": [str(folder / "bundle"), "--data", "no.csv", "--target", "y", "--out", "out"],
    }  # fmt: skip
    commands = next(one for one in _parser()._actions if isinstance(one, argparse._SubParsersAction)).choices
    assert set(base) == set(commands), "a command without a line of its own"
    for command, parser in commands.items():
        for action in parser._actions:
            if action.nargs == 0:
                continue  # a switch takes no value
            if action.option_strings:
                yield f"{command} {action.option_strings[0]}", _with_option(command, base[command], action)
            else:
                yield f"{command} {action.dest}", partial(_with_argument, command, base[command][1:])


def _with_argument(command: str, rest: list[str], text: str) -> list[str]:
    return [command, text, *rest]


def _with_option(command: str, base: list[str], action: argparse.Action) -> Callable[[str], list[str]]:
    return lambda text: [command, *base, f"{action.option_strings[0]}={text}"]


def run_line(line: list[str], folder: Path) -> str:
    """What is wrong with how a command ended; empty where it did what it was told, or refused in a sentence."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(line)
        except SystemExit as end:
            status = int(end.code or 0)
    said = err.getvalue()
    refusals = [one for one in said.splitlines() if one.startswith("regsearch") and ": " in one]
    if "Traceback" in said or status not in (0, 1, 2):
        return f"status {status}: {said.strip().splitlines()[-1][:200] if said else ''}"
    if status == 2 and len(refusals) != 1:
        return f"refused in {len(refusals)} sentences: {said[:200]!r}"
    return _steering(out.getvalue() + said)


def _steering(text: str) -> str:
    found = [letter for letter in text if letter in "\x1b\0\x07\u202e\ud800"]
    return f"a control character {found[0]!r} was printed" if found else ""


# --- what must hold --------------------------------------------------------------------------------------------


def problem_of(place: Place, value: Any) -> str:
    """What came of a bad value that must not: another error than regsearch's, or one of several lines."""
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            place.give(value)
    except RegsearchError as error:
        said = str(error)
        return f"an error of several lines: {said[:200]!r}" if "\n" in said else _steering(said)
    except Exception as error:  # noqa: BLE001 - whichever it is, it is the finding
        return f"{type(error).__name__}: {str(error)[:200]}"
    return ""


@section(count=1000)
def inputs(count: int, seed: int) -> Iterator[Attempt]:
    """A value that an argument or an option cannot have is refused by an error of regsearch's, in one line."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        made = make(Path(folder))
        stack.enter_context(contextlib.chdir(folder))
        tries: list[tuple[str, Callable[[], str]]] = [
            (f"{place.name} {str(value)[:40]!r}", partial(problem_of, place, value))
            for place in places(made) for value in VALUES
        ]  # fmt: skip
        tries += [
            (f"{name} {text[:40]!r}", partial(run_line, line(text), made.folder))
            for name, line in command_lines(made.folder) for text in TEXTS
        ]  # fmt: skip
        for name, attempt in random.Random(seed).sample(tries, min(count, len(tries))):
            began = processor_seconds()
            problem = attempt()
            taken = processor_seconds() - began
            yield Attempt(name, problem or (f"it took {taken:.0f} s" if taken > SLOW_S else ""))
