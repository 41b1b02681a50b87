"""Ensembles as bundles: what the mean of the members says, whole or refused, wherever a single bundle goes."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from clocks import shared_clock
from samples import study
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.kernel_ridge import KernelRidge
from sklearn.svm import LinearSVC

from regsearch import MLP, Choice, Estimator, Float, InvalidInput, Linear, Net, NotFound, Study, load
from regsearch import nn_techniques as t
from regsearch.data.problem import make_problem
from regsearch.export.bundle import load_config, open_bundle, to_trust
from regsearch.export.bundle.files import CARD, CONFIG, MODEL, PROVENANCE, sha256
from regsearch.export.retrain import retrain
from regsearch.export.serving import save_model, to_onnx
from regsearch.export.verify import Evidence, verify
from regsearch.models.deadline import Deadline
from regsearch.results.ensemble import Ensemble
from regsearch.study.limits import Limits


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Linear models and kernels, each of which sees what the other does not; some rows are held out."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 4))
    y = 3 * X[:, 0] + 3 * np.sin(2 * X[:, 1]) + rng.normal(size=80) / 2
    table = pd.DataFrame(X, columns=list("abcd"))
    near = Estimator(KernelRidge(kernel="rbf"), {"alpha": Float(0.01, 1, log=True), "gamma": Float(0.1, 1, log=True)})
    space = Choice(Linear("l2"), near)
    one = study(
        tmp_path_factory.mktemp("ensembles"),
        data=(table, y),
        space=space,
        test=0.2,
        prune=False,
    )
    one.run(10, quiet=True)
    return one


@pytest.fixture(scope="module")
def selected(searched: Study) -> Ensemble:
    found = searched.results().ensemble(size=4)
    assert len(found.members) > 1
    return found


@pytest.fixture(scope="module")
def exported(searched: Study, selected: Ensemble, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return searched.export(tmp_path_factory.mktemp("exported") / "bundle", selected)


def rehashed(bundle: Path) -> None:
    """Make the hashes of an edited bundle fit."""
    for folder in [*bundle.glob("member-*"), bundle]:
        said = json.loads((folder / PROVENANCE).read_text())
        said["files"] = {name: sha256(folder / name) for name in said["files"]}
        for member in said.get("members", ()):
            member["sha256"] = sha256(folder / member["folder"] / PROVENANCE)
        (folder / PROVENANCE).write_text(json.dumps(said))


def test_it_says_the_mean_of_what_its_members_say(searched: Study, selected: Ensemble, exported: Path) -> None:
    """One model loads, whose predictions are the weighted mean of those of the bundles in its folders."""
    model, X = load(exported), searched.problem.X
    members = open_bundle(exported).members
    assert [*members.values()] == [one.weight for one in selected.members]
    expected = sum(weight * load(exported / name).predict(X) for name, weight in members.items())
    np.testing.assert_allclose(model.predict(X), expected)
    np.testing.assert_allclose(model.predict(X[list(X.columns[::-1])]), expected)
    with pytest.raises(InvalidInput, match="Rows must have the columns of training"):
        model.predict(X.drop(columns="a"))
    for name, one in zip(members, selected.members, strict=True):
        said = open_bundle(exported / name).provenance
        assert (said["trial"], said["score"]["val"]) == (one.number, one.chosen.score)
    assert clone(model) is not None
    with pytest.raises(InvalidInput, match="regsearch retrain"):
        model.fit(X, searched.problem.y)


def test_it_says_where_it_comes_from(searched: Study, selected: Ensemble, exported: Path) -> None:
    """Provenance and card have members, weights, the score, the corrected one and that on held-out rows; no pickle."""
    made, card = open_bundle(exported).provenance, (exported / CARD).read_text()
    assert made["score"]["val"] == selected.score
    assert made["score"]["corrected"]["score"] == selected.corrected.score
    test = searched.problem.test
    assert test is not None
    held_out = -np.mean((load(exported).predict(test.X) - test.y) ** 2)
    assert made["score"]["test"]["neg_mean_squared_error"] == pytest.approx(held_out)
    assert all(
        text in card for text in (f"{selected.corrected.score:.5g}", "`member-00`", selected.verdict, "held out")
    )
    assert "train" not in card.partition("## What it is")[0]
    kinds = {file.suffix for file in exported.rglob("*") if file.is_file()}
    assert kinds == {".md", ".toml", ".json", ".skops"}


@pytest.mark.slow
def test_it_is_verified(searched: Study, exported: Path) -> None:
    """Files, versions, example, configs, data, folds and the score of the mean hold."""
    verdict = verify(exported, Evidence(searched.problem, searched.folds, searched.setup.metrics[0]))
    found = {check.name: check.holds for check in verdict.checks}
    assert found == dict.fromkeys(["files", "versions", "example", "config", "data", "folds", "score"], True), verdict


@pytest.mark.slow
@pytest.mark.parametrize(("steps", "inner", "holds"), [(200, 0.0, True), (0, 0.0, True), (0, 0.3, None)])
def test_members_that_were_stopped_are_verified_where_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int, inner: float, holds: bool | None
) -> None:
    """An ensemble of nets whose time was up has its score checked at the epochs that they had come to, whether what
    they said there is kept on their way further or not; where folds end by themselves, only if it is.
    """
    early = t.EarlyStopping(150, patience=150, inner=inner)
    space = Net(MLP(hidden=(4,)), dropout=Float(0, 0.5), lr=Float(0.03, 0.3, log=True), early_stopping=early)
    one = study(tmp_path, space=space, prune=False, n_jobs=1)
    with monkeypatch.context() as patch:
        deadline = Deadline(250, clock=shared_clock(), interrupted=threading.Event())
        patch.setattr(Limits, "begin", lambda _: deadline)
        results = one.run(6, quiet=True)
    assert results.counts["stopped"] > 1
    found = results.ensemble(size=4)
    assert len(found.members) > 1
    bundle = one.export(tmp_path / "bundle", found)
    monkeypatch.setattr("regsearch.models.out_of_fold.STEPS", steps)
    verdict = verify(bundle, Evidence(one.problem, one.folds, one.setup.metrics[0]))
    assert {check.name: check.holds for check in verdict.checks}["score"] is holds, verdict
    assert verdict.holds


def edit_weights(bundle: Path) -> None:
    head = (bundle / CONFIG).read_text()
    weight = f"weight = {open_bundle(bundle).members['member-00']}"
    (bundle / CONFIG).write_text(head.replace(weight, "weight = 0.125", 1))


def edit_member(bundle: Path) -> None:
    file = next(one for one in bundle.glob(f"member-*/{CONFIG}") if "lambda = " in one.read_text())
    file.write_text(file.read_text().replace("lambda = ", "lambda = 1"))


def swap_models(bundle: Path) -> None:
    shutil.copy(bundle / "member-00" / MODEL, bundle / "member-01" / MODEL)


@pytest.mark.parametrize(
    ("edit", "check", "said"),
    [
        (edit_weights, "config", "members or weights are not those that were selected"),
        (edit_member, "config", ": config.toml was edited"),
        (swap_models, "example", "otherwise, by"),
    ],
)
def test_what_was_edited_fails(
    exported: Path, tmp_path: Path, edit: Callable[[Path], None], check: str, said: str
) -> None:
    """An edit is found by the hashes, and by what it changes where these were made to fit."""
    bundle = Path(shutil.copytree(exported, tmp_path / "bundle"))
    edit(bundle)
    with pytest.raises(InvalidInput, match="is damaged"):
        load(bundle)
    rehashed(bundle)
    failed = {one.name: one.said for one in verify(bundle).checks if one.holds is False}
    assert said in failed[check]


def test_members_are_all_there_and_are_none(exported: Path, tmp_path: Path) -> None:
    """A member that is missing, is another or an ensemble, and weights that do not sum to one are refused."""
    bundle = Path(shutil.copytree(exported, tmp_path / "bundle"))
    shutil.rmtree(bundle / "member-01")
    with pytest.raises(NotFound, match="member-01"):
        load(bundle)
    shutil.copytree(exported / "member-00", bundle / "member-01")
    with pytest.raises(InvalidInput, match="not the member that was exported"):
        load(bundle)
    shutil.rmtree(bundle / "member-01")
    shutil.copytree(exported, bundle / "member-01")
    rehashed(bundle)
    with pytest.raises(InvalidInput, match="must be no ensemble"):
        load(bundle)
    for change in ({"weight": 0.9}, {"folder": "../member-00"}, {"folder": "member-01"}, {"weight": "heavy"}):
        said = json.loads((exported / PROVENANCE).read_text())
        said["members"][0] |= change
        (bundle / PROVENANCE).write_text(json.dumps(said))
        with pytest.raises(InvalidInput, match="must have 'members'"):
            load(bundle)


def test_what_is_of_one_model(searched: Study, exported: Path, tmp_path: Path) -> None:
    """A config and ONNX are of one model: a member's folder is named. A search begins with all members."""
    for ask in (load_config, to_onnx):
        with pytest.raises(InvalidInput, match=r"is of one model, .* is an ensemble of .*; pass the folder"):
            ask(exported)
    assert load_config(exported / "member-00").task == "regression"
    members = [one.provenance["path"]["config"] for one in open_bundle(exported).parts]
    results = searched.replace(root=tmp_path, try_first=[exported]).run(2 + len(members), quiet=True)
    assert all(config in [trial.config for trial in results.all] for config in members)


