"""Robust scaling and embeddings of numbers: their formulas, what they are fitted to, and that stacks and nets agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.preprocessing import KBinsDiscretizer, RobustScaler

import regsearch
from regsearch import CNN, Choice, InvalidInput, Net, Study, spaces
from regsearch.data.problem import make_problem
from regsearch.models.base import Candidate
from regsearch.models.neural import techniques as t
from regsearch.models.neural.architectures import Embedded
from regsearch.models.neural.network.data import Fold
from regsearch.models.neural.training.stack import Stack
from regsearch.testing.nets import block, fold, net, setup, setup_for, shared_parts, train

SPECIAL = 3  # further columns: of two values, of two values but for a few rows, constant


def special() -> Any:
    """Columns of numbers, with an outlier, and some that have next to none."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)) * [1, 5, 0.1] + 2
    X[7, 1] = 1e4
    return np.c_[X, np.arange(40) % 2, (np.arange(40) == 3) * 2.0 + (np.arange(40) > 36), np.full(40, 3.0)], X[:, 0]


def scaled(of: Fold, rows: Any) -> Any:
    return of.scaling.apply(of.data.take(torch.as_tensor(rows)))[0].numpy()


def test_robust_scaling_is_that_of_scikit_learn_and_clipped() -> None:
    """Columns are scaled by the medians and quartiles of a fold's training rows and clipped smoothly to less than 3; a
    column whose quartiles are one by half its range, a constant one by nothing."""
    X, y = special()
    of = setup_for(make_problem(X, y))
    found = fold(of, scale="robust")
    seen = X[found.parts["train"]]
    z = RobustScaler().fit(seen).transform(X)
    z[:, 4] = (X[:, 4] - np.median(seen[:, 4])) / (np.ptp(seen[:, 4]) / 2)
    z[:, 3] = (X[:, 3] - np.median(seen[:, 3])) / np.diff(np.quantile(seen[:, 3], [0.25, 0.75]))
    np.testing.assert_allclose(scaled(found, range(40)), z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-10, atol=1e-12)
    assert np.abs(scaled(found, range(40))).max() < 3


def test_robust_scaling_of_sparse_rows_keeps_zeros() -> None:
    """Sparse columns are divided as dense ones, and not shifted: zeros stay zeros."""
    X, y = special()
    X[::3] = 0
    thin, dense = (fold(setup_for(make_problem(one, y)), scale="robust") for one in (sparse.csr_array(X), X))
    np.testing.assert_allclose(thin.scaling.spread, dense.scaling.spread)
    assert not scaled(thin, range(0, 40, 3)).any()


def test_robust_scaling_is_for_tables() -> None:
    """Images are refused by name, before anything is trained."""
    with pytest.raises(
        InvalidInput, match=r"scale='robust' is for tables, got rows of the shape \(2, 6, 6\); use 'standard'"
    ):
        net(CNN((3,)), scale=Choice("standard", "robust")).check(setup(image=True))


def test_bins_are_those_of_the_training_rows() -> None:
    """A column becomes its share of each bin between quantiles of the fold's training rows, linear beyond the last;
    what has two values or one goes on as it is."""
    X, y = special()
    of = setup_for(make_problem(X, y))
    made = block(of, [net(embedding=t.PiecewiseLinear(4))])
    evaluator = made.evaluators[1]
    config = shared_parts(of).structure(net(embedding=t.PiecewiseLinear(4))).module
    assert isinstance(config, Embedded)
    assert config.columns == (0, 1, 2, 4)
    module = config.module((6,), 1, "").double()
    module.load_state_dict({name: view[0] for name, view in evaluator.network.layout.views(made.theta).items()})
    z = scaled(evaluator.fold, range(40))
    seen = z[evaluator.fold.parts["train"]]
    given = np.concatenate([z, z[:1] * 9, z[:1] * -9])
    found = module.get_submodule("embedding")(torch.from_numpy(given)).detach().numpy()
    for j in range(3):
        edges = KBinsDiscretizer(4, quantile_method="linear").fit(seen[:, [j]]).bin_edges_[0]
        share = (given[:, [j]] - edges[:-1]) / np.diff(edges)
        expected = np.c_[share[:, :1].clip(max=1), share[:, 1:-1].clip(0, 1), share[:, -1:].clip(min=0)]
        np.testing.assert_allclose(found[:, 4 * j : 4 * j + 4], expected, atol=1e-9)
    few = found[:, 12:16]
    assert np.isfinite(few).all()
    assert np.linalg.matrix_rank(np.c_[few, np.ones(len(few)), given[:, 4]]) == np.linalg.matrix_rank(
        np.c_[few, np.ones(len(few))]
    )
    np.testing.assert_array_equal(found[:, 16:], given[:, [3, 5]])


