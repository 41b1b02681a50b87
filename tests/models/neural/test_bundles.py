"""Refitted nets: they train as the search did, and their bundles predict the same elsewhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from samples import python
from scipy import sparse
from sklearn.datasets import load_diabetes, load_digits

from regsearch import CNN, MLP, Float, InvalidInput, Net, NotFound, Study, load
from regsearch import nn_techniques as t
from regsearch.data.folds import Folds
from regsearch.data.problem import make_problem
from regsearch.export.bundle.files import CONFIG
from regsearch.models.base import Candidate, Setup
from regsearch.models.neural import Custom
from regsearch.models.neural.files import PREPARE, TENSORS
from regsearch.models.neural.network.network import make_network
from regsearch.models.neural.training.batches import batch_slices
from regsearch.models.neural.training.stack import Stack

FRESH = """
import json, sys
import numpy as np
import pandas as pd
import regsearch
file = sys.argv[2]
X = pd.read_json(file, dtype=False) if file.endswith("json") else np.load(file)
if file.endswith("json"):
    X["kind"] = X["kind"].astype("category")
model = regsearch.load(sys.argv[1])
method = getattr(model, "predict_proba", model.predict)
trained = [name for name in sys.modules if name.startswith("regsearch.models.neural.") and name.rpartition(".")[2] in
           {"block", "stack", "run", "shared", "outcome", "refit", "columns"}]
print(json.dumps({"predicted": method(X).tolist(), "loaded": sorted({"optuna", "mlflow"} & set(sys.modules)),
                  "trained": trained}))
"""
STOPPING = t.EarlyStopping(max_epochs=4, patience=4)


def own_module() -> torch.nn.Module:
    """A user's module: 64 inputs, 10 classes, with batch norm (which counts its batches) and dropout."""
    nn = torch.nn
    return nn.Sequential(nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 10))


def frame() -> tuple[pd.DataFrame, Any]:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    X = X[["age", "bmi", "bp"]].iloc[:120].copy()
    X["kind"] = pd.Categorical(np.array(["a", "b", "c"])[np.arange(120) % 3])
    X.loc[::7, "bmi"] = np.nan
    return X, y[:120]


def digits(count: int = 150, image: bool = False) -> tuple[Any, Any]:
    X, y = load_digits(return_X_y=True)
    X = X[:count]
    return (X.reshape(-1, 8, 8) if image else X), y[:count]


def two_targets() -> tuple[Any, Any]:
    X, y = load_diabetes(return_X_y=True)
    return X[:120], np.c_[y[:120], X[:120, 0] - X[:120, 3]]


CASES: dict[str, tuple[Any, Net]] = {
    "digits": (digits(), Net(MLP(hidden=(16,)), dropout=Float(0, 0.5), averaging=0.9, early_stopping=STOPPING)),
    "images": (digits(image=True), Net(CNN(channels=(4,)), norm="batch_norm", batch_size=64, dropout=Float(0, 0.5),
                                       early_stopping=STOPPING)),
    "frame": (frame(), Net(MLP(hidden=(8,)), norm="layer_norm", batch_size=32, penalty=t.L2Penalty(),
                           averaging=t.Snapshots(2), early_stopping=STOPPING)),
    "two targets": (two_targets(), Net(MLP(hidden=(8,)), batch_size=32, weight_decay=Float(0, 1),
                                       early_stopping=STOPPING)),
}  # fmt: skip


def searched(root: Path, data: tuple[Any, Any], space: Net) -> Study:
    one = Study("net", *data, space=space, cv=3, root=root, tracking=False, prune=False)
    one.run(3, quiet=True)
    return one


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_fresh_process_predicts_the_same(case: str, tmp_path: Path) -> None:
    """A fresh process, without the training's code, optuna or mlflow, predicts to the bit what was refitted here."""
    (X, _), _ = CASES[case]
    one = searched(tmp_path, *CASES[case])
    folder = one.export(tmp_path / "bundle")
    file = tmp_path / ("X.json" if isinstance(X, pd.DataFrame) else "X.npy")
    X.to_json(file, double_precision=15) if isinstance(X, pd.DataFrame) else np.save(file, X)  # by default 10 digits
    done = python("-c", FRESH, str(folder), str(file), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["loaded"] == said["trained"] == []
    fitted = one.results().best.config.refit(one.problem, one.seed)
    method = getattr(fitted, "predict_proba", fitted.predict)
    np.testing.assert_array_equal(said["predicted"], method(X))


@pytest.mark.slow
def test_a_refit_continues_what_the_folds_did() -> None:
    """A refit on a problem's rows is the fold that trains on all of them, but for its own random numbers: with no
    randomness in the config, training the same rows as a fold and as a refit from one start gives the same net."""
    X, y = load_diabetes(return_X_y=True)
    problem = make_problem(X[:60], y[:60])
    config = Net(MLP(hidden=(4,)), batch_size=60, precision="float64", penalty=t.L2Penalty(0.01), schedule=t.Cosine(),
                 early_stopping=t.FixedEpochs(5, max_epochs=9))  # fmt: skip
    fitted = config.refit(problem, 0)
    everything = np.arange(60)
    stack = Stack(Setup(problem, Folds((everything,), (everything,), "all"), _mse(problem)))
    whole = stack.shared.network(stack.shared.structure(config), -1)
    stack.shared._networks[stack.shared.structure(config), 0] = whole  # one start for both
    (outcome,) = stack.stream([Candidate(0, config)])
    assert outcome.predictions is not None
    np.testing.assert_allclose(fitted.predict(X[:60]), outcome.predictions[:, 0], rtol=1e-9)


def _mse(problem: Any) -> Any:
    from regsearch.metrics.scorer import resolve

    return resolve("neg_mean_squared_error", problem)


class Difference(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, 1:] - x[:, :1]


def two_outputs() -> torch.nn.Module:
    nn = torch.nn
    return nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))


