"""Ablations against separate fits, hand-made figures, and what families say that can be taken away."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from samples import study
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import ElasticNet as SklearnElasticNet
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from regsearch import (
    L1,
    MLP,
    AdaptiveElasticNet,
    Choice,
    ElasticNet,
    Estimator,
    Float,
    Linear,
    Net,
    NoPenalty,
    Study,
)
from regsearch import Path as LambdaPath
from regsearch import nn_techniques as t
from regsearch.metrics.statistics import Estimate
from regsearch.models.path import Point
from regsearch.results.ablation import KEPT, Ablation, Removal, removed_values
from regsearch.results.results import Results
from regsearch.results.rules import Pick
from regsearch.space.tree import Node

DIABETES = load_diabetes(return_X_y=True)


def sampled(results: Results) -> Pick:
    """The first trial that is no reference."""
    trial = next(trial for trial in results.complete if trial.role != "reference")
    return Pick(trial.number, trial.step, "It has something to take away.")


def errors(one: Study, make: Any) -> tuple[np.ndarray, np.ndarray]:
    """``[K]`` train and validation scores of a scikit-learn model on the study's folds."""
    X, y = DIABETES
    scores = []
    for train, val in zip(one.folds.train, one.folds.val, strict=True):
        fitted = make_pipeline(StandardScaler(), make(len(train))).fit(X[train], y[train])
        scores.append([-mean_squared_error(y[rows], fitted.predict(X[rows])) for rows in (train, val)])
    train, val = np.array(scores).T
    return train, val


def by_hand(values: np.ndarray) -> tuple[float, float]:
    """Mean of K numbers, and its standard error where a K-fold's training sets overlap, summed one by one."""
    k, mean = len(values), sum(values) / len(values)
    return mean, math.sqrt((1 / k + 1 / (k - 1)) * sum((value - mean) ** 2 for value in values) / (k - 1))


def test_ridge_without_its_penalty_is_least_squares(tmp_path: Path) -> None:
    """Figures with and without the penalty, and paired errors by hand, are those of scikit-learn on the same folds."""
    one = study(tmp_path, data=DIABETES, space=Linear("l2", LambdaPath(20)))
    chosen = one.run(2, quiet=True).choose(sampled)
    found = one.ablate(sampled, quiet=True)
    train, val = errors(one, lambda n: Ridge(alpha=chosen.lambda_ * n))
    plain_train, plain_val = errors(one, lambda n: LinearRegression())
    (row,) = found.rows
    assert (row.technique, found.number) == ("penalty", chosen.number)
    assert found.chosen.val == pytest.approx(val.mean(), rel=1e-6)
    assert row.point.val == pytest.approx(plain_val.mean(), rel=1e-6)
    assert row.point.gap == pytest.approx((plain_train - plain_val).mean(), rel=1e-5)
    assert (row.score_change.mean, row.score_change.se) == pytest.approx(by_hand(plain_val - val), rel=1e-4)
    gaps = (plain_train - plain_val) - (train - val)
    assert (row.gap_change.mean, row.gap_change.se) == pytest.approx(by_hand(gaps), rel=1e-4)


def test_elastic_net_without_either_part(tmp_path: Path) -> None:
    """Without its L1 part an elastic net is the ridge of the remaining strength, without its L2 part the lasso."""
    space = Linear(Choice(ElasticNet(0.4)), Float(1.0, 20.0))
    one = study(tmp_path, data=DIABETES, space=space)
    lambda_ = one.run(2, quiet=True).choose(sampled).lambda_
    rows = {row.technique: row for row in one.ablate(sampled, quiet=True).rows}
    assert set(rows) == {"penalty", "L1 part", "L2 part"}
    _, ridge = errors(one, lambda n: Ridge(alpha=0.6 * lambda_ * n))
    _, lasso = errors(one, lambda n: SklearnElasticNet(0.4 * lambda_, l1_ratio=1.0, tol=1e-10, max_iter=100_000))
    assert rows["L1 part"].point.val == pytest.approx(ridge.mean(), rel=1e-6)
    assert rows["L2 part"].point.val == pytest.approx(lasso.mean(), rel=1e-5)


