"""A bundle's config on new data, and as the start of another study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from samples import regression, study
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold

from regsearch import MLP, Choice, ElasticNet, Estimator, Float, InvalidInput, Linear, Net, Study, load, spaces
from regsearch import nn_techniques as t
from regsearch.data.problem import make_problem
from regsearch.export.bundle import load_config, open_bundle
from regsearch.export.retrain import retrain
from regsearch.export.verify import TOLERANCE, Evidence, verify
from regsearch.results.rules import Pick
from regsearch.space.starts import initial_params

SPACE = Linear(penalty=Choice("l1", ElasticNet(Float(0.1, 0.9))), scale=Choice("standard", "none"))


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Study:
    one = study(tmp_path_factory.mktemp("retrain"), space=SPACE)
    one.run(8, quiet=True)
    return one


@pytest.mark.slow
def test_the_same_data(searched: Study, bundle: Path, tmp_path: Path) -> None:
    """On the old data, a retraining gives the old model, and the old score but for what a path's solver leaves."""
    X, y = regression()
    found = retrain(bundle, X, y, tmp_path / "again")
    np.testing.assert_array_equal(load(found.folder).predict(X), load(bundle).predict(X))
    assert np.isclose(found.new["val"], found.old["val"], rtol=TOLERANCE / 10)
    assert open_bundle(found.folder).provenance["folds"] == open_bundle(bundle).provenance["folds"]


def test_new_data(bundle: Path, tmp_path: Path) -> None:
    """The new bundle has the old config, the new data's score and gap beside the old ones, and holds by itself."""
    X, y = regression(90, seed=3)
    found = retrain(bundle, X, y, tmp_path / "new")
    problem = make_problem(X, y)
    assert load_config(found.folder).config == load_config(bundle).config
    np.testing.assert_array_equal(
        load(found.folder).predict(X), load_config(bundle).config.refit(problem, 0).predict(X)
    )
    made, old = open_bundle(found.folder).provenance, open_bundle(bundle).provenance
    assert made["data"]["fingerprint"] == problem.fingerprint
    assert made["retrained"]["score"] == old["score"] == found.old
    assert np.isclose(found.new["gap"], found.new["train"] - found.new["val"])
    assert all(f"{value:.5g}" in str(found) for value in (found.old["val"], found.new["val"], found.new["gap"]))
    assert verify(found.folder, Evidence(problem)).holds


def test_what_the_score_owes(bundle: Path, tmp_path: Path) -> None:
    """The card says that the data are those of the search where they are, after a detour over others too."""
    old, new = regression(), regression(90, seed=3)
    again, other = retrain(bundle, *old, tmp_path / "again"), retrain(bundle, *new, tmp_path / "other")
    back = retrain(other.folder, *old, tmp_path / "back")
    for found, searched, same in ((again, True, True), (other, False, False), (back, True, False)):
        assert ("on these very data" in found.notes[0], found.same) == (searched, same)
        assert ("it flatters" in found.notes[0]) == searched
        card = (found.folder / "README.md").read_text()
        assert found.notes[0] in card
        assert found.notes[0] in str(found)
        assert len(found.notes) == 1


@pytest.mark.slow
def test_all_rows_of_a_study_that_held_some_out(tmp_path: Path) -> None:
    """Given all rows, of which the study held some out, it is said how many of them were searched."""
    X, y = regression()
    one = study(tmp_path, space=SPACE, test=0.2)
    one.run(2, quiet=True)
    found = retrain(one.export(tmp_path / "bundle"), X, y, tmp_path / "new")
    assert found.notes == ("The config was searched on 48 of these 60 rows, so the score still flatters.",)
    assert not found.same


def test_the_error_of_a_change(bundle: Path, tmp_path: Path) -> None:
    """Errors of two sets of folds add up as those of independent numbers; on the same data a change has none."""
    found = retrain(bundle, *regression(90, seed=3), tmp_path / "new")
    for name in ("val", "gap"):
        change, se = found.change(name)
        assert np.isclose(change, found.new[name] - found.old[name])
        assert np.isclose(se**2, found.new[f"{name}_se"] ** 2 + found.old[f"{name}_se"] ** 2)
        assert f"{change:+.3g} ± {se:.2g}" in str(found)
    assert np.isnan(found.change("train")[1])
    assert np.isnan(retrain(bundle, *regression(), tmp_path / "same").change("val")[1])


