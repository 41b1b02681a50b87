"""Bundles: they predict the same elsewhere, appear whole or not at all, and run nothing that is not trusted."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from samples import ROOT, python, regression, study
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import make_column_transformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from regsearch import MLP, Choice, Estimator, Float, InvalidInput, Net, NotFound, Study, StudyMismatch, load, spaces
from regsearch import nn_techniques as t
from regsearch.cli import main
from regsearch.export.bundle import open_bundle, read_config, to_trust
from regsearch.export.bundle.files import CARD, CONFIG, EXAMPLE, FIGURES, FORM, MODEL, PROVENANCE, SCHEMA, sha256
from regsearch.space.config import from_data, from_toml, to_toml

FRESH = """
import json, sys
import numpy as np
import regsearch
model = regsearch.load(sys.argv[1])
X = np.load(sys.argv[2])
print(json.dumps({"predicted": model.predict(X).tolist(), "loaded": sorted(
    {name.partition(".")[0] for name in sys.modules} & {"optuna", "mlflow", "matplotlib", "numba"})}))
"""


class Opaque(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator that skops does not know."""

    def fit(self, X: Any, y: Any) -> Opaque:
        self.mean_ = float(np.mean(y))
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.mean_)


class Unwritable(Opaque):
    """An estimator that cannot be written without pickle."""

    def fit(self, X: Any, y: Any) -> Unwritable:
        super().fit(X, y)
        self.open_ = (row for row in X)
        return self


def plus(X: Any) -> Any:
    return X


