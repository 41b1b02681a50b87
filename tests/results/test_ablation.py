"""Ablations against separate fits, hand-made figures, and what families say that can be taken away."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
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
    AdaptiveLasso,
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
from regsearch.models.linear.penalty import Penalty, Terms
from regsearch.models.path import Point
from regsearch.results.ablation import KEPT, OWN_PATH, Ablation, Change, Removal, removed_values, summarize
from regsearch.results.results import Results
from regsearch.results.rules import Pick
from regsearch.space.domains import Between
from regsearch.space.tree import Node, tunable

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
    for change in (row.held, row.own):  # the chosen point is the best of its path, and least squares has none
        assert change.point.val == pytest.approx(plain_val.mean(), rel=1e-6)
        assert change.point.gap == pytest.approx((plain_train - plain_val).mean(), rel=1e-5)
        assert (change.score.mean, change.score.se) == pytest.approx(by_hand(plain_val - val), rel=1e-4)
        gaps = (plain_train - plain_val) - (train - val)
        assert (change.gap.mean, change.gap.se) == pytest.approx(by_hand(gaps), rel=1e-4)


def test_elastic_net_without_either_part(tmp_path: Path) -> None:
    """Held, an elastic net without its L1 part is the ridge of the remaining strength, without L2 part the lasso."""
    space = Linear(Choice(ElasticNet(0.4)), Float(1.0, 20.0))
    one = study(tmp_path, data=DIABETES, space=space)
    lambda_ = one.run(2, quiet=True).choose(sampled).lambda_
    rows = {row.technique: row for row in one.ablate(sampled, quiet=True).rows}
    assert set(rows) == {"penalty", "L1 part", "L2 part"}
    _, ridge = errors(one, lambda n: Ridge(alpha=0.6 * lambda_ * n))
    _, lasso = errors(one, lambda n: SklearnElasticNet(0.4 * lambda_, l1_ratio=1.0, tol=1e-10, max_iter=100_000))
    assert rows["L1 part"].held.point.val == pytest.approx(ridge.mean(), rel=1e-6)
    assert rows["L2 part"].held.point.val == pytest.approx(lasso.mean(), rel=1e-5)


@pytest.mark.slow
def test_estimators_go_back_to_their_defaults(tmp_path: Path) -> None:
    """Without one searched parameter an estimator has the default of its class there and the chosen value elsewhere."""
    X, y = load_breast_cancer(return_X_y=True)
    space = Estimator(SVC(), {"C": Float(50.0, 100.0), "gamma": Float(1e-5, 1e-3, log=True)})
    one = study(tmp_path, data=(X, y), space=space, cv=2)
    chosen = one.run(3, quiet=True).choose(sampled)
    rows = {row.technique: row for row in one.ablate(sampled, quiet=True).rows}
    defaults = {"C": 1.0, "gamma": "scale"}
    assert set(rows) == set(defaults)
    (drawn,) = [drawn for drawn in one.results().plots.drawn() if drawn.name == "ablation"]
    assert "path" not in drawn.caption
    assert "diamond" not in drawn.caption
    for name, default in defaults.items():
        model = SVC(**{**chosen.config.params, name: default})
        val = [model.fit(X[a], y[a]).score(X[b], y[b]) for a, b in zip(one.folds.train, one.folds.val, strict=True)]
        assert rows[name].own == rows[name].held  # there is no path
        assert rows[name].own.point.val == pytest.approx(np.mean(val))
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


@pytest.mark.slow
def test_nets_lose_one_slot_at_a_time(tmp_path: Path) -> None:
    """The chosen net comes out as it did in the search; each slot that acts is taken away, others and the rate stay."""
    X, y = load_breast_cancer(return_X_y=True)
    space = Net(
        MLP(hidden=(4,)), lr=0.02, dropout=Float(0.1, 0.4), weight_decay=0.1, averaging=0.0, schedule=t.Cosine(),
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


# --- on paths of their own -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FewerTerms(Penalty):
    """A user's penalty: an elastic net whose L1 part is as many times stronger as a number says."""

    times: Any = tunable(Between(0.0, 100.0), 5.0, off=0.0)

    @property
    def l1_ratio(self) -> float:
        return float(self.times / (1 + self.times))

    def terms(self, initial: Any) -> Terms:
        return Terms(np.asarray(float(self.times)), 1.0)


