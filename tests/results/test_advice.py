"""Advice: each piece is given to a small study that has the fault, and not to the same study repaired."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest
import strategies
import torch
from hypothesis import given
from hypothesis import strategies as st
from nets import Dial
from samples import outcomes, regression, study
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_linnerud
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_score
from strategies import ints, ranges

from regsearch import (
    L0,
    BestSubset,
    Choice,
    ElasticNet,
    Estimator,
    Float,
    Int,
    InvalidInput,
    Linear,
    Net,
    nn_techniques,
    spaces,
)
from regsearch import Path as Axis
from regsearch.metrics.statistics import Estimate
from regsearch.mirror.content import trial_record
from regsearch.results.advice import Advice, RangeExtension, range_extensions, widened
from regsearch.results.advice.checks import CHECKS, MOST, OVERRULED, Case, _ridge
from regsearch.results.advice.evidence import difference, no_better_than_constant, overfits, scale_of
from regsearch.results.advice.leaves import SpaceLeaf, draws_of, space_leaves, wider
from regsearch.results.advice.ranges import _longer
from regsearch.results.report.note import note
from regsearch.results.results import Results
from regsearch.space.config import to_data
from regsearch.space.params import parameter_names
from regsearch.space.sampling import random_params
from regsearch.study.script import run_with

LASSO = Linear("l1", Axis(30))
WEAK = Linear("l2", Float(1e-9, 1e-7, log=True))


def sparse_truth(rows: int = 200, columns: int = 40, noise: float = 2.0, seed: int = 0) -> tuple[Any, Any]:
    """Three columns of many matter: what a penalty is made for."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, columns))
    return X, X[:, :3] @ [3.0, -2.0, 1.5] + noise * rng.normal(size=rows)


def about(results: Results) -> dict[str, Advice]:
    return {one.topic: one for one in results.advice}


def advised(root: Path, trials: int = 6, **options: Any) -> dict[str, Advice]:
    given: dict[str, Any] = {"data": sparse_truth(), "space": LASSO, "cv": 5} | options
    return about(study(root, **given).run(trials, quiet=True))


def with_target(data: tuple[Any, Any]) -> tuple[Any, Any]:
    X, y = data
    return np.column_stack([X, y]), y


@pytest.mark.parametrize(("penalty", "share"), [(L0(ridge=0.01), 0.01), (BestSubset(), 0.0), ("elastic_net", None)])
def test_the_l2_part_is_that_of_the_penalty(penalty: Any, share: float | None, tmp_path: Path) -> None:
    """What steadies repeated columns is the L2 part of a penalty, which a price for each column is not."""
    one = study(tmp_path, space=Linear(penalty, Float(0.01, 0.1)), data=regression(40, 4), cv=3).run(2, quiet=True)
    best = one.candidates[0]
    expected = 1 - best.params["l1_ratio"] if share is None else share
    assert _ridge(one, best) == pytest.approx(best.params["lambda"] * expected)


def with_twin(data: tuple[Any, Any]) -> tuple[Any, Any]:
    X, y = data
    return np.column_stack([X, X[:, 0] + 1e-3 * np.random.default_rng(1).normal(size=len(X))]), y


def in_units(data: tuple[Any, Any]) -> tuple[Any, Any]:
    X, y = data
    return X * np.geomspace(1e-2, 1e2, X.shape[1]), y


def unrelated(data: tuple[Any, Any]) -> tuple[Any, Any]:
    X, y = data
    return X, np.random.default_rng(5).permutation(y)


def classes() -> tuple[Any, Any]:
    X, y = sparse_truth()
    return X, (y > 0).astype(int)


