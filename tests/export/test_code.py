"""Plain code: run where regsearch cannot be imported, it gives the model that the config stands for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from samples import python
from sklearn.base import BaseEstimator
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from regsearch import (
    CNN,
    L1,
    MLP,
    AdaptiveElasticNet,
    AdaptiveLasso,
    Choice,
    ElasticNet,
    Estimator,
    Float,
    GroupLasso,
    InvalidInput,
    Linear,
    Net,
    spaces,
)
from regsearch import nn_techniques as t
from regsearch.data.problem import Problem, make_problem
from regsearch.export.code import LIBRARIES, WRITERS, code
from regsearch.export.code.augmenting import STRETCHED, WARPED
from regsearch.export.code.weighting import unlike

RUNNER = """
import os, sys
os.environ["OMP_NUM_THREADS"] = "1"  # nets so small only wait for a second thread
sys.modules["regsearch"] = None  # importing it fails
import runpy
from pathlib import Path
import numpy as np
import pandas as pd
for folder in map(Path, sys.argv[1:]):
    made = runpy.run_path(str(folder / "code.py"))
    kept = np.load(folder / "data.npz", allow_pickle=False)
    frame = folder / "X.parquet"
    X = pd.read_parquet(frame) if frame.exists() else kept["X"]
    y, w = kept["y"], kept["w"] if "w" in kept else None
    if "model" in made:
        call = (folder / "code.py").read_text().rstrip().splitlines()[-1].removeprefix("# ")
        exec(call, {"model": made["model"], "X": X, "y": y, "w": w})
        said = made["model"].predict_proba(X) if hasattr(made["model"], "predict_proba") else made["model"].predict(X)
    else:
        given = {"groups": kept["groups"]} if "groups" in kept else {}
        said = made["fit"](X, y, w, **given)(X)
    np.save(folder / "said.npy", said)
"""


@dataclass(frozen=True)
class Case:
    config: Any
    problem: Problem
    within: float  # largest difference, in deviations of what the refit says

    @property
    def flavor(self) -> str:
        return "torch" if isinstance(self.config, Net) else "sklearn"

    def expected(self) -> Any:
        fitted = self.config.refit(self.problem, 0)
        return (fitted.predict if self.problem.classes is None else fitted.predict_proba)(self.problem.X)


def run(cases: dict[str, Case], folder: Path) -> dict[str, Any]:
    """What the code of each case says, all of them in one process without regsearch."""
    for name, case in cases.items():
        place = folder / name
        place.mkdir()
        (place / "code.py").write_text(code(case.config, case.problem, case.flavor))
        arrays = {"y": case.problem.labels}
        if isinstance(case.problem.X, pd.DataFrame):
            case.problem.X.to_parquet(place / "X.parquet")
        else:
            arrays["X"] = case.problem.X
        if case.problem.sample_weight is not None:
            arrays["w"] = case.problem.sample_weight
        if case.problem.groups is not None:
            arrays["groups"] = case.problem.groups
        np.savez(place / "data.npz", **arrays)
    done = python("-c", RUNNER, *(str(folder / name) for name in cases), cwd=folder)
    assert done.returncode == 0, done.stderr
    return {name: np.load(folder / name / "said.npy") for name in cases}


def compare(cases: dict[str, Case], folder: Path) -> None:
    off = {}
    for name, said in run(cases, folder).items():
        expected = cases[name].expected()
        assert said.shape == expected.shape, name
        off[name] = abs(said - expected).max() / expected.std()
    assert {name: value for name, value in off.items() if not value <= cases[name].within} == {}


def diabetes(**options: Any) -> Problem:
    return make_problem(*load_diabetes(return_X_y=True), **options)


def mixed(sample_weight: Any = None) -> Problem:
    """Numbers with holes, a flag and a category."""
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    X = X[["age", "bmi", "bp"]].assign(
        flag=X["sex"] > 0, kind=pd.Categorical(np.array(["low", "mid", "high"])[np.arange(len(X)) % 3])
    )
    X.loc[::9, "bmi"] = np.nan
    return make_problem(X, y, sample_weight=sample_weight)


def weights(n: int) -> Any:
    return np.random.default_rng(0).uniform(0.2, 3.0, n)


def masking(n: int) -> Any:
    return 2.0 * (np.arange(n) % 5 > 1)


def linear_cases() -> dict[str, Case]:
    numbers, weighted, wine = diabetes(), diabetes(sample_weight=weights(442)), load_wine(return_X_y=True)
    cancer = make_problem(*load_breast_cancer(return_X_y=True))
    labelled = make_problem(wine[0], np.array(["one", "two", "three"])[wine[1]])
    half = ElasticNet(l1_ratio=0.5)
    return {
        "l1": Case(Linear("l1", lambda_=2.0), numbers, 1e-4),
        "l2": Case(Linear("l2", lambda_=0.3, scale="minmax"), numbers, 1e-4),
        "elastic": Case(Linear(half, lambda_=0.5, scale="robust"), numbers, 1e-4),
        "nothing": Case(Linear("none", lambda_=0.0), numbers, 1e-4),
        "l1_weighted": Case(Linear("l1", lambda_=2.0), weighted, 1e-4),
        "l2_weighted": Case(Linear("l2", lambda_=0.3), weighted, 1e-4),
        "mixed": Case(Linear(half, lambda_=0.5), mixed(), 1e-4),
        "masked": Case(Linear(half, lambda_=0.5, scale="robust"), mixed(masking(442)), 1e-4),
        "masked_minmax": Case(Linear("l2", lambda_=0.1, scale="minmax"), mixed(masking(442)), 1e-4),
        "binary": Case(Linear("l2", lambda_=1e-5), cancer, 3e-3),
        "binary_unscaled": Case(Linear("l2", lambda_=1e-4, scale="none"), cancer, 3e-3),
        "binary_l1": Case(Linear("l1", lambda_=1e-4), cancer, 3e-3),
        "binary_elastic": Case(Linear(half, lambda_=1e-3), cancer, 3e-3),
        "classes": Case(Linear(half, lambda_=0.05), labelled, 3e-3),
        "adaptive": Case(Linear(AdaptiveLasso(gamma=1.0), lambda_=2.0), weighted, 1e-4),
        "adaptive_elastic": Case(Linear(AdaptiveElasticNet(0.5, gamma=2.0), lambda_=0.1), mixed(), 1e-4),
        "adaptive_binary": Case(Linear(AdaptiveLasso(gamma=0.5), lambda_=1e-2), cancer, 1e-4),
        "classes_l1": Case(Linear("l1", lambda_=1e-3), labelled, 3e-3),
    }


@pytest.mark.slow
def test_linear_code_is_the_same_model(tmp_path: Path) -> None:
    """scikit-learn's pipeline with the translated lambda predicts what the certified refit does, for every task."""
    compare(linear_cases(), tmp_path)