@pytest.mark.parametrize("embedding", [t.Periodic(5, 2, 0.3), t.PiecewiseLinear(4)])
@pytest.mark.parametrize("norm", [None, "batch_norm"])
def test_the_stack_computes_what_the_plain_module_does(embedding: Any, norm: Any) -> None:
    """Rows of trained nets, skip connections among them, return what torch's module with their parameters does."""
    of = setup("multiclass")
    config, other = (
        net(embedding=embedding, norm=norm, skip="skip_connection", scale="robust", lr=lr) for lr in (0.02, 0.1)
    )
    made = block(of, [config, other])
    made.advance(3)
    evaluator = made.evaluators[1]
    module = shared_parts(of).structure(config).module.module((5,), 3, config.norm).double().eval()
    x = evaluator.fold.scaling.apply(evaluator.fold.data.take(evaluator.fold.rows["val"]))[0]
    ((out, _),) = evaluator.outputs(made.theta, "val")
    for row in range(2):
        state = {name: view[row] for name, view in evaluator.network.layout.views(made.theta).items()}
        module.load_state_dict(state, strict=False)
        torch.testing.assert_close(module(x).T, out[row], rtol=1e-10, atol=1e-12)


def test_frequencies_start_as_far_apart_as_is_said() -> None:
    """Trials of several sigmas train together; the frequencies of each start at its own deviation, and are learned."""
    of = setup()
    configs = [net(embedding=t.Periodic(5, 2, sigma)) for sigma in (0.1, 1.0, 0.5)]
    made = block(of, configs)
    part = made.network.layout.named("embedding.frequency")
    (start,) = part.views(made.theta.clone())
    torch.testing.assert_close(start[[0, 2]], start[1] * torch.tensor([[0.1], [0.5]]).double(), rtol=1e-6, atol=1e-9)
    alone = train(of, configs[:1])
    np.testing.assert_allclose(made.advance(4).weights_of(0), alone.weights_of(0), atol=1e-11)
    assert not torch.equal(next(iter(part.views(made.theta))), start)


def test_neurons_of_an_embedding_are_groups() -> None:
    """What goes by the weights into a neuron takes those of an embedding so: one for each number it makes."""
    of, options = setup(), {"embedding": t.Periodic(5, 2, 0.3), "early_stopping": t.FixedEpochs(12)}
    configs = [net(**options, group_sparsity=t.GroupSparsity(0.004, "neurons")), net(**options, max_norm=0.3)]
    made = block(of, configs)
    made.advance(12, measure=False)
    sparse_net, bounded = made.network.layout.views(made.theta)["embedding.weight"]
    assert sparse_net.shape == (5 * 2, 5)
    zero = sparse_net == 0
    assert torch.equal(zero.all(1), zero.any(1))
    assert 0 < zero.all(1).sum() < 10
    assert bounded.norm(dim=1).max() <= 0.3 + 1e-12