def resign(folder: Path, name: str) -> None:
    """Give a file that was changed by hand a hash that fits, as a forger would."""
    said = json.loads((folder / PROVENANCE).read_text())
    said["files"][name] = sha256(folder / name)
    (folder / PROVENANCE).write_text(json.dumps(said))


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Study:
    one = study(tmp_path_factory.mktemp("export"), space=spaces.linear())
    one.run(15, quiet=True)
    return one


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["best", "one_se"])
def test_a_fresh_process_predicts_the_same(searched: Study, tmp_path: Path, rule: str) -> None:
    """A fresh process, which imports neither optuna nor mlflow, predicts to the bit what was refitted here."""
    folder = searched.export(tmp_path / "bundle", rule)
    X, _ = regression(seed=5)
    np.save(tmp_path / "X.npy", X)
    done = python("-c", FRESH, str(folder), str(tmp_path / "X.npy"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["loaded"] == []
    fitted = searched.results().choose(rule).config.refit(searched.problem, 0)
    np.testing.assert_array_equal(said["predicted"], fitted.predict(X))
    np.testing.assert_array_equal(said["predicted"], load(folder).predict(X))


@pytest.mark.slow
def test_the_config_rebuilds_the_model(searched: Study, bundle: Path) -> None:
    """The config table of config.toml is the chosen config, and refitting it gives the bundle's predictions."""
    document = tomllib.loads((bundle / CONFIG).read_text())
    config = from_toml(to_toml(document["config"]))
    assert config == from_data(document["config"]) == searched.results().best.config
    X, _ = regression(seed=5)
    np.testing.assert_array_equal(config.refit(searched.problem, 0).predict(X), load(bundle).predict(X))


@pytest.mark.slow
def test_the_corrected_score_is_that_of_the_rule(searched: Study, tmp_path: Path) -> None:
    """A bundle says what the score of its own rule's choice is worth, and the card whose that is."""
    results = searched.results()
    folder = searched.export(tmp_path / "bundle", "one_se")
    found, expected = open_bundle(folder).provenance["score"], results.correct("one_se")
    assert (found["corrected"]["plain"], found["corrected"]["score"]) == (found["val"], expected.score)
    assert "what `one_se` chose" in (folder / "README.md").read_text()


def test_provenance(searched: Study, bundle: Path) -> None:
    """A bundle says which trial of which study on which data this is, how it scored, and with what it was made."""
    document, best = read_config(bundle), searched.results().best
    assert document["schema"] == SCHEMA
    made = open_bundle(bundle).provenance
    assert made["score"]["val"] == best.score
    assert made["score"]["gap"] == best.gap
    assert (made["study"], made["trial"], made["rule"], made["why"]) == ("small", best.number, "best", best.why)
    assert made["data"]["fingerprint"] == searched.problem.fingerprint
    assert made["folds"] == {"cv": "3-fold KFold", "count": 3, "hash": searched.folds.digest, "weights": "equal"}
    assert {"python", "regsearch", "scikit-learn", "numpy", "skops"} <= set(made["versions"])
    names = {file.name for file in bundle.iterdir()}
    assert names == {CONFIG, MODEL, PROVENANCE, FORM, EXAMPLE, CARD, *FIGURES}
    assert set(made["files"]) == names - {PROVENANCE}


@pytest.mark.slow
def test_a_frame_with_categories(tmp_path: Path) -> None:
    """The pipeline takes the columns as they were: missing values, booleans and categories, also unseen ones."""
    X, y = regression()
    frame = pd.DataFrame(X[:, :3], columns=["a", "b", "c"])
    frame["kind"] = pd.Categorical(np.array(["x", "y", "z"])[np.arange(60) % 3])
    frame["flag"] = X[:, 4] > 0
    frame.loc[::7, "a"] = np.nan
    one = study(tmp_path, data=(frame, y))
    one.run(8, quiet=True)
    model = load(one.export(tmp_path / "bundle"))
    assert np.isfinite(model.predict(frame)).all()
    new = frame.head(3).assign(kind=pd.Categorical(["x", "new", "z"]))
    with pytest.warns(UserWarning, match="category 'new', which training did not have"):
        assert np.isfinite(model.predict(new)).all()


@pytest.mark.slow
def test_classes_come_back_as_labels(tmp_path: Path) -> None:
    """A classifier's bundle predicts the labels that were given, with probabilities that sum to one."""
    X, y = regression(80)
    labels = np.where(y > 0, "up", "down")
    one = study(tmp_path, data=(X, labels))
    one.run(5, quiet=True)
    model = load(one.export(tmp_path / "bundle"))
    assert set(model.predict(X)) <= {"up", "down"}
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)
    assert (model.predict(X) == labels).mean() > 0.6


@pytest.mark.slow
def test_an_estimator_study(tmp_path: Path) -> None:
    """A study of a scikit-learn pipeline exports from its own object."""
    pipeline = make_pipeline(StandardScaler(), Ridge())
    one = study(tmp_path, space=Estimator(pipeline, {"ridge__alpha": Float(0.1, 10.0, log=True)}))
    results = one.run(6, quiet=True)
    X, _ = regression()
    fitted = load(one.export(tmp_path / "bundle"))
    assert fitted.get_params()["ridge__alpha"] == results.best.params["ridge__alpha"]
    np.testing.assert_array_equal(fitted.predict(X), results.best.config.refit(one.problem, 0).predict(X))


# --- where it goes ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_earlier_bundle_is_replaced(searched: Study, bundle: Path) -> None:
    """Exporting to an earlier bundle replaces it; to an empty folder fills it."""
    searched.export(bundle, "one_se")
    assert open_bundle(bundle).provenance["rule"] == "one_se"
    empty = bundle.parent / "empty"
    empty.mkdir()
    assert searched.export(empty) == empty
    assert sorted(file.name for file in bundle.parent.iterdir()) == ["bundle", "empty"]


def test_other_files_are_left_alone(searched: Study, tmp_path: Path) -> None:
    """A folder that holds something else, or a file, is refused and stays as it is."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    for target in (tmp_path / "mine", tmp_path / "mine" / "thesis.tex"):
        with pytest.raises(InvalidInput, match="new or empty folder"):
            searched.export(target)
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "x"


def test_a_bundle_with_other_files_is_left_alone(searched: Study, bundle: Path) -> None:
    """A bundle that the user put a file into, and a file named like a bundle's, are refused and stay as they are."""
    before = (bundle / MODEL).read_bytes()
    (bundle / "notes.txt").write_text("mine")
    for target, what in ((bundle, "holds other files"), (bundle / CONFIG, "is a file")):
        with pytest.raises(InvalidInput, match=f"new or empty folder, or replaces a bundle, got .*{what}"):
            searched.export(target)
    assert (bundle / "notes.txt").read_text() == "mine"
    assert (bundle / MODEL).read_bytes() == before
    assert [file.name for file in bundle.parent.iterdir()] == ["bundle"]


def test_a_folder_that_only_looks_like_a_bundle(searched: Study, tmp_path: Path) -> None:
    """A project of the user's that has a config.toml and a README.md is not taken for an earlier bundle."""
    folder = tmp_path / "site"
    folder.mkdir()
    for name in (CONFIG, "README.md"):
        (folder / name).write_text("mine")
    with pytest.raises(InvalidInput, match="which holds other files"):
        searched.export(folder)
    assert {file.name: file.read_text() for file in folder.iterdir()} == {CONFIG: "mine", "README.md": "mine"}


@pytest.mark.slow
def test_a_link_to_a_bundle(searched: Study, bundle: Path) -> None:
    """Exporting to a link replaces the bundle that it points to, and the link stays."""
    link = bundle.parent / "latest"
    link.symlink_to(bundle)
    searched.export(link, "one_se")
    assert link.is_symlink()
    assert open_bundle(bundle).provenance["rule"] == "one_se"


@pytest.mark.slow
def test_a_failing_move(searched: Study, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the new bundle cannot be moved in, the earlier one is back in its place and nothing lies beside it."""
    before = {file.name: file.read_bytes() for file in bundle.iterdir()}

    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        searched.export(bundle)
    assert {file.name: file.read_bytes() for file in bundle.iterdir()} == before
    assert [file.name for file in bundle.parent.iterdir()] == ["bundle"]


@pytest.mark.parametrize("call", ["pathlib.Path.rename", "pathlib.Path.replace", "shutil.rmtree"])
def test_a_kill_while_a_bundle_is_replaced(bundle: Path, call: str) -> None:
    """Wherever a kill hits the replacing, the earlier bundle or the new one is whole in the folder or beside it."""
    new = shutil.copytree(bundle, bundle.parent / ".bundle.new")
    shutil.copytree(bundle, bundle.parent / "whole")
    owner, _, name = call.rpartition(".")
    done = python(
        "-c", "import os, sys, pathlib, shutil; from regsearch.export.write import _move; "
        f"{owner}.{name} = lambda *a, **k: os._exit(9); _move(*map(pathlib.Path, sys.argv[1:]))",
        str(new), str(bundle),
    )  # fmt: skip
    assert done.returncode == 9, done.stderr
    names = {one.name for one in new.parent.joinpath("whole").iterdir()}
    whole = [folder for folder in bundle.parent.iterdir() if {one.name for one in folder.iterdir()} == names]
    # the copy, and two: a kill before anything, between the two moves, or before the old one is removed
    assert len(whole) == 3
    assert all(load(folder) is not None for folder in whole)


def test_a_folder_that_cannot_be_made(searched: Study, tmp_path: Path) -> None:
    """A folder below a regular file is refused in one sentence."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match=r"a folder that can be written, got .*file"):
        searched.export(tmp_path / "file" / "bundle")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["linear", "net"])
def test_the_umask_says_who_may_read(kind: str, searched: Study, tmp_path: Path) -> None:
    """Every file of a bundle and its folder are open to whom the umask lets, alike."""
    one = searched
    if kind == "net":
        pytest.importorskip("torch")
        one = study(tmp_path, space=Net(MLP(hidden=(4,)), lr=Float(1e-3, 1e-2), early_stopping=t.FixedEpochs(2)))
        one.run(2, quiet=True)
    before = os.umask(0o027)
    try:
        folder = one.export(tmp_path / "bundle")
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o750
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o640}