def noise(rows: int = 60, columns: int = 40, seed: int = 10) -> tuple[Any, Any]:
    """Labels that no column knows anything of."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, columns)), rng.integers(0, 2, rows)


FAULTS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "the target is a column": ("leak", {"data": with_target(sparse_truth())}, {}),
    "a class is a column": (
        "leak", {"data": with_target(classes()), "scoring": "f1"}, {"data": classes(), "scoring": "f1"},
    ),
    "units differ": (
        "scale", {"data": in_units(sparse_truth()), "space": Linear("l2", Axis(30), "none")}, {"space": LASSO},
    ),
    "columns all matter": ("no gain", {"data": regression(2000, 3)}, {"data": sparse_truth()}),
    "nothing matters": ("underfit", {"data": unrelated(sparse_truth(400, 5))}, {"data": sparse_truth(400, 5)}),
    "the path is short": ("edge", {"space": Linear("l1", Axis(10, 0.5))}, {"space": LASSO}),
    "lambda is too strong": (
        "edge", {"space": Linear("l2", Float(3.0, 300.0, log=True)), "trials": 20},
        {"space": Linear("l2", Float(1e-3, 300.0, log=True)), "trials": 20},
    ),
    "lambda is too weak": (
        "edge", {"space": Linear("l1", Float(1e-6, 1e-2, log=True)), "trials": 20},
        {"space": Linear("l1", Float(1e-6, 10.0, log=True)), "trials": 20},
    ),
    "rows are few": ("overfit", {"data": sparse_truth(30, 200, 6.0)}, {"data": sparse_truth(600, 200, 6.0)}),
    "folds are small": (
        "noise", {"data": sparse_truth(24, 4, 4.0), "space": spaces.linear(), "trials": 15},
        {"data": sparse_truth(400, 4, 1.0), "space": spaces.linear(), "trials": 15},
    ),
    "a column comes twice": ("collinear", {"data": with_twin(sparse_truth())}, {}),
    "a twin without an L2 part": (
        "collinear", {"data": with_twin(sparse_truth(60))},
        {"data": with_twin(sparse_truth(60)), "space": Linear("l2", Axis(30))},
    ),
    "trials are few": ("trials", {"space": spaces.linear(), "trials": 5}, {"space": spaces.linear(), "trials": 25}),
    "nothing was searched": ("trials", {"trials": 1}, {"trials": 2}),
    "all of a range does nothing": (
        "weak", {"data": sparse_truth(60), "space": WEAK, "trials": 12},
        {"data": sparse_truth(60), "space": Linear("l2", Float(1e-9, 1.0, log=True)), "trials": 12},
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_told_and_its_repair_is_not(tmp_path: Path, fault: str) -> None:
    """A study with a fault is told so, with numbers; the same study without it is not told so."""
    topic, ill, healed = FAULTS[fault]
    found = advised(tmp_path / "ill", **ill)
    assert topic in found
    assert re.search(r"\d", found[topic].evidence)
    assert topic not in advised(tmp_path / "healed", **healed)


def test_a_healthy_study_needs_no_advice(tmp_path: Path) -> None:
    """Where the penalty helps, the optimum lies inside and the trials suffice, there is nothing to say."""
    assert (
        advised(tmp_path, 30, data=sparse_truth(300, 60), space=Linear(Choice("l1", ElasticNet(0.5)), Axis(50))) == {}
    )


@dataclass
class Ordered(optuna.samplers.BaseSampler):
    """Goes through a range once, from its top or from its bottom."""

    down: bool
    trials: int = 24

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        return {}

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        return {}

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> float:
        share = min(trial.number / self.trials, 1.0)
        ends = param_distribution.low, param_distribution.high
        start, end = reversed(ends) if self.down else ends
        return float(np.clip(start * (end / start) ** share, *ends))


@pytest.mark.parametrize("down", [True, False])
def test_a_search_that_still_gains_should_go_on(tmp_path: Path, down: bool) -> None:
    """Scores that rise to the end say so, with the gain of the last quarter; those that rose at the start do not."""
    space = Linear("l2", Float(0.02, 1e5, log=True))
    found = study(tmp_path, data=sparse_truth(), space=space, cv=5, sampler=Ordered(down)).run(27, quiet=True)
    results = replace(found, all=tuple(trial for trial in found.all if trial.role != "start"))
    assert ("still rising" in str(about(results).get("trials"))) == down


def test_a_reference_that_wins_is_no_verdict_on_regularization(tmp_path: Path) -> None:
    """Where everything searched is too strong, that is what is said, not that regularization does not help."""
    found = advised(tmp_path, space=Linear("l2", Choice(30.0, 300.0)))
    assert found["too strong"].text.startswith("All that was searched is worse than the reference")
    assert "no gain" not in found


def test_what_was_given_up_counts_as_worse(tmp_path: Path) -> None:
    """Where no trial but the reference was finished, since all were hopeless, that is said too."""
    space = Estimator(Ridge(alpha=1.0), {"alpha": Float(1e5, 1e6, log=True)})
    results = study(tmp_path, space=space, data=sparse_truth(), cv=5).run(8, quiet=True)
    assert results.counts["complete"] == 1
    assert "7 other trials were given up" in about(results)["too strong"].evidence


def test_a_range_that_forbids_small_penalties_is_widened(tmp_path: Path) -> None:
    """Where all that was searched underfits and the reference is as good, the edge comes first and is no verdict."""
    one = study(tmp_path, data=sparse_truth(400, 40, 7.0), space=Linear("l2", Float(2.0, 30.0, log=True)), cv=5)
    results = one.run(20, quiet=True)
    best, reference = results.complete[:2][::-1]
    assert reference.role == "reference"
    assert not difference(results, reference, best).certain
    assert [advice.topic for advice in results.advice][:1] == ["edge"]
    assert "no gain" not in about(results)
    assert one.widened(results).space == Linear("l2", Float(0.2, 30.0, log=True))


def test_what_makes_no_difference_has_no_edge(tmp_path: Path) -> None:
    """The best trials lie at an end of a range that no score depends on: nothing is gained by moving it."""
    space = Estimator(Ridge(alpha=1.0), {"tol": Float(1e-6, 1e-2, log=True)})
    found = study(tmp_path, space=space, sampler=Ordered(False, 60)).run(12, quiet=True)
    results = replace(found, all=tuple(trial for trial in found.all if trial.role != "start"))
    drawn = [next(iter(trial.draws.values())) for trial in results.complete if trial.draws]
    assert drawn[0] < 1.5e-6  # within 5 % of the range
    assert drawn == sorted(drawn)
    assert range_extensions(results) == []


def test_rounding_is_no_evidence(tmp_path: Path) -> None:
    """A model that predicts a constant has a gap and standard errors of rounding alone, and nobody is told of those."""
    rng = np.random.default_rng(1)
    data = rng.normal(size=(150, 20)), rng.integers(0, 2, 150)
    space = Linear("l1", Float(10.0, 100.0, log=True))
    results = study(tmp_path, data=data, space=space, cv=5, scoring="roc_auc").run(15, quiet=True)
    constant = next(trial for trial in results.complete if trial.role != "reference")
    assert abs(results.point(constant).gap) < 1e-12
    assert not re.search(r"e-1\d", " ".join(map(str, results.advice)))
    rest = replace(results, all=tuple(trial for trial in results.all if trial.role != "reference"))
    assert not {"overfit", "noise"} & set(about(rest))
    assert not Estimate(1e-15, 1e-17, 3, 2, 5e-10).certain
    assert Estimate(1e-8, 1e-9, 3, 2, 5e-10).certain


@pytest.mark.slow
def test_few_trials_name_a_total_that_is_more(tmp_path: Path) -> None:
    """``--trials`` counts what was run, so that the number that is named lies above it."""
    one = study(tmp_path, space=spaces.linear())
    for trials in (5, 20):
        results = one.run(trials, quiet=True)
        assert sum(trial.state != "waiting" for trial in results.all) == trials
        named = int(re.findall(r"--trials (\d+)", about(results)["trials"].text)[0])
        assert named > trials
    one.run(named, quiet=True)
    assert "That is few" not in str(one.results().advice)


@dataclass(frozen=True)
class Hasty(Dial):
    """Its reference, too, would go on rising where training ends."""

    def reference(self) -> Dial:
        return replace(self, dropout=0.5)


def test_training_that_ends_too_early_comes_first(tmp_path: Path) -> None:
    """Where even the reference is best at its last epoch, that is said, before ranges and instead of a verdict."""
    space = Hasty(dropout=Float(0.6, 0.9), max_epochs=3)
    results = study(tmp_path, space=space).run(12, quiet=True)
    assert results.complete[0] is results.reference
    assert results.advice[0].text.startswith("The best epoch is the last that was trained: try max_epochs = 6.")
    assert results.advice[0].evidence.startswith("best at epochs 3, the last")
    assert "no gain" not in about(results)


def test_simpler_is_more_regularized(tmp_path: Path) -> None:
    """What does not help is not called the less simple: the rules that choose by simplicity say otherwise."""
    text = advised(tmp_path, data=regression(2000, 3))["no gain"].text
    assert "as good without any" in text
    assert "--rule paired" in text


@pytest.mark.slow
def test_a_space_that_is_done_needs_no_trials(tmp_path: Path) -> None:
    """Where every config of a finite space was tried, more trials are not asked for, few as they are."""
    space = Estimator(Ridge(), {"alpha": Choice(0.1, 1.0, 10.0), "fit_intercept": Choice(True, False)})
    assert "trials" in advised(tmp_path / "a", 4, space=space)
    assert "trials" not in advised(tmp_path / "b", 50, space=space, prune=False)


def test_the_end_of_the_world_is_no_edge(tmp_path: Path) -> None:
    """An L1 ratio of 1 or a lambda near 0 cannot be passed, so that no one is told to."""
    space = Linear(ElasticNet(Float(0.9, 1.0)), 0.1)
    results = study(tmp_path, data=sparse_truth(), space=space, cv=5).run(20, quiet=True)
    assert results.best.params["l1_ratio"] > 0.99
    assert range_extensions(results) == []
    assert "edge" not in about(results)


def test_advice_is_short_and_ordered(tmp_path: Path) -> None:
    """A study with many faults gets a few pieces of advice, in the order of the checks, and all of them end."""
    data = in_units(sparse_truth(40, 5, 0.1))
    results = study(tmp_path, data=data, space=Linear("l1", Axis(10, 0.5), "none")).run(3, quiet=True)
    told = [one for check in CHECKS if (one := check(Case(results))) is not None]
    beside = {topic for one in told for topic in OVERRULED.get(one.topic, ())}
    assert results.advice == [one for one in told if one.topic not in beside][:MOST]
    assert 2 <= len(results.advice) <= MOST
    for one in results.advice:
        assert str(one) == f"{one.text} ({one.evidence})"
        assert one.text.endswith(".")


def test_a_study_of_the_users_own_has_advice_too(tmp_path: Path) -> None:
    """A scorer without a formula, and a space that only a script could rebuild, leave out checks and break none."""

    def scorer(model: Any, X: Any, y: Any) -> float:
        return -float(np.abs(model.predict(X) - y).max())

    results = study(tmp_path / "a", scoring=scorer).run(6, quiet=True)
    assert scale_of(results) is None
    assert {one.topic for one in results.advice} <= {"no gain", "edge", "trials"}
    assert "edge" in about(study(tmp_path / "b", space=Dial(max_epochs=3)).run(6, quiet=True))


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("load", "scoring"),
    [
        (load_diabetes, "neg_mean_squared_error"), (load_diabetes, "r2"), (load_breast_cancer, "neg_log_loss"),
        (load_breast_cancer, "accuracy"), (load_breast_cancer, "roc_auc"), (load_iris, "neg_log_loss"),
        (load_breast_cancer, "f1"), (load_breast_cancer, "average_precision"), (load_iris, "balanced_accuracy"),
        (load_linnerud, "neg_mean_absolute_error"), (load_diabetes, "neg_mean_pinball_loss_0.9"),
    ],
)  # fmt: skip
def test_the_constant_is_scikit_learns_dummy(tmp_path: Path, load: Any, scoring: str, weighted: bool) -> None:
    """What scores are measured against is what scikit-learn's dummy scores on the same folds, of the best strategy."""
    X, y = load(return_X_y=True)
    weight = np.random.default_rng(0).integers(1, 3, len(y)).astype(float) if weighted else None
    space = Estimator(Ridge(), {"alpha": Float(0.1, 10.0)}) if y.ndim > 1 else Linear("l1", Axis(4))
    one = study(tmp_path, data=(X, y), scoring=scoring, sample_weight=weight, space=space)
    scale = scale_of(one.run(2, quiet=True))
    assert scale is not None
    strategy = {"neg_mean_absolute_error": 0.5, "neg_mean_pinball_loss_0.9": 0.9}.get(scoring)
    regressor = DummyRegressor() if strategy is None else DummyRegressor(strategy="quantile", quantile=strategy)
    dummy = regressor if one.problem.classes is None else DummyClassifier(strategy="prior")
    scorer = one.setup.metrics[0].scorer
    pairs = list(zip(one.folds.train, one.folds.val, strict=True))
    if weight is None:
        expected = cross_val_score(dummy, X, y, cv=pairs, scoring=scorer).mean()
    else:
        copies = [np.repeat(rows, weight[rows].astype(int)) for pair in pairs for rows in pair]
        expected = cross_val_score(
            dummy, X, y, cv=list(zip(copies[::2], copies[1::2], strict=True)), scoring=scorer
        ).mean()
    assert scale.constant == pytest.approx(expected)
    assert scale.learned(scale.perfect) == 1.0
    assert scale.learned(scale.constant) == 0.0


