"""Bundles in production: as MLflow models, over HTTP and from the registry, and as ONNX they say what they said."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from samples import ROOT, database, poll, python, regression, study
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC

from regsearch import CNN, MLP, Choice, Estimator, Float, InvalidInput, Linear, Net, NotFound, load
from regsearch import nn_techniques as t
from regsearch.cli import main
from regsearch.cli.stored import own_module, study_of
from regsearch.export.bundle import to_trust
from regsearch.export.serving import Served, register, registry, save_model, to_onnx
from regsearch.export.serving.code import code_of

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
START_S = 120


def frame() -> tuple[pd.DataFrame, Any]:
    """Numbers with a hole, and a category; labels are words."""
    X, y = load_wine(return_X_y=True, as_frame=True)
    X = X[["alcohol", "malic_acid", "hue"]].assign(
        kind=pd.Categorical(np.array(["a", "b", "c"])[np.arange(len(X)) % 3])
    )
    X.loc[5, "hue"] = np.nan
    return X, np.array(["barolo", "grignolino", "barbera"])[y]


def exported(root: Path, space: Any, data: Any, trials: int = 2) -> Path:
    one = study(root, space=space, data=data)
    one.run(trials, quiet=True)
    return one.export(root / "bundle")


def net(*hidden: int, **options: Any) -> Net:
    module = MLP(hidden=hidden or (8,))
    return Net(options.pop("module", module), lr=Float(1e-3, 1e-2), early_stopping=t.FixedEpochs(4), **options)


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a classifier of a DataFrame."""
    return exported(tmp_path_factory.mktemp("wine"), Linear("l2"), frame())


@pytest.fixture(scope="module")
def small_net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a net of two classes, of an array."""
    pytest.importorskip("torch")
    X, y = regression()
    return exported(tmp_path_factory.mktemp("net"), net(norm="batch_norm"), (X, np.where(y > 0, "up", "down")))


@contextmanager
def served(model: str, store: str, log: Path) -> Iterator[str]:
    """The address of `mlflow models serve`, killed with all that it started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["-m", "mlflow", "models", "serve", "-m", model, "--env-manager", "local", "-p", str(port), "-w", "1"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *command], stdout=out, stderr=out, start_new_session=True,
            env=os.environ | {"MLFLOW_TRACKING_URI": store, "PATH": path},
        )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        poll(lambda: process.poll() is not None or _answers(f"{address}/ping"), START_S)
        assert process.poll() is None, log.read_text()
        yield address
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def ask(address: str, **request: Any) -> Any:
    """Predictions for a request."""
    body = json.dumps(request).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{address}/invocations", body, headers), timeout=60) as answer:
        return json.loads(answer.read())["predictions"]


def from_registry(uri: str, store: str) -> Any:
    import mlflow

    mlflow.set_tracking_uri(store)
    mlflow.set_registry_uri(store)
    return mlflow.pyfunc.load_model(uri)


PROBABILITIES = {"predict_method": "predict_proba"}


@pytest.mark.slow
def test_a_frame_over_http(wine: Path, tmp_path: Path) -> None:
    """A registered classifier serves labels and named probabilities of a DataFrame, holes and unseen categories too."""
    store = database(tmp_path)
    made = register(wine, "wine", tracking_uri=store)
    assert (made.uri, made.version) == ("models:/wine@champion", 1)
    X, _ = frame()
    model, rows = load(wine), X.iloc[[0, 5, 70, 150]].assign(kind=["a", "new", "c", "a"])
    split = json.loads(rows.to_json(orient="split", index=False))
    with served(made.uri, store, tmp_path / "log") as address:
        assert ask(address, dataframe_split=split) == model.predict(rows).tolist()
        found = pd.DataFrame(ask(address, dataframe_split=split, params=PROBABILITIES))
        assert list(found) == ["barbera", "barolo", "grignolino"]
        np.testing.assert_allclose(found, model.predict_proba(rows), rtol=1e-12)
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(address, dataframe_split=split, params={"predict_method": "fit"})
        assert refused.value.code >= 400
        split["columns"][0] = "spirit"
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(address, dataframe_split=split)
        assert refused.value.code == 400
        assert "alcohol" in refused.value.read().decode()