def test_linear_code_says_how_close_it_comes() -> None:
    """Code whose solver is not exact says so, and that it may warn; other code says nothing of it."""
    cases = linear_cases()
    said = {name: code(case.config, case.problem, "sklearn").split('"""')[1] for name, case in cases.items()}
    assert {name for name in said if "exported model" in " ".join(said[name].split())} == {
        "binary_l1", "binary_elastic", "classes", "classes_l1",
    }  # fmt: skip
    assert {name for name in said if "ConvergenceWarning" in said[name]} == {"binary_elastic", "classes", "classes_l1"}


@pytest.mark.slow
def test_linear_code_is_the_pipeline_of_the_refit() -> None:
    """The estimator that is printed has the parameters of the one that the refit holds."""
    for name, case in linear_cases().items():
        if name.startswith("adaptive"):  # these are written out, with a weight for each column
            continue
        made: dict[str, Any] = {}
        exec(code(case.config, case.problem, "sklearn"), made)
        assert repr(made["model"][-1]) == repr(case.config.refit(case.problem, 0)[-1]), name


def test_what_rows_weigh_otherwise_is_said() -> None:
    """Code says where the library takes no weights that the exported model takes, and only there."""
    weighted, plain, whole = mixed(weights(442)), mixed(), diabetes(sample_weight=weights(442))
    robust, usual, some = Linear("l2", 0.1, scale="robust"), Linear("l2", 0.1), net()
    cases: dict[str, list[tuple[Any, Problem]]] = {
        "means that fill missing values and the medians and quartiles": [(robust, weighted)],
        "means that fill missing values of": [(usual, weighted), (some, weighted)],
        "Rows weigh in the medians and quartiles of RobustScaler": [(robust, whole)],
        "": [(robust, plain), (usual, whole), (robust, mixed(masking(442))), (some, whole), (some, plain)],
    }
    for said, found in cases.items():
        for config, problem in found:
            written = code(config, problem, "torch" if isinstance(config, Net) else "sklearn")
            head = " ".join(written.split('"""')[1].split())
            assert unlike(config, problem) in head
            assert ("Rows weigh in" in head) == bool(said)
            assert said in head
    off = [
        Linear("l2", 0.1).refit(one, 0).named_steps["columntransformer"].transformers_[0][1]
        for one in (weighted, plain)
    ]
    assert np.abs(off[0].statistics_ - off[1].statistics_).max() > 1e-4  # so there is something to say