@pytest.mark.parametrize("sd", [1.0, 4.0])
def test_units_make_no_difference(tmp_path: Path, sd: float) -> None:
    """A model is suspected, or not, by what it knows of y, whether its errors are scored squared or as they are."""
    X, y = load_diabetes(return_X_y=True)
    data = np.column_stack([X, y + np.random.default_rng(0).normal(size=len(y), scale=sd)]), y
    for scoring, degree in {
        "r2": 2, "neg_mean_squared_error": 2, "neg_root_mean_squared_error": 1, "neg_mean_absolute_error": 1,
    }.items():  # fmt: skip
        results = study(tmp_path / scoring, data=data, space=LASSO, scoring=scoring).run(2, quiet=True)
        scale = scale_of(results)
        assert scale is not None
        assert scale.degree == pytest.approx(degree)
        assert ("leak" in about(results)) == (sd < 2), scoring


@pytest.mark.slow
def test_a_suspected_leak_is_all_there_is_to_say(tmp_path: Path) -> None:
    """Beside a leak only the scale of the columns is told: what trains on y says nothing of regularization."""
    X, y = with_target(classes())
    found = advised(tmp_path / "a", data=(X, y), scoring="balanced_accuracy")
    assert set(found) == {"leak"}
    found = advised(tmp_path / "b", data=in_units((X, y)), space=Linear("l2", Axis(30), "none"))
    assert set(found) <= {"leak", "scale"}