@pytest.mark.slow
def test_text_and_dates_over_http(tmp_path: Path) -> None:
    """A bundle that prepares text, dates and holes itself serves raw rows, as any language sends them."""
    random = np.random.default_rng(0)
    X, y = frame()
    words = ["dry and light", "sweet, heavy", "smells of oak"]
    X = X.assign(
        notes=random.permutation([" ".join(random.choice(words, 2)) + f" bottle {k}" for k in range(len(X))]),
        bottled=pd.date_range("2020-01-01", periods=len(X), freq="D").strftime("%Y-%m-%d"),
        sold=pd.date_range("2024-01-01", periods=len(X), freq="h"),
    )
    X.loc[::7, "notes"] = None
    bundle = exported(tmp_path, Linear("l2"), (X, y))
    told: dict[str, Any] = {"kind": ["a", "new", None], "bottled": ["2020-02-01", None, "2021-01-01"]}
    rows = X.iloc[[0, 5, 70]].assign(**told)
    split = json.loads(rows.to_json(orient="split", index=False, date_format="iso"))
    with served(str(save_model(bundle, tmp_path / "model")), "", tmp_path / "log") as address:
        assert ask(address, dataframe_split=split) == load(bundle).predict(rows).tolist()
        split["data"][0][split["columns"].index("bottled")] = "1.2.2020"
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(address, dataframe_split=split)
        assert "must hold dates as %Y-%m-%d" in refused.value.read().decode()


@pytest.mark.slow
def test_a_tensor_over_http(small_net: Path, tmp_path: Path) -> None:
    """A net saved as an MLflow model, in no registry, serves tensors and frames of numbers, probabilities included."""
    folder = save_model(small_net, tmp_path / "model")
    X, model = regression(seed=3)[0][:4], load(small_net)
    with served(str(folder), "", tmp_path / "log") as address:
        assert ask(address, inputs=X.tolist()) == model.predict(X).tolist()
        assert (
            ask(address, dataframe_split={"columns": list("abcdef"), "data": X.tolist()}) == model.predict(X).tolist()
        )
        found = ask(address, inputs=X.tolist(), params=PROBABILITIES)
        assert [list(row) for row in found] == [["down", "up"]] * 4
        np.testing.assert_allclose([list(row.values()) for row in found], model.predict_proba(X), rtol=1e-9)


@pytest.mark.slow
def test_the_registry(wine: Path, small_net: Path, tmp_path: Path) -> None:
    """Each registration is a new version, the alias moves to it, and what is loaded by alias predicts as the bundle."""
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    first = register(wine, "model", tracking_uri=store, alias="champion")
    second = register(small_net, "model", tracking_uri=store, alias=None)
    assert (first.version, second.version, second.uri) == (1, 2, "models:/model/2")
    X, _ = frame()
    rows = X.astype({"kind": object}).dropna()
    assert from_registry(first.uri, store).predict(rows).tolist() == load(wine).predict(rows).tolist()
    third = register(small_net, "model", tracking_uri=store, experiment="other")
    assert (third.version, third.uri) == (3, first.uri)
    numbers, found = regression(seed=4)[0], from_registry(third.uri, store)
    assert found.predict(numbers).tolist() == load(small_net).predict(numbers).tolist()
    assert not list(tmp_path.glob("mlruns")), "artifacts lie beside the database"


@pytest.mark.slow
def test_training_rows_from_the_registry(tmp_path: Path) -> None:
    """Rows with categories and whole numbers, converted as the card says, are predicted as the bundle predicts them."""
    from mlflow.exceptions import MlflowException

    X, y = frame()
    size = pd.Categorical(np.arange(len(X)) % 3 * 10)
    X = X.assign(count=np.arange(len(X)), size=size, flag=X["hue"] > 1)
    bundle = exported(tmp_path, Linear("l2"), (X, y))
    store = database(tmp_path)
    model = from_registry(register(bundle, "wine", tracking_uri=store).uri, store)
    with pytest.raises(MlflowException, match="Can not safely convert category"):
        model.predict(X)  # when this goes through, the card need not say how to convert them
    (line,) = [line for line in (bundle / "README.md").read_text().splitlines() if "X.astype" in line]
    assert line == "model.predict(X.astype({'kind': object, 'count': float, 'size': float}))"
    found = eval(line, {"model": model, "X": X})
    assert found.tolist() == load(bundle).predict(X).tolist()


