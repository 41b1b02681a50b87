"""Where a path ends: as far down as it rises, and no linear trial below the fit without a penalty."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Lasso, LinearRegression
from sklearn.model_selection import PredefinedSplit, cross_val_score

from regsearch import ElasticNet, Linear, Path
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Candidate, Outcome, Setup
from regsearch.models.linear import penalties
from regsearch.models.linear.backend import LinearBackend
from regsearch.models.linear.scales import SCALES
from regsearch.models.linear.separable import told_apart
from regsearch.models.path import choose_step
from regsearch.space.sampling import default
from regsearch.testing.penalty_examples import tasks

SHIPPED = [getattr(penalties, name) for name in penalties.__all__]
WITH_PATH = [cls for cls in SHIPPED if cls.path]
SCORERS = {"regression": ("neg_mean_squared_error", "neg_mean_absolute_error", "neg_median_absolute_error"),
           "binary": ("neg_log_loss", "accuracy"), "multiclass": ("neg_log_loss", "f1_macro")}  # fmt: skip


def backend(X: Any, y: Any, scoring: Any = None, cv: Any = 3) -> LinearBackend:
    problem = make_problem(X, y)
    scoring = scoring or ("neg_mean_squared_error" if problem.classes is None else "neg_log_loss")
    return LinearBackend(Setup(problem, make_folds(cv, problem, 0), resolve(scoring, problem)))


def trial(made: LinearBackend, config: Linear) -> Outcome:
    outcome = made.evaluate(Candidate(0, config))
    assert outcome.state == "complete"
    return outcome


def data(task: str, rows: int, columns: int, noise: float, spread: float, seed: int) -> tuple[Any, Any]:
    """Columns whose units differ by up to `spread` either way, all of which matter in their own units."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, columns))
    signal = X @ rng.normal(size=columns) + noise * rng.normal(size=rows)
    y = {"regression": signal, "binary": (signal > 0).astype(int), "multiclass": np.digitize(signal, [-1.0, 1.0])}[task]
    y[: 2 * 3] = np.arange(6) % 3 if task == "multiclass" else np.arange(6) % 2 if task == "binary" else y[:6]
    return X * spread ** rng.uniform(-1, 1, columns), y


@pytest.mark.slow
@given(
    st.sampled_from([(cls, task) for cls in WITH_PATH for task in sorted({*SCORERS} & {*tasks(cls)})]),
    st.sampled_from(SCALES), st.integers(0, 2),
    st.sampled_from([1.0, 1e3, 1e5]), st.sampled_from([0.1, 1.0, 5.0]), st.integers(0, 99), st.sampled_from([10, 40]),
)  # fmt: skip
@example(
    (penalties.AdaptiveElasticNet, "multiclass"), "none", 0, 1e5, 1.0, 28, 40
)  # a column joins at 1e-18 of the top
@example((penalties.AdaptiveElasticNet, "binary"), "minmax", 1, 1.0, 0.1, 65, 10)  # of one fold told apart
def test_no_trial_scores_below_the_reference_of_its_scale(
    fitted: tuple[Any, str], scale: str, scorer: int, spread: float, noise: float, seed: int, points: int
) -> None:
    """Whatever the penalty, scale, task, score and units: weak enough, every penalty is none.

    Labels where a fold's classes can be told apart are left out: there is no fit without a penalty there, and its
    labels are those of one of the many directions in which the likelihood rises for ever.
    """
    cls, task = fitted
    X, y = data(task, 60, 4, noise, spread, seed)
    names = SCORERS[task]
    made = backend(X, y, names[scorer % len(names)])
    found = trial(made, Linear(default(cls()), Path(points), scale))
    assert not found.trajectory.rising
    if made.setup.metrics[0].counts and any(told_apart(X[train], y[train]) for train in made.setup.folds.train):
        return
    plain = trial(made, Linear("none", 0.0, scale)).point.val
    assert found.point.val >= plain - 1e-9 * max(1.0, abs(plain))


def test_accuracy_that_stands_still_ends_no_path_whose_loss_falls() -> None:
    """Of columns whose units differ by thousands those in small units come last."""
    made = backend(*data("binary", 60, 4, 0.1, 1e3, 4), "accuracy")
    plain = trial(made, Linear("none", 0.0, "none")).point.val
    found = trial(made, Linear(default(penalties.AdaptiveElasticNet()), Path(10), "none"))
    assert len(set(found.trajectory.curves["accuracy"].mean()[5:10])) == 1
    assert found.point.val >= plain