def net(*hidden: int, **options: Any) -> Net:
    """A net whose training draws nothing: one batch of all rows, in double precision."""
    usual = {"precision": "float64", "batch_size": 1000, "lr": 0.01, "early_stopping": t.FixedEpochs(12, 20)}
    return Net(MLP(hidden=hidden or (8, 4), activation="tanh"), **(usual | options))


def net_cases() -> dict[str, Case]:
    """Each technique that draws nothing at least once."""
    numbers, wine = diabetes(), load_wine(return_X_y=True)
    X, y = load_digits(return_X_y=True)
    classes = make_problem(wine[0], np.array(["one", "two", "three"])[wine[1]])
    weighted = make_problem(wine[0], wine[1] == 1, sample_weight=weights(len(wine[1])))
    several = make_problem(numbers.X, np.stack([numbers.y, -numbers.y / 3 + numbers.X[:, 0]], axis=1))
    whole = make_problem(mixed().X.assign(bmi=numbers.X[:, 2]), numbers.y)
    both = np.stack([numbers.y, numbers.X[:, 2], numbers.y + 1e-3 * numbers.X[:, 0]], axis=1)
    twins = make_problem(numbers.X, both, sample_weight=weights(442))
    images = make_problem(X[:120].reshape(-1, 8, 8).astype(np.uint8), y[:120])
    cosine, restarts = t.Cosine(depth=0.9), t.CosineRestarts(first=3, factor=1.5)
    sites = make_problem(numbers.X, numbers.y, groups=np.arange(442) % 3, sample_weight=masking(442))
    return {
        "activity": Case(net(activity_penalty=t.ElasticNetPenalty(0.01, 0.5), norm="layer_norm"), numbers, 1e-9),
        "activity by name": Case(net(activity_penalty={"*1": t.L1Penalty(0.02)}, dropout=0.0), classes, 1e-9),
        "domains": Case(net(domain_penalty=t.MMD(0.5)), sites, 1e-8),
        "groups of inputs": Case(net(group_sparsity=t.GroupSparsity(0.02)), numbers, 1e-9),
        "groups of neurons": Case(
            net(group_sparsity=t.GroupSparsity(0.02, "neurons"), optimizer=t.SGD(0.02), lr=None), classes, 1e-9
        ),
        "adaptive lambda": Case(
            net(penalty=t.L2Penalty(0.05), penalty_schedule=t.AdaptiveStrength(2.0)), numbers, 1e-9
        ),
        "adaptive decay of classes": Case(
            net(weight_decay=0.2, weight_decay_schedule=t.AdaptiveStrength(2.0, share=0.3)), classes, 1e-9
        ),
        "adaptive decay of two": Case(
            net(weight_decay=0.2, weight_decay_schedule=t.AdaptiveStrength(2.0)), weighted, 1e-9
        ),
        "adaptive lambda of a table": Case(
            net(penalty=t.L1Penalty(0.02), penalty_schedule=t.AdaptiveStrength(2.0)), whole, 1e-9
        ),
        "branches": Case(
            net(tasks=t.AdaptiveSharing(0.6, 0.4), norm="batch_norm", penalty=t.L1Penalty(0.01)), twins, 1e-9
        ),
        "plain": Case(net(), numbers, 1e-9),
        "l1_decay": Case(net(penalty=t.L1Penalty(0.01), weight_decay=0.1, schedule=cosine), numbers, 1e-9),
        "by_name": Case(net(penalty={"linear0.*": t.L1Penalty(0.01), "out.weight": t.L2Penalty(0.1)}), numbers, 1e-9),
        "several": Case(net(penalty=t.ElasticNetPenalty(0.01, 0.3), max_norm=0.5), several, 1e-9),
        "mixed": Case(net(averaging=0.9, scale="minmax"), mixed(), 1e-9),
        "classes": Case(net(label_smoothing=0.1, class_weight="balanced", norm="layer_norm"), classes, 1e-9),
        "weighted": Case(
            net(bias_penalty=t.L2Penalty(0.1), gradient_clipping=0.05, label_smoothing=0.1), weighted, 1e-9
        ),
        "batch_norm": Case(net(norm="batch_norm", averaging=0.8, schedule=restarts, scale="none"), classes, 1e-9),
        "adversarial": Case(
            net(norm="batch_norm", data_augmentation=t.AdversarialTraining(0.1), weight_decay=0.1), weighted, 1e-9
        ),
        "sgd": Case(
            net(optimizer=t.SGD(0.02, 0.9), lr=None, penalty=t.L1Penalty(0.01), weight_decay=0.1, sam=0.1),
            numbers,
            1e-9,
        ),
        "nesterov": Case(net(optimizer=t.SGD(0.02, 0.5, "nesterov"), lr=None, weight_decay=t.CPR(0.9)), numbers, 1e-9),
        "swa": Case(net(norm="batch_norm", averaging=t.SWA(0.25)), classes, 1e-9),
        "snapshots": Case(net(norm="batch_norm", averaging=t.Snapshots(2, 1.5, 2), sam=0.05), classes, 1e-9),
        "snapshots of two": Case(
            net(averaging=t.Snapshots(5, 1.0, 3), early_stopping=t.FixedEpochs(12)), weighted, 1e-9
        ),
        "snapshots of numbers": Case(net(averaging=t.Snapshots(4), schedule=cosine), numbers, 1e-9),
        "robust": Case(net(scale="robust", embedding=t.Periodic(5, 2, 0.3), averaging=0.9), numbers, 1e-9),
        "robust of weighted": Case(net(scale="robust", embedding=t.PiecewiseLinear(4)), weighted, 1e-9),
        "bins": Case(net(embedding=t.PiecewiseLinear(6), averaging=0.9), mixed(), 1e-9),
        "bins of classes": Case(
            net(8, 8, embedding=t.PiecewiseLinear(4), skip="skip_connection", class_weight="balanced"), classes, 1e-9
        ),
        "schedules": Case(net(weight_decay=0.5, weight_decay_schedule=t.Fall(0.2)), numbers, 1e-9),
        "soft sharing": Case(net(tasks=t.SoftSharing(0.5), norm="batch_norm"), several, 1e-9),
        "soft sharing by momentum": Case(net(tasks=t.SoftSharing(0.5), optimizer=t.SGD(0.02), lr=None), several, 1e-9),
        "stitches": Case(net(8, 8, tasks=t.CrossStitch(0.8), embedding=t.PiecewiseLinear(3)), several, 1e-9),
        "relations": Case(net(tasks=t.TaskRelation(0.05), weight_decay=0.1), several, 1e-9),
        "falling lambda": Case(net(penalty=t.L1Penalty(0.02), penalty_schedule=t.Fall(0.2)), numbers, 1e-9),
        "skip": Case(net(8, 8, 4, skip="skip_connection", norm="layer_norm", averaging=0.9), numbers, 1e-9),
        "skip of images": Case(
            net(norm="batch_norm", skip="skip_connection", averaging=t.SWA(0.5)).replace(module=CNN(channels=(3, 4))),
            images,
            1e-8,
        ),
        "radam": Case(
            net(optimizer=t.RAdam(0.02), lr=None, penalty=t.L1Penalty(0.01), weight_decay=t.CPR(0.5, 3)), numbers, 1e-9
        ),
        "lion": Case(
            net(optimizer=t.Lion(0.02), lr=None, penalty=t.L1Penalty(1e-4), lookahead=t.Lookahead(0.5, 5)),
            numbers,
            1e-9,
        ),
        "images": Case(
            net(norm="batch_norm", class_weight="balanced").replace(module=CNN(channels=(3,))), images, 1e-8
        ),
    }