def arrays() -> dict[str, tuple[Any, Any]]:
    """Data that are no DataFrame, of types and shapes that are not those of the signature."""
    X, y = regression()
    images = np.random.default_rng(0).integers(0, 255, (60, 8, 8)).astype(np.float32)
    small = net(module=CNN(channels=(3,)))
    return {
        "grey": (small, (images, y)),
        "grey with channels": (small, (images[:, None], y)),
        "colours": (small, (np.stack([images] * 3, axis=1).astype(np.uint8), y)),
        "floats": (Linear("l2"), (X.astype(np.float32), y)),
        "sparse": (Linear("l2"), (sparse.csr_array(np.maximum(X, 0)), y)),
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", arrays())
def test_training_arrays_from_mlflow(kind: str, tmp_path: Path) -> None:
    """The study's own X, converted as the card says, is taken by the MLflow model and predicted as the bundle does."""
    import mlflow.pyfunc
    from mlflow.exceptions import MlflowException

    space, (X, y) = arrays()[kind]
    if isinstance(space, Net):
        pytest.importorskip("torch")
    bundle = exported(tmp_path, space, (X, y))
    model = mlflow.pyfunc.load_model(str(save_model(bundle, tmp_path / "model")))
    with pytest.raises(MlflowException):
        model.predict(X)  # when this goes through, the card need not say how to convert it
    (line,) = [line for line in (bundle / "README.md").read_text().splitlines() if "model.predict(X." in line]
    near(eval(line, {"model": model, "X": X}), load(bundle).predict(X))


@pytest.mark.slow
def test_what_serving_needs(wine: Path, small_net: Path, tmp_path: Path) -> None:
    """An MLflow model has the bundle as it is, no pickle, pins what the bundle was made with; optuna stays out."""
    for bundle, expected in ((wine, set()), (small_net, {"torch", "safetensors"})):
        folder = save_model(bundle, tmp_path / bundle.parent.name)
        copied = folder / "data" / bundle.name
        assert {one.name: one.read_bytes() for one in copied.iterdir()} == {
            one.name: one.read_bytes() for one in bundle.iterdir()
        }
        assert not [file for file in folder.rglob("*") if file.suffix in {".pkl", ".pickle"}]
        pinned = dict(line.split("==") for line in (folder / "requirements.txt").read_text().split())
        usual = {"mlflow", "numpy", "pandas", "scipy", "scikit-learn", "skops", "regsearch"}
        assert set(pinned) == usual | expected
        versions = json.loads((bundle / "provenance.json").read_text())["versions"]
        assert all(pinned[name] == versions[name].partition("+")[0] for name in set(pinned) & set(versions))
        assert "+" not in (folder / "requirements.txt").read_text(), "what an index has is served by any environment"
        script = (
            "import sys; from regsearch.export.serving.pyfunc import _load_pyfunc; _load_pyfunc(sys.argv[1]); "
            "sys.exit(bool({'optuna', 'mlflow', 'matplotlib'} & {name.partition('.')[0] for name in sys.modules}))"
        )
        done = python("-c", script, str(copied), cwd=tmp_path)
        assert done.returncode == 0, done.stderr


# --- code of one's own -----------------------------------------------------------------------------------------

OWN_CODE = """
import numpy as np, torch
def make():
    return torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
def bend(X):
    return np.tanh(X)
"""
OWN_SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import own_code
from samples import regression, study
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from regsearch import Estimator, Float, Net, nn_techniques as t
def mine(model, X, y):
    return -abs(model.predict(X) - y).max()
spaces = dict(
    net=Net(own_code.make, weight_decay=Float(0, 1), early_stopping=t.FixedEpochs(3)),
    tree=Estimator(make_pipeline(FunctionTransformer(own_code.bend), Ridge()), dict(ridge__alpha=Float(0.1, 1.0))),
    here=Net(lambda: own_code.make(), weight_decay=Float(0, 1), early_stopping=t.FixedEpochs(3)),
)
one = study({root!r}, sys.argv[-1], space=spaces[sys.argv[-1]], cv=3, scoring=dict(mine=mine), tracking=None)
"""
FROM_ELSEWHERE = """
import sys, mlflow, numpy as np
mlflow.set_tracking_uri(sys.argv[2])
mlflow.set_registry_uri(sys.argv[2])
print(mlflow.pyfunc.load_model(sys.argv[1]).predict(np.load(sys.argv[3])).tolist())
"""


def ran(script: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The study that the script makes of a space, with two trials."""
    monkeypatch.setattr(sys, "argv", [str(script), kind])
    monkeypatch.syspath_prepend(str(script.parent))
    one = study_of(str(script), None)
    one.run(2, quiet=True)
    return one


@pytest.fixture
def own_script(tmp_path: Path) -> Path:
    script = tmp_path / "script.py"
    (tmp_path / "own_code.py").write_text(OWN_CODE)
    script.write_text(OWN_SCRIPT.format(tests=str(ROOT / "tests"), root=str(tmp_path / "root")))
    return script


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["net", "tree"])
def test_code_of_ones_own_is_served(kind: str, own_script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A net that one's own function makes, and a pipeline of one's own steps, are served where their file is not."""
    pytest.importorskip("torch")
    folder = own_script.parent
    one = ran(own_script, kind, monkeypatch)
    bundle = one.export(folder / "bundle")
    store = database(folder)
    module = own_module(one)
    made = register(bundle, kind, tracking_uri=store, trusted=to_trust(bundle), module=module)
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    np.save(elsewhere / "rows.npy", regression()[0])
    done = python("-c", FROM_ELSEWHERE, made.uri, store, str(elsewhere / "rows.npy"), cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    expected = load(bundle, trusted=to_trust(bundle), module=module).predict(regression()[0])
    np.testing.assert_allclose(json.loads(done.stdout.splitlines()[-1]), expected, rtol=1e-12)


@pytest.mark.slow
def test_a_net_of_ones_own_on_the_command_line(
    own_script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The script brings its function and its scorer: the net is converted, registered and retrained by commands."""
    pytest.importorskip("torch")
    pytest.importorskip("skl2onnx")
    one, folder = ran(own_script, "net", monkeypatch), own_script.parent
    X, y = regression(90, seed=3)
    pd.DataFrame(X).assign(y=y).to_csv(folder / "new.csv", index=False)
    script = ["--script", str(own_script)]
    registered = ["--register", "own", "--onnx", "--root", str(folder / "root")]

    def run(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", [str(own_script), "net"])
        return main(list(words))

    assert run("export", one.name, "--out", str(folder / "bundle"), *script, *registered) == 0, capsys.readouterr().err
    assert "Version 1 of 'own' is registered." in capsys.readouterr().out
    near(onnx(folder / "bundle" / "model.onnx", {"X": X.astype(np.float32)}),
         load(folder / "bundle", module=own_module(one)).predict(X))  # fmt: skip
    data = ["--data", str(folder / "new.csv"), "--target", "y", "--out", str(folder / "again")]
    assert run("retrain", str(folder / "bundle"), *data) == 2
    assert "module" in capsys.readouterr().err
    assert run("retrain", str(folder / "bundle"), *data, *script) == 0
    assert capsys.readouterr().out.startswith("mine, cross-validated")


@pytest.mark.slow
def test_what_card_and_command_say_of_a_net_of_ones_own_runs(
    own_script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the function's file is at hand, the lines of the model card and of the export load and verify the net."""
    pytest.importorskip("torch")
    one, folder = ran(own_script, "net", monkeypatch), own_script.parent
    given = ["--script", str(own_script), "--root", str(folder / "root")]
    monkeypatch.setattr(sys, "argv", [str(own_script), "net"])
    assert main(["export", one.name, "--out", str(folder / "bundle"), *given]) == 0
    (use,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Use it:")]
    card = (folder / "bundle" / "README.md").read_text()
    code = card.partition("```python\n")[2].partition("model.predict")[0].replace("'.'", "'bundle'")
    for script in (code, use.partition("-c ")[2].strip('"')):
        done = python("-c", f"{script}\nprint(len(model.predict([[0.0] * 6])))", cwd=folder)
        assert (done.returncode, done.stdout.strip()) == (0, "1"), done.stderr
    command = re.findall("`regsearch (verify .*?)`", card)[0].replace("FILE", str(own_script))
    monkeypatch.chdir(folder / "bundle")
    assert main(command.split()) == 0, capsys.readouterr()
    here = ran(own_script, "here", monkeypatch).export(folder / "here")
    assert "regsearch.load('.', module=make)" in (here / "README.md").read_text(), "a lambda has no name to import"


@pytest.mark.slow
def test_what_a_server_cannot_import(own_script: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A function without a name of its own, or of a script, is refused before anything is registered."""
    pytest.importorskip("torch")
    one = ran(own_script, "here", monkeypatch)
    bundle = one.export(own_script.parent / "bundle")
    with pytest.raises(InvalidInput, match=r"<lambda> cannot be imported by its name; define it at the top level"):
        register(bundle, "own", tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}", module=own_module(one))
    assert not (tmp_path / "mlflow.db").exists()
    with pytest.raises(InvalidInput, match=r"A server must import __main__\.Own"):
        code_of(["sklearn.linear_model.Ridge", "__main__.Own"])


# --- stores that refuse ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_name_that_is_refused_leaves_nothing(wine: Path, tmp_path: Path) -> None:
    """When the registry refuses, the error says why, and neither experiment, model nor version is left."""
    from mlflow import MlflowClient

    store = database(tmp_path)
    register(wine, "good", tracking_uri=store, experiment="kept")
    client = MlflowClient(store, store)
    for name, alias in (("new", "v1"), ("good", "v1"), ("a/b", "champion")):  # an alias like a version, a name with /
        with pytest.raises(InvalidInput, match=r"did not take the model .*; nothing is left behind there\."):
            register(wine, name, tracking_uri=store, alias=alias, experiment=f"of {name.replace('/', '')}")
    assert [one.name for one in client.search_registered_models()] == ["good"]
    assert [one.version for one in client.search_model_versions("name = 'good'")] == [1]
    assert {one.name for one in client.search_experiments()} <= {"kept", "Default"}
    kept = client.get_experiment_by_name("kept").experiment_id
    assert len(client.search_logged_models([kept])) == 1
    assert register(wine, "new", tracking_uri=store, experiment="of new").version == 1, "asking rightly then works"


# which call Ctrl-C hits, and whether that had happened by then; of a version made without an answer, no one knows
INTERRUPTED = (
    ("finalize_logged_model", False), ("finalize_logged_model", True), ("create_model_version", False),
    ("set_registered_model_alias", False), ("set_registered_model_alias", True),
)  # fmt: skip


@pytest.mark.slow
def test_an_interrupted_registration_leaves_nothing(
    wine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C at any step leaves the store as it was: models, versions, aliases, logged models and runs."""
    from mlflow import MlflowClient

    store = database(tmp_path)
    register(wine, "good", tracking_uri=store, experiment="kept")
    client = MlflowClient(store, store)
    before = contents(client)
    for call, late in INTERRUPTED:
        for name in ("good", "new"):
            interrupt(monkeypatch, MlflowClient, call, late)
            with pytest.raises(KeyboardInterrupt):
                register(wine, name, tracking_uri=store, experiment="kept")
            assert contents(client) == before, (call, late, name)
    assert register(wine, "good", tracking_uri=store, experiment="kept").alias == "champion"


def interrupt(monkeypatch: pytest.MonkeyPatch, owner: Any, call: str, late: bool) -> None:
    """Make the next call of a method end as Ctrl-C ends it, before it did anything or after."""
    takes = getattr(owner, call)

    def interrupted(*given: Any, **options: Any) -> None:
        monkeypatch.undo()  # what unmakes may call it too
        if late:
            takes(*given, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(owner, call, interrupted)


def contents(client: Any) -> dict[str, Any]:
    """What a store shows to who looks for it."""
    kept = [client.get_experiment_by_name("kept").experiment_id]
    return {
        "aliases": {one.name: dict(one.aliases) for one in client.search_registered_models()},
        "versions": [(one.name, one.version) for one in client.search_model_versions("name LIKE '%'")],
        "models": [(one.model_id, one.status) for one in client.search_logged_models(kept)],
        "runs": [(one.info.run_id, one.info.status) for one in client.search_runs(kept)],
    }


def test_a_server_is_asked_before_anything_else(wine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server is given up after few tries, before the model is saved; a number of tries of the user's own wins."""
    from mlflow.exceptions import MlflowException

    name, seen = "MLFLOW_HTTP_REQUEST_MAX_RETRIES", []

    class Dead:
        def get_experiment_by_name(self, _: str) -> None:
            seen.append(os.environ[name])
            raise MlflowException("no answer")

    monkeypatch.setattr(registry, "_client", lambda _: Dead())
    monkeypatch.setattr(registry, "save_model", lambda *_: pytest.fail("saved for a server that is not there"))
    for own in (None, "5"):
        monkeypatch.delenv(name, raising=False) if own is None else monkeypatch.setenv(name, own)
        with pytest.raises(InvalidInput, match="did not take the model 'wine': no answer"):
            register(wine, "wine", tracking_uri="http://127.0.0.1:9")
        assert os.environ.get(name) == own
    assert seen == [registry.PATIENCE[name], "5"]


def test_a_server_that_is_not_there(wine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that does not answer is named, without the password in its address."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(InvalidInput, match=rf"store http://127\.0\.0\.1:{port} did not take the model 'wine'"):
        register(wine, "wine", tracking_uri=f"http://user:secret@127.0.0.1:{port}")


def test_no_bundle(tmp_path: Path) -> None:
    """Nothing is registered or converted of a folder that is no bundle."""
    with pytest.raises(NotFound, match="is it what"):
        register(tmp_path, "none", tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    with pytest.raises(NotFound, match="is it what"):
        to_onnx(tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- ONNX ------------------------------------------------------------------------------------------------------


def onnx(file: Path, feed: dict[str, Any]) -> Any:
    """The last output of an ONNX model."""
    return session(file).run(None, feed)[-1]


def session(file: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(str(file))


def near(said: Any, expected: Any) -> None:
    off = np.abs(said.reshape(np.shape(expected)) - expected) / np.maximum(1.0, np.abs(expected))
    assert off.max() <= 1e-5


def kinds() -> dict[str, tuple[Any, Any]]:
    X, y = regression()
    words = np.where(y > 0, "up", "down")
    three = np.digitize(y, [-1.0, 1.0])
    images = np.random.default_rng(0).integers(0, 255, (60, 8, 8)).astype(np.uint8)
    several = np.stack([y, -y + X[:, 1]], axis=1)
    holes = np.where(np.random.default_rng(1).random(X.shape) < 0.1, np.nan, X)
    return {
        "l1": (Linear("l1"), (X, 1000 + y)),
        "minmax": (Linear("l2", scale="minmax"), (holes, words)),
        "robust": (Linear("elastic_net", scale="robust"), (X, three)),
        "net": (net(norm="batch_norm"), (X, words)),
        "layer_norm": (net(norm="layer_norm", precision="float64"), (holes, several)),
        "cnn": (net(module=CNN(channels=(3,))), (images, three)),
        "sequences": (net(module=CNN(channels=(3,), dims=1)), (images.astype(float), words)),
        "mlp": (net(scale="none"), (X + 5000, three)),
    }


@pytest.mark.slow
def test_only_a_transformed_y_is_undone(wine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that happens to have attributes of these names is converted as it is."""
    pytest.importorskip("skl2onnx")
    model = load(wine)
    model.model.target, model.model.transformer_ = "wine", "anything"
    monkeypatch.setattr("regsearch.export.serving.onnx.load", lambda *_: model)
    assert to_onnx(wine, tmp_path / "model.onnx").exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", kinds())
def test_onnx_says_what_the_bundle_says(kind: str, tmp_path: Path) -> None:
    """On other rows than its example, ONNX Runtime agrees with the bundle within 1e-5."""
    pytest.importorskip("skl2onnx")
    space, data = kinds()[kind]
    if isinstance(space, Net):
        pytest.importorskip("torch")
    bundle = exported(tmp_path, space, data)
    file, model = to_onnx(bundle, tmp_path / "model.onnx"), load(bundle)
    X = data[0].astype(np.float32)
    expected = model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)
    near(onnx(file, {"X": X}), expected)


def test_onnx_of_a_frame(wine: Path) -> None:
    """Of a DataFrame each column is an input, and a category's text is taken as it is."""
    pytest.importorskip("skl2onnx")
    file = to_onnx(wine)
    assert file == wine / "model.onnx"
    X, _ = frame()
    X = X.astype(dict.fromkeys(["alcohol", "malic_acid", "hue"], np.float32))
    feed = {name: X[[name]].to_numpy().astype(str if name == "kind" else np.float32) for name in X}
    near(onnx(file, feed), load(wine).predict_proba(X))
    file.unlink()


def tables() -> dict[str, tuple[Any, Any]]:
    """Models of DataFrames that take all columns, choose some or encode them; of numbers, text and whole numbers."""
    X, y = regression()
    numbers = pd.DataFrame(X, columns=["a", "b", "c", "d", "X", "probabilities"]).assign(count=np.arange(60))
    holes = numbers.where(numbers < 1.5)
    words = np.where(y > 0, "up", "down")
    mixed = holes.assign(
        size=pd.Categorical(np.arange(60) % 3 * 10), kind=pd.Categorical(np.array(["u", "v", "w"])[np.arange(60) % 3])
    )
    some = make_pipeline(make_column_transformer((StandardScaler(), ["d", "a"])), Ridge())
    scaled = make_pipeline(StandardScaler(), LogisticRegression())
    return {
        "bare": (Estimator(Ridge(), {"alpha": Float(0.1, 1.0)}), (numbers, y)),
        "pipeline": (Estimator(scaled, {"logisticregression__C": Float(0.1, 1.0)}), (numbers, words)),
        "some": (Estimator(some, {"ridge__alpha": Float(0.1, 1.0)}), (numbers, y)),
        "whole": (Linear("l2"), (mixed, y)),
        "net": (net(), (numbers, words)),
        "net of all": (net(norm="layer_norm"), (mixed, y)),
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", tables())
def test_onnx_of_any_frame(kind: str, tmp_path: Path) -> None:
    """Each column of a DataFrame is an input, whether the model chooses, encodes or just takes the columns."""
    pytest.importorskip("skl2onnx")
    space, (X, y) = tables()[kind]
    if isinstance(space, Net):
        pytest.importorskip("torch")
    bundle = exported(tmp_path, space, (X, y))
    model = load(bundle)
    X = X[::-1].astype({name: np.float32 for name in X if X[name].dtype.kind in "fi"})
    if "size" in X:
        X.loc[7, ["size", "kind"]] = np.nan
        X = X.assign(size=X["size"].astype(object).fillna(77), kind=X["kind"].astype(object).fillna("new"))
    types, file = {"size": np.int64, "kind": str}, to_onnx(bundle)
    columns = json.loads(session(file).get_modelmeta().custom_metadata_map["columns"])
    feed = {name: X[[column]].to_numpy().astype(types.get(column, np.float32)) for name, column in columns.items()}
    near(onnx(file, feed), model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "labels"), [(SVC(), ["down", "up"]), (LinearSVC(), [False, True]), (SVC(), [3, 7])]
)
def test_onnx_of_a_classifier_without_probabilities(estimator: Any, labels: list[Any], tmp_path: Path) -> None:
    """Where a classifier has labels alone, these are the only output of its ONNX model."""
    pytest.importorskip("skl2onnx")
    X, y = regression()
    y = np.array(labels)[(y > 0).astype(int)]
    bundle = exported(tmp_path, Estimator(estimator, {"C": Float(0.1, 1.0)}), (X, y))
    file = to_onnx(bundle)
    other = regression(seed=5)[0].astype(np.float32)
    (said,) = session(file).run(None, {"X": other})
    assert said.tolist() == load(bundle).predict(other).tolist()


@pytest.mark.slow
def test_onnx_of_other_labels_is_refused(tmp_path: Path) -> None:
    """Where float32 rounds the columns to other labels than the bundle's, nothing is written."""
    pytest.importorskip("skl2onnx")
    X, y = regression()
    model, far = make_pipeline(StandardScaler(), LinearSVC()), pd.DataFrame(X + 1e9, columns=list("abcdef"))
    bundle = exported(tmp_path, Estimator(model, {"linearsvc__C": Float(0.1, 1.0)}), (far, y > 0))
    with pytest.raises(InvalidInput, match=r"of \d of 5 rows it says another class"):
        to_onnx(bundle)
    assert not (bundle / "model.onnx").exists()


@pytest.mark.slow
def test_onnx_of_columns_by_any_name(tmp_path: Path) -> None:
    """Columns whose names ONNX does not have, or that would be one there, are inputs in the bundle's order."""
    pytest.importorskip("skl2onnx")
    X, y = regression()
    table = pd.DataFrame(X, columns=["a/b", "a_b", "a b", "1x", "label", "x"]).astype(np.float32)
    table["k/d"] = pd.Categorical(np.array(["u", "v", "w"])[np.arange(60) % 3])
    bundle = exported(tmp_path, Linear("l2"), (table, y > 0))
    file = to_onnx(bundle)
    opened = session(file)
    columns = json.loads(opened.get_modelmeta().custom_metadata_map["columns"])
    assert list(columns) == [one.name for one in opened.get_inputs()]
    assert list(columns.values()) == list(table)
    feed = {
        name: table[[column]].to_numpy().astype(str if column == "k/d" else np.float32)
        for name, column in columns.items()
    }  # fmt: skip
    near(onnx(file, feed), load(bundle).predict_proba(table))


@pytest.mark.slow
def test_what_has_no_onnx(tmp_path: Path) -> None:
    """A step without an ONNX form, a date and categories of broken numbers are refused, and no file is written."""
    pytest.importorskip("skl2onnx")
    X, y = regression()
    dated = pd.DataFrame(X[:, :3], columns=list("abc")).assign(day=pd.date_range("2024", periods=60))
    tenths = dated.drop(columns="day").assign(share=pd.Categorical(np.arange(60) % 3 / 10))
    numbers = make_pipeline(make_column_transformer(("passthrough", ["a", "b"])), Ridge())
    own = make_pipeline(FunctionTransformer(np.tanh), Ridge())
    refused = {
        "skl2onnx cannot convert this Ridge": (Estimator(own, {"ridge__alpha": Float(0.1, 1.0)}), (X, y)),
        "the column 'day' has none of them": (Estimator(numbers, {"ridge__alpha": Float(0.1, 1.0)}), (dated, y)),
        "the column 'share' has none of them": (net(), (tenths, y)),
    }  # fmt: skip
    for number, (message, (space, data)) in enumerate(refused.items()):
        bundle = exported(tmp_path / str(number), space, data)
        with pytest.raises(InvalidInput, match=message):
            to_onnx(bundle, trusted=to_trust(bundle))
        assert not (bundle / "model.onnx").exists()


@pytest.mark.slow
def test_other_methods_are_refused(tmp_path: Path) -> None:
    """A regression has no probabilities, and the error says which method it has."""

    bundle = exported(tmp_path, Linear(Choice("l1", "l2")), regression())
    with pytest.raises(InvalidInput, match="must be predict for this model, got 'predict_proba'"):
        Served(load(bundle)).predict(regression()[0], PROBABILITIES)
    with warnings.catch_warnings(record=True):
        assert Served(load(bundle)).predict(regression()[0]).shape == (60,)


# --- the command line ------------------------------------------------------------------------------------------

SCRIPT = """
from sklearn.datasets import load_diabetes
from regsearch import Linear, Study
study = Study("small", *load_diabetes(return_X_y=True), space=Linear("l1"), cv=3, tracking=False, root=ROOT)
"""


@pytest.mark.slow
def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`show --as` prints code alone; `export --onnx --register` writes and registers, and an export replaces it all."""
    pytest.importorskip("skl2onnx")
    script, out, root = tmp_path / "script.py", tmp_path / "bundle", tmp_path / "root"
    script.write_text(SCRIPT.replace("ROOT", repr(str(root))))
    database(root)
    given = ["small", "--root", str(root), "--script", str(script)]
    assert main(["run", str(script), "--trials", "2"]) == 0
    capsys.readouterr()
    assert main(["show", *given, "--as", "sklearn"]) == 0
    made: dict[str, Any] = {}
    exec(capsys.readouterr().out, made)
    assert "lasso" in made["model"].named_steps
    assert main(["show", *given, "--as", "torch"]) == 2
    assert "can be written for sklearn" in capsys.readouterr().err
    assert main(["export", *given, "--out", str(out), "--onnx", "--register", "small", "--alias", "live"]) == 0
    assert "-m models:/small@live" in capsys.readouterr().out
    assert (out / "model.onnx").exists()
    rows = regression(5, 10)[0]
    found = from_registry("models:/small@live", f"sqlite:///{root / 'mlflow.db'}")
    assert found.predict(rows).tolist() == load(out).predict(rows).tolist()
    assert main(["export", *given, "--out", str(out)]) == 0
    assert not (out / "model.onnx").exists()


FLAGGED = """
import numpy as np
import pandas as pd
from regsearch import Linear, Study
values = np.random.default_rng(0).normal(size=(40, 3))
X = pd.DataFrame(values, columns=list("abc")).assign(flag=pd.Categorical(values[:, 0].round() + 0.5))
study = Study("flagged", X, values.sum(axis=1), space=Linear("l2"), cv=3, tracking=False, root=ROOT)
"""


@pytest.mark.slow
def test_a_part_that_fails_stops_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where ONNX cannot be written the bundle is, and is registered; one line says why, and the status that not all."""
    pytest.importorskip("skl2onnx")
    script, out, root = tmp_path / "script.py", tmp_path / "bundle", tmp_path / "root"
    script.write_text(FLAGGED.replace("ROOT", repr(str(root))))
    database(root)
    given = ["flagged", "--root", str(root), "--script", str(script), "--out", str(out)]
    assert main(["run", str(script), "--trials", "2"]) == 0
    capsys.readouterr()
    assert main(["export", *given, "--onnx", "--register", "flagged"]) == 2
    said = capsys.readouterr()
    (line,) = [line for line in said.err.splitlines() if line.startswith("regsearch:")]
    assert line.startswith("regsearch: model.onnx was not written: An ONNX model takes")
    assert "the column 'flag'" in line
    assert "Version 1 of 'flagged' is registered." in said.out
    assert not (out / "model.onnx").exists()
    assert main(["export", *given, "--register", "a/b"]) == 2
    assert "regsearch: 'a/b' was not registered: The MLflow store" in capsys.readouterr().err

    monkeypatch.setattr("regsearch.export.serving.to_onnx", lambda *_, **__: {}["unforeseen"])
    assert main(["export", *given, "--onnx", "--register", "flagged"]) == 2
    said = capsys.readouterr()
    assert "KeyError: 'unforeseen'" in said.err
    assert "Version 2 of 'flagged' is registered." in said.out

    monkeypatch.setattr("regsearch.export.serving.register", lambda *_, **__: os.kill(os.getpid(), signal.SIGINT))
    assert main(["export", *given, "--register", "flagged"]) == 130
    assert "'flagged' was not registered: interrupted; the bundle in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--alias", "live"], "got it without --register; add --register NAME"),
        (["--register", ""], "--register needs the name of the registered model"),
        (["--register", " ", "--alias", "live"], "--register needs the name of the registered model"),
    ],
)
def test_a_registration_that_cannot_be_meant(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An alias of nothing and an empty name are refused before anything is read, fitted or written."""
    assert main(["export", "none", "--root", str(tmp_path), "--out", str(tmp_path / "out"), *options]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