@pytest.mark.slow
def test_other_labels(tmp_path: Path) -> None:
    """Labels by other names are refused before anything is fitted or written."""
    X, y = regression()
    words = np.where(y > 0, "up", "down")
    one = study(tmp_path, data=(X, words), space=Linear("l2"))
    one.run(2, quiet=True)
    bundle = one.export(tmp_path / "bundle")
    with pytest.raises(InvalidInput, match=r"\['down', 'up'\], got \[0, 1\]; relabel"):
        retrain(bundle, X, (y > 0).astype(int), tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert retrain(bundle, X[10:], words[10:], tmp_path / "new").folder.exists()


def test_a_column_without_values(bundle: Path, tmp_path: Path) -> None:
    """A column in which everything is missing is named, by what is returned and on the card; one with gaps is not."""
    X, y = regression()
    X[:, 4] = np.nan
    X[::2, 5] = np.nan
    found = retrain(bundle, X, y, tmp_path / "new")
    assert found.notes[1] == "Warning: without any value, so nothing was learned from: x4."
    assert found.notes[1] in (found.folder / "README.md").read_text()


def test_other_columns_are_named(bundle: Path, tmp_path: Path) -> None:
    """Columns that are missing, new or of another kind are named, by what is returned and on the card."""
    X, y = regression()
    table = pd.DataFrame(X[:, :3], columns=list("abc"))
    one = study(tmp_path, data=(table, y), space=Linear("l2"))
    one.run(1, quiet=True)
    old = one.export(tmp_path / "old")
    coarse = table.assign(a=np.where(table["a"] > 0, "up", "down")).astype({"a": "category"})
    found = retrain(old, coarse[["c", "a"]].assign(id=np.arange(len(y))), y, tmp_path / "new")
    which = "without 'b'; with 'id'; 'a' is category, and was numeric."
    said = f"Warning: the columns are not those of the old bundle: {which}"
    assert said in found.notes
    assert said in (found.folder / "README.md").read_text()
    assert "shape (5,)" in " ".join(retrain(bundle, X[:, :5], y, tmp_path / "array").notes)
    assert not any("columns" in note for note in retrain(old, table[["c", "b", "a"]], y, tmp_path / "order").notes)


@pytest.mark.slow
@pytest.mark.parametrize("cv", [3, GroupKFold(3)], ids=str)
def test_groups_are_not_forgotten(cv: Any, tmp_path: Path) -> None:
    """A bundle whose folds kept groups together is not judged by folds that tear them apart, unless that is asked."""
    (X, y), groups = regression(), np.repeat(np.arange(6), 10)
    one = study(tmp_path, data=(X, y), space=SPACE, groups=groups, cv=cv)
    one.run(2, quiet=True)
    bundle = one.export(tmp_path / "bundle")
    with pytest.raises(InvalidInput, match=r"kept groups together .*GroupKFold.*pass groups"):
        retrain(bundle, X, y, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert {check.holds for check in verify(bundle, Evidence(make_problem(X, y))).checks if check.name != "data"} == {
        True, None
    }  # fmt: skip
    again = retrain(bundle, X, y, tmp_path / "new", groups=groups)
    assert np.isclose(again.new["val"], again.old["val"], rtol=1e-3)
    assert open_bundle(retrain(bundle, X, y, tmp_path / "new", cv=3).folder).provenance["folds"]["cv"] == "3-fold KFold"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["net", "estimator"])
def test_other_families(kind: str, tmp_path: Path) -> None:
    """Nets and estimators are retrained as linear models are."""
    X, y = regression()
    net = Net(MLP(hidden=(4,)), dropout=Float(0, 0.5), early_stopping=t.EarlyStopping(max_epochs=3))
    space = net if kind == "net" else Estimator(Ridge(), {"alpha": Float(0.1, 10.0, log=True)})
    one = study(tmp_path, data=(X, y), space=space)
    one.run(2, quiet=True)
    X, y = regression(80, seed=3)
    found = retrain(one.export(tmp_path / "bundle"), X, y, tmp_path / "new")
    assert verify(found.folder, Evidence(make_problem(X, y))).holds
    assert load(found.folder).predict(X).shape == (80,)


def test_nothing_is_half_written(bundle: Path, tmp_path: Path) -> None:
    """Data that cannot be searched, or a folder that holds something else, leave everything as it is."""
    X, y = regression()
    with pytest.raises(InvalidInput, match="y must vary"):
        retrain(bundle, X, np.zeros(60), tmp_path / "new")
    assert not (tmp_path / "new").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    with pytest.raises(InvalidInput, match="new or empty folder"):
        retrain(bundle, X, y, tmp_path / "mine")
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["file"]


def test_a_study_starts_from_a_bundle(searched: Study, bundle: Path, tmp_path: Path) -> None:
    """The first trial after the reference is the bundle's config, and a resumed study does not try it again."""
    best = searched.results().best
    one = study(tmp_path / "root", space=SPACE, start_from=bundle)
    one.run(3, quiet=True)
    results = one.run(6, quiet=True)
    roles = [trial.role for trial in results.all]
    assert roles[:2] == ["reference", "start"]
    begun = [trial.draws for trial in results.all if trial.role == "start"][1:]
    assert begun == [params for params in initial_params(SPACE) if params != results.all[1].draws][: len(begun)]
    trials = {trial.number: trial for trial in searched.results().all}
    assert results.all[1].config == trials[best.number].config
    assert results.all[1].value == best.value
    assert roles.count("reference") == 1


@pytest.mark.slow
@pytest.mark.parametrize("family", ["linear", "net"])
def test_a_study_starts_from_its_own_reference(family: str, tmp_path: Path) -> None:
    """Where the reference won, another search of the space begins with it as ever."""
    space: Any = Linear(Choice("l1", "l2"), lambda_=Float(1e3, 1e4))  # so strong that none is better
    if family == "net":
        space = Net(MLP(hidden=(4,)), weight_decay=Float(0, 0.5), early_stopping=t.EarlyStopping(max_epochs=2))
    one = study(tmp_path / "one", space=space)
    one.run(2, quiet=True)
    results = one.results()
    chosen = results.choose(lambda results: Pick(results.reference.number, results.reference.step, "as it is"))
    folder = one.export(tmp_path / "bundle", rule=chosen)
    again = study(tmp_path / "two", space=space, start_from=folder).run(2, quiet=True)
    assert again.all[0].role == "reference"
    assert again.all[0].config == results.reference.config


@pytest.mark.slow
def test_an_own_net_without_dropout(tmp_path: Path) -> None:
    """The reference of a module without dropout layers is verified and retrained like any other choice."""
    X, y = regression()
    space = Net(plain_net, weight_decay=Float(0, 0.5), early_stopping=t.EarlyStopping(max_epochs=2))
    one = study(tmp_path / "one", data=(X, y), space=space)
    one.run(1, quiet=True)
    folder = one.export(tmp_path / "bundle")
    assert verify(folder, Evidence(make_problem(X, y)), module=plain_net).holds
    assert retrain(folder, X, y, tmp_path / "again", module=plain_net).same


def plain_net() -> Any:
    import torch

    return torch.nn.Linear(6, 1)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (Linear("l2", Float(0.1, 1.0)), "penalty is"),
        (spaces.linear().replace(scale="robust"), "scale is"),
        (Linear(Choice("l1", ElasticNet(Float(0.1, 0.9))), Float(100, 200), Choice("standard", "none")), "lambda is"),
        (Estimator(Ridge(), {"alpha": Float(0.1, 1.0)}), "kind is linear, the space has estimator"),
    ],
)
def test_a_config_outside_the_space(bundle: Path, tmp_path: Path, space: Linear, said: str) -> None:
    """A config that the space does not have is refused by what does not fit, before anything is written."""
    with pytest.raises(InvalidInput, match=f"must lie in the space.*{said}"):
        study(tmp_path / "root", space=space, start_from=bundle)
    assert not (tmp_path / "root").exists()


@pytest.mark.slow
def test_a_net_starts_from_a_bundle(tmp_path: Path) -> None:
    """Techniques of a net are placed by slot; one that the space lacks is named."""
    X, y = regression()
    space = Net(
        MLP(hidden=(4,)), dropout=Float(0, 0.5), penalty=Choice(None, t.L2Penalty(Float(1e-3, 1.0, log=True))),
        early_stopping=t.EarlyStopping(max_epochs=2),
    )  # fmt: skip
    one = study(tmp_path / "one", data=(X, y), space=space)
    best = one.run(4, quiet=True).best
    folder = one.export(tmp_path / "bundle")
    other = study(tmp_path / "two", data=(X, y), space=space, start_from=folder).run(2, quiet=True)
    assert other.all[1].params == best.params
    with pytest.raises(InvalidInput, match="averaging"):
        study(tmp_path / "three", data=(X, y), space=space.replace(averaging=0.9), start_from=folder)