@pytest.mark.slow
def test_a_failing_dump_leaves_nothing(tmp_path: Path) -> None:
    """A model that cannot be written leaves no trace, and an earlier bundle in its place stays whole."""
    space = Estimator(Unwritable(), {})
    one = study(tmp_path / "root", space=replaced(space))
    one.run(2, quiet=True)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(InvalidInput, match="cannot be written without pickle"):
        one.export(out / "bundle")
    assert list(out.iterdir()) == []

    good = study(tmp_path / "root", "good")
    good.run(2, quiet=True)
    before = {file.name: file.read_bytes() for file in good.export(out / "bundle").iterdir()}
    with pytest.raises(InvalidInput):
        one.export(out / "bundle")
    assert {file.name: file.read_bytes() for file in (out / "bundle").iterdir()} == before
    assert [file.name for file in out.iterdir()] == ["bundle"]


def replaced(space: Estimator) -> Estimator:
    """The space with something to search that changes nothing."""
    steps = make_pipeline(StandardScaler(), space.estimator)
    return Estimator(steps, {"standardscaler__with_mean": Choice(True, False)})


def test_other_data(searched: Study, tmp_path: Path) -> None:
    """A study is not refitted on data that were not searched."""
    other = Study("small", *regression(seed=9), space=spaces.linear(), root=searched.store.root, cv=3)
    with pytest.raises(StudyMismatch, match="goes on with the same data only"):
        other.export(tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


# --- loading ---------------------------------------------------------------------------------------------------


def test_what_is_missing(bundle: Path, tmp_path: Path) -> None:
    """An absent folder, an empty one, and a bundle without its model are not found, each by what is missing."""
    with pytest.raises(NotFound, match=CONFIG):
        load(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match=CONFIG):
        load(tmp_path / "empty")
    (bundle / MODEL).unlink()
    with pytest.raises(NotFound, match=f"has a {MODEL}"):
        load(bundle)


def test_a_newer_schema(bundle: Path) -> None:
    """A bundle of a newer regsearch is refused with its number."""
    text = (bundle / CONFIG).read_text()
    (bundle / CONFIG).write_text(text.replace(f"schema = {SCHEMA}", "schema = 99"))
    with pytest.raises(InvalidInput, match=r"has the schema 99.*upgrade"):
        load(bundle)


@pytest.mark.parametrize("text", [b"", b"schema = 1", b"a = [", b"schema = 'one'\n[config]", b"\xff\xfe\x00"])
def test_a_config_that_is_none(bundle: Path, text: bytes) -> None:
    """A config.toml that is not one is refused."""
    (bundle / CONFIG).write_bytes(text)
    resign(bundle, CONFIG)
    with pytest.raises(InvalidInput, match=f"{CONFIG} must"):
        load(bundle)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.95])