ON_OWN_PATHS = [  # (space, technique, what is left of it)
    (Linear(AdaptiveLasso(Float(1.0, 2.0))), "gamma", Linear("l1")),
    (Linear(ElasticNet(Float(0.2, 0.4))), "L1 part", Linear("l2")),
    (Linear(ElasticNet(Float(0.2, 0.4))), "L2 part", Linear("l1")),
    (Linear("l1", scale=Choice("standard", "none")), "scale", Linear("l1")),
    (Linear(FewerTerms(Float(20.0, 50.0))), "times", Linear("l2")),
    (Linear(AdaptiveLasso(Float(1.0, 2.0)), Float(1.0, 5.0)), "gamma", Linear("l1")),
]


def unscaled(results: Results) -> Pick:
    """A trial that is no reference, of what was not scaled if there is one."""
    trials = [trial for trial in results.complete if trial.role != "reference"]
    trial = min(trials, key=lambda trial: trial.params["scale"] != "none")
    return Pick(trial.number, trial.step, "It has something to take away.")


@pytest.mark.slow
@pytest.mark.parametrize(("space", "technique", "rest"), ON_OWN_PATHS)
def test_each_config_walks_its_own_path(space: Linear, technique: str, rest: Linear, tmp_path: Path) -> None:
    """Without a technique a config scores what a study of what is left of it finds as its best, lambda and all; the
    change is from the best point of the full config's path, and the figure at the chosen lambda stands beside it.
    """
    one = study(tmp_path, "whole", data=DIABETES, space=space)
    chosen = one.run(6, quiet=True).choose(unscaled)
    found = one.ablate(unscaled, quiet=True)
    row = next(row for row in found.rows if row.technique == technique)
    left = study(tmp_path, "rest", data=DIABETES, space=rest).run(2, quiet=True)
    best = next(trial for trial in left.complete if trial.role != "reference")
    assert row.own.point.val == pytest.approx(left.point(best).val, rel=1e-4)
    assert row.own.point.gap == pytest.approx(left.point(best).gap, rel=1e-3)
    assert row.own.value == pytest.approx(best.value)
    assert row.own.score.mean == pytest.approx(row.own.point.val - found.best.val)
    assert found.chosen.val == pytest.approx(chosen.score, rel=1e-4)  # by a fit at one lambda
    assert found.best.val >= found.chosen.val - 1e-4 * abs(found.chosen.val)
    assert row.held.score.mean == pytest.approx(row.held.point.val - found.chosen.val)
    assert row.held.value != row.own.value
    assert found.axis == "lambda"


