"""Whatever cannot be searched is refused in one sentence, before any fit and before anything is written."""

from __future__ import annotations

import base64
import contextlib
import gzip
import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import optuna
import pandas as pd
import pytest
from samples import outcomes, regression
from scipy import sparse
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, KFold

import regsearch
from regsearch import (
    L1,
    MLP,
    Choice,
    Estimator,
    Float,
    Int,
    InvalidInput,
    Linear,
    Net,
    NotFound,
    RegSearchCV,
    RegsearchError,
    Study,
    StudyMismatch,
    load,
    spaces,
)  # fmt: skip
from regsearch import Path as LambdaPath
from regsearch.cli import main
from regsearch.data.problem import make_problem
from regsearch.results.rules.registry import find_rule

X, Y = regression()
LABELS = np.where(Y > 0, "up", "down")
HALVES = (np.arange(30), np.arange(30, 60))


class Forbidden(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator whose fit is a failed test."""

    def __init__(self, strength: float = 1.0) -> None:
        self.strength = strength

    def fit(self, X: Any, y: Any) -> Any:
        pytest.fail("something was fitted")


class Failing:
    """A splitter that raises what no splitter of scikit-learn's does."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Any:
        raise LookupError("no row is mine")


SPACE = Estimator(Forbidden(), {"strength": Float(0, 1)})
FRAME = pd.DataFrame(X[:, :2], columns=["a", "b"])


def changed(values: Any, place: Any, value: Any) -> Any:
    copy = np.array(values, dtype=object if isinstance(value, str) or value is None else float)
    copy[place] = value
    return copy


BAD_DATA = {
    "X of text": (X.astype(str), Y),
    "X of one axis": (X[:, 0], Y),
    "images for a model of tables": (X.reshape(60, 1, 3, 2), Y),
    "X of five axes": (X[:, :, None, None, None], Y),
    "images with NaN": (changed(X, (3, 2), np.nan).reshape(60, 3, 2), Y),
    "X without rows": (X[:0], Y[:0]),
    "X without columns": (X[:, :0], Y),
    "X constant": (np.ones_like(X), Y),
    "X infinite": (changed(X, (3, 2), np.inf), Y),
    "sparse X with NaN": (sparse.csr_array(changed(X, (3, 2), np.nan)), Y),
    "complex X": (X + 1j, Y),
    "frame with lengths of time": (FRAME.assign(wait=pd.Timedelta("1D")), Y),
    "frame with two columns of one name": (pd.concat([FRAME, FRAME], axis=1), Y),
    "y too short": (X, Y[:-1]),
    "labels of two columns": (X, np.stack([LABELS, LABELS], axis=1)),
    "targets of which one is constant": (X, np.stack([Y, np.ones(60)], axis=1)),
    "y with NaN": (X, changed(Y, 0, np.nan)),
    "y infinite": (X, changed(Y, 0, -np.inf)),
    "y constant": (X, np.ones(60)),
    "y with a missing label": (X, changed(LABELS, 0, None)),
    "y all distinct labels": (X, np.array([f"row {i}" for i in range(60)])),
}
BAD_OPTIONS: dict[str, dict[str, Any]] = {
    "unknown scorer": {"scoring": "r3"},
    "scorer of another task": {"scoring": "accuracy"},
    "no scorer": {"scoring": []},
    "two scorers of one name": {"scoring": ["r2", "r2"]},
    "scorer that fails": {"scoring": lambda model, X, y: 1 / 0},
    "scorer that says NaN": {"scoring": lambda model, X, y: float("nan")},
    "scorer that says text": {"scoring": lambda model, X, y: "good"},
    "space of wrong type": {"space": {"penalty": "l1"}},
    "space that is a penalty": {"space": L1()},
    "space that is a class": {"space": Linear},
    "space that is an estimator": {"space": Ridge()},
    "space that is none": {"space": None},
    "space without a leaf": {"space": Estimator(Forbidden(), {"strength": 0.5})},
    "cv of one fold": {"cv": 1},
    "cv of more folds than rows": {"cv": 61},
    "cv of a name": {"cv": "kfold"},
    "cv that is true": {"cv": True},
    "cv that is none": {"cv": None},
    "cv without folds": {"cv": []},
    "cv of masks": {"cv": [(np.ones(60, bool), np.ones(60, bool))]},
    "cv of rows that are not there": {"cv": [(np.arange(30), np.arange(30, 61))]},
    "cv that leaks": {"cv": [(np.arange(31), np.arange(30, 60))]},
    "cv without validation": {"cv": [(np.arange(60), np.arange(0))]},
    "cv of triples": {"cv": [(*HALVES, HALVES[0])]},
    "splitter of groups without groups": {"cv": GroupKFold(3)},
    "splitter of more folds than rows": {"cv": KFold(99)},
    "groups too short": {"groups": np.arange(59)},
    "fewer groups than folds": {"groups": np.arange(60) % 2, "cv": 3},
    "negative weights": {"sample_weight": -np.ones(60)},
    "weights of nothing": {"sample_weight": np.zeros(60)},
    "weights too short": {"sample_weight": np.ones(59)},
    "weights with NaN": {"sample_weight": changed(np.ones(60), 4, np.nan)},
    "test of all rows": {"test": 1.0},
    "test below zero": {"test": -0.5},
    "test of a number": {"test": 12},
    "test of a table": {"test": X},
    "test with other columns": {"test": (X[:, :3], Y)},
    "test of unequal length": {"test": (X, Y[:-1])},
    "unknown task": {"task": "ranking"},
    "task that does not fit": {"task": "binary"},
    "seed of text": {"seed": "seven"},
    "seed below zero": {"seed": -1},
    "no seed": {"seed": None},
    "seed of a fraction": {"seed": 0.5},
    "sampler of a name": {"sampler": "tpe"},
    "sampler that is a class": {"sampler": optuna.samplers.TPESampler},
    "n_jobs of nothing": {"n_jobs": 0},
    "n_jobs of text": {"n_jobs": "two"},
    "tracking of a number": {"tracking": 3},
    "tracking of nothing": {"tracking": ""},
    "tracking of two lines": {"tracking": "http://a\nb"},
    "prune of a word": {"prune": "maybe"},
    "prune of a number": {"prune": 1},
    "experiment of a number": {"experiment": 5},
    "experiment of nothing": {"experiment": " "},
    "experiment of two lines": {"experiment": "a\nb"},
    "scorer's name of two lines": {"scoring": {"a\nb": "r2"}},
    "scorer's name with a colour": {"scoring": {"\x1b[31mr2": "r2"}},
    "scorer's name of a number": {"scoring": {3: "r2"}},
    "storage of a number": {"storage": 3},
    "start_from of a number": {"start_from": 3},
    "start_from with a NUL": {"start_from": "a\0b"},
    "fold_weights of an array": {"fold_weights": np.ones(3)},
}
BAD_ROOTS: list[Any] = [None, 5, b"x", "", " ", "a\0b", "a\nb", "\ud800", "x" * 300, [], True]
BAD_NAMES = ["a/b", "../up", "", ".", "two words", "-x", "x" * 101, None, 7]
BAD_LIMITS: list[dict[str, Any]] = [
    {"n_trials": 0}, {"n_trials": -3}, {"n_trials": 2.5}, {"n_trials": "10"}, {"n_trials": True}, {"timeout": 0},
    {"timeout": -1.0}, {"timeout": float("nan")}, {"timeout": "1h"}, {"patience": 0}, {"patience": -1},
    {"trial_timeout": 0}, {"trial_timeout": "1h"},
    {"n_trials": 10, "patience": 0},
]  # fmt: skip


def refused(root: Path, error: pytest.ExceptionInfo[InvalidInput]) -> None:
    """One sentence on one line, and no root."""
    said = str(error.value)
    assert 10 < len(said) < 600
    assert "\n" not in said
    assert said.endswith((".", "?", ")")), said
    assert not root.exists()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.mark.parametrize("data", BAD_DATA.values(), ids=list(BAD_DATA))
@pytest.mark.parametrize("space", [SPACE, spaces.linear()], ids=["estimator", "linear"])
def test_data(root: Path, data: tuple[Any, Any], space: Any) -> None:
    """Data that cannot be searched are refused."""
    with pytest.raises(InvalidInput) as error:
        Study("bad", *data, space=space, root=root)
    refused(root, error)


def test_several_targets_of_a_penalty_that_has_one(root: Path) -> None:
    """Several targets are refused by a penalty that is made for one, with what to do instead."""
    with pytest.raises(InvalidInput, match=r"group_lasso is not .* y has 2 columns; choose .* per column") as error:
        Study("bad", X, np.stack([Y, X[:, 0]], axis=1), space=Linear("group_lasso"), root=root)
    refused(root, error)


@pytest.mark.parametrize("space", [SPACE, spaces.linear()], ids=["estimator", "linear"])
def test_images_of_a_model_of_tables(root: Path, space: Any) -> None:
    """Images are refused, by name, with what makes a table of them."""
    with pytest.raises(InvalidInput, match=r"(Estimator|Linear) needs a table .*\(3, 2\); .*X.reshape\(len\(X\), -1\)"):
        Study("bad", X.reshape(60, 3, 2), Y, space=space, root=root)


@pytest.mark.parametrize("options", BAD_OPTIONS.values(), ids=list(BAD_OPTIONS))
def test_options(root: Path, options: dict[str, Any]) -> None:
    """Options that make no search are refused."""
    with pytest.raises(InvalidInput) as error:
        Study("bad", X, Y, **({"space": SPACE, "root": root} | options))
    refused(root, error)


@pytest.mark.parametrize(
    "option", ["cv", "scoring", "pooled", "task", "sampler", "artifacts", "prune", "n_jobs", "seed"]
)
@pytest.mark.parametrize(
    "value", [np.ones(3), np.ones((60, 2)), b"bytes", lambda: None], ids=lambda value: str(value)[:9]
)
def test_options_of_other_kinds(root: Path, option: str, value: Any) -> None:
    """An option that is an array, bytes or a function without arguments is refused as any other that it cannot be."""
    with pytest.raises(InvalidInput) as error:
        Study("bad", X, Y, **({"space": SPACE, "root": root} | {option: value}))
    refused(root, error)


@pytest.mark.parametrize("value", [np.ones(3), b"x", [None], {}, lambda: None, Ridge], ids=lambda value: str(value)[:9])
@pytest.mark.parametrize("option", ["task", "rule", "scoring"])
def test_options_of_a_search_as_an_estimator(option: str, value: Any) -> None:
    """So are those of RegSearchCV, before any fit."""
    with pytest.raises(InvalidInput):
        RegSearchCV(SPACE, n_trials=2, **{option: value}).fit(X, Y)


@pytest.mark.parametrize("rule", [lambda: None, lambda results, more: None, 3, Ridge])
def test_a_rule_that_is_none_ends_nested_cross_validation_before_it_begins(root: Path, rule: Any) -> None:
    """A rule that cannot be called with results is refused before any fit."""
    with pytest.raises(InvalidInput, match="A rule must be a"):
        Study("bad", X, Y, space=SPACE, root=root).nested(2, rule=rule, quiet=True)


def test_a_splitter_that_fails(root: Path) -> None:
    """What a splitter of the user's raises, and what `artifacts` makes that holds no files, is refused."""
    with pytest.raises(InvalidInput, match="Failing cannot split these 60 rows: no row is mine"):
        Study("bad", X, Y, space=SPACE, root=root, cv=Failing())
    with pytest.raises(InvalidInput, match="artifacts must make an `Artifacts`, got 3 for 'bad'"):
        Study("bad", X, Y, space=SPACE, root=root, artifacts=lambda name: 3)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names(root: Path, name: Any) -> None:
    """A name that cannot name a folder is refused."""
    with pytest.raises(InvalidInput) as error:
        Study(name, X, Y, space=SPACE, root=root)
    refused(root, error)


@pytest.mark.parametrize("given", BAD_ROOTS, ids=ascii)
def test_roots(given: Any) -> None:
    """A root that names no folder is refused."""
    with pytest.raises(InvalidInput, match="root must be a path"):
        Study("bad", X, Y, space=SPACE, root=given)


@pytest.mark.parametrize("limits", BAD_LIMITS, ids=str)
def test_limits(root: Path, limits: dict[str, Any]) -> None:
    """A limit that is not a positive number, whole where trials are counted, is refused."""
    with pytest.raises(InvalidInput) as error:
        Study("bad", X, Y, space=SPACE, root=root).run(**limits, quiet=True)
    refused(root, error)


@pytest.mark.parametrize("storage", ["nonsense", "mysql+nodriver://x/y", ""])
def test_storage_urls(root: Path, storage: str) -> None:
    """A storage URL that opens nothing is refused."""
    with pytest.raises(InvalidInput, match="storage"):
        Study("bad", X, Y, space=SPACE, root=root, storage=storage).run(3, quiet=True)


def test_a_good_study_writes_nothing_before_it_runs(root: Path) -> None:
    """Making a study checks everything and touches no file."""
    Study("good", X, Y, space=spaces.linear(), root=root, test=0.2)
    assert not root.exists()


@pytest.mark.slow
def test_the_stored_study_has_other_data(root: Path) -> None:
    """A name whose study has other data is refused before any fit, and the stored study stays as it was."""
    one = Study("one", X, Y, space=spaces.linear(), root=root, tracking=False)
    before = outcomes(one.run(3, quiet=True))
    files = {file for file in root.rglob("*") if file.is_file()}
    with pytest.raises(StudyMismatch, match="same data only"):
        Study("one", X, Y + 1, space=SPACE, root=root, tracking=False).run(5, quiet=True)
    assert outcomes(one.results()) == before
    assert {file for file in root.rglob("*") if file.is_file()} == files


@pytest.mark.parametrize(
    "make",
    [
        lambda: Linear(penalty="l3"),
        lambda: Linear(penalty=3),
        lambda: Linear(lambda_=-1.0),
        lambda: Linear(lambda_="big"),
        lambda: Linear(scale="huge"),
        lambda: Linear(scale=np.ones(3)),
        lambda: Linear(lambda_=LambdaPath(10**9)),
        lambda: LambdaPath(True),
        lambda: MLP(hidden=(10**9,)),
        lambda: MLP(hidden=[4] * 5_000),
        lambda: Linear(penalty=Choice()),
        lambda: Linear(penalty=Choice("l1", "l1")),
        lambda: Linear(lambda_=Float(1, 0)),
        lambda: Linear(lambda_=Float(0, 1, log=True)),
        lambda: Float(1, 2, log=np.ones(3)),  # type: ignore[arg-type]
        lambda: Int(1, 2, log="yes"),  # type: ignore[arg-type]
        lambda: Linear(class_weight=np.ones(3)),
        lambda: Net(class_weight=np.ones((3, 2))),
        lambda: Estimator(Ridge, {"alpha": Float(0, 1)}),
        lambda: Estimator("ridge", {"alpha": Float(0, 1)}),
        lambda: Estimator(Ridge(), {"alfa": Float(0, 1)}),
        lambda: Estimator(Ridge(), None),  # type: ignore[arg-type]
        lambda: Estimator(Ridge(), ["alpha"]),  # type: ignore[arg-type]
    ],
)
def test_spaces(make: Any) -> None:
    """A space that makes no sense cannot be made, and says why in one sentence."""
    with pytest.raises(RegsearchError) as error:
        make()
    assert "\n" not in str(error.value)


# --- numbers that have no squares ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1e300, 1e200, 1e150, 1e-150, 1e-200, 1e-310])
def test_columns_without_squares(size: float) -> None:
    """A column whose squares overflow or vanish is refused by its name, in a table of any kind."""
    scaled = X * np.array([1, size, 1, 1, 1, 1])
    for given, name in (
        (scaled, "1"),
        (sparse.csr_array(scaled), "1"),
        (pd.DataFrame(scaled, columns=list("abcdef")), "'b'"),
    ):
        with pytest.raises(InvalidInput, match=f"The column {name} of X must have numbers whose squares are numbers"):
            make_problem(given, Y)
    assert make_problem(changed(X * size**0.4, (0, 0), np.nan), Y).rows == 60


@pytest.mark.parametrize("size", [1e300, 1e100, 1e-100, 1e-310])
def test_targets_and_weights_without_squares(size: float) -> None:
    """So are numbers to predict, and weights, of which those that are zero are none."""
    with pytest.raises(InvalidInput, match="y must have numbers whose squares"):
        make_problem(X, Y * size)
    with pytest.raises(InvalidInput, match="sample_weight must have numbers whose squares"):
        make_problem(X, Y, sample_weight=np.where(np.arange(60) < 9, 0.0, 1e300 if size > 1 else 1e-300))
    near = 1e60 if size > 1 else 1e-60
    assert make_problem(X, Y * near, sample_weight=np.where(np.arange(60) < 9, 0.0, near)).rows == 60


# --- the command line ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("run picture.png", "A script must be Python"), ("run broken.py", "A script must be Python"),
        ("run folder", "no script"),
        ("report small --root runs --out picture.png/x", "cannot be written"),
        ("list --storage foo", "storage must be a URL"), ("list --root=", "root must be a path"),
        ("ui --port 99999999", "1 to 65535"), ("ui --port 0", "1 to 65535"), ("ui --port x", "1 to 65535"),
        ("show small --root runs --rule=--", "expected one argument"),
        ("show small --root runs --top -3", "from 1 to"), ("show small --root runs --top 0", "from 1 to"),
        ("verify picture.png", "has a config.toml"),
        (f"learn small --root runs --script {'x' * 300}", "The script must be a path"),
    ],
)  # fmt: skip
def test_command_lines(
    tmp_path: Path, line: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever a command is given that it cannot have is one sentence and exit status 2."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\0" + bytes(range(256)))
    (tmp_path / "broken.py").write_text("def f(:\n")
    Study("small", X, Y, space=Linear("l2"), root=tmp_path / "runs", tracking=False, cv=2).run(2, quiet=True)
    try:
        status = main(line.split(" "))
    except SystemExit as end:
        status = int(end.code or 0)
    error = capsys.readouterr().err
    assert status == 2
    assert sum(said in one for one in error.splitlines()) == 1, error
    assert "Traceback" not in error


