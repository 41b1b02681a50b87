"""Samples that are mixed, cut or moved: what the papers' formulas make of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from regsearch import Choice, InvalidInput, Net
from regsearch.models.neural import techniques as t
from regsearch.models.neural.mixing import Samples
from regsearch.models.neural.network.loss import losses
from regsearch.models.neural.network.objective import parts_of
from regsearch.models.neural.network.streams import RandomStream
from regsearch.models.neural.technique import Columns
from regsearch.models.neural.techniques.sequence_augment import _stretched
from regsearch.testing.nets import TASKS, net, setup, train
from regsearch.testing.techniques import problem_info

INFO = problem_info("regression")


def stream(seed: int = 0) -> RandomStream:
    return RandomStream(seed, torch.float64, torch.device("cpu"))


def columns(*techniques: Any) -> Columns:
    """A row for each technique."""
    numbers = [one.numbers(INFO) for one in techniques]
    return Columns(**{name: torch.tensor([one[name] for one in numbers], dtype=torch.float64) for name in numbers[0]})


def batch(*shape: int, m: int = 1) -> Samples:
    """Samples that differ everywhere, and targets that say which they are."""
    made = torch.arange(1.0, 1 + np.prod(shape), dtype=torch.float64).view(1, *shape)
    y = torch.arange(float(shape[0]), dtype=torch.float64).expand(1, m, -1)
    return Samples(made, y, torch.linspace(0.5, 2, shape[0], dtype=torch.float64)[None])


@pytest.mark.parametrize("task", TASKS)
def test_a_mixed_target_is_two_losses(task: Any) -> None:
    """The gradient of a mixed sample's loss is that of its own and of the other's, each by its share and weight."""
    rng = np.random.default_rng(0)
    m, parts = {"multiclass": 3}.get(task, 1), parts_of(task, ())
    out = torch.tensor(rng.normal(size=(2, m, 6)), requires_grad=True)
    y = torch.tensor(rng.normal(size=(1, m, 6)) if task == "regression" else rng.integers(0, 2, (1, m, 6)) * 1.0)
    if task == "multiclass":
        y = torch.eye(3, dtype=torch.float64)[torch.tensor(rng.integers(0, 3, 6))].T[None]
    own = Samples(torch.zeros(1, 6, 2), y, torch.tensor(rng.uniform(0.2, 2, (1, 6))))
    others, share = own.partners(stream().uniform(1, 6)), torch.tensor([[0.3], [0.0]], dtype=torch.float64)
    mixed = own.mixed(own.x, others, share)
    two = (1 - share) * own.weight * losses(parts, out, own.y) + share * others.weight * losses(parts, out, others.y)
    (found,) = torch.autograd.grad((losses(parts, out, mixed.y) * mixed.weight).sum(), out)
    (expected,) = torch.autograd.grad(two.sum(), out)
    torch.testing.assert_close(found, expected)
    assert torch.equal(mixed.y[1], own.y[0])
    assert torch.equal(mixed.weight[1], own.weight[0])


def test_partners_of_each_row_are_its_own() -> None:
    """Where rows have different orders, inputs, targets and weights of a partner are of one sample."""
    for rows in (1, 3):
        made = batch(5, 2, m=2)
        found = made.partners(torch.rand(rows, 5, generator=torch.Generator().manual_seed(0)))
        at = found.y[:, 0].long()
        assert len(at) == rows
        for row, order in enumerate(at):
            assert sorted(order.tolist()) == [0, 1, 2, 3, 4]
            assert torch.equal(found.x[row], made.x[0, order])
            assert torch.equal(found.weight[row], made.weight[0, order])


def test_mixup_shares_are_of_the_beta_distribution() -> None:
    """What is mixed in has the distribution of the smaller of a Beta's share and the rest; equal draws, equal order."""
    alphas = (0.1, 1.0, 8.0)
    v, own, rng = columns(*map(t.Mixup, alphas), t.Mixup.neutral()), batch(2, 1), stream()
    shares = []
    for _ in range(400):
        mixed = t.Mixup.on_samples(v, own, rng)
        moved = (mixed.x - own.x)[:, 0, 0]
        shares.append(moved.abs().numpy())
    drawn = np.array(shares)[np.array(shares)[:, 2] > 0]  # a sample may be its own partner
    for i, alpha in enumerate(alphas):
        smaller = stats.beta(alpha, alpha).cdf
        assert stats.kstest(drawn[:, i], lambda x, cdf=smaller: 2 * cdf(x)).pvalue > 0.01
    assert not drawn[:, 3].any()
    assert stats.spearmanr(drawn[:, 0], drawn[:, 1]).statistic > 0.999


