"""What a net sees: scaled inside the fold as scikit-learn's steps would, and nothing of the validation rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.model_selection import KFold
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler
from sklearn.utils.class_weight import compute_class_weight

from regsearch.data.encoding import transformer
from regsearch.data.features import take_rows
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Setup
from regsearch.models.neural import techniques as t
from regsearch.models.neural.network.data import inner_split
from regsearch.models.neural.training.batches import batch_slices
from regsearch.testing.nets import IMAGE, block, fold, net, problem, setup_for

N = 60
SCALERS: dict[str, Any] = {"standard": StandardScaler, "minmax": MinMaxScaler}


def frame(holes: bool = True) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=N) * 3 + 1, rng.exponential(size=N)
    return pd.DataFrame({
        "a": np.where((rng.random(N) < 0.2) & holes, np.nan, a), "b": b, "whole": rng.integers(0, 5, N),
        "kind": pd.Categorical(rng.choice(["u", "v", "w"], N)), "truth": rng.random(N) < 0.5,
        "constant": np.ones(N),
    })  # fmt: skip


def table(holes: bool = True, weighted: bool = False, y: Any = None) -> Any:
    X = frame(holes)
    y = X["b"].to_numpy() * 2 + np.arange(N) if y is None else y
    return make_problem(X, y, sample_weight=np.arange(N) % 4 * 1.0 if weighted else None)


@pytest.mark.parametrize("holes", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scale", ["standard", "minmax", "none"])
def test_a_table_is_scaled_as_a_pipeline_would(scale: str, weighted: bool, holes: bool) -> None:
    """Imputed, encoded and scaled values are those of scikit-learn's steps fitted to the fold's training rows.

    Of weights, to as many copies of each.
    """
    made = table(holes, weighted)
    where = fold(setup_for(made), scale=scale)
    rows = where.parts["train"]
    rows = np.repeat(rows, made.sample_weight[rows].astype(int)) if weighted else rows
    steps: Any = transformer(made.X)
    train = steps.fit_transform(take_rows(made.X, rows))
    every = steps.transform(made.X)
    if scale in SCALERS:
        every = SCALERS[scale]().fit(train).transform(every)
    ours = where.scaling.apply(where.data.take(torch.arange(N)))[0].numpy()
    np.testing.assert_allclose(ours, every, rtol=1e-10, atol=1e-10)
    targets = StandardScaler().fit(made.y[rows, None])
    np.testing.assert_allclose(where.y[0].numpy(), targets.transform(made.y[:, None])[:, 0], rtol=1e-10)
    np.testing.assert_allclose(where.decisions(where.y[None])[0, 0].numpy(), made.y, rtol=1e-10)


@pytest.mark.parametrize("scale", ["standard", "minmax", "none"])
def test_sparse_rows_stay_sparse(scale: str) -> None:
    """Sparse rows are divided and never shifted, as `StandardScaler(with_mean=False)` and `MaxAbsScaler` do."""
    X = sparse.random(N, 7, 0.3, random_state=0, format="csr")
    made = make_problem(X, np.arange(float(N)))
    where = fold(setup_for(made), scale=scale)
    scaler = {"standard": StandardScaler(with_mean=False), "minmax": MaxAbsScaler()}.get(scale)
    expected = X if scaler is None else scaler.fit(X[where.parts["train"]]).transform(X)
    assert sparse.issparse(where.data.X)
    ours = where.scaling.apply(where.data.take(torch.arange(N)))[0].numpy()
    np.testing.assert_allclose(ours, expected.toarray(), rtol=1e-10)
    assert np.isfinite(block(setup_for(made), [net(scale=scale)]).advance(2).scores["val"]).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("scale", ["standard", "minmax", "none"])
def test_images_are_scaled_by_channel(scale: str, dtype: Any) -> None:
    """Every channel has one centre and one spread, those of all its pixels in the training rows."""
    rng = np.random.default_rng(0)
    X = (rng.uniform(0, 255, (N, *IMAGE)) * np.array([1.0, 0.3])[:, None, None]).astype(dtype)
    weight = rng.uniform(0.1, 2, N)
    made = make_problem(X, np.arange(N) % 2, sample_weight=weight)
    where = fold(setup_for(made), scale=scale)
    rows = where.parts["train"]
    assert where.data.X.dtype == (torch.uint8 if dtype is np.uint8 else torch.float64)
    ours = where.scaling.apply(where.data.take(torch.arange(N)))[0].numpy()
    for channel in range(2):
        pixels = X[:, channel].reshape(-1, 1).astype(float)
        if scale in SCALERS:
            options = {"sample_weight": np.repeat(weight[rows], 36)} if scale == "standard" else {}
            scaler = SCALERS[scale]().fit(X[rows, channel].reshape(-1, 1).astype(float), **options)
            pixels = scaler.transform(pixels)
        np.testing.assert_allclose(ours[:, channel].ravel(), pixels[:, 0], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("weighted", [False, True])
def test_weights(weighted: bool) -> None:
    """Weights are one on average over the training rows; balanced, every class has the same sum of them."""
    made = problem("multiclass", weighted=weighted)
    of = setup_for(made)
    for how in ("none", "balanced"):
        where = fold(of, class_weight=how)
        rows = where.parts["train"]
        weight, own = (
            where.weight.numpy()[rows],
            np.ones(made.rows) if made.sample_weight is None else made.sample_weight,
        )
        assert weight.mean() == pytest.approx(1)
        if how == "none":
            np.testing.assert_allclose(weight, own[rows] / own[rows].mean())
            continue
        np.testing.assert_allclose(np.bincount(made.y[rows], weight), len(rows) / 3)
        if not weighted:
            usual = compute_class_weight("balanced", classes=np.arange(3), y=made.y[rows])
            np.testing.assert_allclose(weight, usual[made.y[rows]])


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_validation_rows_do_not_leak(task: str) -> None:
    """Other values, labels, holes and weights of validation rows change nothing that is learned, only their scores."""
    first = table(y=None if task == "regression" else np.arange(N) % 2, weighted=True)
    of = setup_for(first)
    val = of.folds.val[1]
    X, y, weight = first.X.copy(), first.labels.copy(), first.sample_weight.copy()
    X.loc[val, ["a", "b"]] = X.loc[val, ["a", "b"]].to_numpy() * -100 + 7
    X.loc[val[:3], "b"] = np.nan
    y[val], weight[val] = y[val][::-1] + (50 if task == "regression" else 0), 5.0
    made = make_problem(X, y, sample_weight=weight)
    pairs = list(zip(of.folds.train, of.folds.val, strict=True))
    changed = Setup(made, make_folds(pairs, made, 0), of.metrics)
    embedded = net(scale="robust", embedding=t.PiecewiseLinear(4))
    for config in (net(), embedded, net(class_weight="balanced"), net(early_stopping=t.EarlyStopping(4, inner=0.3))):
        if task == "regression" and config.class_weight == "balanced":
            continue
        a, b = (block(one, [config]).advance(3) for one in (of, changed))
        assert np.array_equal(a.weights, b.weights)
        for part in set(a.scores) - {"val"}:
            np.testing.assert_array_equal(a.scores[part], b.scores[part])
        assert not np.any(a.scores["val"] == b.scores["val"])


def test_inner_split() -> None:
    """The inner split parts the training rows: by class, whole groups, the same every time."""
    made = problem("multiclass", n=90)
    of = setup_for(made)
    stopping = t.EarlyStopping(5, inner=0.3)
    inner = [fold(setup_for(made), k, early_stopping=stopping) for k in (0, 1, 1)]  # each with parts of its own
    assert inner[1] is not inner[2]
    for k, where in zip((0, 1, 1), inner, strict=True):
        both = np.concatenate([where.parts["train"], where.parts["inner"]])
        assert sorted(both) == sorted(of.folds.train[k])
        assert len(where.parts["inner"]) == pytest.approx(0.3 * len(both), abs=1)
        shares = [np.bincount(made.y[where.parts[part]]) / len(where.parts[part]) for part in ("train", "inner")]
        np.testing.assert_allclose(*shares, atol=0.05)
    np.testing.assert_array_equal(inner[1].parts["inner"], inner[2].parts["inner"])
    groups = np.arange(90) // 3
    grouped = make_problem(made.X, made.labels, groups=groups)
    where = fold(setup_for(grouped), early_stopping=t.EarlyStopping(5, inner=0.3))
    assert not set(groups[where.parts["train"]]) & set(groups[where.parts["inner"]])


@pytest.mark.parametrize("grouped", [False, True])
def test_the_inner_split_leaves_a_row_of_each_class_to_train_on(grouped: bool) -> None:
    """A class of one row, or of one group, is no reason to refuse an inner split, and is not held out whole."""
    y = np.repeat([0, 1, 2, 3], [40, 40, 5, 1])
    groups = np.concatenate([np.arange(80) // 2, [90, 90, 90, 91, 91], [92]])
    made = make_problem(np.random.default_rng(0).normal(size=(86, 3)), y, groups=groups if grouped else None)
    pairs = list(KFold(3, shuffle=True, random_state=2).split(made.X))
    pairs = [(np.union1d(train, [81, 85]), np.setdiff1d(val, [81, 85])) for train, val in pairs]
    for seed in range(6):
        of = Setup(made, make_folds(pairs, made, 0), resolve(None, made), seed=seed)
        for k, train in enumerate(of.folds.train):
            left, inner = inner_split(made, train, 0.5, seed + k)
            assert set(made.y[left]) == {0, 1, 2, 3}
            assert sorted([*left, *inner]) == sorted(train)
            assert not grouped or not set(groups[left]) & set(groups[inner])
    config = net(class_weight="balanced", early_stopping=t.EarlyStopping(3, inner=0.5))
    assert np.isfinite(block(of, [config]).advance(1).weights).all()


@pytest.mark.parametrize("n", [1, 2, 6, 7, 8, 13, 14, 15])
@pytest.mark.parametrize("size", [1, 2, 7])
def test_batches_hold_every_row_once(n: int, size: int) -> None:
    """Batches part the rows in order; the last one is not of a single row unless all are."""
    order = torch.randperm(n)
    batches = [order[part] for part in batch_slices(n, size)]
    assert torch.equal(torch.cat(batches), order)
    assert all(len(batch) == size for batch in batches[:-1]) or len(batches[-2]) == size
    if size > 1 and n > 1:
        assert len(batches[-1]) > 1


def test_rows_that_may_not_be_written_are_as_good() -> None:
    """Of the rows of a worker, which lie in shared memory, torch warns nowhere: of tables, images and embeddings."""
    images = np.random.default_rng(0).normal(size=(N, *IMAGE))
    X, bins = images[:, 0, 0], t.PiecewiseLinear(4)
    kinds: tuple[tuple[Any, dict[str, Any]], ...] = ((X, {"embedding": bins}), (sparse.csr_array(X), {}), (images, {}))
    torch.set_warn_always(True)
    try:
        for inputs, options in kinds:
            of = setup_for(make_problem(inputs, np.arange(N) % 2))
            for rows in (*of.folds.train, *of.folds.val):
                rows.flags.writeable = False
            block(of, [net(**options)]).advance(1)
    finally:
        torch.set_warn_always(False)


def test_the_users_data_is_left_alone() -> None:
    """Neither X nor y is written to, whether they may be or not."""
    for writeable in (True, False):
        X, y = np.random.default_rng(0).normal(size=(N, 4)), np.arange(float(N))
        X[3, 1] = np.nan
        X.flags.writeable = y.flags.writeable = writeable
        before = X.copy(), y.copy()
        block(setup_for(make_problem(X, y)), [net(input_noise=0.3, label_noise=0.3, precision="float64")]).advance(2)
        np.testing.assert_array_equal(X, before[0])
        np.testing.assert_array_equal(y, before[1])
    images = np.zeros((N, *IMAGE), dtype=np.uint8)
    images[:, 0] = np.arange(N)[:, None, None]
    kept = images.copy()
    for writeable in (True, False):
        images.flags.writeable = writeable
        block(setup_for(make_problem(images, np.arange(N) % 2)), [net(input_dropout=0.3)]).advance(1)
        np.testing.assert_array_equal(images, kept)