@pytest.mark.slow
@pytest.mark.parametrize("scoring", ["balanced_accuracy", "neg_log_loss", "matthews_corrcoef"])
def test_a_gap_asks_for_no_larger_model(tmp_path: Path, scoring: str) -> None:
    """Labels at random: whatever is known of the metric, what overfits is not told to grow."""
    space = Linear("l2", Choice(1e-3, 1e-2))
    results = study(tmp_path, data=noise(), space=space, cv=5, scoring=scoring).run(3, quiet=True)
    said = " ".join(map(str, results.advice))
    assert results.point(results.complete[0]).gap > 0.4
    assert "larger model" not in said
    assert "search other ways to regularize" in said


def test_noise_is_no_better_than_a_constant(tmp_path: Path) -> None:
    """Where nothing is learned, that is said against a constant prediction, and not that it does not carry over."""
    rng = np.random.default_rng(0)
    found = advised(tmp_path, data=(rng.normal(size=(300, 20)), rng.normal(size=300)), scoring="r2")
    assert "no better than that of a constant" in found["underfit"].text
    assert not {"overfit", "no gain"} & set(found)
    assert "constant" not in str(advised(tmp_path / "b", data=sparse_truth(30, 200, 6.0))["overfit"].text)


def test_what_only_the_reference_says(tmp_path: Path) -> None:
    """A study of one trial is told that it is few, and nothing of what was not searched."""
    found = advised(tmp_path, 1, data=sparse_truth(30, 200, 6.0), space=spaces.linear())
    assert set(found) == {"trials"}
    assert "--trials 30 " in found["trials"].text