def test_cut_columns_are_one_part_of_the_batch() -> None:
    """CutMix swaps the same columns of all samples, and as large a share of targets; a row at probability 0 nothing."""
    v, own, rng = columns(t.CutMix(1.0), t.CutMix(0.0)), batch(6, 7), stream()
    for _ in range(20):
        mixed = t.CutMix.on_samples(v, own, rng)
        swapped = (mixed.x != own.x)[0]
        moved = swapped.any(1)
        assert torch.equal(swapped[moved].all(0), swapped[moved].any(0))
        target = mixed.y[0, 0] * mixed.weight[0]
        assert not moved.any() or 1 <= swapped.any(0).sum() <= 7
        share = swapped.any(0).double().mean()
        other = ((mixed.x[0] - own.x[0]).sum(1) / swapped.any(0).sum().clamp(min=1) / 7).round().long()
        at = torch.arange(6) + other
        expected = (1 - share) * own.weight[0] * own.y[0, 0] + share * own.weight[0, at] * own.y[0, 0, at]
        torch.testing.assert_close(target, expected)
        assert torch.equal(mixed.x[1], own.x[0])
        assert torch.equal(mixed.y[1], own.y[0])


def test_masked_columns_are_as_many_as_asked_for() -> None:
    """Cutout masks that share of the columns, at least one, in the whole batch or not at all, as often as asked for."""
    cases = [t.Cutout(1.0, 0.5), t.Cutout(1.0, 0.0), t.Cutout(0.4, 1.0), t.Cutout(0.0, 0.5)]
    own, v, rng = batch(3, 7), columns(*cases), stream()
    masked = torch.stack([t.Cutout.on_batch(v, own.x, rng) == 0 for _ in range(300)])
    assert torch.equal(masked.any(2), masked.all(2))
    counts = masked[:, :, 0].sum(2).double()
    assert (counts[:, 0] == 3).all()
    assert (counts[:, 1] == 1).all()
    assert set(counts[:, 2].tolist()) == {0, 7}
    assert abs((counts[:, 2] > 0).double().mean() - 0.4) < 4 * (0.24 / 300) ** 0.5
    assert not counts[:, 3].any()


def test_patches_of_images_are_rectangles() -> None:
    """Of images a rectangle is cut: where it is masked, at a place of each image's own."""
    own = Samples(torch.ones(1, 40, 2, 6, 8, dtype=torch.float64), *(batch(40, 1).y, batch(40, 1).weight))
    masked = t.Cutout.on_batch(columns(t.Cutout(1.0, 0.5)), own.x, stream())[0] == 0
    assert torch.equal(masked[:, 0], masked[:, 1])
    sizes = {(int(one.any(1).sum()), int(one.any(0).sum()), int(one.sum())) for one in masked[:, 0]}
    assert all(down * across == count and down <= 3 and across <= 4 for down, across, count in sizes)
    assert (3, 4, 12) in sizes
    assert len({tuple(one.flatten().tolist()) for one in masked[:, 0]}) > 5
    numbered = Samples(torch.arange(40.0).double().view(1, 40, 1, 1, 1).expand(1, 40, 2, 6, 8), own.y, own.weight)
    mixed = t.CutMix.on_samples(columns(t.CutMix(1.0)), numbered, stream(3))
    swapped = (mixed.x != numbered.x)[0]
    moved = swapped.flatten(1).any(1)
    assert torch.equal(swapped[moved].all(0), swapped[moved].any(0))
    part = swapped[moved][0].double().mean()
    other = mixed.x[0].flatten(1).where(swapped.flatten(1), 0).amax(1).long()[moved]
    weights = (1 - part) * own.weight[0, moved] + part * own.weight[0, other]
    torch.testing.assert_close(mixed.weight[0, moved], weights)