# --- names that steer ------------------------------------------------------------------------------------------

EVIL = "\x1b[31mred\x07\u202e<script>alert(1)</script>`$x$|](http://x)\nregsearch: fine"


@pytest.mark.slow
def test_names_that_steer(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Names of columns, labels and targets with control characters and markup are shown and kept as text."""
    frame = pd.DataFrame(X, columns=[EVIL, *"bcdef"])
    labels = pd.Series(np.where(Y > 0, EVIL, "other"), name=EVIL)
    study = Study("steer", frame, labels, space=spaces.linear(), root=tmp_path, tracking=False, cv=3)
    study.run(6)
    study.ablate()
    bundle = study.export(tmp_path / "bundle")
    for command in ("show", "list", "report", "compare"):
        names = {"list": [], "compare": ["steer", "steer"], "report": ["steer", "--out", str(tmp_path / "r.html")]}
        main([command, *names.get(command, ["steer"]), "--root", str(tmp_path)])
    printed = "".join(capfd.readouterr())
    page, card = (tmp_path / "r.html").read_text(), (bundle / "README.md").read_text()
    figures = re.findall(r'<script type="text/plain">(.*?)</script>', page)
    drawn = "".join(gzip.decompress(base64.b64decode(one)).decode() for one in figures)
    assert r"\\x1b[31mred" in drawn
    assert not re.search(r"(?<!\\)\\u(001b|0007|202e)", drawn)
    for text in (printed, re.sub("<script.*?</script>", "", page, flags=re.DOTALL), card):
        assert not [letter for letter in "\x1b\x07\u202e" if letter in text]
    assert "\nregsearch: fine" not in printed + card
    words = re.sub(r"(`+).+?\1(?!`)", "", card)  # what is code there is shown as it is
    assert "<script>alert" not in page + words
    assert "](http://x)" not in words
    assert set(load(bundle).predict(frame[:9])) <= {EVIL, "other"}


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: Study("a", X, Y, space=cast(Any, "lasso")), r"got 'lasso'; space=spaces\.linear\(\) searches"),
        (lambda: Study("a", X, Y, space=Ridge()), r"wrap an estimator with what is searched: Estimator\(Ridge\("),
        (lambda: Study("a", X, "price", space=spaces.linear()), r"'price'; pass X\.drop\(columns='price'\)"),
        (lambda: Study("a", X, Y, space=spaces.linear(), test=2), r"or a pair \(X, y\).*got 2\."),
        (lambda: Net(MLP(hidden=(4,)), epochs=5), r"Net\(early_stopping=nn_techniques\.EarlyStopping\(max_epochs=50\)"),
        (lambda: Net(MLP(hidden=(4,)), learning_rate=0.1), "did you mean 'lr'"),
        (lambda: Net(MLP(hidden=(4,)), l1=0.1), r"L1Penalty stands in penalty=.*Net\(penalty='l1'\)"),
    ],
)  # fmt: skip
def test_what_others_call_it_is_answered_with_what_it_is_called_here(made: Any, said: str) -> None:
    """Words of other libraries, and what a first try gets wrong, are refused with what to write."""
    with pytest.raises(InvalidInput, match=said):
        made()


def test_names_that_are_none_are_answered_with_those_that_were_perhaps_meant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the package, of rules, of commands and their options, and of scripts."""
    for name, meant in (("Studdy", "Study"), ("Lasso", "L1")):
        with pytest.raises(AttributeError, match=f"has no attribute '{name}'; did you mean '{meant}'"):
            getattr(regsearch, name)
    assert not hasattr(regsearch, "__wrapped__")
    with pytest.raises(NotFound, match="did you mean 'one_se'"):
        find_rule("1se")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "search.py").write_text("")
    for words, said in (
        (["shw", "a"], "did you mean 'show'"), (["run", "search.py", "--n-trials", "5"], "did you mean '--trials'"),
        (["run", "search"], "did you mean 'search.py'"),
    ):  # fmt: skip
        with contextlib.suppress(SystemExit):
            assert main(words) == 2
        assert said in capsys.readouterr().err