def one_output() -> torch.nn.Module:
    return torch.nn.Sequential(*two_outputs(), Difference())


@pytest.mark.slow
def test_two_outputs_for_two_classes(tmp_path: Path) -> None:
    """Two outputs for two classes train, predict and ship as their difference written out does, bit for bit."""
    X, y = digits()
    data = X[y < 2], y[y < 2]
    two, one = (
        searched(tmp_path / name, data, Net(module, weight_decay=Float(0, 1), early_stopping=STOPPING))
        for name, module in (("two", two_outputs), ("one", one_output))
    )
    assert [trial.points for trial in two.results().all] == [trial.points for trial in one.results().all]
    bundles = [each.export(tmp_path / f"{k}-bundle") for k, each in enumerate((two, one))]
    loaded = [load(folder, module=module) for folder, module in zip(bundles, (two_outputs, one_output), strict=True)]
    np.testing.assert_array_equal(loaded[0].predict_proba(data[0]), loaded[1].predict_proba(data[0]))


@pytest.mark.slow
def test_own_modules(tmp_path: Path) -> None:
    """The bundle of a user's module loads with the function that makes it, and with no other."""
    one = searched(
        tmp_path, digits(), Net(own_module, weight_decay=Float(0, 1), batch_size=32, early_stopping=STOPPING)
    )
    folder = one.export(tmp_path / "bundle")
    X, _ = digits()
    expected = one.results().best.config.refit(one.problem, one.seed).predict_proba(X)
    np.testing.assert_array_equal(load(folder, module=own_module).predict_proba(X), expected)
    with pytest.raises(InvalidInput, match="pass module="):
        load(folder)
    with pytest.raises(InvalidInput, match="not the one that was trained"):
        load(folder, module=lambda: torch.nn.Linear(64, 10))


def test_modules_that_cannot_be_pickled() -> None:
    """A script whose module comes from a lambda can be refitted: it goes through no pipe to the process that trains."""
    code = """
import numpy as np, torch
from regsearch import Net, nn_techniques as t
from regsearch.data.problem import make_problem
X = np.random.default_rng(0).normal(size=(40, 5))
config = Net(lambda: torch.nn.Linear(5, 1), early_stopping=t.FixedEpochs(3))
print(config.refit(make_problem(X, X[:, 0]), 0).predict(X).shape)
"""
    done = python("-c", code)
    assert done.stdout.strip() == "(40,)", done.stderr


@pytest.mark.slow
def test_plain_torch_predicts_the_same(tmp_path: Path) -> None:
    """The exported module is a plain one: fed with scaled rows by hand it gives the bundle's logits."""
    one = searched(tmp_path, *CASES["digits"])
    model = load(one.export(tmp_path / "bundle"))
    X, _ = digits()
    x = (torch.tensor(X, dtype=torch.float32) - model.tensors["center"]) / model.tensors["spread"]
    assert isinstance(model.module_, torch.nn.Sequential)
    with torch.no_grad():
        np.testing.assert_array_equal(model.module_(x).double().numpy(), model.decision(X))


@pytest.mark.slow
def test_sparse_rows(tmp_path: Path) -> None:
    """A net of sparse rows predicts the same from sparse and from dense ones."""
    X, y = digits()
    one = searched(tmp_path, (sparse.csr_array(X), y), Net(MLP(hidden=(8,)), dropout=Float(0, 0.5), batch_size=32,
                                                          early_stopping=STOPPING))  # fmt: skip
    model = load(one.export(tmp_path / "bundle"))
    np.testing.assert_array_equal(model.predict_proba(sparse.csr_array(X)), model.predict_proba(X))


@pytest.mark.slow
def test_labels_come_back(tmp_path: Path) -> None:
    """A net's bundle predicts the labels that were given, with probabilities that sum to one."""
    X, y = digits()
    one = searched(tmp_path, (X, np.where(y % 2, "odd", "even")), CASES["digits"][1])
    model = load(one.export(tmp_path / "bundle"))
    assert set(model.predict(X)) <= {"odd", "even"}
    assert model.predict_proba(X).shape == (len(X), 2)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)


