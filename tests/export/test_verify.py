"""Verification: a bundle that is and does what was exported holds; anything else is named."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from samples import ROOT, regression, study
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, LeaveOneOut, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from regsearch import (
    MLP,
    Choice,
    Estimator,
    Float,
    InvalidInput,
    Linear,
    Net,
    NotFound,
    Study,
    load,
    load_config,
    spaces,
)
from regsearch import nn_techniques as t
from regsearch.cli import main
from regsearch.cli.stored import study_of
from regsearch.data.problem import make_problem
from regsearch.export import verify as verify_module
from regsearch.export.bundle import open_bundle
from regsearch.export.bundle.files import CONFIG, EXAMPLE, MODEL, PROVENANCE, sha256
from regsearch.export.bundle.tables import read_table
from regsearch.export.retrain import retrain
from regsearch.export.verify import Evidence, Verdict, verify
from regsearch.results.rules import Pick
from regsearch.space.tree import Node


def frame() -> tuple[pd.DataFrame, Any]:
    X, y = regression()
    table = pd.DataFrame(X[:, :3], columns=["a", "b", "c"])
    table["kind"] = pd.Categorical(np.array(["x", "y", "z"])[np.arange(60) % 3])
    table["flag"] = X[:, 4] > 0
    table["count"] = np.arange(60)
    table.loc[::7, "a"] = np.nan
    return table, y


def of(verdict: Verdict) -> dict[str, bool | None]:
    return {check.name: check.holds for check in verdict.checks}


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Study:
    one = study(tmp_path_factory.mktemp("verify"), data=frame(), space=spaces.linear())
    one.run(8, quiet=True)
    return one


@pytest.fixture(scope="module")
def exported(searched: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return searched.export(tmp_path_factory.mktemp("exported") / "bundle", "one_se")


EVERYTHING = dict.fromkeys(["files", "versions", "example", "config", "data", "folds", "score"], True)


@pytest.mark.slow
def test_from_a_file(searched: Study, bundle: Path, tmp_path: Path) -> None:
    """The data come back from a CSV file, columns in any order, to the fingerprint; so do folds and score."""
    X, y = frame()
    X.assign(target=y)[["kind", "target", "c", "a", "flag", "count", "b"]].to_csv(tmp_path / "data.csv", index=False)
    rows, target, _ = read_table(tmp_path / "data.csv", "target", load(bundle).form)
    problem = make_problem(rows, target.to_numpy(), task="regression")
    assert problem.fingerprint == searched.problem.fingerprint
    verdict = verify(bundle, Evidence(problem))
    assert of(verdict) == EVERYTHING
    assert verdict.holds
    assert "to the bit" in str(verdict)


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["best", "one_se"])
def test_an_estimator(tmp_path: Path, rule: str) -> None:
    """The score of an estimator's study is found again too, on the folds of a splitter that the evidence brings."""
    space = Estimator(make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": Float(0.1, 10.0, log=True)})
    one = study(tmp_path, space=space, cv=KFold(3, shuffle=True, random_state=5))
    one.run(4, quiet=True)
    folder = one.export(tmp_path / "bundle", rule)
    assert of(verify(folder, Evidence(one.problem, one.folds, one.setup.metrics[0]))) == EVERYTHING
    unshuffled = of(verify(folder, Evidence(one.problem)))
    assert unshuffled["folds"] is False


@pytest.mark.slow
def test_a_net(tmp_path: Path) -> None:
    """A net's score is found again by training it as the search did."""
    X, y = regression()
    space = Net(MLP(hidden=(4,)), dropout=Float(0, 0.5), early_stopping=t.EarlyStopping(max_epochs=3))
    one = study(tmp_path, data=(X, y > 0), space=space)
    one.run(2, quiet=True)
    assert of(verify(one.export(tmp_path / "bundle"), Evidence(one.problem))) == EVERYTHING


def test_without_data(bundle: Path) -> None:
    """Without the data the score is not checked, and the verdict says how it can be."""
    verdict = verify(bundle)
    assert of(verdict) == {"files": True, "versions": True, "example": True, "config": True, "score": None}
    assert verdict.holds
    assert "--data" in str(verdict)


def test_other_data(bundle: Path) -> None:
    """Other data are told by their fingerprint, and so is a score that is not what it was."""
    X, y = frame()
    verdict = verify(bundle, Evidence(make_problem(X, -(np.asarray(y) ** 2))))
    assert (of(verdict)["data"], of(verdict)["folds"], of(verdict)["score"]) == (False, True, False)
    assert not verdict.holds
    assert "data or folds are not the same" in str(verdict)
    fewer = verify(bundle, Evidence(make_problem(X[:50], y[:50])))
    assert "50 rows and 6 columns now, 60 and 6 at export" in str(fewer)


def test_a_changed_file(bundle: Path) -> None:
    """A changed file fails by its name, and nothing of it is loaded."""
    (bundle / MODEL).write_bytes((bundle / MODEL).read_bytes()[:-10])
    verdict = verify(bundle)
    assert (of(verdict)["files"], of(verdict)["example"]) == (False, None)
    assert f"{MODEL} is damaged" in str(verdict)


def test_an_example_that_is_not_reproduced(bundle: Path) -> None:
    """Stored predictions that the model does not give fail, even where all hashes fit."""
    stored = json.loads((bundle / EXAMPLE).read_text())
    stored["predict"][0] += 1
    (bundle / EXAMPLE).write_text(json.dumps(stored))
    said = json.loads((bundle / PROVENANCE).read_text())
    said["files"][EXAMPLE] = sha256(bundle / EXAMPLE)
    (bundle / PROVENANCE).write_text(json.dumps(said))
    verdict = verify(bundle)
    assert (of(verdict)["files"], of(verdict)["example"]) == (True, False)
    assert "otherwise" in str(verdict)


@pytest.mark.slow
@pytest.mark.parametrize(
    "space", [spaces.linear(), Estimator(Ridge(), {"alpha": Float(0.1, 1.0)})], ids=["path", "own"]
)
def test_a_config_that_was_edited(space: Any, tmp_path: Path) -> None:
    """A config that is not what was searched fails by what was edited, even where its hash fits."""
    one = study(tmp_path, space=space)
    one.run(4, quiet=True)
    folder = one.export(tmp_path / "bundle")
    text = (folder / CONFIG).read_text()
    assert of(verify(folder))["config"] is True
    key = "lambda" if "lambda = " in text else "alpha"
    (folder / CONFIG).write_text(re.sub(rf"{key} = \S+", f"{key} = 0.123", text))
    said = json.loads((folder / PROVENANCE).read_text())
    said["files"][CONFIG] = sha256(folder / CONFIG)
    (folder / PROVENANCE).write_text(json.dumps(said))
    verdict = verify(folder)
    assert (of(verdict)["example"], of(verdict)["config"]) == (True, False)
    assert "config.toml was edited" in str(verdict)


@pytest.mark.slow
def test_a_scorer_of_ones_own(tmp_path: Path) -> None:
    """A score that only the user's own scorer can give is not checked without it, and the verdict says who has it."""
    one = study(tmp_path, space=Linear("l2"), scoring={"mine": own_score})
    one.run(2, quiet=True)
    folder = one.export(tmp_path / "bundle")
    verdict = verify(folder, Evidence(one.problem))
    assert (of(verdict)["score"], verdict.holds) == (None, True)
    assert "mine is no scorer of scikit-learn's; pass --script FILE" in str(verdict)


def own_score(model: Any, X: Any, y: Any) -> float:
    return -float(np.abs(model.predict(X) - y).max())


def test_other_versions_are_named(bundle: Path) -> None:
    """A package of another version is named, and is no fault by itself."""
    said = json.loads((bundle / PROVENANCE).read_text())
    said["versions"] |= {"numpy": "0.1", "gone": "2.0"}
    (bundle / PROVENANCE).write_text(json.dumps(said))
    verdict = verify(bundle)
    assert verdict.holds
    assert f"numpy 0.1 then, {np.__version__} now; gone 2.0 then, none now" in str(verdict)


def test_folds_of_an_unknown_splitter(bundle: Path) -> None:
    """Folds that cannot be made again are not checked, nor is the score."""
    said = json.loads((bundle / PROVENANCE).read_text())
    said["folds"]["cv"] = "MySplitter"
    (bundle / PROVENANCE).write_text(json.dumps(said))
    verdict = verify(bundle, Evidence(make_problem(*frame())))
    assert (of(verdict)["folds"], of(verdict)["score"]) == (None, None)
    assert "MySplitter" in str(verdict)


def test_types_that_are_not_trusted(tmp_path: Path) -> None:
    """A model of types that nobody was told to trust is not loaded, and they are named; trusted, it holds."""
    one = study(tmp_path, space=Estimator(DecisionTreeRegressor(), {"max_depth": Choice(1, 2)}))
    one.run(3, quiet=True)
    folder = one.export(tmp_path / "bundle")
    assert "pass --trust sklearn.tree._tree.Tree" in str(verify(folder))
    assert of(verify(folder))["example"] is None
    assert of(verify(folder, trusted=open_bundle(folder).trusted))["example"] is True
    assert verify(folder, trusted=open_bundle(folder).trusted).holds


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("folder", [".", "bundle"])
def test_code_beside_a_bundle_is_not_run(bundle: Path, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that someone put into a bundle is not imported when the bundle is verified, not even from inside it."""
    run = bundle.parent / "run"
    (bundle / "skops.py").write_text(f"open({str(run)!r}, 'w')")
    monkeypatch.chdir(bundle if folder == "." else bundle.parent)
    assert verify(folder).holds
    assert not run.exists()


def test_a_process_that_takes_too_long(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that a clean process cannot load in time fails the example, in a sentence."""
    monkeypatch.setattr(verify_module, "TIMEOUT_S", 0.001)
    assert "took longer than 0.001 s" in str(verify(bundle))
    assert of(verify(bundle))["example"] is False


@pytest.mark.slow
def test_what_is_imported_may_print(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words that a package prints on import do not hide what the clean process found."""
    (tmp_path / "talkative").mkdir()
    (tmp_path / "talkative" / "sitecustomize.py").write_text("print('welcome')")
    monkeypatch.syspath_prepend(str(tmp_path / "talkative"))
    assert verify(bundle).holds


def test_data_files_that_are_none(bundle: Path, tmp_path: Path) -> None:
    """A data file that is missing, lacks the target, or lacks columns is refused in one sentence."""
    form = load(bundle).form
    with pytest.raises(NotFound, match="no data file"):
        read_table(tmp_path / "absent.csv", "y", form)
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InvalidInput, match="no column 'y'; it has a, b"):
        read_table(tmp_path / "data.csv", "y", form)
    with pytest.raises(InvalidInput, match="missing"):
        read_table(tmp_path / "data.csv", "b", form)
    (tmp_path / "data.csv").write_text("")
    with pytest.raises(InvalidInput, match="must be a CSV file"):
        read_table(tmp_path / "data.csv", "y", form)


@pytest.mark.slow
def test_the_commands(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command line verifies with exit status 0, or 1 where something fails, and retrains to a bundle that holds."""
    X, y = frame()
    file, new = tmp_path / "data.csv", tmp_path / "new"
    X.assign(target=y, other="unknown to the study").to_csv(file, index=False)
    data = ["--data", str(file), "--target", "target"]
    with pytest.warns(UserWarning, match="Columns that training did not have are ignored: 'other'"):
        assert main(["verify", str(bundle), *data]) == 0
    assert "The bundle holds." in capsys.readouterr().out
    X.assign(target=y).to_csv(file, index=False)
    assert main(["retrain", str(bundle), *data, "--out", str(new), "--cv", "4"]) == 0
    assert f"Written to {new}" in capsys.readouterr().out
    assert open_bundle(new).provenance["folds"]["count"] == 4
    assert main(["verify", str(new), "--data", str(file)]) == 0, "the target is called as it was"
    (bundle / MODEL).write_bytes(b"")
    assert main(["verify", str(bundle)]) == 1
    assert "does NOT hold" in capsys.readouterr().out
    assert main(["verify", str(bundle), "--data", str(file)]) == 2
    assert "no --target" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("scored", [True, False])
def test_the_commands_weigh_rows(scored: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A column of the file weighs rows in fits, and in scores where the study's did: then the bundle holds."""
    X, y = frame()
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    one = study(tmp_path, data=(X, y), sample_weight=weight, **({} if scored else {"score_weight": None}))
    one.run(3, quiet=True)
    folder, file = one.export(tmp_path / "bundle"), tmp_path / "data.csv"
    X.assign(target=y, w=weight).to_csv(file, index=False)
    data = ["--data", str(file), "--target", "target"]
    assert main(["verify", str(folder), *data, "--weights", "w"]) == 0
    label = "(weighted)" if scored else one.setup.metrics[0].name
    assert label in capsys.readouterr().out
    assert main(["retrain", str(folder), *data, "--weights", "w", "--out", str(tmp_path / "new")]) == 0
    out = capsys.readouterr().out
    assert label in out.splitlines()[0]
    assert "rows weigh in" not in out
    forgotten = ["retrain", str(folder), *data, "--out", str(tmp_path / "plain")]
    if scored:
        assert main(forgotten) == 2
        assert "got no --weights; name the column" in capsys.readouterr().err
    else:
        with pytest.warns(UserWarning, match="are ignored: 'w'; --weights names one that weighs rows"):
            main(forgotten)
    old, new = (open_bundle(one).provenance["score"] for one in (folder, tmp_path / "new"))
    assert new["val"] == pytest.approx(old["val"], rel=1e-4)
    plain = study(tmp_path / "unweighted", data=(X, y), score_weight=weight if scored else None).run(3, quiet=True)
    assert abs(plain.best.score - old["val"]) > 1e-3 * abs(old["val"])  # so weights of fits tell
    for wrong, said in (("v", "has no column 'v'"), ("target", "got 'target' for both")):
        assert main(["verify", str(folder), *data, "--weights", wrong]) == 2
        assert said in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("cv", [3, TimeSeriesSplit(3)], ids=str)
def test_held_out_rows_are_held_out_again(cv: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of all rows of a study that drew its test set holds, and so do the rows that were searched, alone."""
    X, y = frame()
    one = study(tmp_path, data=(X, y), cv=cv, test=0.25, seed=4)
    one.run(3, quiet=True)
    folder = one.export(tmp_path / "bundle")
    X.assign(target=y).to_csv(tmp_path / "all.csv", index=False)
    assert main(["verify", str(folder), "--data", str(tmp_path / "all.csv"), "--target", "target"]) == 0
    assert "15 of 60 rows held out again" in capsys.readouterr().out
    searched = make_problem(one.problem.X, one.problem.y)
    assert of(verify(folder, Evidence(searched))) == EVERYTHING
    assert "all 60 rows of the study, of which it holds out 15 again" in (folder / "README.md").read_text()
    assert of(verify(folder, Evidence(make_problem(X[:59], y[:59]))))["data"] is False


@pytest.mark.slow
def test_a_given_test_set(tmp_path: Path) -> None:
    """Beside a given test set the rows that were searched hold; all rows fail, and it is said what to pass."""
    X, y = frame()
    one = study(tmp_path, data=(X[:45], y[:45]), test=(X[45:], y[45:]))
    one.run(3, quiet=True)
    folder = one.export(tmp_path / "bundle")
    assert of(verify(folder, Evidence(make_problem(X[:45], y[:45])))) == EVERYTHING
    everything = verify(folder, Evidence(make_problem(X, y)))
    assert of(everything)["data"] is False
    assert "60 rows and 6 columns now, 45 and 6 at export" in str(everything)
    assert "pass the 45 that it searched, or --script FILE" in str(everything)


@pytest.mark.slow
def test_a_script_is_evidence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A script brings data, folds of its own splitter and a scorer of its own."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT / 'tests')!r})\n"
        "from samples import ROOT, study\n"
        "from sklearn.model_selection import ShuffleSplit\n"
        f"one = study({str(tmp_path / 'root')!r}, cv=ShuffleSplit(3, random_state=1))\n"
    )
    one = study_of(str(script), None)
    one.run(3, quiet=True)
    folder = one.export(tmp_path / "bundle")
    assert main(["verify", str(folder), "--script", str(script)]) == 0
    assert "not checked" not in capsys.readouterr().out


OWN = """
import torch
from sklearn.datasets import load_diabetes
from regsearch import Float, Net, Study, nn_techniques as t
def own():
    return torch.nn.Linear(3, 1)
X, y = load_diabetes(return_X_y=True)
study = Study("own", X[:60, :3], y[:60], space=Net(own, weight_decay=Float(0, 1), early_stopping=t.EarlyStopping(3)),
              cv=3, root={root!r}, tracking=False)
"""


@pytest.mark.slow
def test_a_module_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The bundle of a net of one's own is not blamed for a module that it cannot bring: with the script all holds."""
    script = tmp_path / "own.py"
    script.write_text(OWN.format(root=str(tmp_path)))
    one = study_of(str(script), None)
    one.run(2, quiet=True)
    folder = str(one.export(tmp_path / "bundle"))
    assert main(["verify", folder]) == 0
    said = capsys.readouterr().out
    assert "made by own.own; pass --script FILE" in said
    assert main(["verify", folder, "--script", str(script)]) == 0
    said = capsys.readouterr().out
    assert "not checked" not in said
    assert "predicts the 5 stored rows to the bit" in said


@pytest.mark.slow
def test_a_penalty_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing has defined a penalty that was searched, the config is not checked and not blamed, and who must
    bring it is said, to `load_config` too; a name that the config alone has is blamed."""
    defined = dict(Node.registry)
    monkeypatch.setattr(Node, "registry", defined)
    of_own = t.function_penalty(lambda w: w.square().sum(), Float(1e-4, 1e-2, log=True))
    X, y = regression()
    one = study(tmp_path, data=(X, y), space=Net(MLP((4,)), penalty=of_own, early_stopping=t.EarlyStopping(3)))
    penalised = next(trial.number for trial in one.run(2, quiet=True).all if trial.params["penalty"] != "none")
    folder, evidence = one.export(tmp_path / "bundle", penalised), Evidence(one.problem)
    assert of(verify(folder, evidence)) == EVERYTHING
    monkeypatch.setattr(Node, "registry", {tag: cls for tag, cls in defined.items() if cls is not type(of_own)})
    verdict = verify(folder, evidence)
    assert of(verdict) == EVERYTHING | {"config": None, "score": None}
    said = rf"has {type(of_own).tag()}, which regsearch \S+ does not: your own code defines it. Pass --script FILE"
    assert re.search(said, str(verdict))
    with pytest.raises(InvalidInput, match=said):
        load_config(folder)
    monkeypatch.setattr(Node, "registry", defined)
    (folder / CONFIG).write_text((folder / CONFIG).read_text().replace(type(of_own).tag(), "net.l3"))
    made = json.loads((folder / PROVENANCE).read_text())
    made["files"][CONFIG] = sha256(folder / CONFIG)
    (folder / PROVENANCE).write_text(json.dumps(made))
    assert of(verify(folder))["config"] is False


@pytest.mark.slow
def test_a_setting_that_is_none(tmp_path: Path) -> None:
    """A parameter that is None, which TOML has no word for, is no edit."""
    one = study(tmp_path, space=Estimator(DecisionTreeRegressor(), {"max_depth": Choice(1, 2)}))
    results = one.run(3, quiet=True)
    chosen = results.choose(lambda results: Pick(results.reference.number, results.reference.step, "as it is"))
    assert chosen.config.fields()["params"]["max_depth"] is None
    folder = one.export(tmp_path / "bundle", rule=chosen)
    assert of(verify(folder, trusted=open_bundle(folder).trusted))["config"] is True


UNEVEN = [(np.setdiff1d(np.arange(60), part), part) for part in np.split(np.arange(60), [6, 20])]
HOW: dict[str, dict[str, Any]] = {
    "folds by size": {"cv": UNEVEN, "fold_weights": "size"},
    "pooled": {"scoring": "r2", "pooled": True},
    "pooled by itself": {"scoring": "r2", "cv": LeaveOneOut()},
    "scores unweighted": {"sample_weight": 1.0 + np.arange(60) % 3, "score_weight": None},
    "scores weighted apart": {"score_weight": np.arange(60) % 2},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", HOW)
def test_the_score_is_made_as_it_was(kind: str, tmp_path: Path) -> None:
    """However folds, rows and predictions count in the score of a study, its bundle and a retraining keep it."""
    X, y = regression(60)
    options: dict[str, Any] = {"cv": 3} | HOW[kind]
    one = study(tmp_path, data=(X, y), **options)
    one.run(2, quiet=True)
    folder = one.export(tmp_path / "bundle")
    assert verify(folder, Evidence(one.problem, one.folds, one.setup.metrics[0])).holds
    assert verify(folder, Evidence(one.problem, one.folds)).holds
    weights = {name: options[name] for name in ("sample_weight", "score_weight") if name in options}
    found = retrain(folder, X, y, tmp_path / "new", cv=options["cv"], **weights)
    assert np.isclose(found.new["val"], found.old["val"], rtol=1e-3)
    assert all(found.new[name] == found.old[name] for name in ("weighted", "pooled"))
    assert verify(found.folder, Evidence(one.problem, one.folds)).holds


@pytest.mark.slow
def test_rows_that_weigh_in_one_score_alone(tmp_path: Path) -> None:
    """A retraining whose score has other weights says so, and calls its score weighted where it is."""
    X, y = regression(60)
    weight = 1.0 + np.arange(60) % 3
    one = study(tmp_path, data=(X, y), sample_weight=weight)
    one.run(2, quiet=True)
    folder = one.export(tmp_path / "bundle")
    plain = retrain(folder, X, y, tmp_path / "plain")
    again = retrain(folder, X, y, tmp_path / "again", sample_weight=weight)
    assert "weigh in the old score, and not in the new one" in str(plain)
    assert "(weighted)" not in str(plain).splitlines()[0]
    assert "weigh in" not in str(again)
    assert "(weighted)" in str(again).splitlines()[0]