def test_estimators_go_back_to_their_defaults(tmp_path: Path) -> None:
    """Without one searched parameter an estimator has the default of its class there and the chosen value elsewhere."""
    X, y = load_breast_cancer(return_X_y=True)
    space = Estimator(SVC(), {"C": Float(50.0, 100.0), "gamma": Float(1e-5, 1e-3, log=True)})
    one = study(tmp_path, data=(X, y), space=space, cv=2)
    chosen = one.run(3, quiet=True).choose(sampled)
    rows = {row.technique: row for row in one.ablate(sampled, quiet=True).rows}
    defaults = {"C": 1.0, "gamma": "scale"}
    assert set(rows) == set(defaults)
    for name, default in defaults.items():
        model = SVC(**{**chosen.config.params, name: default})
        val = [model.fit(X[a], y[a]).score(X[b], y[b]) for a, b in zip(one.folds.train, one.folds.val, strict=True)]
        assert rows[name].point.val == pytest.approx(np.mean(val))
        assert float(rows[name].was) == pytest.approx(chosen.config.params[name], rel=1e-3)


def test_what_cannot_be_fitted_is_told(tmp_path: Path) -> None:
    """A config that fails without a technique is named with its reason, and the others are there all the same."""
    X, y = load_breast_cancer(return_X_y=True)
    space = Estimator(SVC(C=-1.0), {"C": Float(1.0, 2.0), "gamma": Float(1e-5, 1e-3, log=True)})
    one = study(tmp_path, data=(X, y), space=space, cv=2)
    one.run(3, quiet=True)
    found = one.ablate(quiet=True)
    assert [row.technique for row in found.rows] == ["gamma"]
    assert set(found.failed) == {"C"}
    assert "without C: failed: InvalidParameterError" in str(found)


def test_nets_lose_one_slot_at_a_time(tmp_path: Path) -> None:
    """The chosen net comes out as it did in the search; each slot that acts is taken away, others and the rate stay."""
    X, y = load_breast_cancer(return_X_y=True)
    space = Net(
        MLP(hidden=(4,)), lr=0.02, dropout=Float(0.1, 0.4), weight_decay=0.1, ema=0.0, schedule=t.Cosine(),
        early_stopping=t.EarlyStopping(max_epochs=12, patience=2),
    )  # fmt: skip
    one = study(tmp_path, data=(X[:120], y[:120]), space=space, cv=2, prune=False)
    results = one.run(3, quiet=True)
    chosen = results.choose(sampled)
    found = one.ablate(sampled, quiet=True)
    stops = {"early_stopping"} if chosen.config.last < 12 else set()
    assert {row.technique for row in found.rows} == {"dropout", "weight_decay"} | stops
    assert found.chosen.val == pytest.approx(chosen.score, rel=1e-5)
    assert found.chosen.gap == pytest.approx(chosen.gap, rel=1e-3, abs=1e-6)
    assert results.finding("ablation") == found.row()


LINEAR = [
    (Linear(NoPenalty(), 0.0), set()),
    (Linear(L1(), 0.0), set()),
    (Linear(L1(), 0.3), {"penalty"}),
    (Linear(ElasticNet(1.0), 0.3), {"penalty"}),
    (Linear(AdaptiveElasticNet(0.5, gamma=1.0), 0.3), {"penalty", "L1 part", "L2 part", "gamma"}),
    (Linear(AdaptiveElasticNet(0.5, gamma=0.0), 0.3), {"penalty", "L1 part", "L2 part"}),
]
NETS = [
    ({"early_stopping": t.FixedEpochs(5)}, set()),
    ({"early_stopping": t.EarlyStopping(max_epochs=9, epochs=4)}, {"early_stopping"}),
    ({"early_stopping": t.EarlyStopping(max_epochs=9, epochs=9)}, set()),
    ({"schedule": t.Cosine(), "dropout": 0.0, "weight_decay": 0.0, "max_norm": math.inf}, set()),
    ({"norm": t.BatchNorm(), "label_smoothing": 0.1}, {"norm", "label_smoothing"}),
    ({"penalty": t.ElasticNetPenalty(0.1, 0.5)}, {"penalty", "penalty L1 part", "penalty L2 part"}),
    ({"penalty": t.ElasticNetPenalty(0.1, 1.0)}, {"penalty"}),
    ({"penalty": {"a": t.L1Penalty(0.1), "b": t.L2Penalty(0.1)}}, {"penalty", "penalty a", "penalty b"}),
    ({"augment": t.Augment(3.0, shift=0.1, zoom=0.0, scale=0.0, contrast=0.0, noise=0.0)},
     {"augment", "augment rotation", "augment shift"}),
]  # fmt: skip