def test_a_truncated_model(bundle: Path, share: float) -> None:
    """A model file that was cut short is called damaged."""
    whole = (bundle / MODEL).read_bytes()
    (bundle / MODEL).write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InvalidInput, match=r"damaged.*sha256.*export it again"):
        load(bundle)
    resign(bundle, MODEL)
    with pytest.raises(InvalidInput, match=r"damaged.*export it again"):
        load(bundle)


def test_flipped_bytes(bundle: Path) -> None:
    """A model file with a changed byte either loads the same model or is refused; it never predicts otherwise."""
    X, _ = regression()
    expected, whole = load(bundle).predict(X), (bundle / MODEL).read_bytes()
    for place in range(10, len(whole), len(whole) // 40):
        (bundle / MODEL).write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        resign(bundle, MODEL)
        try:
            np.testing.assert_array_equal(load(bundle).predict(X), expected)
        except InvalidInput as error:
            assert "damaged" in str(error) or "trusted" in str(error)  # noqa: PT017


def test_untrusted_types(bundle: Path, tmp_path: Path) -> None:
    """A type that is not trusted is refused by name, nothing of it runs, and trusting it by name loads it."""
    flag = tmp_path / "ran"
    hostile = FunctionTransformer(func=plus)
    skops.io.dump(make_pipeline(hostile, Opaque().fit(None, [1.0])), bundle / MODEL)
    resign(bundle, MODEL)
    with pytest.raises(InvalidInput, match=r"only types that are trusted.*Opaque.*trusted=\["):
        load(bundle)
    module = Opaque.__module__
    assert load(bundle, trusted=[f"{module}.Opaque", f"{module}.plus"]).predict(np.zeros((2, 6))).tolist() == [1.0, 1.0]

    code = tmp_path / "hostile.py"
    code.write_text(f"open({str(flag)!r}, 'w').close()\nclass Harmless:\n    pass\n")
    done = python(
        "-c", "import sys, os, skops.io; sys.path.insert(0, sys.argv[1]); import hostile; "
        "skops.io.dump(hostile.Harmless(), sys.argv[2])", str(tmp_path), str(bundle / MODEL),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    flag.unlink()
    resign(bundle, MODEL)
    done = python("-c", f"import sys, regsearch; sys.path.insert(0, {str(tmp_path)!r}); regsearch.load(sys.argv[1])",
                  str(bundle))  # fmt: skip
    assert "hostile.Harmless" in done.stderr
    assert "InvalidInput" in done.stderr
    assert not flag.exists()


def frame_with(categories: Any) -> tuple[pd.DataFrame, Any]:
    """A regression with one column of categories."""
    X, y = regression()
    return pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "kind": categories}), y