@pytest.mark.parametrize("penalty", ["l2", "l1", ElasticNet(0.5)])
def test_a_path_of_labels_ends_at_its_limit_where_that_of_the_loss_does(penalty: Any) -> None:
    """Where the loss rises towards its limit for ever and labels stand still, neither path goes on to no lambda."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 1))
    y = (X[:, 0] + 0.3 * rng.normal(size=300) > 0).astype(int)
    flipped = np.where(rng.random(200) < 0.2, 1 - y[:200], y[:200])  # what trains is noisier than what validates
    cv = PredefinedSplit(np.repeat([-1, 0], [200, 100]))
    labels, loss = (
        trial(backend(X, np.append(flipped, y[200:]), scoring, cv), Linear(penalty, Path(20))).trajectory
        for scoring in ("accuracy", "neg_log_loss")
    )
    assert not loss.axis[-1]
    assert labels.steps <= loss.steps
    assert labels.axis[labels.axis > 0].min() >= loss.axis[loss.axis > 0].min()


def test_units_of_a_score_move_no_end() -> None:
    """A path in small units has as many points, and the same limit."""
    X, y = data("regression", 60, 4, 0.1, 1.0, 5)
    usual, small = (trial(backend(X, unit * y), Linear("l1")).trajectory for unit in (1.0, 1e-9))
    assert not usual.axis[-1]
    assert usual.steps == small.steps
    np.testing.assert_allclose(small.axis, 1e-9 * usual.axis, rtol=1e-9)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("task", ["regression", "binary"])
def test_ridge_reaches_its_limit_with_more_columns_than_rows(scale: str, task: str) -> None:
    """Without an L1 part the fit of least norm is the limit, however many the columns."""
    made = backend(*data(task, 24, 40, 1e-3, 10.0, 0))
    plain = trial(made, Linear("none", 0.0, scale)).point.val
    assert trial(made, Linear("l2", scale=scale)).point.val >= plain - 1e-9 * abs(plain)


@pytest.mark.slow
@pytest.mark.parametrize("wild", [1e3, 1e5, 1e7])
@pytest.mark.parametrize("heavy", [False, True])
def test_a_column_of_other_units_does_not_end_a_path(wild: float, heavy: bool) -> None:
    """The lasso is as good as on the finest grid of scikit-learn's, however large the column that sets the largest
    lambda."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 8))
    X[:, 0] = wild * (np.exp(rng.normal(size=150)) if heavy else X[:, 0])
    y = X[:, 0] / wild + X[:, 1] - X[:, 2] + rng.normal(size=150)
    made = backend(X, y)
    cv = list(zip(made.setup.folds.train, made.setup.folds.val, strict=True))
    grid = np.geomspace(1.0, 1e-3, 20)
    scoring = "neg_mean_squared_error"
    best = max(cross_val_score(Lasso(alpha=a, max_iter=10**5), X, y, cv=cv, scoring=scoring).mean() for a in grid)
    found = trial(made, Linear("l1", scale="none"))
    assert found.point.val >= best - 1e-4 * abs(best)
    assert not found.trajectory.rising
    plain = cross_val_score(LinearRegression(), X / X.std(axis=0), y, cv=cv, scoring=scoring).mean()
    assert trial(made, Linear("none", 0.0, "none")).point.val == pytest.approx(plain)


@pytest.mark.parametrize("scale", ["minmax", "none"])
@pytest.mark.parametrize("l1_ratio", [0.05, 0.5])
def test_a_path_goes_on_beyond_where_it_meets_its_limit(scale: str, l1_ratio: float) -> None:
    """A curve that will rise above its limit is followed there: the best point has worse ones on both sides."""
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    made = backend(X, y, "neg_root_mean_squared_error", 10)
    plain = trial(made, Linear("none", 0.0, scale)).point.val
    found = trial(made, Linear(ElasticNet(l1_ratio), scale=scale))
    mean = found.trajectory.deciding.mean()
    assert found.trajectory.steps > 100
    assert 0 < choose_step(mean) < len(mean) - 1
    assert mean.max() > plain + 5e-3