@pytest.mark.slow
def test_a_deterministic_net_is_the_same_net(tmp_path: Path) -> None:
    """Where training draws nothing but its start, the plain loop gives the refit's predictions to rounding."""
    pytest.importorskip("torch")
    compare(net_cases(), tmp_path)


@pytest.mark.slow
def test_a_net_that_draws_learns_as_well(tmp_path: Path) -> None:
    """With dropout, noise and batches the draws differ, and the loss that is reached is the refit's within a fifth."""
    pytest.importorskip("torch")
    X, y = load_digits(return_X_y=True)
    problem = make_problem(X[:600], y[:600])
    noisy: dict[str, Any] = {"dropout": {"hidden0": 0.1, "h*": 0.1}, "input_dropout": 0.1, "input_noise": 0.1}
    noisy |= {"label_noise": 0.05, "data_augmentation": t.Mixup(0.2)}
    stop = t.FixedEpochs(15)
    cases = {
        "auto": Case(Net(MLP(hidden=(32,)), lr=3e-3, early_stopping=stop, **noisy), problem, 0.2),
        "fixed": Case(Net(MLP(hidden=(32,)), lr=3e-3, batch_size=599, early_stopping=stop), problem, 0.2),
        "changed": Case(
            Net(CNN(channels=(6,)), lr=3e-3, batch_size=32, early_stopping=stop,
                augment=t.Augment(10.0, 0.1, 0.1, 0.1, 0.05, 0.1, 0.2, 0.1)),
            make_problem(X[:600].reshape(-1, 8, 8), y[:600]), 0.2,
        ),
        "sequences": Case(
            Net(CNN(channels=(6,), dims=1), lr=3e-3, batch_size=32, early_stopping=stop,
                augment=t.SequenceAugment(0.1, 0.2, 0.05, 0.1)),
            make_problem(X[:600].reshape(-1, 8, 8), y[:600]), 0.2,
        ),
        "spatial": Case(
            Net(CNN(channels=(6,)), lr=3e-3, batch_size=32, early_stopping=stop, dropout=t.SpatialDropout(0.2),
                data_augmentation=t.CutMix(0.3)),
            make_problem(X[:600].reshape(-1, 8, 8), y[:600]), 0.2,
        ),
    }  # fmt: skip
    for name, said in run(cases, tmp_path).items():
        losses = [-np.log(p[np.arange(600), y[:600]]).mean() for p in (said, cases[name].expected())]
        assert losses[0] == pytest.approx(losses[1], rel=cases[name].within, abs=0.02), name
        np.testing.assert_allclose(said.sum(axis=1), 1.0, atol=1e-5)