# --- widening --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@given(strategies.spaces(), st.integers(0, 1000))
def test_places_are_named_as_draws_are(space: Any, seed: int) -> None:
    """Whatever is drawn from a space has its place, under its name and inside its range, in the space as stored."""
    identity = {"space_data": to_data(space), "parameters": parameter_names(space).leaves}
    stored: Any = SimpleNamespace(space=None, identity=identity)
    found = {place.name: place for place in space_leaves(stored)}
    stored.space = space  # the script is at hand
    assert [place.name for place in space_leaves(stored)] == list(found)
    params = random_params(space, np.random.default_rng(seed))
    drawn = draws_of(stored, SimpleNamespace(draws=params))  # type: ignore[arg-type]
    assert list(drawn.values()) == list(params.values())
    for name, value in drawn.items():
        assert name in found
        leaf = found[name].leaf
        if isinstance(leaf, Float | Int):
            assert leaf.low <= value <= leaf.high


@pytest.mark.slow
@given(ranges(-100, 100) | ints(-100), st.sampled_from(["low", "high"]), st.floats(0, 50), st.floats(0, 50))
def test_a_wider_range_holds_the_old_one(leaf: Any, end: str, below: float, above: float) -> None:
    """One end moves outwards, within what the field admits; the other stays, and so does the scale."""
    place = SpaceLeaf("a", leaf, leaf.low - below, leaf.high + above)
    found = wider(place, leaf, end)  # type: ignore[arg-type]
    other = "high" if end == "low" else "low"
    assert getattr(found, other) == getattr(leaf, other)
    assert found.low <= leaf.low
    assert found.high >= leaf.high
    assert (type(found), found.log) == (type(leaf), leaf.log)
    assert found.low >= 0 or leaf.low < 0
    assert place.least <= found.low
    assert found.high <= place.greatest