def test_a_path_that_has_turned_costs_no_more() -> None:
    """Where the curve has turned within its points, no other is fitted; an explicit ratio is the end in any case."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(100, 20))
    made = backend(X, X[:, 0] + rng.normal(size=100))
    assert trial(made, Linear("l1", Path(50))).trajectory.steps == 50
    cut = trial(made, Linear("l1", Path(50, 0.5)))
    assert cut.trajectory.steps == 50
    assert cut.trajectory.rising
    assert cut.trajectory.axis[-1] == pytest.approx(0.5 * cut.trajectory.axis[0])


def test_what_was_evaluated_before_changes_nothing() -> None:
    """The limit that paths share is the same whoever asks for it first."""
    X, y = data("regression", 60, 4, 0.1, 1e3, 3)
    alone, after = backend(X, y), backend(X, y)
    for config in (Linear("none", 0.0, "none"), Linear("l2", scale="none")):
        trial(after, config)
    one, two = (trial(made, Linear("l1", scale="none")) for made in (alone, after))
    np.testing.assert_array_equal(one.trajectory.deciding.val, two.trajectory.deciding.val)
    np.testing.assert_array_equal(one.trajectory.axis, two.trajectory.axis)


def test_the_lasso_ends_where_it_saturates() -> None:
    """With more columns than rows and no noise, a path rises until it explains y in training, and ends there."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(40, 80))
    y = X[:, :3] @ [3.0, -2.0, 1.5]
    made = backend(X, y)
    found = trial(made, Linear("l1"))
    assert found.trajectory.rising
    assert found.value
    explained = 1 + found.trajectory.deciding.train[:, -1] / made.solver.null
    assert explained.min() > 0.999


def spectra(rows: int, columns: int, noise: float) -> tuple[Any, Any]:
    """Smooth columns, each next to a copy of its neighbours: mixtures of a few peaks above a common baseline."""
    rng, grid = np.random.default_rng(0), np.linspace(0, 1, columns)
    peaks = [np.exp(-(((grid - place) / 0.1) ** 2)) for place in np.linspace(0.1, 0.9, 6)]
    amounts = rng.gamma(2, 1, (rows, 6))
    X = amounts @ np.stack(peaks) + rng.normal(size=(rows, 1)) / 2 + 1e-4 * rng.normal(size=(rows, columns))
    return X, amounts[:, 0] - amounts[:, 1] / 2 + noise * rng.normal(size=rows)


def ridge_losses(X: Any, y: Any, train: Any, val: Any, lambdas: Any) -> Any:
    """Squared errors of ridge on standardised columns, by the singular values."""
    center, scale = X[train].mean(axis=0), X[train].std(axis=0)
    u, d, v = np.linalg.svd((X[train] - center) / scale, full_matrices=False)
    along, mean = (X[val] - center) / scale @ v.T, y[train].mean()
    shares = u.T @ (y[train] - mean)
    said = [along @ (d * shares / (d**2 + len(train) * one)) + mean for one in lambdas]
    return np.array([np.mean((y[val] - one) ** 2) for one in said])


@pytest.mark.parametrize("noise", [0.001, 0.05])
@pytest.mark.parametrize("shape", [(40, 120), (60, 40), (200, 50)])
def test_ridge_reaches_as_far_down_as_columns_are_alike(shape: tuple[int, int], noise: float) -> None:
    """On spectra the best lambda, orders of magnitude below those of other columns, is found as on the finest grid."""
    X, y = spectra(*shape, noise)
    made = backend(X, y)
    found = trial(made, Linear("l2"))
    grid = np.geomspace(1e2, 1e-12, 300)
    folds = zip(made.setup.folds.train, made.setup.folds.val, strict=True)
    best = np.mean([ridge_losses(X, y, *fold, grid) for fold in folds], axis=0).min()
    assert -found.point.val <= best * 1.001
    assert not found.trajectory.rising


@pytest.mark.parametrize("shape", [(200, 20), (40, 120)])
def test_ridge_of_other_columns_is_as_long_as_it_was(shape: tuple[int, int]) -> None:
    """Of columns that are not alike the curve turns within the points of a path, and no more are fitted."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=shape)
    found = trial(backend(X, X[:, 0] + rng.normal(size=len(X))), Linear("l2"))
    assert found.trajectory.steps <= 100
    assert not found.trajectory.rising