@pytest.mark.parametrize(("config", "techniques"), LINEAR)
def test_what_a_linear_model_can_be_without(config: Linear, techniques: set[str]) -> None:
    """A linear model can be without its penalty, a part of it that acts, and adaptive weights that act."""
    assert set(config.without()) == techniques


@pytest.mark.parametrize(("slots", "techniques"), NETS)
def test_what_a_net_can_be_without(slots: dict[str, Any], techniques: set[str]) -> None:
    """A net can be without what acts in its slots, and only that; what makes training work is no regularization."""
    config = Net(**{"early_stopping": t.FixedEpochs(5), **slots})
    assert set(config.without()) == techniques


@pytest.mark.parametrize("config", [config for config, _ in LINEAR] + [Net(**slots) for slots, _ in NETS])
def test_each_removal_changes_the_config(config: Any) -> None:
    """What is left is another config of the same family, no two are alike, and what went has a name."""
    rest = list(config.without().values())
    assert all(type(one) is type(config) and one != config for one in rest)
    assert all(a != b for i, a in enumerate(rest) for b in rest[:i])
    assert all(removed_values(config, one) for one in rest)


@pytest.mark.parametrize(
    ("config", "technique", "was"),
    [
        (Net(dropout=0.25), "dropout", "0.25"),
        (Net(weight_decay=0.1), "weight_decay", "0.1"),
        (Net(penalty=t.L2Penalty(0.5), bias_penalty=t.L1Penalty(0.1)), "penalty", "penalty=l2 lambda=0.5"),
        (Net(early_stopping=t.EarlyStopping(max_epochs=9, epochs=4)), "early_stopping", "4"),
        (Linear(L1(), 0.3), "penalty", "penalty=l1 lambda=0.3"),
        (Linear(AdaptiveElasticNet(0.5, gamma=1.5), 0.3), "gamma", "1.5"),
        (Estimator(SVC(), {"C": 2.0, "kernel": "linear"}), "kernel", "linear"),
    ],
)
def test_what_went(config: Node, technique: str, was: str) -> None:
    """What a removal took away is told by its values, with their names where there are several."""
    assert removed_values(config, config.without()[technique]) == was  # type: ignore[attr-defined]


def removal(technique: str, change: float, se: float) -> Removal:
    point = Point(0.5 + change, 0.1, 0.6, 0.1, 0.1)
    return Removal(technique, "1", point, Estimate(change, se, 3), Estimate(0.02, 0.01, 3))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([removal("a", -0.3, 0.1), removal("b", 0.1, 0.1)], "a matters most: without it r2 falls by 0.3 ± 0.1"),
        ([removal("a", -0.1, 0.1)], "No technique clearly matters: the largest loss, without a, is 0.1 ± 0.1"),
        ([removal("a", -0.1, math.nan)], "No technique clearly matters: the largest loss, without a, is 0.1"),
        ([removal("a", 0.0, 0.1), removal("b", 0.2, 0.1)], "Nothing is lost without any one of them: without b r2 "
         "rises by 0.2 ± 0.1"),
        ([], "Trial 3 has no technique of regularization that could be taken away."),
    ],
)  # fmt: skip
def test_summary(rows: list[Removal], said: str) -> None:
    """The last line says what matters most, and does not call a difference within its error one."""
    found = Ablation(3, 0, "best", "r2", Point(0.5, 0.1, 0.6, 0.1, 0.1), tuple(rows), {"c": "singular"})
    *lines, failure, summary = str(found).splitlines()
    assert summary == (f"{said}, {KEPT}." if rows else said)
    assert failure == "without c: failed: singular"
    assert [line.split()[0] for line in lines] == ["without", "nothing", *(row.technique for row in rows)]


def test_row_is_json() -> None:
    """The finding has the documented keys and is valid JSON, whatever is not finite in it."""
    found = Ablation(3, 0, "best", "r2", Point(0.5, math.nan, 0.6, 0.1, math.nan), (removal("a", -0.1, math.nan),))
    row = json.loads(json.dumps(found.row(), allow_nan=False))
    assert set(row) == {"number", "step", "rule", "metric", "chosen", "rows"}
    assert row["chosen"] == {"score": 0.5, "se": None, "train": 0.6, "gap": 0.1}
    assert set(row["rows"][0]) == {
        "technique", "was", "score", "gap", "score_change", "score_change_se", "gap_change", "gap_change_se",
    }  # fmt: skip
    assert row["rows"][0]["score_change_se"] is None
