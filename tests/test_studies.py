"""Studies of the repository that ship more than a space, on a sample of what they read."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from regsearch import Path as LambdaPath
from regsearch import Study

HITTERS = str(Path(__file__).parents[1] / "studies" / "hitters_penalties.py")
NUMBERS = [
    "AtBat", "Hits", "HmRun", "Runs", "RBI", "Walks", "Years", "CAtBat", "CHits", "CHmRun", "CRuns", "CRBI", "CWalks",
    "PutOuts", "Assists", "Errors",
]  # fmt: skip


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of the form of ISLP's Hitters, where Python finds the package."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(40, len(NUMBERS))), columns=NUMBERS)
    for name in ("League", "Division", "NewLeague"):
        table[name] = rng.choice(["A", "N"], 40)
    table["Salary"] = np.exp(table["Hits"] + rng.normal(size=40))
    table.loc[3, "Salary"] = np.nan
    (tmp_path / "ISLP" / "data").mkdir(parents=True)
    (tmp_path / "ISLP" / "__init__.py").write_text("raise ImportError('what ISLP needs is not there')")
    table.to_csv(tmp_path / "ISLP" / "data" / "Hitters.csv", index=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.slow
def test_penalties_side_by_side(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every penalty but two has trials, and those that have one are in the table and the figure, the best first."""
    names = runpy.run_path(HITTERS)
    assert len(names["X"]) == 39
    kinds = {penalty.kind for penalty in names["study"].space.penalty.options}
    assert {"slope", "mcp", "scad", "group_lasso", "fused_lasso", "l0", "relaxed_lasso"} < kinds
    ready = names["study"].replace(tracking=False, root=str(sample / "runs"))
    assert ready.main(["--trials", "4"], then=names["shown"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.partition("penalty   ")[2].splitlines()[1:-1]]
    scores = [float(row[1]) for row in rows]
    assert {row[0] for row in rows} <= kinds
    assert len(rows) > 1
    assert scores == sorted(scores, reverse=True)
    assert (ready.results().store.folder / "report" / "hitters_penalties.png").read_bytes().startswith(b"\x89PNG")


def test_a_study_says_what_data_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the table of ISLP the study says how to get it."""
    monkeypatch.setattr(sys, "path", [part for part in sys.path if not (Path(part) / "ISLP").exists()])
    with pytest.raises(SystemExit, match="pip install --no-deps islp"):
        runpy.run_path(HITTERS)


COCKTAIL = str(Path(__file__).parents[1] / "studies" / "cocktail_tabular.py")


@pytest.mark.slow
def test_a_cocktail_and_what_mattered_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The study of the cocktail ends with the winner without each of its techniques, and has not what is left out."""
    from regsearch import spaces

    names = runpy.run_path(COCKTAIL)
    small: Any = {"hidden": (8, 8), "first": 1, "cycles": 2}
    ready = names["study"].replace(tracking=False, cv=3, space=spaces.cocktail(**small, without=["skip"]))
    monkeypatch.setattr(sys, "argv", [COCKTAIL, "--trials", "4", "--root", str(tmp_path)])
    monkeypatch.setitem(names["main"].__globals__, "study", ready)
    assert names["main"]() == 0
    said = capsys.readouterr().out
    assert "without" in said
    assert "skip" not in said


TEXT = str(Path(__file__).parents[1] / "studies" / "text_sparse.py")


@pytest.mark.slow
def test_words_that_give_a_module_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The study of text names a few words of each module, none of which is the module's own name, and draws them."""
    names = runpy.run_path(TEXT)
    table = names["table"].groupby("module").head(12).reset_index(drop=True)
    table = table[table["module"].isin(["integrate", "linalg", "signal"])]
    small = names["study"]._with("text", table[["text"]], table["module"], tracking=False)
    small = small.replace(space=small.space.replace(lambda_=LambdaPath(4)))
    small = small.replace(root=str(tmp_path / "runs"))
    monkeypatch.setitem(names["shown"].__globals__, "study", small)
    assert small.main(["--trials", "2"], then=names["shown"]) == 0
    said = capsys.readouterr().out
    found = {line.split()[0]: line.split(maxsplit=1)[1].split(", ") for line in said.splitlines()[-5:-2]}
    assert set(found) == {"integrate", "linalg", "signal"}
    assert not {word for several in found.values() for word in several} & {"scipy", *found}
    assert (small.results().store.folder / "report" / "text_sparse.png").read_bytes().startswith(b"\x89PNG")


SURVIVAL = str(Path(__file__).parents[1] / "studies" / "survival_cox.py")


@pytest.mark.slow
def test_columns_that_change_a_hazard_are_told_from_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The study of simulated patients finds the columns that matter, and draws how thirds of predicted hazard fare."""
    names = runpy.run_path(SURVIVAL)
    space = names["study"].space.replace(lambda_=LambdaPath(15))
    ready = names["study"].replace(tracking=False, cv=3, root=str(tmp_path / "runs"), space=space)
    assert ready.main(["--trials", "2"], then=names["shown"]) == 0
    assert f"columns that matter {names['TRUE']} are kept" in capsys.readouterr().out
    assert (ready.results().store.folder / "report" / "survival_cox.png").read_bytes().startswith(b"\x89PNG")


def test_survival_is_the_share_that_is_left_among_those_at_risk() -> None:
    """Of five patients, two of whom leave before they have an event: an estimate worked out by hand."""
    time, event = np.array([1.0, 2.0, 2.0, 3.0, 4.0]), np.array([True, True, False, False, True])
    times, share = runpy.run_path(SURVIVAL)["surviving"](time, event)
    np.testing.assert_array_equal(times, [0, 1, 2, 4])
    np.testing.assert_allclose(share, [1, 4 / 5, 4 / 5 * 3 / 4, 0])


LOOPS = [str(Path(__file__).parents[1] / "studies" / f"own_loop_{kind}.py") for kind in ("torch", "lightning")]


@pytest.mark.slow(of="loops")
@pytest.mark.parametrize("script", LOOPS, ids=lambda script: Path(script).stem)
def test_loops_of_ones_own(script: str, tmp_path: Path) -> None:
    """The loop of a study learns: the best of a few short trials is better than a constant; what it fits predicts."""
    ready = runpy.run_path(script)
    rows, X, y = np.arange(0, len(ready["X"]), 4), ready["X"], ready["y"]
    space = ready["study"].space.replace(epochs=6)
    small = Study("small", X[rows], y[rows], space=space, cv=2, tracking=False, root=tmp_path)
    chosen = small.run(3, quiet=True).choose()
    constant = -np.log(10) if y.dtype.kind == "i" else -np.std(y[rows])
    assert chosen.score > constant
    assert len(chosen.config.refit(small.problem, 0).predict(X[rows])) == len(rows)