def test_images_and_sequences_are_changed_by_the_same_formulas() -> None:
    """With the numbers that the plain functions draw, those of the stack change images and sequences alike."""
    import torch
    from torch.nn import functional

    from regsearch.models.neural.technique import Columns
    from regsearch.models.neural.techniques.augment import _warp
    from regsearch.models.neural.techniques.sequence_augment import _stretched

    plain: dict[str, Any] = {"torch": torch, "functional": functional, "math": math}
    exec(WARPED + STRETCHED, plain)
    torch.manual_seed(0)
    images, sequences = torch.rand(4, 2, 6, 8).double(), torch.rand(4, 2, 12).double()
    warp, stretch = {"rotation": 40.0, "zoom": 0.3, "scale": 0.2, "shift": 0.1}, {"shift": 0.2, "crop": 0.5}
    v = Columns(**{name: torch.tensor([value]).double() for name, value in (warp | {"crop": 0.5}).items()})
    torch.manual_seed(1)
    signed = 2 * torch.rand(6, 4, dtype=torch.float64) - 1
    torch.manual_seed(1)
    torch.testing.assert_close(plain["warped"](images, **warp), _warp(v, images[None], signed[None])[0])
    torch.manual_seed(1)
    places = torch.rand(3, 4, dtype=torch.float64)
    v.shift = torch.tensor([0.2]).double()
    torch.manual_seed(1)
    torch.testing.assert_close(
        plain["stretched"](sequences, **stretch), _stretched(v, sequences[None], places[None])[0]
    )


@pytest.mark.slow
def test_noise_of_other_tasks_runs(tmp_path: Path) -> None:
    """Noise on the targets of a regression and of two classes trains, and what is said stays finite and in range."""
    pytest.importorskip("torch")
    cancer = make_problem(*load_breast_cancer(return_X_y=True))
    cases = {
        "numbers": Case(net(label_noise=0.1), diabetes(), 0),
        "weights": Case(net(weight_noise=0.05, weight_decay=0.1, sam=0.02), diabetes(), 0),
        "two": Case(
            net(8, 8, label_noise=0.1, skip=t.ShakeDrop(0.3), dropout=0.1, dropout_schedule=t.Rise(0.0)), cancer, 0
        ),
    }
    said = run(cases, tmp_path)
    for name in ("numbers", "weights"):
        assert np.corrcoef(said[name], cases[name].problem.y)[0, 1] > 0.3
    assert (said["two"].argmax(axis=1) == cancer.y).mean() > 0.8