def test_inputs_are_groups_where_the_first_layer_has_them() -> None:
    """Behind what makes several numbers of a column, no group of a layer's weights is an input: that is refused."""
    inputs, embeddings = t.GroupSparsity(0.1), (t.Periodic(5, 2), t.PiecewiseLinear(4), Choice(None, t.Periodic()))
    for embedding in embeddings:
        with pytest.raises(InvalidInput, match=r"first layer that has the 5 inputs themselves, got \w+.weight \["):
            net(embedding=embedding, group_sparsity=inputs).check(setup())
        net(embedding=embedding, group_sparsity=t.GroupSparsity(0.1, "neurons")).check(setup())
    own = torch.nn.Sequential(torch.nn.Unflatten(1, (1, 5)), torch.nn.Conv1d(1, 5, 5), torch.nn.Flatten())
    with pytest.raises(InvalidInput, match=r"got 1.weight \[5, 1, 5\]; take groups='neurons', or leave out"):
        net(lambda: torch.nn.Sequential(*own, torch.nn.Linear(5, 1)), group_sparsity=inputs).check(setup())
    net(group_sparsity=inputs).check(setup())
    net(CNN((3,)), group_sparsity=inputs).check(setup(image=True))


@pytest.mark.slow
def test_an_embedding_is_searched_exported_and_read_back(tmp_path: Path) -> None:
    """A space of embeddings and scales is searched on a frame with holes and categories; what is exported predicts to
    the bit what the refit does, in the file and out of it."""
    X, y = special()
    frame = pd.DataFrame(X[:, :3], columns=list("abc")).assign(
        kind=pd.Categorical(np.array(["x", "y"])[np.arange(40) % 2])
    )
    frame.loc[::7, "a"] = np.nan
    embeddings = Choice(t.Periodic(4, 2), t.PiecewiseLinear(4))
    space = net(scale=Choice("robust", "standard"), embedding=embeddings, precision="float32")
    study = Study("embedded", frame, y, space=space, cv=3, root=tmp_path, tracking=False, prune=False)
    results = study.run(6, quiet=True)
    assert {trial.state for trial in results.all} == {"complete"}
    for kind in ("periodic", "piecewise_linear"):
        best = next(one for one in results.all if one.params["embedding"] == kind and one.params["scale"] == "robust")
        model = regsearch.load(study.export(tmp_path / kind, best.number))
        fitted = results.choose(best.number).config.refit(study.problem, study.seed)
        np.testing.assert_array_equal(model.predict(frame), fitted.predict(frame))


def test_embeddings_are_an_option_of_the_usual_space() -> None:
    """`spaces.mlp` searches over embeddings where it is asked to, beside what it searches over anyway."""
    space = spaces.mlp(embedding=True)
    space.check(setup())
    kinds = [getattr(one, "kind", None) for one in space.techniques["embedding"].options]
    assert kinds == [None, "periodic", "piecewise_linear"]
    assert space.replace(embedding=None) == spaces.mlp()


def test_what_cannot_be_embedded_is_said() -> None:
    """Images, sparse rows and nets that are no perceptrons are refused with what to do."""
    with pytest.raises(InvalidInput, match="got a CNN; leave it out"):
        net(CNN((3,)), embedding="periodic").check(setup(image=True))
    for one in (t.Periodic(), Choice(None, t.PiecewiseLinear(4))):
        with pytest.raises(InvalidInput, match=r"needs a table, got a problem of images; leave it out"):
            net(embedding=one).check(setup(image=True))
    thin = setup_for(make_problem(sparse.csr_array(special()[0]), special()[1]))
    with pytest.raises(InvalidInput, match=r"dense table, got a sparse X; pass X\.toarray"):
        net(embedding=Choice(None, t.Periodic())).check(thin)
    with pytest.raises(InvalidInput, match="numbers of columns in their order"):
        Embedded(net().module, t.Periodic(sigma=1.0), (3, 1))
    flags = make_problem(np.arange(40)[:, None] % 2 * [[1.0, 2.0]], np.arange(40.0))
    (outcome,) = Stack(setup_for(flags)).stream([Candidate(0, net(embedding=t.Periodic(4, 2, 0.1)))])
    assert outcome.state == "complete"  # nothing is there to embed
    assert isinstance(Net(embedding="piecewise_linear").techniques["embedding"], t.PiecewiseLinear)