@pytest.fixture(scope="module")
def framed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that no test writes to."""
    folder = tmp_path_factory.mktemp("framed")
    return searched(folder, *CASES["frame"]).export(folder / "bundle")


@pytest.mark.parametrize(
    ("file", "damage", "error", "match"),
    [
        (TENSORS, lambda b: b[: len(b) // 2], InvalidInput, "damaged"),
        (TENSORS, lambda b: b"\0" * len(b), InvalidInput, "damaged"),
        (PREPARE, lambda b: b[: len(b) // 2], InvalidInput, "damaged"),
        (CONFIG, lambda b: b.replace(b"schema = 1", b"schema = 9"), InvalidInput, "upgrade"),
        (TENSORS, None, NotFound, "net.safetensors"),
        (PREPARE, None, NotFound, "prepare.skops"),
    ],
)
def test_damage(framed: Path, tmp_path: Path, file: str, damage: Any, error: type[Exception], match: str) -> None:
    """A bundle that is cut, zeroed, newer or incomplete is refused in one sentence."""
    folder = Path(shutil.copytree(framed, tmp_path / "bundle"))
    if damage is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(damage((folder / file).read_bytes()))
    with pytest.raises(error, match=match):
        load(folder)


@pytest.mark.slow
def test_rows_of_another_shape(tmp_path: Path) -> None:
    """Images of another size are refused at prediction."""
    model = load(searched(tmp_path, *CASES["images"]).export(tmp_path / "bundle"))
    with pytest.raises(InvalidInput, match="shape"):
        model.predict(np.zeros((2, 9, 9)))


def test_an_epoch_must_be_chosen() -> None:
    """A config that still stops early cannot be refitted."""
    with pytest.raises(InvalidInput, match="needs a number of epochs"):
        Net(early_stopping=STOPPING).refit(make_problem(*digits()), 0)


class Tied(torch.nn.Module):
    """Two layers that share their weights, a frozen one, and a buffer that is not saved."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.out = (torch.nn.Linear(*sizes) for sizes in ((10, 10), (10, 10), (10, 1)))
        self.b.weight = self.a.weight
        self.still = torch.nn.Linear(10, 10)
        self.still.requires_grad_(False)
        self.register_buffer("shift", torch.full((10,), 0.5), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.out(torch.tanh(self.b(self.still(self.a(x)))) + self.shift)
        return out


@pytest.mark.slow
def test_shared_frozen_and_unsaved(tmp_path: Path) -> None:
    """Tied weights are trained as one, frozen ones stay, unsaved buffers are made anew: in the bundle too."""
    X, y = load_diabetes(return_X_y=True)
    one = searched(tmp_path, (X[:90], y[:90]), Net(Tied, weight_decay=Float(0, 1), lr=0.05, early_stopping=STOPPING))
    model = load(one.export(tmp_path / "bundle"), module=Tied)
    fitted = one.results().best.config.refit(one.problem, one.seed)
    np.testing.assert_array_equal(model.predict(X), fitted.predict(X))
    module = model.module_
    assert torch.equal(module.a.weight, module.b.weight)
    start = make_network(Custom(Tied), (10,), 1, "", one.seed, -1)
    views = start.layout.views(start.theta[None])
    assert torch.equal(module.still.weight, views["still.weight"][0].float())
    assert not torch.equal(module.a.weight, views["a.weight"][0].float())
    scaled = model.decision(X[:90]) - one.problem.y[:, None]
    assert np.mean(scaled**2) < np.var(y[:90]) * 1.5


@pytest.mark.slow
@pytest.mark.parametrize("move", ["X", "y"])
def test_far_from_zero(move: str) -> None:
    """Columns and targets that lie far from 0 are learned as if they lay near it: timestamps, ids, large prices."""
    X, y = load_diabetes(return_X_y=True)
    X, y = X[:100] / X[:100].std(axis=0), y[:100]
    config = Net(MLP(hidden=(8,)), lr=0.01, early_stopping=t.FixedEpochs(30))
    near = config.refit(make_problem(X, y), 0).predict(X)
    far_X, far_y = (X + 1.7e9, y) if move == "X" else (X, y + 1e9)
    far = config.refit(make_problem(far_X, far_y), 0).predict(far_X)
    np.testing.assert_allclose(far - (1e9 if move == "y" else 0), near, rtol=1e-2, atol=0.5)


def test_the_horizon_stays() -> None:
    """Whatever step of a path is chosen, a schedule keeps the horizon that it was searched with."""
    for stopping in (t.EarlyStopping(max_epochs=50), t.FixedEpochs(50), t.FixedEpochs(20, max_epochs=50)):
        config = Net(schedule=t.Cosine(), early_stopping=stopping)
        assert config.horizon == config.at(7).horizon == 50
        assert config.at(7).last == 7


def test_batches_of_one_size() -> None:
    """Without a batch size a fold and all rows take as many steps an epoch, unless they differ by half a batch."""
    for n in (20, 120, 150, 190, 500, 1437):
        sizes = [part.stop - part.start for part in batch_slices(n, 0)]
        assert sum(sizes) == n
        assert max(sizes) - min(sizes) <= 1
        assert len(sizes) == max(1, round(n / 128))