def test_cut_stretches_and_boxes() -> None:
    """Of sequences a stretch is masked, of volumes a box, as long along each side as asked for but for the edges."""
    for sides in ((12,), (4, 6, 8)):
        x = torch.ones(1, 60, 2, *sides, dtype=torch.float64)
        masked = t.Cutout.on_batch(columns(t.Cutout(1.0, 0.5)), x, stream())[0] == 0
        assert torch.equal(masked[:, 0], masked[:, 1])
        found = set()
        for one in masked[:, 0]:
            along = [one.movedim(axis, 0).reshape(sides[axis], -1).any(1) for axis in range(len(sides))]
            assert all((np.diff(np.flatnonzero(inside)) == 1).all() for inside in along)
            found.add(tuple(int(inside.sum()) for inside in along))
            assert int(one.sum()) == np.prod([int(inside.sum()) for inside in along])
        assert tuple(map(max, zip(*found, strict=True))) == tuple(side // 2 for side in sides)


def test_sequences_are_stretched_as_numpy_interpolates() -> None:
    """What is left of a sequence lies in it where it is said to, linear between places, and its ends go on."""
    rng = np.random.default_rng(0)
    x, places = torch.from_numpy(rng.normal(size=(1, 5, 2, 9))), torch.from_numpy(rng.uniform(size=(1, 3, 5)))
    v = columns(*(t.SequenceAugment(0.0, 0.0, shift, crop) for shift, crop in ((0.0, 0.6), (0.4, 0.0), (0.3, 0.5))))
    made = _stretched(v, x, places)
    for row, (shift, crop) in enumerate(((0.0, 0.6), (0.4, 0.0), (0.3, 0.5))):
        for sample in range(5):
            length, start, moved = places[0, :, sample].tolist()
            first = crop * length * start + shift * (2 * moved - 1)
            at = (first + (1 - crop * length) * np.arange(9) / 8) * 8
            for channel in range(2):
                expected = np.interp(at, np.arange(9), x[0, sample, channel].numpy())
                np.testing.assert_allclose(made[row, sample, channel], expected, atol=1e-12)


def test_sequences_are_scaled_and_shaken() -> None:
    """Scaling multiplies each channel of a sequence by one factor of the range, and jitter adds as much noise."""
    x = torch.ones(1, 200, 3, 50, dtype=torch.float64)
    v = columns(
        t.SequenceAugment(0.0, 0.5, 0.0, 0.0), t.SequenceAugment(0.2, 0.0, 0.0, 0.0), t.SequenceAugment.neutral()
    )
    v.on = Columns(jitter=True, scaling=True, shift=False, crop=False)
    scaled, shaken, off = t.SequenceAugment.on_batch(v, x, stream())
    torch.testing.assert_close(scaled, scaled[..., :1].expand(-1, -1, 50))
    assert 1 / 1.5 <= scaled.min() < 0.7 < 1.45 < scaled.max() <= 1.5
    assert abs(scaled[..., 0].log().mean()) < 0.05
    assert stats.kstest((shaken - x[0]).flatten().numpy() / 0.2, "norm").pvalue > 0.01
    assert torch.equal(off, x[0])


def test_adversaries_move_by_epsilon_to_a_larger_loss() -> None:
    """Every input moves by exactly epsilon in the direction of its gradient, and half of the loss is theirs."""
    x, gradient = batch(3, 2).x.expand(2, -1, -1), torch.tensor([[1.0, -2.0]]).expand(2, 3, 2)
    moved, share = t.AdversarialTraining.on_adversary(columns(t.AdversarialTraining(0.25), t.AdversarialTraining(0.0)),
                                                      x, gradient)  # fmt: skip
    torch.testing.assert_close(moved[0] - x[0], torch.tensor([[0.25, -0.25]]).double().expand(3, 2))
    assert torch.equal(moved[1], x[1])
    assert share.tolist() == [0.5, 0.0]


def test_a_linear_net_against_adversaries() -> None:
    """Of a linear net the adversary's loss is known: the margin less epsilon times the weights' L1 norm."""
    from torch import nn

    of = setup("binary")
    linear: dict[str, Any] = {"module": lambda: nn.Linear(5, 1), "batch_size": 100}
    found = train(of, [net(**linear, data_augmentation=t.AdversarialTraining(0.3))], 1)
    start = torch.from_numpy(train(of, [net(**linear, lr=1e-8)], 1).weights[0, 0])
    w, b = start[:5].clone().requires_grad_(), start[5].clone().requires_grad_()
    rows = of.folds.train[1]
    X = torch.from_numpy((of.problem.X - of.problem.X[rows].mean(0)) / of.problem.X[rows].std(0))[rows]
    sign = 2.0 * torch.from_numpy(of.problem.y[rows]) - 1
    margin = sign * (X @ w + b)
    loss = (nn.functional.softplus(-margin) + nn.functional.softplus(-(margin - 0.3 * w.abs().sum()))).mean() / 2
    gradient = torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, (w, b))])
    step = torch.from_numpy(found.weights[0, 0]) - start
    expected = -0.02 * gradient / (gradient.abs() + 1e-8)  # the first step of Adam
    torch.testing.assert_close(step, expected, rtol=1e-4, atol=1e-6)


def test_one_of_them_at_a_time() -> None:
    """Two of them are refused at construction, by slot, in a list, and by their own names, with what to write."""
    with pytest.raises(InvalidInput, match=r"Net\(data_augmentation=\.\.\.\) takes one technique .*got 2: name one"):
        Net(data_augmentation=[t.Mixup(), t.CutMix()])
    with pytest.raises(
        InvalidInput, match=r"A Net has no 'mixup'; Mixup stands in data_augmentation=, which takes one"
    ):
        Net(mixup=0.2, cutmix=0.5)
    assert Net(data_augmentation="cutmix") == Net(data_augmentation=t.CutMix())
    space = Net(data_augmentation=Choice(None, "mixup", "cutmix", "cutout", "adversarial_training"))
    assert [getattr(one, "kind", None) for one in space.techniques["data_augmentation"].options[1:]] == [
        "mixup", "cutmix", "cutout", "adversarial_training",
    ]  # fmt: skip