def test_types_to_trust_are_listed(tmp_path: Path) -> None:
    """A model that holds other types than scikit-learn's is exported with their names, and these load it."""
    X, y = regression()
    one = study(tmp_path, data=(X, y), space=Estimator(DecisionTreeRegressor(), {"max_depth": Choice(1, 2)}))
    one.run(4, quiet=True)
    folder = one.export(tmp_path / "bundle")
    assert read_config(folder)["load"] == {"trusted": ["sklearn.tree._tree.Tree"]}
    assert to_trust(folder) == ["sklearn.tree._tree.Tree"]
    with pytest.raises(InvalidInput, match=r"trusted=\['sklearn.tree._tree.Tree'\]"):
        load(folder)
    expected = one.results().best.config.refit(one.problem, 0).predict(X)
    np.testing.assert_array_equal(load(folder, trusted=to_trust(folder)).predict(X), expected)


def test_nothing_to_trust(bundle: Path) -> None:
    """A model of scikit-learn's own types asks for no trust."""
    assert to_trust(bundle) == []
    assert "load" not in read_config(bundle)


@pytest.mark.slow
def test_what_the_card_says_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lines of a model card load, verify and retrain a model with types to trust, which they name."""
    X, y = regression()
    one = study(tmp_path / "root", space=Estimator(DecisionTreeRegressor(), {"min_samples_leaf": Choice(5, 9)}))
    one.run(2, quiet=True)
    folder = one.export(tmp_path / "bundle")
    card = (folder / CARD).read_text()
    values: dict[str, Any] = {"X": X}
    monkeypatch.chdir(folder)
    exec(card.partition("```python\n")[2].partition("```")[0], values)
    np.testing.assert_array_equal(values["model"].predict(X), load(folder, to_trust(folder)).predict(X))
    pd.DataFrame(X).assign(y=y).to_csv(tmp_path / "new.csv", index=False)
    for command in re.findall("`regsearch (.*?)`", card):
        words = {"NEW.csv": str(tmp_path / "new.csv"), "COLUMN": "y", "DIR": str(tmp_path / "again")}
        assert main([words.get(word, word) for word in shlex.split(command)]) == 0, capsys.readouterr()
    assert load(tmp_path / "again", to_trust(folder)).predict(X).shape == (60,)


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded(tmp_path: Path) -> None:
    """A model that skops writes but cannot rebuild is refused at export, and leaves nothing."""
    days = pd.Categorical(pd.to_datetime(["2020-01-01", "2021-01-01", "2022-01-01"] * 20))
    encoder = OneHotEncoder(categories=[sorted(set(days))])
    encoded = make_column_transformer((encoder, ["kind"]), remainder="passthrough")
    space = Estimator(make_pipeline(encoded, Ridge()), {"ridge__alpha": Choice(0.1, 1.0)})
    one = study(tmp_path / "root", data=frame_with(days), space=space)
    one.run(4, quiet=True)
    with pytest.raises(InvalidInput, match="must load again from what is written of it"):
        one.export(tmp_path / "bundle")
    assert [file.name for file in tmp_path.iterdir()] == ["root"]


def test_a_moved_bundle(bundle: Path, tmp_path: Path) -> None:
    """A bundle holds no path: copied elsewhere it is the same, and needs nothing of the study."""
    shutil.copytree(bundle, tmp_path / "else where")
    X, _ = regression()
    np.testing.assert_array_equal(load(tmp_path / "else where").predict(X), load(bundle).predict(X))
    assert all(str(ROOT).encode() not in file.read_bytes() for file in bundle.iterdir())