@pytest.mark.slow
def test_it_makes_room_for_another(searched: Study, selected: Ensemble, exported: Path, tmp_path: Path) -> None:
    """A bundle replaces an ensemble and an ensemble a bundle; a folder with anything else in a member's is left."""
    bundle = Path(shutil.copytree(exported, tmp_path / "bundle"))
    assert not [*searched.export(bundle).glob("member-*")]
    assert [*searched.export(bundle, selected).glob("member-*")]
    (bundle / "member-00" / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="which holds other files"):
        searched.export(bundle)


@pytest.mark.slow
def test_it_is_fitted_to_new_data(searched: Study, exported: Path, tmp_path: Path) -> None:
    """Every member is, the weights stay, and the new score is that of the new mean; the new bundle holds."""
    X, y = searched.problem.X, searched.problem.y
    found = retrain(exported, X[:40], y[:40], tmp_path / "again", cv=3)
    assert open_bundle(found.folder).members == open_bundle(exported).members
    assert "gap" not in str(found)
    assert np.isfinite(found.change("val")).all()
    evidence = Evidence(make_problem(X[:40], y[:40]))
    assert verify(found.folder, evidence).holds
    same = retrain(exported, X, y, tmp_path / "same", cv=3)
    assert same.same
    assert same.new["val"] == pytest.approx(same.old["val"], rel=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
def test_mlflow_serves_it(searched: Study, exported: Path, tmp_path: Path) -> None:
    """As a single bundle: a signature, requirements, and predictions as the bundle's."""
    import mlflow

    model = mlflow.pyfunc.load_model(str(save_model(exported, tmp_path / "model")))
    np.testing.assert_allclose(model.predict(searched.problem.X), load(exported).predict(searched.problem.X))


@pytest.mark.slow
def test_families_that_need_trust_torch_or_have_no_probabilities(tmp_path: Path) -> None:
    """A net, trees and a classifier without probabilities are one classifier, which a clean process loads."""
    X, y = load_breast_cancer(return_X_y=True)
    X, labels = X[:200, :6], np.array(["no", "yes"])[y[:200]]
    forest = Estimator(RandomForestClassifier(10, random_state=0), {"max_depth": Choice(2, 4)})
    net = Net(MLP(hidden=(4,)), lr=Choice(0.01, 0.02), early_stopping=t.EarlyStopping(max_epochs=5))
    one = study(tmp_path, "mixed", data=(X, labels), space=Choice(net, forest, Linear("l2")), scoring="accuracy")
    results = one.run(12, quiet=True)
    best = {trial.family: results.choose(trial.number) for trial in reversed(results.candidates)}
    found = results.ensemble(size=4)
    members = tuple(type(found.members[0])(chosen, 1 / len(best)) for chosen in best.values())
    assert len(members) == 3
    mixed = type(found)(**(vars(found) | {"members": members}))
    folder = one.export(tmp_path / "mixed-bundle", mixed)
    model = load(folder, trusted=to_trust(folder))
    said = [load(folder / name, trusted=to_trust(folder)) for name in open_bundle(folder).members]
    mean = np.mean([part.predict_proba(X) for part in said], axis=0)
    np.testing.assert_allclose(model.predict_proba(X), mean, rtol=1e-6, atol=1e-12)
    assert (model.predict(X) == np.array(["no", "yes"])[mean.argmax(axis=1)]).all()
    assert model.score(X, labels) > 0.8
    assert verify(folder, trusted=to_trust(folder)).holds
    assert "torch" in {name.partition("==")[0] for name in _requirements(folder)}
    alone = study(tmp_path, "alone", data=(X, labels), space=Estimator(LinearSVC(), {"C": Float(0.1, 1)}))
    alone.run(4, quiet=True)
    voting = load(alone.export(tmp_path / "voting", alone.results().ensemble(size=3)))
    assert not hasattr(voting, "predict_proba")
    assert set(voting.predict(X)) == {"no", "yes"}


def _requirements(folder: Path) -> list[str]:
    from regsearch.export.serving.registry import requirements

    return requirements(open_bundle(folder))


def test_on_the_command_line(searched: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`regsearch ensemble` says what `Results.ensemble` does, as text and as JSON."""
    from regsearch.cli import main

    found = searched.results().ensemble(size=3)
    place = ["--root", str(searched.options.root)]
    assert main(["ensemble", searched.name, *place, "--size", "3"]) == 0
    assert capsys.readouterr().out.strip() == str(found).strip()
    assert main(["ensemble", searched.name, *place, "--size", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(found.row()))
    beside = (["--trial", "1"], ["--step", "0"], ["--rule", "best"], ["--onnx"])
    for wrong in (["--size", "3"], *(["--ensemble", *other] for other in beside)):
        assert main(["export", searched.name, *place, "--out", str(tmp_path / "out"), *wrong]) == 2
        said = capsys.readouterr().err
        assert all(name in said for name in (*wrong, "--ensemble") if name.startswith("--"))