def test_a_rule_that_leaves_the_best_point(tmp_path: Path) -> None:
    """Held figures stand at the rule's point; those on own paths compare best points, whatever the rule chose."""
    one = study(tmp_path, data=DIABETES, space=Linear(AdaptiveLasso(1.0)))
    results = one.run(2, quiet=True)
    best = next(trial for trial in results.complete if trial.role != "reference")

    def earlier(results: Results) -> Pick:
        return Pick(best.number, best.step // 2, "It comes before the best point.")

    found = one.ablate(earlier, quiet=True)
    assert found.chosen.val == pytest.approx(results.choose(earlier).score, rel=1e-4)
    assert found.best.val == pytest.approx(results.point(best).val, rel=1e-4)
    assert found.value == pytest.approx(best.value)
    assert found.chosen.val < found.best.val


def test_gamma_is_worth_what_it_is_worth(tmp_path: Path) -> None:
    """At a lambda that means something else without them, adaptive weights seem worth several times what they are."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 30))
    y = X[:, :3] @ [50, 40, 30] + rng.normal(0, 80, 400)
    space = Linear(AdaptiveLasso(gamma=2.0))
    one = study(tmp_path, data=(X, y), space=space, cv=5)
    one.run(2, quiet=True)
    row = next(row for row in one.ablate(quiet=True).rows if row.technique == "gamma")
    assert row.held.score.mean < 4 * row.own.score.mean < 0


@pytest.mark.slow
def test_nets_train_as_long_as_is_best_for_each(tmp_path: Path) -> None:
    """A net without a technique stops where a search of nets without it would have stopped."""
    X, y = load_breast_cancer(return_X_y=True)
    data = X[:120], y[:120]
    options: dict[str, Any] = {"lr": 0.02, "early_stopping": t.EarlyStopping(max_epochs=12, patience=4)}
    one = study(
        tmp_path, "whole", data=data, space=Net(MLP((4,)), dropout=Float(0.4, 0.6), **options), cv=2, prune=False
    )
    one.run(2, quiet=True)
    found = one.ablate(sampled, quiet=True)
    row = next(row for row in found.rows if row.technique == "dropout")
    rest = Net(MLP((4,)), dropout=Choice(0.0, 0.1), **options)
    left = study(tmp_path, "rest", data=data, space=rest, cv=2, prune=False).run(3, quiet=True)
    best = next(trial for trial in left.complete if trial.role != "reference" and trial.params["dropout"] == 0)
    assert row.own.point.val == pytest.approx(left.point(best).val, rel=1e-5)
    assert (row.own.value, found.axis) == (best.value, "epochs")
    assert row.held.value == found.value


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
    own = Change(point, 2.0, Estimate(change, se, 5, 4), Estimate(0.02, 0.01, 5, 4))
    return Removal(technique, "1", own, replace(own, value=1.0, score=Estimate(-9.0, 0.1, 5, 4)))


def ablation(rows: tuple[Removal, ...], axis: str = "", failed: dict[str, str] | None = None) -> Ablation:
    point = Point(0.5, math.nan, 0.6, 0.1, math.nan)
    return Ablation(3, 0, "best", "r2", axis, point, point, 0.25, rows, failed or {})


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([removal("a", -0.3, 0.1), removal("b", 0.1, 0.1)], "a matters most: without it r2 falls by 0.3 ± 0.1"),
        ([removal("a", -0.6, 0.1), removal("b", -0.5, 0.1), removal("c", -0.1, 0.1)],
         "a matters most: without it r2 falls by 0.6 ± 0.1, without b by 0.5 ± 0.1"),
        ([removal("a", -0.1, 0.08), removal("b", -0.06, 0.01)], "b clearly matters: without it r2 falls by 0.06 ± "
         "0.01; the larger loss without a, 0.1 ± 0.08, may be luck of the folds"),
        ([removal("a", -0.1, 0.1)], "No technique clearly matters: the largest loss, without a, is 0.1 ± 0.1"),
        ([removal("a", -0.1, math.nan)], "No technique clearly matters: the largest loss, without a, is 0.1"),
        ([removal("a", 0.0, 0.1), removal("b", 0.2, 0.1)], "Nothing is lost without any one of them: without b r2 "
         "rises by 0.2 ± 0.1"),
        ([], "What r2 is without any one technique is not known."),
    ],
)  # fmt: skip
def test_summary(rows: list[Removal], said: str) -> None:
    """The last line says what matters most, and does not call a difference within its error one."""
    for axis, how in (("", KEPT), ("lambda", OWN_PATH)):
        found = ablation(tuple(rows), axis, {"c": "singular"})
        *lines, failure, summary = str(found).splitlines()
        assert summary == (f"{said}, {how}." if rows else said)
        assert failure == "without c: failed: singular"
        assert [line.split()[0] for line in lines] == ["without", "nothing", *(row.technique for row in rows)]
        assert ("held change" in lines[0]) == bool(axis)
        assert all(("-9" in line) == bool(axis) for line in lines[2:])


def test_nothing_to_take_away() -> None:
    """Where nothing regularizes, and so nothing failed either, the sentence says so."""
    assert ablation(()).summary == "Trial 3 has no technique of regularization that could be taken away."


def test_no_technique_matters_by_luck() -> None:
    """Of techniques that do nothing, one is said to matter in few of many ablations, however many are taken away."""
    rng = np.random.default_rng(0)
    for many in (2, 8):
        said = 0
        for scores in rng.normal(size=(200, many, 5)):
            errors = scores.std(axis=1, ddof=1) / math.sqrt(5)
            rows = [removal(str(k), *one) for k, one in enumerate(zip(scores.mean(axis=1), errors, strict=True))]
            said += not ablation(tuple(rows)).summary.startswith(("No technique", "Nothing"))
        assert said / 200 < 0.09  # .05, and what 200 ablations may be off


def test_a_change_that_is_not_known() -> None:
    """Techniques without which no score is defined are left out of the sentence."""
    row = ablation((removal("a", -0.3, 0.1), removal("b", math.nan, math.nan))).row()
    assert summarize(row).startswith("a matters most")
    assert summarize(row | {"rows": row["rows"][1:]}) == "What r2 is without any one technique is not known."


def test_row_is_json() -> None:
    """The finding has the documented keys and is valid JSON, whatever is not finite in it."""
    row = json.loads(json.dumps(ablation((removal("a", -0.1, math.nan),), "lambda").row(), allow_nan=False))
    assert set(row) == {"number", "step", "rule", "metric", "axis", "chosen", "best", "freedom", "rows"}
    assert row["chosen"] == {"score": 0.5, "se": None, "train": 0.6, "gap": 0.1}
    assert row["best"] == row["chosen"] | {"value": 0.25}
    own = {"value", "score", "gap", "score_change", "score_change_se", "gap_change", "gap_change_se"}
    assert set(row["rows"][0]) == {"technique", "was"} | own | {f"held_{name}" for name in own}
    assert row["rows"][0]["score_change_se"] is None
    assert (row["rows"][0]["score_change"], row["rows"][0]["held_score_change"]) == (-0.1, -9.0)
