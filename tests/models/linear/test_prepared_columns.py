"""What is said of a column of X is said of all that a transformer makes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
)

from regsearch import Choice, InvalidInput, Linear, Path, Prepare, Quantile, column_transformer
from regsearch.data.column_sources import column_sources
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.export.code.pipelines import linear_code
from regsearch.metrics.scorer import DEFAULTS, resolve
from regsearch.models.base import Candidate, Setup
from regsearch.models.preparation import seen_by
from regsearch.space.config import from_toml, to_toml

N = 60
RANDOM = np.random.default_rng(0)
X = pd.DataFrame({
    "size": RANDOM.normal(size=N),
    "town": RANDOM.choice(["Rome", "Bern", "Oslo"], N),
    "town_code": RANDOM.choice(["x", "y"], N),
    "day": pd.date_range("2026-01-30", periods=N).astype(str),
    "note": [f"the house number {k} is {RANDOM.choice(['old and dark', 'new'])} inside" for k in range(N)],
})  # fmt: skip
Y = X["size"] + X["note"].str.contains("dark") + (X["town"] == "Oslo") + RANDOM.normal(size=N) / 5
PROBLEM = make_problem(X, Y)
FRONT = column_transformer(X)
MADE = FRONT.fit(X).get_feature_names_out().tolist()
PARTS = column_transformer(X, {"note": "drop"})
TABLE = make_column_transformer((OneHotEncoder(), ["town", "town_code"]), ("passthrough", ["size"]))


def scores(config: Linear) -> Any:
    setup = Setup(PROBLEM, make_folds(3, PROBLEM, 0), resolve(DEFAULTS["regression"], PROBLEM))
    config.check(setup)
    (outcome,) = config.backend(setup).stream([Candidate(0, config)])
    assert outcome.state == "complete", outcome.reason
    return outcome.trajectory.deciding.val


def of(column: str) -> list[str]:
    """Prepared columns by the names that they are documented to have."""
    return [name for name in MADE if name.startswith((f"{column}=", f"{column} ")) or name == column]


@pytest.mark.parametrize(
    ("transformer", "sources"),
    [
        (TABLE, ["town"] * 3 + ["town_code"] * 2 + ["size"]),
        (make_pipeline(TABLE, StandardScaler()), ["town"] * 3 + ["town_code"] * 2 + ["size"]),
        (make_column_transformer((OneHotEncoder(), [1, 2]), ("passthrough", slice(0, 1))),
         ["town"] * 3 + ["town_code"] * 2 + ["size"]),
        (make_column_transformer((CountVectorizer(vocabulary=["dark", "size"]), "note"), remainder="drop"),
         ["note"] * 2),
        (make_column_transformer((CountVectorizer(vocabulary=["dark"]), "note"), ("passthrough", [True] + [False] * 4),
                                 verbose_feature_names_out=False), ["note", "size"]),
        (FRONT, [next(one for one in X if name in of(one)) for name in MADE]),
    ],
)  # fmt: skip
def test_what_is_made_knows_its_column(transformer: Any, sources: list[str]) -> None:
    """Steps of a column transformer say it, however they name their columns; of encoders of several, names do."""
    names = transformer.fit(X).get_feature_names_out().tolist()
    assert list(column_sources(transformer, names, [*X])) == sources


SQUARES = PolynomialFeatures(include_bias=False)  # of a, b, "a b" and a_b: each, then the products in this order
PRODUCTS = ["a", *[""] * 3, "b", *[""] * 2, "a b", "", "a_b"]


@pytest.mark.parametrize(
    ("transformer", "sources"),
    [
        (SQUARES, ["a", "b", "a b", "a_b", *PRODUCTS]),
        (make_column_transformer((SQUARES, ["a", "b"]), (StandardScaler(), ["a b"])), ["a", "b", "a", "", "b", "a b"]),
        (make_pipeline(make_column_transformer((OneHotEncoder(), ["a_b"]), ("passthrough", ["b"])),
                       PolynomialFeatures(include_bias=False, interaction_only=True)),
         [*["a_b"] * 2, "b", "a_b", "", ""]),
        (make_union(StandardScaler(), KBinsDiscretizer(2, quantile_method="averaged_inverted_cdf")),
         ["a", "b", "a b", "a_b", *[one for one in ("a", "b", "a b", "a_b") for _ in range(2)]]),
        (make_column_transformer((PCA(2), ["a", "b"]), (PCA(1), ["a_b"])), ["", "", "a_b"]),
        (FunctionTransformer(np.cumsum, kw_args={"axis": 1},  # names that say nothing of what it is asked with
                             feature_names_out=lambda _, names: ["a sum", "step__b sum", "sum of a", "a b and b"]),
         ["a", "b", "", ""]),
    ],
)  # fmt: skip
def test_what_is_made_of_several_columns_is_of_none(transformer: Any, sources: list[str]) -> None:
    """A product is of neither of its factors, whichever its name begins with, in whatever steps it is made."""
    table = pd.DataFrame(RANDOM.normal(size=(N, 3)), columns=["a", "b", "a b"]).assign(a_b=np.arange(N) % 2)
    names = transformer.fit(table).get_feature_names_out().tolist()
    assert list(column_sources(transformer, names, [*table])) == sources


def test_a_name_that_is_made_means_that_column_alone() -> None:
    """A column of X means all that it becomes, unless one of these has its very name; products are none of it."""
    table = pd.DataFrame(RANDOM.normal(size=(N, 2)), columns=["a", "b"])
    problem = make_problem(table, Y)
    for transformer, a, b in (
        (SQUARES, [0], [1]),
        (make_column_transformer((SQUARES, ["a", "b"])), [0, 2], [1, 4]),
        (make_column_transformer((SplineTransformer(3), ["a"]), ("passthrough", ["b"])), [*range(5)], [5]),
    ):
        seen = seen_by(Prepare(transformer), problem, [np.arange(N)])
        assert (seen.places["a"], seen.places["b"]) == (a, b)


def test_a_penalty_is_held_to_the_columns_that_are_made() -> None:
    """Text and names of what it becomes are no obstacle to several targets or a loss without derivatives."""
    several = make_problem(X, np.column_stack([Y, X["size"]]))
    setups = [Setup(one, make_folds(3, one, 0), resolve(DEFAULTS["regression"], one)) for one in (several, PROBLEM)]
    for setup, loss, refused in zip(
        setups, (None, Quantile(0.5)), ("fitted to several targets", "no derivatives"), strict=True
    ):
        Linear("l1", loss=loss, penalty_factors={"town=Oslo": 2}, prepare=PARTS).check(setup)
        with pytest.raises(InvalidInput, match=refused):
            Linear("group_lasso", loss=loss, prepare=PARTS).check(setup)


@pytest.mark.parametrize("weighted", [False, True])
def test_missing_numbers_of_a_sparse_table_are_filled_as_those_of_an_array(weighted: bool) -> None:
    """By the means of each fold's training rows, zeros that are not stored among them, and so in the bundle's model."""
    table = X[["size", "town"]].assign(size=X["size"].where(X.index % 7 > 0), never=np.nan, few=0.0)
    table["few"] = np.where(table.index % 9 == 0, np.nan, table.index % 9 == 1)
    weights = RANDOM.integers(0, 3, N) * 0.7 if weighted else None
    problem = make_problem(table, Y, sample_weight=weights)
    train = make_folds(3, problem, 0).train
    made, seen = {}, {}
    for threshold in (0.0, 1.0):
        front = make_column_transformer(
            (OneHotEncoder(), ["town"]), remainder="passthrough", sparse_threshold=threshold
        )
        config = Linear("l2", 0.01, "none", prepare=front)
        seen[threshold] = [
            sparse.csr_array(one).toarray() for one in seen_by(config.prepare, problem, train).encoded.own
        ]
        made[threshold] = config.refit(problem, 0).predict(table)
    np.testing.assert_allclose(seen[1.0], seen[0.0], rtol=1e-12)
    np.testing.assert_allclose(made[1.0], made[0.0], rtol=1e-6)


@pytest.mark.slow
def test_a_column_of_x_stands_for_all_that_it_becomes() -> None:
    """Factors, free columns, limits and groups by it are those by each of its columns, whose own name goes first."""
    # folds differ in their words, so those are named that all have
    shared = scores(Linear("l1", Path(8), penalty_factors={"town": 3, "day": 0.5}, unpenalized=["size"], prepare=FRONT))
    each = dict.fromkeys(of("town"), 3) | dict.fromkeys(of("day"), 0.5)
    named = scores(Linear("l1", Path(8), penalty_factors=each, unpenalized=["size"], prepare=FRONT))
    np.testing.assert_array_equal(shared, named)
    words = scores(Linear("l1", Path(8), unpenalized=["size", "town", "town_code", "day"], prepare=FRONT))
    assert not np.array_equal(words, scores(Linear("l1", Path(8), prepare=FRONT)))
    own = {"town": 3, "town=Oslo": 0.25}
    limits = {"town": (0, None), "town=Rome": (-1, 0)}
    spread = dict.fromkeys(of("town"), (0, None)) | {"town=Rome": (-1, 0)}
    np.testing.assert_array_equal(
        scores(Linear("l2", Path(8), penalty_factors=own, limits=limits, prepare=FRONT)),
        scores(Linear("l2", Path(8), penalty_factors=dict.fromkeys(of("town"), 3) | {"town=Oslo": 0.25}, limits=spread,
                      prepare=FRONT)),
    )  # fmt: skip
    groups = [{"place": ["town", "size"]}, {"place": [*of("town"), "size"]}]
    by_group = [
        scores(Linear(Linear("group_lasso").penalty.replace(groups=one), Path(8), prepare=FRONT)) for one in groups
    ]
    np.testing.assert_array_equal(*by_group)


@pytest.mark.slow
def test_names_are_those_of_x_and_those_that_it_becomes() -> None:
    """Another one is refused with what was perhaps meant, whatever a choice of transformers gives."""
    setup = Setup(PROBLEM, make_folds(3, PROBLEM, 0), resolve(DEFAULTS["regression"], PROBLEM))
    for wrong, meant in (("twon", "'town'"), ("town=Roma", "'town=Rome'")):
        with pytest.raises(InvalidInput, match=f"got '{wrong}'; did you mean {meant}"):
            Linear(penalty_factors={wrong: 2}, prepare=FRONT).check(setup)
    with pytest.raises(InvalidInput, match="'town=Rome' is both"):
        Linear(penalty_factors={"town=Rome": 2}, unpenalized=["town"], prepare=FRONT).check(setup)
    dropped = Choice(FRONT, Prepare(column_transformer(X, {"town": "drop"}), name="without"))
    with pytest.raises(InvalidInput, match="must name columns of X, got 'town'; did you mean 'town_code'"):
        Linear(unpenalized=["town"], prepare=dropped).check(setup)


def test_plain_code_weighs_what_a_column_becomes() -> None:
    """The code of a config that names a column of X predicts what the refit does, and the config is written so."""
    config = Linear("l1", 0.05, penalty_factors={"town": 3.0}, limits={"size": (0, 0.5)}, prepare=TABLE)
    assert from_toml(to_toml(config.replace(prepare=None))) == config.replace(prepare=None)
    made: dict[str, Any] = {}
    exec(linear_code(config, PROBLEM, 0), made)
    np.testing.assert_allclose(made["model"].fit(X, Y).predict(X), config.refit(PROBLEM, 0).predict(X), atol=1e-5)