def test_estimators(tmp_path: Path) -> None:
    """An estimator's code has its parameters, nested ones and seeds included, and predicts what its refit predicts."""
    pipeline = make_pipeline(FunctionTransformer(np.tanh), StandardScaler(with_std=False), Ridge())
    forest = Estimator(RandomForestRegressor(10, criterion="squared_error"), {"max_depth": 3})
    cases = {
        "pipeline": Case(Estimator(pipeline, {"ridge__alpha": 2.5}), diabetes(), 1e-12),
        "forest": Case(forest, diabetes(sample_weight=weights(442)), 1e-12),
    }
    compare(cases, tmp_path)
    assert "random_state=0" in code(forest, diabetes(), "sklearn")


# --- what has no plain form ------------------------------------------------------------------------------------


class Unknown(BaseEstimator):  # type: ignore[misc]
    """Has a parameter that is no constant."""

    def __init__(self, part: Any = None) -> None:
        self.part = part

    def fit(self, X: Any, y: Any) -> Unknown:
        return self

    def predict(self, X: Any) -> Any:
        return np.zeros(len(X))


def local() -> Callable[[Any], Any]:
    return lambda X: X


REFUSED = {
    "no GroupLasso": Linear(GroupLasso(), lambda_=0.1),
    "no activity_penalty beside sam": Net(
        activity_penalty=t.L2Penalty(0.1), sam=0.1, early_stopping=t.FixedEpochs(3)
    ),
    "AdaptiveStrength beside groups, a transformed y or class weights": Net(
        class_weight="balanced", weight_decay=0.1, weight_decay_schedule=t.AdaptiveStrength(1.0),
        early_stopping=t.FixedEpochs(3),
    ),
    "early stopping": Net(),
    "your own module": Net(local, early_stopping=t.FixedEpochs(3)),
    "filled config": spaces.linear(),
    "a filled config of": {"penalty": "l1"},
    "cannot be imported": Estimator(FunctionTransformer(local()), {}),
    "constants and importable": Estimator(Unknown(part=object()), {}),
}  # fmt: skip


@pytest.mark.parametrize("named", REFUSED)
def test_what_has_no_plain_form_is_named(named: str) -> None:
    """A config that the library alone cannot fit is refused, and the error names what it has not."""
    config = REFUSED[named]
    with pytest.raises(InvalidInput, match=named):
        code(config, diabetes(), "torch" if isinstance(config, Net) else "sklearn")


def test_groups_are_asked_for() -> None:
    """Code whose penalty is on what tells groups apart says so when it is given none."""
    X, y = np.eye(9, 2), np.arange(9.0)
    made: dict[str, Any] = {}
    exec(code(net(domain_penalty=t.MMD(0.5)), make_problem(X, y, groups=y % 3), "torch"), made)
    with pytest.raises(ValueError, match="needs groups=, one for each row"):
        made["fit"](X, y)


def test_sparse() -> None:
    """Of a sparse X, scalers do not shift; minmax, which would, and a net's loop are refused."""
    from scipy import sparse

    problem = make_problem(sparse.csr_array(np.eye(12, 4) + np.eye(12, 4, 1)), np.arange(12.0))
    assert "StandardScaler(with_mean=False)" in code(Linear("l1", lambda_=0.1), problem, "sklearn")
    with pytest.raises(InvalidInput, match="no minmax scaler"):
        code(Linear("l1", lambda_=0.1, scale="minmax"), problem, "sklearn")
    with pytest.raises(InvalidInput, match=r"X\.toarray"):
        code(net(), problem, "torch")


def test_libraries() -> None:
    """A family is written for its own library, and the error of another says which."""
    assert set(LIBRARIES) == {library for _, library in WRITERS} == {"sklearn", "torch"}
    with pytest.raises(InvalidInput, match="'linear' can be written for sklearn, got 'torch'"):
        code(Linear(L1(), lambda_=0.1), diabetes(), "torch")
    with pytest.raises(InvalidInput, match="'net' can be written for torch, got 'jax'"):
        code(net(), diabetes(), "jax")


def test_a_choice_is_not_filled() -> None:
    """A config in which something is still to be chosen is no model."""
    with pytest.raises(InvalidInput, match="filled config"):
        code(Linear(Choice("l1", "l2"), lambda_=Float(0.1, 1.0)), diabetes(), "sklearn")
