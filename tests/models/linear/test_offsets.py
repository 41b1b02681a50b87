"""Offsets: a column of X whose coefficient is one, against objectives that are written out here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.special import expit

from regsearch import Choice, Cox, InvalidInput, Linear, Path, Quantile, Tweedie
from regsearch._types import Array
from regsearch.data import problem as data_of_problem
from regsearch.data import row_table
from regsearch.data.folds import Folds, make_folds
from regsearch.data.problem import Problem, make_problem
from regsearch.export.code.pipelines import linear_code
from regsearch.metrics.scorer import DEFAULTS, resolve
from regsearch.models.base import Candidate, Outcome, Setup
from regsearch.models.linear.prepared import PreparedBackend
from regsearch.models.linear.scales import SCALES
from regsearch.models.linear.solvers import Solvers
from regsearch.space.config import from_toml, to_toml

N = 90
OTHERS = ["a", "b", "c", "d", "e"]  # beside o, the offset
LAMBDA = 0.08


def columns(n: int = N) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(n, 5)) * [1, 2, 0.5, 1, 3], columns=OTHERS)
    X.insert(2, "o", rng.normal(size=n) * 1.2 + 0.4)
    return X


def signal(X: pd.DataFrame) -> Array:
    return np.asarray(X[OTHERS] @ [0.5, -0.25, 1.0, 0.0, 0.05] + X["o"])


def breslow(eta: Array, y: Array) -> Array:
    """Weighted residuals of the partial likelihood, times being negative where there was no event."""
    time, event = np.abs(y), y > 0
    at_risk = time[None] >= time[:, None]  # [event, row]
    share = at_risk * np.exp(eta) / (at_risk @ np.exp(eta))[:, None]
    return np.asarray((event - event @ share) / len(y))


def drawn(kind: str, X: pd.DataFrame) -> Any:
    rng, eta = np.random.default_rng(1), signal(X)
    if kind == "squared":
        return eta + rng.normal(size=len(X))
    if kind == "odds":
        return (rng.random(len(X)) < expit(eta)).astype(int)
    if kind == "poisson":
        return rng.poisson(np.exp(eta)).astype(float)
    if kind == "gamma":
        return rng.gamma(2, np.exp(eta) / 2)
    if kind == "tweedie":
        return np.where(rng.random(len(X)) < 0.3, 0.0, rng.gamma(2, np.exp(eta) / 2))
    return rng.random(len(X)) < 0.7, rng.exponential(np.exp(-eta)).round(2) + 0.01  # with ties


LOSSES: dict[str, tuple[Any, Callable[[Array, Array], Array]]] = {  # with the weighted residuals of rows
    "squared": (None, lambda eta, y: (y - eta) / len(y)),
    "odds": (None, lambda eta, y: (y - expit(eta)) / len(y)),
    "poisson": ("poisson", lambda eta, y: (y - np.exp(eta)) / len(y)),
    "gamma": ("gamma", lambda eta, y: (y * np.exp(-eta) - 1) / len(y)),
    "tweedie": (Tweedie(1.4), lambda eta, y: (y * np.exp(-0.4 * eta) - np.exp(0.6 * eta)) / len(y)),
    "cox": (Cox("breslow"), breslow),
}


def config(kind: str, penalty: str = "l1", lambda_: Any = LAMBDA, scale: str = "none", **more: Any) -> Linear:
    return Linear(penalty, lambda_, scale, loss=LOSSES[kind][0], offset="o", **more)


def problem(kind: str, X: Any = None) -> Problem:
    task = "survival" if kind == "cox" else None
    return make_problem(columns() if X is None else X, drawn(kind, columns()), task=task)


def fitted(of: Linear, to: Problem, tol: float = 1e-12, steps: int | None = None) -> tuple[Array, float, float]:
    """Coefficients ``[p]``, the intercept and the gap, relative to the loss of the null model."""
    solvers = Solvers.of_all_rows(to, of.loss, of.offset)
    solver: Any = solvers.of(None, of.loss)
    solver.tol = tol
    if steps is not None:
        solver.max_steps = steps
    *_, last = solver.path(solvers.terms(of), of.scale, np.array([of.lambda_]))
    return last.coef[0, -1, :, 0], float(last.intercept[0, -1, 0]), float(last.gap.max())


def evaluated(of: Linear, to: Problem, folds: Folds | None = None, scoring: Any = None) -> Outcome:
    setup = Setup(to, folds or make_folds(3, to, 0), resolve(scoring or DEFAULTS[to.task], to))
    of.check(setup)
    backend = PreparedBackend(setup, (of.loss,))
    backend._behind(of.prepare, of.offset).solver.tol = 1e-12
    (outcome,) = backend.stream([Candidate(0, of)])
    assert outcome.state == "complete", outcome.reason
    return outcome


@pytest.mark.parametrize("penalty", ["l1", "l2", "none"])
@pytest.mark.parametrize("kind", LOSSES)
def test_a_fit_is_a_minimum_beside_the_offset(kind: str, penalty: str) -> None:
    """No subgradient of the loss at decisions with the offset, and of the penalty, is left; the offset has none."""
    to = problem(kind)
    w, b, _ = fitted(config(kind, penalty, LAMBDA if penalty != "none" else 0.0), to)
    assert w[2] == 0
    X = columns()
    z, w = X[OTHERS].to_numpy(), np.delete(w, 2)
    residual = LOSSES[kind][1](z @ w + b + X["o"].to_numpy(), to.y)
    slope = z.T @ residual
    held = {"l1": LAMBDA * np.sign(w), "l2": LAMBDA * w, "none": np.zeros(5)}[penalty]
    free = np.abs(slope) <= LAMBDA if penalty == "l1" else np.zeros(5, dtype=bool)
    np.testing.assert_allclose(np.where((w == 0) & free, 0, slope - held), 0, atol=2e-6)
    assert abs(residual.sum()) < 2e-6


@pytest.mark.parametrize("kind", [kind for kind in LOSSES if kind != "squared"])
@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_gaps_bound_what_a_fit_is_above_its_minimum(kind: str, penalty: str) -> None:
    """However early a solver ends, its gap is at least what the objective is above the least."""
    to, of = problem(kind), config(kind, penalty, 0.02)
    solvers = Solvers.of_all_rows(to, of.loss, of.offset)
    solver: Any = solvers.of(None, of.loss)

    def objective(w: Array, b: float) -> float:
        eta = columns().to_numpy()[:, [0, 1, 3, 4, 5]] @ np.delete(w, 2) + b
        _, loss = solver.samples[0].at(eta[None, None])
        size = np.abs(w).sum() if penalty == "l1" else (w**2).sum() / 2
        return float(loss[0] + 0.02 * size)

    best = objective(*fitted(of, to)[:2])
    found = [fitted(of, to, 1e-12, steps) for steps in range(4)]
    for w, b, gap in found:
        above = objective(w, b) - best
        assert -1e-12 <= above <= gap * solver.null[0] + 1e-12
    assert found[0][2] > 1e-6


@pytest.mark.parametrize("loss", [None, "huber", Quantile(0.7)])
def test_what_says_y_itself_is_fitted_to_what_the_offset_leaves(loss: Any) -> None:
    """A search is that of y less the column, without it: lambdas, errors and coefficients."""
    X, y = columns(), drawn("squared", columns())
    found = evaluated(Linear("l1", Path(8, 0.01), loss=loss, offset="o"), make_problem(X, y))
    plain = evaluated(Linear("l1", Path(8, 0.01), loss=loss), make_problem(X[OTHERS], y - X["o"]))
    np.testing.assert_allclose(found.trajectory.axis, plain.trajectory.axis)
    (ours,), (theirs,) = found.trajectory.curves.values(), plain.trajectory.curves.values()
    np.testing.assert_allclose(ours.val, theirs.val, rtol=1e-6)
    np.testing.assert_allclose(ours.train, theirs.train, rtol=1e-6)
    np.testing.assert_allclose(found.trajectory.complexity, plain.trajectory.complexity)
    np.testing.assert_allclose(found.predictions[:, 0] - X["o"], plain.predictions[:, 0], atol=1e-4)


def forms() -> dict[str, Any]:
    X = columns()
    holed = X.assign(a=X["a"].mask(X["a"] > 1.5), kind=pd.Categorical(np.where(X["b"] > 0, "u", "v")))
    return {"frame": X, "holes and a category": holed, "array": X.to_numpy(), "sparse": sparse.csr_array(X.to_numpy())}


EVERY_FORM = [  # with each scaling once
    (kind, form, SCALES[(j + k) % len(SCALES)])
    for k, kind in enumerate(["squared", "odds", "poisson"]) for j, form in enumerate(forms())
]  # fmt: skip


@pytest.mark.parametrize(("kind", "form", "scale"), EVERY_FORM)
def test_a_fold_predicts_what_a_refit_to_its_rows_does(kind: str, form: str, scale: str) -> None:
    """What a search says of held-out rows is said by the exported pipeline of the other rows, which adds the column."""
    X, y = forms()[form], drawn(kind, columns())
    named = form in ("frame", "holes and a category")
    of = config(kind, "l2", 0.1, scale).replace(offset="o" if named else "x2")
    to = make_problem(X, y)
    folds = make_folds(2, to, 0)
    found = evaluated(of, to, folds)
    for train, val in zip(folds.train, folds.val, strict=True):
        rows = (lambda part: X.iloc[part]) if named else (lambda part: X[part])
        model = of.refit(make_problem(rows(train), y[train]), 0)
        said = model.decision_function(rows(val)) if kind == "odds" else model.predict(rows(val))
        np.testing.assert_allclose(found.predictions[val, 0], said, rtol=1e-4, atol=1e-4)
        if named:
            moved = rows(val).assign(o=rows(val)["o"] + 1.0)
            more = model.decision_function(moved) if kind == "odds" else model.predict(moved)
            np.testing.assert_allclose(more, said * np.e if kind == "poisson" else said + 1.0, rtol=1e-9)


def test_it_is_known_behind_a_transformer_too() -> None:
    """The column that a transformer passes through is the offset, and a missing one is refused."""
    from sklearn.base import clone
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    prepare = make_column_transformer(
        (PolynomialFeatures(2, include_bias=False), ["a", "b"]),
        remainder="passthrough",
        verbose_feature_names_out=False,
    )
    X, y = columns(), drawn("poisson", columns())
    of = config("poisson", "l2", 0.1, "standard", prepare=prepare)
    by_hand = pd.DataFrame(prepare.fit_transform(X), columns=prepare.get_feature_names_out())
    found = evaluated(of, make_problem(X, y))
    plain = evaluated(of.replace(prepare=None), make_problem(by_hand, y))
    renamed = evaluated(
        of.replace(prepare=clone(prepare).set_params(verbose_feature_names_out=True)), make_problem(X, y)
    )
    np.testing.assert_array_equal(found.predictions, renamed.predictions)
    np.testing.assert_allclose(found.predictions, plain.predictions, rtol=1e-6)
    model = of.refit(make_problem(X, y), 0)
    np.testing.assert_allclose(model.predict(X.assign(o=X["o"] + 1)), np.e * model.predict(X))
    with pytest.raises(InvalidInput, match="added as it is, and what prepares X changes 'o'; let it pass through"):
        evaluated(of.replace(prepare=StandardScaler()), make_problem(X, y))
    with pytest.raises(InvalidInput, match="'o' is missing in 2"):
        evaluated(of, make_problem(X.assign(o=X["o"].mask(np.arange(N) < 2)), y))


def test_a_table_that_is_read_by_blocks_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of single precision that are never copied say what doubles in memory do, the column read as zeros."""
    X, y = columns().to_numpy().astype(np.float32), drawn("squared", columns())
    of = Linear("l1", LAMBDA, "robust", offset="x2")
    theirs = *fitted(of, make_problem(X.astype(float), y)), of.refit(make_problem(X.astype(float), y), 0)
    for module in (row_table, data_of_problem):
        monkeypatch.setattr(module, "WHOLE", 0)
        monkeypatch.setattr(module, "BLOCK", 40)
    to = make_problem(X, y)
    assert isinstance(Solvers.of_all_rows(to, None, "x2").design.matrix, row_table.RowTable)
    np.testing.assert_allclose(fitted(of, to)[0], theirs[0], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(of.refit(to, 0).predict(X), theirs[-1].predict(X), rtol=1e-4, atol=1e-5)


def test_separable_classes_are_seen_beside_it() -> None:
    """Without a penalty, classes that a column separates have no fit, and that is told."""
    X = columns()
    found = evaluated(config("odds", "none", 0.0), make_problem(X, (X["a"] > 0).astype(int)))
    assert found.diverges
    assert not evaluated(config("odds", "none", 0.0), problem("odds")).diverges


def test_candidates_with_and_without_it_are_of_one_study() -> None:
    """A choice of offsets searches them, the reference having the first, each as a study of its own would."""
    to, space = problem("poisson"), Linear("l2", 0.1, loss="poisson", offset=Choice("o", None))
    setup = Setup(to, make_folds(3, to, 0), resolve(DEFAULTS[to.task], to))
    space.check(setup)
    assert space.reference().offset == "o"
    backend = PreparedBackend(setup, space.losses)
    options = [space.replace(offset=option) for option in ("o", None, "o")]
    found = list(backend.stream([Candidate(k, one) for k, one in enumerate(options)]))
    alone = [next(PreparedBackend(setup, space.losses).stream([Candidate(0, one)])) for one in options]
    for ours, theirs in zip(found, alone, strict=True):
        np.testing.assert_array_equal(ours.predictions, theirs.predictions)
    assert np.abs(found[0].predictions - found[1].predictions).max() > 0.1


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kind", ["squared", "odds"])
def test_plain_code_fits_the_same(kind: str, scale: str) -> None:
    """The printed code needs numpy and scikit-learn, and predicts what the refit does."""
    to, of = problem(kind), config(kind, "l1", 0.05, scale)
    made: dict[str, Any] = {}
    text = linear_code(of, to, 0)
    assert "regsearch" not in text
    exec(text, made)
    model, ours = made["model"].fit(to.X, to.labels), of.refit(to, 0)
    name = "predict" if kind == "squared" else "predict_proba"
    np.testing.assert_allclose(getattr(model, name)(to.X), getattr(ours, name)(to.X), atol=1e-3)


def test_a_config_keeps_it() -> None:
    """It survives a file, stands in a row only where there is one, and scikit-learn alone does not fit it again."""
    of = config("squared")
    assert from_toml(to_toml(of)) == of
    assert of.shown_fields()["offset"] == "o"
    assert "offset" not in Linear("l1", 0.1).shown_fields()
    assert of.reference().offset == "o"
    assert not of.shipped_whole
    to = problem("squared")
    told = of.explain(to, make_folds(3, to, 0), 0)["interpretation"]
    assert "Of 'o', the offset, the coefficient is one." in told["lines"]
    assert "o" not in [one["name"] for one in told["features"]]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"offset": "exposure"}, "offset must name a column of X, got 'exposure'; it has"),
        ({"offset": "kind"}, "must be one column of numbers, 'kind' is a category"),
        ({"offset": "holes"}, "'holes' is missing in 1; fill it in"),
        ({"unpenalized": ["o"]}, "The coefficient of the offset 'o' is one; remove it from unpenalized"),
        ({"penalty_factors": {"o": 0.5}}, "remove it from penalty_factors"),
        ({"limits": {"o": (0, None)}}, "remove it from limits"),
        ({"offset": 3}, "must be the name of a column, got 3; write 'exposure'"),
    ],
)
def test_what_cannot_be_an_offset(more: dict[str, Any], said: str) -> None:
    """A column that is none of numbers known in every row, or has other say, is refused before anything is fitted."""
    X = columns().assign(kind=pd.Categorical(["u", "v", "w"] * (N // 3)), holes=np.where(np.arange(N), 1.0, np.nan))
    to = make_problem(X, drawn("squared", X))
    setup = Setup(to, make_folds(3, to, 0), resolve(DEFAULTS[to.task], to))
    with pytest.raises(InvalidInput, match=said):
        Linear("l1", **{"offset": "o", **more}).check(setup)


@pytest.mark.parametrize("y", ["classes", "targets"])
def test_it_is_of_one_decision(y: str) -> None:
    """Several classes or targets have several decisions, and are refused."""
    X = columns()
    rng = np.random.default_rng(0)
    to = make_problem(X, rng.integers(0, 3, N).astype(str) if y == "classes" else rng.normal(size=(N, 2)))
    setup = Setup(to, make_folds(3, to, 0), resolve(DEFAULTS[to.task], to))
    with pytest.raises(InvalidInput, match=f"added to one decision, y has . {y}; leave offset='o' out"):
        Linear("l1", offset="o").check(setup)