def test_only_the_moved_places_change() -> None:
    """In a space of nets, the named range is another, and everything else is as it was."""
    space = spaces.mlp()
    moved = [
        RangeExtension("dropout.rate", Float(0, 0.5), Float(0, 0.9), ""),
        RangeExtension("penalty.l1.lambda", Float(1, 2), Float(7, 8), ""),
    ]
    before, after = to_data(space), to_data(widened(space, moved))
    assert to_data(widened(space, [])) == before
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {"dropout", "penalty"}
    assert after["dropout"]["rate"]["high"] == 0.9
    assert str(after["penalty"]).replace("'low': 7, 'high': 8", "") != str(after["penalty"])


def test_a_widened_study_looks_where_the_old_one_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--widen`` says what it moves, runs that under another name, finds better, and leaves the old study alone."""
    one = study(tmp_path, data=sparse_truth(), space=Linear("l1", Axis(20, 0.5)))
    old = one.run(2, quiet=True)
    before = outcomes(old)
    options = {
        "seed": None,
        "root": None,
        "trials": 2,
        "timeout": None,
        "patience": None,
        "trial_timeout": None,
        "widen": True,
    }
    assert run_with(one, options) == 0
    assert (
        "small-wide:\n  lambda: Path(points=20, ratio=0.5) becomes Path(points=20, ratio=0.005)"
        in capsys.readouterr().out
    )
    wide = one.widened()
    assert wide.space == Linear("l1", Axis(20, 0.005))
    assert (wide.name, wide.folds.digest, wide.store.root) == ("small-wide", one.folds.digest, one.store.root)
    assert wide.results().best.score > old.best.score
    assert outcomes(one.results()) == before


@pytest.mark.parametrize("penalties", [("l2", "l1"), ("elastic_net", "l1"), ("adaptive_lasso", "l2")])
def test_a_default_path_is_not_cut_short(tmp_path: Path, penalties: tuple[str, str]) -> None:
    """A path that ends by itself needs no more room, of whatever kind: it reaches the fit without a penalty."""
    one = study(tmp_path, data=sparse_truth(60, 5, 1e-6), space=Linear(Choice(*penalties), Axis(30)), cv=5)
    results = one.run(4, quiet=True)
    assert not range_extensions(results)
    assert "edge" not in about(results)
    assert not results.trials["at_edge"].any()
    assert all(trial.point.val >= results.reference.point.val for trial in results.complete)  # type: ignore[union-attr]


def test_every_kind_whose_paths_end_too_early_is_named(tmp_path: Path) -> None:
    """A kind that is not the best is widened too: how good it is, is not known before."""
    one = study(tmp_path, data=sparse_truth(), space=Linear(Choice("l1", "l2"), Axis(20, 0.5)), cv=5)
    results = one.run(5, quiet=True)
    edge = about(results)["edge"]
    assert "The best lambda is the last of its path for l1 and l2" in edge.text or "for l2 and l1" in edge.text
    assert set(results.trials.query("at_edge")["penalty"]) == {"l1", "l2"}
    (move,) = range_extensions(results)
    assert isinstance(move.new, Axis)
    assert move.new.ratio == 0.005


def test_a_path_that_saturates_is_marked_and_not_widened(tmp_path: Path) -> None:
    """More columns than rows and little noise: the lasso rises until it explains all of y, which every place says."""
    X, y = sparse_truth(30, 80, 0.1)
    one = study(tmp_path, data=(X, y), space=Linear("l1", Axis(30)), cv=5)
    results = one.run(2, quiet=True)
    assert results.best.at_edge
    assert "explains all of y" in about(results)["edge"].text
    assert "last of its path" in str(results.best) + note(results)
    assert results.best.row()["at_edge"] is True
    record = trial_record(results.best.trial, results.trajectory(results.best.number), results.metric, results.name)
    assert record.tags["regsearch.at_edge"] == "last of its path"
    with pytest.raises(InvalidInput, match="has neither"):
        one.widened(results)


def test_nothing_at_an_edge_is_not_widened(tmp_path: Path) -> None:
    """A study whose optimum lies inside is not made again; the message says so."""
    one = study(tmp_path, data=sparse_truth(), space=LASSO, cv=5)
    one.run(2, quiet=True)
    with pytest.raises(InvalidInput, match="'small' has neither"):
        one.widened()


def test_the_advice_is_what_widening_does(tmp_path: Path) -> None:
    """However short a path is, the one that is named is the one that ``--widen`` walks."""
    for ratio in (0.5, 0.1):
        one = study(tmp_path / str(ratio), data=sparse_truth(), space=Linear("l1", Axis(20, ratio)))
        results = one.run(2, quiet=True)
        wide = one.widened(results).space
        assert isinstance(wide, Linear)
        assert f"try lambda = {wide.lambda_}." in about(results)["edge"].text
        assert wide.lambda_ == Axis(20, ratio / 100)


@pytest.mark.slow
def test_strengths_that_do_nothing_are_raised(tmp_path: Path) -> None:
    """Far too weak a penalty is told first, with numbers, nothing is said against it, and widening finds better."""
    one = study(tmp_path, data=sparse_truth(60), space=WEAK, cv=5)
    old = one.run(12, quiet=True)
    assert old.advice[0].topic == "weak"
    assert "try lambda = Float(low=1e-09, high=0.01, log=True)" in old.advice[0].text
    assert not {"overfit", "no gain", "collinear", "noise"} & set(about(old))
    wide = one.widened(old)
    assert wide.space == Linear("l2", Float(1e-9, 1e-2, log=True))
    assert wide.run(12, quiet=True).best.score > old.best.score + 0.5


def test_a_stronger_end_lies_away_from_off() -> None:
    """A limit regularizes the more the smaller it is, a strength the larger; what helps training has no such end."""
    t = nn_techniques
    space = Net(max_norm=Float(0.5, 5.0), weight_decay=Float(1e-5, 1e-1, log=True), gradient_clipping=Float(0.1, 1.0))
    stored: Any = SimpleNamespace(space=space, identity={"space_data": to_data(space)})
    assert {place.name: place.stronger for place in space_leaves(stored)} == {
        "max_norm.limit": "low", "weight_decay.rate": "high", "gradient_clipping.norm": None,
    }  # fmt: skip
    assert not t.GradientClipping.regularizes


@pytest.mark.slow
def test_noise_is_not_followed_to_less_regularization(tmp_path: Path) -> None:
    """The best trial lies at the weak end, but is worth no more than a constant: that is no direction to go in."""
    space = Linear("l2", Float(1e-3, 1.0, log=True, start=1e-3))
    results = study(tmp_path, data=noise(), space=space, scoring="balanced_accuracy").run(12, quiet=True)
    assert results.best.params["lambda"] < 1.5e-3
    assert overfits(results, scale_of(results))
    assert no_better_than_constant(results, scale_of(results))
    assert range_extensions(results) == []


@given(st.integers(1, 50), st.integers(1, 50), st.floats(0, 1))
def test_more_epochs_where_they_ran_out(low: int, width: int, share: float) -> None:
    """A range of epochs gets longer where training reached its upper part, a choice where it reached its last."""
    reached = round(low + share * width)
    near = reached >= low + 0.75 * width
    assert _longer(Int(low, low + width), reached) == ([Int(low, 2 * (low + width))] if near else [])
    assert _longer(reached, reached) == [2 * reached]
    assert _longer(Choice(reached, reached + 1), reached) == []
    assert _longer(Choice(reached, reached + 1), reached + 1) == [Choice(reached, reached + 1, 2 * reached + 2)]


def line() -> Any:
    return torch.nn.Linear(4, 1)


STOPPINGS: dict[str, Any] = {
    "fixed": nn_techniques.EarlyStopping(max_epochs=3),
    "an option": Choice(nn_techniques.EarlyStopping(max_epochs=3), nn_techniques.FixedEpochs(2)),
    "a range": nn_techniques.EarlyStopping(max_epochs=Int(1, 3)),
    "a choice": nn_techniques.EarlyStopping(max_epochs=Choice(3, 2)),
    "fixed epochs": nn_techniques.FixedEpochs(3),
}


@pytest.mark.slow
@pytest.mark.parametrize("module", ["mlp", line])
@pytest.mark.parametrize("stopping", STOPPINGS)
def test_training_that_ends_too_early_goes_on_longer(tmp_path: Path, stopping: str, module: Any) -> None:
    """A net that still gets better at its last epoch is trained for twice as many by ``--widen``, as it was told."""
    space = Net(module, lr=Float(1e-3, 1e-2, log=True), early_stopping=STOPPINGS[stopping])
    one = study(tmp_path, data=regression(60, 4), cv=2, space=space)
    old = one.run(6, quiet=True)
    assert max(trial.steps for trial in old.complete) == 3
    assert "The best epoch is the last that was trained" in about(old)["edge"].text
    new = one.widened(old).run(6, quiet=True)
    assert max(trial.steps for trial in new.complete) == 6
    assert new.best.score > old.best.score


@pytest.mark.slow
def test_patience_is_no_edge(tmp_path: Path) -> None:
    """Where training ended before it had to, more epochs would change nothing, and are not proposed."""
    stopping = nn_techniques.EarlyStopping(max_epochs=50, patience=2, min_delta=100.0)
    space = Net("mlp", lr=Float(1e-3, 1e-2, log=True), early_stopping=stopping)
    results = study(tmp_path, data=regression(60, 4), cv=2, space=space).run(6, quiet=True)
    rest = replace(results, all=tuple(trial for trial in results.all if trial.role != "reference"))
    assert rest.complete[0].steps == rest.complete[0].step + 1 < 50  # its scores rise to its end
    assert not [move for move in range_extensions(rest) if "epoch" in move.name]
    assert "epoch" not in str(about(rest).get("edge"))


# --- what a run keeps ------------------------------------------------------------------------------------------


def test_a_run_keeps_facts_and_meaning(tmp_path: Path) -> None:
    """A profile is of the data; what the winner means is of the winner, also after the run goes on to a better one."""
    one = study(tmp_path, data=sparse_truth(), space=spaces.linear())
    for trials in (1, 8):
        results = one.run(trials, quiet=True)
        profile, meaning, path = (results.finding(name) for name in ("profile", "interpretation", "coefficients"))
        assert profile is not None
        assert meaning is not None
        assert path is not None
        assert (profile["rows"], profile["columns"]) == (200, 40)
        assert path["chosen"] == (results.best.lambda_ or None)
        assert meaning["radius"]["scale"] == results.best.config.scale


@dataclass(frozen=True)
class Speechless(Dial):
    """A model whose explanation fails."""

    def explain(self, problem: Any, folds: Any, seed: int) -> Any:
        raise ValueError("no words\nto say")


def test_what_cannot_be_explained_costs_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A failure of what explains is said in one line, and the study is as without it."""
    results = study(tmp_path / "a", space=Speechless()).run(6)
    assert "What the winner means: not found out: ValueError: no words\n" in capsys.readouterr().err
    assert results.finding("interpretation") is None
    assert len(results.complete) == len(study(tmp_path / "b", space=Dial()).run(6, quiet=True).complete)
