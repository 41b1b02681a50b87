"""Groups as domains: the discrepancy between them, and nets in which it is small."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import regsearch
from regsearch import MLP, Float, InvalidInput, Net, Study
from regsearch import nn_techniques as t
from regsearch.data.problem import make_problem
from regsearch.export.retrain import retrain
from regsearch.models.neural.techniques.mmd import WIDTHS, discrepancy
from regsearch.testing.nets import net, setup, setup_for, shared_parts, train


def shifted(n: int = 240, seed: int = 0) -> tuple[Any, Any, Any]:
    """Rows of six groups that two columns tell apart and that y has nothing to do with."""
    rng = np.random.default_rng(seed)
    groups, X = np.arange(n) % 6, rng.normal(size=(n, 5))
    y = (X[:, 0] + X[:, 1] + rng.normal(size=n) / 2 > 0).astype(int)
    X[:, 3:] += 3 * rng.normal(size=(6, 2))[groups]
    return X, y, groups


@pytest.mark.parametrize("groups", [[0, 1, 0, 1, 1, 0, 0], [2, 0, 1, 1, 0, 2, 2], [4, 4, 4, 1, 1, 1, 1]])
def test_discrepancy_is_that_of_kernel_means(groups: list[int]) -> None:
    """It is the mean over pairs of what kernels between and within groups, one by one, say; numbers may have gaps."""
    h = np.random.default_rng(0).normal(size=(2, 7, 3))
    for row, found in zip(h, discrepancy(torch.tensor(h), torch.tensor(groups)[None]), strict=True):
        distance = ((row[:, None] - row[None]) ** 2).sum(2)
        kernel = np.mean([np.exp(-distance / (share * distance.mean())) for share in WIDTHS], axis=0)
        of = [np.flatnonzero(np.array(groups) == group) for group in sorted(set(groups))]
        pairs = [kernel[np.ix_(a, a)].mean() + kernel[np.ix_(b, b)].mean() - 2 * kernel[np.ix_(a, b)].mean()
                 for a, b in combinations(of, 2)]  # fmt: skip
        assert float(found) == pytest.approx(np.mean(pairs), rel=1e-12)


def test_groups_alike_have_none() -> None:
    """Where groups hold the same samples, or there is one, or all samples are one, nothing is to be made alike."""
    h = torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert float(discrepancy(torch.cat([h, h], 1), torch.tensor([[0] * 4 + [1] * 4]))) == pytest.approx(0, abs=1e-12)
    assert float(discrepancy(h, torch.zeros(1, 4, dtype=torch.long))) == 0
    assert float(discrepancy(torch.ones_like(h), torch.tensor([[0, 0, 1, 1]]))) == pytest.approx(0, abs=1e-12)


@pytest.mark.slow
def test_a_net_with_it_tells_groups_apart_less() -> None:
    """The more it weighs, the less the hidden layer of a trained net says of groups that it was not trained on."""
    X, y, groups = shifted()
    of = setup_for(make_problem(X, y, groups=groups))
    configs = [net(MLP((8,)), batch_size=40, domain_penalty=t.MMD(strength)) for strength in (0.0, 0.3, 3.0)]
    found, shared = train(of, configs, 60), shared_parts(of)
    structure = shared.structure(configs[0])
    layout, fold = shared.network(structure, 1).layout, shared.fold(structure, 1)
    x = fold.scaling.apply(fold.data.take(fold.rows["val"]))[0]
    assert fold.data.domains is not None
    domains, apart = fold.data.domains[fold.rows["val"]][None], []
    for row in range(3):
        views = layout.views(torch.from_numpy(found.weights_of(row))[None])
        hidden = torch.relu(x @ views["linear0.weight"][0].T + views["linear0.bias"][0])
        apart.append(float(discrepancy(hidden[None], domains)))
    assert apart[0] > 1.2 * apart[1] > 1.4 * apart[2]


@pytest.mark.slow
def test_rows_need_groups(tmp_path: Path) -> None:
    """Without groups, or with one, it is refused before anything is trained; so are data without them to retrain on."""
    with pytest.raises(InvalidInput, match=r"MMD needs groups=.* rows without groups; leave it out"):
        net(domain_penalty=t.MMD()).check(setup("binary"))
    X, y, groups = shifted(60)
    space = Net(MLP((4,)), lr=1e-2, domain_penalty=Float(0.1, 1.0), early_stopping=t.FixedEpochs(2))
    study = Study("sites", X, y, groups=groups, space=space, cv=3, root=tmp_path, tracking=False)
    results = study.run(2, quiet=True)
    bundle = study.export(tmp_path / "bundle", results.choose(1))
    assert regsearch.load(bundle).predict(X[:3]).shape == (3,)
    retrain(bundle, X, y, out=tmp_path / "again", groups=groups, cv=3)
    with pytest.raises(InvalidInput, match="MMD needs groups="):
        retrain(bundle, X, y, out=tmp_path / "none", cv=3)


@pytest.mark.parametrize("name", ["", "hidden1"])
def test_it_acts_on_layers_by_name(name: str) -> None:
    """It is of all hidden layers, or of those that it names alone."""
    of = setup_for(make_problem(*shifted(60)[:2], groups=shifted(60)[2]))
    one = t.MMD(1.0)
    found = train(of, [net(domain_penalty={name: one} if name else one), net()], 1)
    moved = [not np.allclose(found.weights_of(0), found.weights_of(1))]
    every = train(of, [net(domain_penalty=t.MMD(1.0))], 1)
    assert all(moved)
    assert np.allclose(found.weights_of(0), every.weights_of(0)) == (not name)
