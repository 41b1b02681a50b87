"""What blocks learn is what a plain loop around `torch.optim.AdamW` learns, written out here once more."""

from __future__ import annotations

import copy
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.preprocessing import StandardScaler
from torch import nn

from regsearch.data.problem import make_problem
from regsearch.models.base import Setup
from regsearch.models.neural import CNN, MLP, Net
from regsearch.models.neural import techniques as t
from regsearch.models.neural.network.streams import RandomStream, seed_of
from regsearch.models.neural.training.segment import Segment
from regsearch.testing.nets import EPOCHS, block, net, setup, setup_for, shared_parts, train

K = 1
HORIZON = EPOCHS


class Mask(nn.Module):
    """Dropout by given numbers."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.stream: RandomStream | None = None

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.rate:
            return h
        assert self.stream is not None
        return h * (self.stream.uniform(1, *h.shape)[0] > self.rate) / (1 - self.rate)


@dataclass
class Plain:
    """What the oracle does; every number at its default is off."""

    l1: float = 0.0
    l2: float = 0.0
    decay: float = 0.0
    clip: float = math.inf
    smoothing: float = 0.0
    sigma: float = 0.0
    cosine: bool = False
    first: int = 0  # of restarts
    average: float = 0.0
    limit: float = math.inf
    activity: float = 0.0
    balanced: bool = False
    program: str = "Dropout"
    pattern: str = ""
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.AdamW
    rho: float = 0.0


def mlp(
    sizes: tuple[int, ...] = (5, 6, 5, 1), rate: float = 0.0, norm: Callable[[int], nn.Module] | None = None
) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (width, size) in enumerate(pairwise(sizes[:-1])):
        layers[f"linear{i}"] = nn.Linear(width, size, bias=norm is not nn.BatchNorm1d)
        if norm:
            layers[f"norm{i}"] = norm(size)
        layers[f"hidden{i}"] = nn.ReLU()
        layers[f"mask{i}"] = Mask(rate)
    return nn.Sequential(layers | OrderedDict(out=nn.Linear(*sizes[-2:])))


def cnn(outputs: int, rate: float = 0.0, norm: bool = False, dims: int = 2, last: int = 4) -> nn.Sequential:
    conv, normalise, pool = (getattr(nn, f"{name}{dims}d") for name in ("Conv", "BatchNorm", "MaxPool"))
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (width, size) in enumerate([(2, 3), (3, 4)]):
        layers[f"conv{i}"] = conv(width, size, 3, padding="same", bias=not norm)
        if norm:
            layers[f"norm{i}"] = normalise(size)
        layers |= {f"hidden{i}": nn.ReLU(), f"pool{i}": pool(2), f"mask{i}": Mask(rate)}
    return nn.Sequential(layers | OrderedDict(flatten=nn.Flatten(), out=nn.Linear(last, outputs)))


def named(segment: Segment, of: Setup, config: Net, row: int = 0, epoch: int = -1) -> dict[str, torch.Tensor]:
    """The parameters of a row after an epoch, by name."""
    shared = shared_parts(of)
    layout = shared.network(shared.structure(config), 0).layout
    return {name: view[0] for name, view in layout.views(torch.from_numpy(segment.weights[epoch, row][None])).items()}


@dataclass
class Epoch:
    values: dict[str, torch.Tensor]
    train: float
    val: float


def oracle(  # noqa: C901 - a plain training loop, whole, as somebody else would write it
    of: Setup, make: Callable[[], nn.Module], do: Plain, lr: float = 0.02, size: int = 7
) -> Iterator[Epoch]:
    """What a fold's net has learned after each epoch."""
    made, rows, val = of.problem, of.folds.train[K], of.folds.val[K]
    flat = np.moveaxis(made.X, 1, -1).reshape(-1, made.X.shape[1]) if made.grid else made.X
    pixels = len(flat) // made.rows
    each = np.repeat(np.isin(np.arange(made.rows), rows), pixels)
    weight = np.ones(made.rows) if made.sample_weight is None else made.sample_weight
    scaler = StandardScaler().fit(flat[each], sample_weight=np.repeat(weight, pixels)[each])
    X = scaler.transform(flat)
    X = torch.tensor(np.moveaxis(X.reshape(made.rows, *made.X.shape[2:], -1), -1, 1) if made.grid else X)
    y, labels = np.asarray(made.y, dtype=float).reshape(made.rows, -1), torch.tensor(made.y)
    if made.task == "regression":
        targets = StandardScaler().fit(y[rows], sample_weight=weight[rows])
        labels = torch.tensor(targets.transform(y))
    balance = np.ones(made.rows)
    if do.balanced:
        counts = np.array([weight[rows][made.y[rows] == code].sum() for code in range(len(made.classes))])
        balance = (1 / counts)[made.y]
    pull = torch.tensor(weight * balance / (weight * balance)[rows].mean())

    torch.manual_seed(seed_of(of.seed, K, "start"))
    model = make().double()
    kernels = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() == 1]
    adam = do.optimizer([{"params": kernels, "weight_decay": do.decay}, {"params": others, "weight_decay": 0}], lr=lr)
    average = {name: value.clone() for name, value in floats(model)}
    hidden: list[torch.Tensor] = []
    for module in model.modules():
        if type(module) is nn.ReLU:
            module.register_forward_hook(lambda module, given, out: hidden.append(out))
    steps = 0
    for epoch in range(EPOCHS):
        noise = stream(of, epoch, ("input_noise", "", "InputNoise"))
        masks = stream(of, epoch, ("dropout", do.pattern, do.program))
        for module in model.modules():
            if isinstance(module, Mask):
                module.stream = masks
        order = rows[stream(of, epoch, "order").permutation(len(rows)).numpy()]
        batches = [order[i : i + size] for i in range(0, len(order), size)]
        for number, batch in enumerate(batches):
            model.train()
            x = X[batch] + do.sigma * noise.normal(1, *X[batch].shape)[0]
            hidden.clear()
            out = model(x)
            loss = (losses(made.task, out, labels[batch], do.smoothing) * pull[batch]).mean()
            loss = loss + do.activity * sum(h.abs().sum() for h in hidden) / len(batch)
            adam.zero_grad()
            loss.backward()
            if do.rho:
                climb(
                    model,
                    do.rho,
                    x,
                    lambda out, y=labels[batch], w=pull[batch]: (losses(made.task, out, y, 0) * w).mean(),
                )
            if do.clip < math.inf:
                nn.utils.clip_grad_norm_(model.parameters(), do.clip)
            rate = lr * factor(do, epoch + number / len(batches))
            for group in adam.param_groups:
                group["lr"] = rate
            adam.step()
            steps += 1
            after_step(adam, kernels, do, rate)
            for name, value in floats(model):
                held = min(do.average, (1 + steps) / (10 + steps))
                average[name] = held * average[name] + (1 - held) * value
        shown = make().double()
        shown.load_state_dict(average, strict=False)
        shown.eval()
        with torch.no_grad():
            out = shown(X).numpy()
        out = targets.inverse_transform(out) if made.task == "regression" else out
        yield Epoch(average.copy(), *(score(made, out, part, weight) for part in (rows, val)))


def floats(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from ((name, value) for name, value in model.state_dict().items() if value.is_floating_point())


def stream(of: Setup, epoch: int, purpose: Any) -> RandomStream:
    return RandomStream(seed_of(of.seed, K, epoch, purpose), torch.float64, torch.device("cpu"))


def losses(task: str, out: torch.Tensor, y: torch.Tensor, smoothing: float) -> torch.Tensor:
    if task == "regression":
        return nn.MSELoss(reduction="none")(out, y).mean(1) / 2
    if task == "binary":
        smooth = y.double() * (1 - smoothing) + smoothing / 2
        return nn.BCEWithLogitsLoss(reduction="none")(out[:, 0], smooth)
    return nn.CrossEntropyLoss(reduction="none", label_smoothing=smoothing)(out, y)


def factor(do: Plain, epoch: float) -> float:
    if do.cosine:
        return (1 + math.cos(math.pi * epoch / HORIZON)) / 2
    if do.first:
        length = do.first
        while epoch >= length:
            epoch, length = epoch - length, length * 2
        return (1 + math.cos(math.pi * epoch / length)) / 2
    return 1.0


def climb(model: nn.Module, rho: float, x: torch.Tensor, loss: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Replace gradients by those where the first ones lead, at a distance of rho."""
    before = copy.deepcopy(model.state_dict())
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    length = torch.stack([g.norm() for g in gradients]).norm()
    for p, g in zip(model.parameters(), gradients, strict=True):
        p.data += rho * g / length
    model.zero_grad()
    loss(model(x)).backward()
    model.load_state_dict(before)


def after_step(adam: torch.optim.Optimizer, kernels: list[nn.Parameter], do: Plain, rate: float) -> None:
    for w in kernels:
        state = adam.state[w]
        if "exp_avg_sq" not in state:
            return
        scale = (state["exp_avg_sq"] / (1 - 0.999 ** float(state["step"]))).sqrt() + 1e-8
        with torch.no_grad():
            norms = w.flatten(1).norm(dim=1)
            for i in torch.nonzero(norms > do.limit):
                w[i] *= do.limit / norms[i]
            w.copy_(w.sign() * (w.abs() - rate * do.l1 / scale).clamp(min=0) / (1 + rate * do.l2 / scale))


def score(made: Any, out: Any, rows: Any, weight: Any) -> float:
    options, out = {"sample_weight": weight[rows]}, out[rows]
    if made.task == "regression":
        return -mean_squared_error(made.y[rows], out, **options)
    logits = np.column_stack([0 * out, out]) if made.task == "binary" else out
    probabilities = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
    return -log_loss(made.y[rows], probabilities, labels=np.arange(logits.shape[1]), **options)


def agree(of: Setup, config: Any, make: Callable[[], nn.Module], do: Plain) -> None:
    """Assert that a block and the oracle agree after every epoch: scores, and parameters with running statistics."""
    found = train(of, [config], k=K)
    for epoch, plain in enumerate(oracle(of, make, do)):
        assert found.scores["train"][0, 0, epoch] == pytest.approx(plain.train, rel=1e-10, abs=1e-10)
        assert found.scores["val"][0, 0, epoch] == pytest.approx(plain.val, rel=1e-10, abs=1e-10)
        ours = named(found, of, config, epoch=epoch)
        assert set(ours) == set(plain.values)
        for name, value in ours.items():
            torch.testing.assert_close(value, plain.values[name], rtol=1e-10, atol=1e-10)


TASKS = {"regression": ({}, 1), "two targets": ({"targets": 2}, 2), "binary": ({}, 1), "multiclass": ({}, 3)}


def task_of(name: str, **options: Any) -> tuple[Setup, int]:
    given, outputs = TASKS[name]
    return setup("regression" if name == "two targets" else name, **(given | options)), outputs


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_mlp(task: str) -> None:
    """Without techniques a block is Adam on the mean loss, weighted where rows have weights."""
    for weighted in (False, True):
        of, outputs = task_of(task, weighted=weighted)
        agree(of, net(), lambda m=outputs: mlp((5, 6, 5, m)), Plain())


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_class_weights(task: str) -> None:
    """Balanced classes weigh the same in training, and as they are in scores."""
    for weighted in (False, True):
        of, outputs = task_of(task, weighted=weighted)
        agree(of, net(class_weight="balanced"), lambda m=outputs: mlp((5, 6, 5, m)), Plain(balanced=True))


CASES: dict[str, tuple[dict[str, Any], Plain]] = {
    "elastic net": ({"penalty": t.ElasticNetPenalty(0.05, 0.4)}, Plain(l1=0.02, l2=0.03)),
    "weight decay": ({"weight_decay": 0.5}, Plain(decay=0.5)),
    "clipping": ({"gradient_clipping": 0.05}, Plain(clip=0.05)),
    "input noise": ({"input_noise": 0.3}, Plain(sigma=0.3)),
    "cosine": ({"schedule": t.Cosine()}, Plain(cosine=True)),
    "restarts": ({"schedule": t.CosineRestarts(first=1)}, Plain(first=1)),
    "ema": ({"averaging": 0.9}, Plain(average=0.9)),
    "max norm": ({"max_norm": 0.6}, Plain(limit=0.6)),
    "activity": ({"activity_penalty": t.L1Penalty(0.01)}, Plain(activity=0.01)),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("task", ["regression", "multiclass"])
def test_technique(case: str, task: str) -> None:
    """Each technique is what torch, or its formula, makes of it."""
    of, outputs = task_of(task)
    options, do = CASES[case]
    agree(of, net(**options), lambda: mlp((5, 6, 5, outputs)), do)


class PlainLion(torch.optim.Optimizer):
    """The update of the paper, written out."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                assert p.grad is not None
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                update = torch.sign(0.9 * m + 0.1 * p.grad)
                p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(group["lr"] * update)
                m.mul_(0.99).add_(0.01 * p.grad)


def nesterov(params: Any, lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(params, lr, momentum=0.8, nesterov=True)


OPTIMIZERS: dict[str, tuple[dict[str, Any], Plain]] = {
    "sgd": (
        {"optimizer": t.SGD(0.02, 0.9)}, Plain(optimizer=lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9))
    ),
    "nesterov": ({"optimizer": t.SGD(0.02, 0.8, "nesterov")}, Plain(optimizer=nesterov)),
    "radam": (
        {"optimizer": t.RAdam(0.02), "weight_decay": 0.3},
        Plain(decay=0.3, optimizer=lambda p, lr: torch.optim.RAdam(p, lr, decoupled_weight_decay=True)),
    ),
    "lion": ({"optimizer": t.Lion(0.02), "weight_decay": 0.3}, Plain(decay=0.3, optimizer=PlainLion)),
    "sam": ({"sam": 0.1}, Plain(rho=0.1)),
}  # fmt: skip


@pytest.mark.parametrize("case", OPTIMIZERS)
def test_optimizer(case: str) -> None:
    """Each optimizer is torch's, or the paper's, on batches of a net with normalised layers."""
    of, _ = task_of("binary", weighted=True)
    options, do = OPTIMIZERS[case]
    agree(of, net(norm="batch_norm", **options), lambda: mlp(norm=nn.BatchNorm1d), do)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "within"),
    [(t.Adam(0.02), 1e-3), (t.SGD(0.1, 0.9), 1e-6), (t.SGD(0.1, 0.8, "nesterov"), 1e-6), (t.RAdam(0.02), 1e-3)],
)
def test_lambda_means_the_same_under_every_optimizer(optimizer: Any, within: float) -> None:
    """A linear net comes to the ridge of its lambda by every optimizer, whatever its momentum."""
    of, lambda_ = setup("regression"), 0.3
    made = block(of, [net(lambda: nn.Linear(5, 1), optimizer=optimizer, batch_size=100,
                          penalty=t.L2Penalty(lambda_))], K)  # fmt: skip
    made.advance(600, measure=False)
    rows = of.folds.train[K]
    X, y = (StandardScaler().fit_transform(a[rows].reshape(len(rows), -1)) for a in (of.problem.X, of.problem.y))
    ridge = np.linalg.solve(X.T @ X / len(rows) + lambda_ * np.eye(5), X.T @ y / len(rows))
    np.testing.assert_allclose(made.theta[0, :5].numpy(), ridge[:, 0], atol=within)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_label_smoothing(task: str) -> None:
    """Smoothed labels are those of `nn.CrossEntropyLoss`; of two classes, half goes to each."""
    of, outputs = task_of(task)
    agree(of, net(label_smoothing=0.2), lambda: mlp((5, 6, 5, outputs)), Plain(smoothing=0.2))


@pytest.mark.parametrize("task", TASKS)
def test_everything_at_once(task: str) -> None:
    """Techniques act together in their order, for every task."""
    of, outputs = task_of(task, weighted=True)
    options = {key: value for given, _ in CASES.values() for key, value in given.items()} | {"schedule": t.Cosine()}
    options |= {"dropout": 0.3}
    do = Plain(0.02, 0.03, 0.5, 0.05, 0.0, 0.3, True, 0, 0.9, 0.6, 0.01)
    agree(of, net(**options), lambda: mlp((5, 6, 5, outputs), rate=0.3), do)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["batch_norm", "layer_norm"])
def test_norms(norm: str) -> None:
    """Norm layers are torch's, running statistics included, also under EMA and dropout."""
    of, _ = task_of("binary")
    make: Any = {"batch_norm": nn.BatchNorm1d, "layer_norm": nn.LayerNorm}[norm]
    for options, do in (({}, Plain()), ({"averaging": 0.8, "dropout": 0.2}, Plain(average=0.8))):
        rate = options.get("dropout", 0.0)
        agree(of, net(norm=norm, **options), lambda rate=rate: mlp(rate=rate, norm=make), do)


@pytest.mark.parametrize("rate", [0.0, 0.3])
@pytest.mark.parametrize("norm", [False, True])
def test_cnn(rate: float, norm: bool) -> None:
    """A convolutional net is torch's layers, on images that are scaled by channel."""
    of, _ = task_of("multiclass", image=True)
    options: dict[str, Any] = {"dropout": rate} | ({"norm": "batch_norm"} if norm else {})
    agree(of, net(CNN((3, 4)), **options), lambda: cnn(3, rate, norm), Plain())


@pytest.mark.parametrize("shape", [(2, 12), (2, 4, 5, 6)], ids=["sequences", "volumes"])
@pytest.mark.parametrize("skip", [False, True])
def test_cnn_of_other_dims(shape: tuple[int, ...], skip: bool) -> None:
    """Convolutions along one side and three are torch's, norms, skip connections and scales by channel included."""
    rng, dims = np.random.default_rng(0), len(shape) - 1
    of = setup_for(make_problem(rng.normal(1, 3, (30, *shape)), np.arange(30) % 3))
    plain = net(CNN((3, 4), dims=dims), norm="batch_norm", **({"skip": "skip_connection"} if skip else {}))
    make = partial(cnn, 3, 0.0, True, dims, 4 * int(np.prod([side // 4 for side in shape[1:]])))
    agree(of, plain, (lambda: plain.architecture.module(shape, 3, "batch_norm")) if skip else make, Plain())


@pytest.mark.parametrize("norm", ["", "batch_norm", "layer_norm"])
def test_skip_connections(norm: str) -> None:
    """A net with skip connections learns what its plain module learns, where widths agree, rise and fall."""
    of, _ = task_of("binary")
    config = net(MLP((6, 6, 8, 5)), skip="skip_connection", **({"norm": norm} if norm else {}))
    agree(of, config, lambda: config.architecture.module((5,), 1, norm), Plain())


@pytest.mark.parametrize("norm", ["", "batch_norm"])
def test_skip_connections_of_images(norm: str) -> None:
    """A convolutional net with skip connections learns what its plain module learns."""
    of, _ = task_of("multiclass", image=True)
    config = net(CNN((4, 6)), skip="skip_connection", **({"norm": norm} if norm else {}))
    agree(of, config, lambda: config.architecture.module((2, 6, 6), 3, norm), Plain())


def test_mlp_on_images() -> None:
    """An MLP takes images as rows of pixels, scaled by channel."""
    of, _ = task_of("binary", image=True)
    agree(of, net(), lambda: nn.Sequential(OrderedDict(flatten=nn.Flatten()) | mlp((72, 6, 5, 1))._modules), Plain())


def own(layer: Callable[[float], nn.Module] = nn.Dropout) -> nn.Module:
    return nn.Sequential(
        nn.Linear(5, 6), nn.Tanh(), layer(0.4), nn.Linear(6, 4), nn.Tanh(), layer(0.1), nn.Linear(4, 1)
    )


@pytest.mark.parametrize("given", [{}, {"dropout": 0.25}, {"dropout": None}])
def test_own_module(given: dict[str, Any]) -> None:
    """A user's module trains as it is: its own dropout rates unless the study gives others, or none."""
    of, _ = task_of("regression")
    rates = {0.4: 0.4, 0.1: 0.1} if not given else dict.fromkeys((0.4, 0.1), given["dropout"] or 0.0)
    program = "Dropout" if given else "OwnDropout"
    agree(of, net(own, **given), lambda: own(lambda rate: Mask(rates[rate])), Plain(program=program))


@pytest.mark.parametrize("drops", [False, True])
def test_layers_of_an_own_module_by_name(drops: bool) -> None:
    """What names layers of a user's module acts on them alone, and what names none on its dropout layers alone."""

    def made(named: nn.Module, other: nn.Module) -> nn.Module:
        layers = {"first": nn.Linear(5, 6), "act": nn.ReLU(), "named": named, "second": nn.Linear(6, 4)}
        return nn.Sequential(OrderedDict(**layers, tanh=nn.Tanh(), other=other, last=nn.Linear(4, 1)))

    of, _ = task_of("regression")
    dropout: Any = 0.2 if drops else {"act": 0.25}
    config = net(
        lambda: made(nn.Identity(), nn.Dropout(0.5) if drops else nn.Identity()),
        dropout=dropout, activity_penalty={"a*": t.L1Penalty(0.01)},
    )  # fmt: skip
    plain = partial(made, nn.Identity(), Mask(0.2)) if drops else partial(made, Mask(0.25), nn.Identity())
    agree(of, config, plain, Plain(activity=0.01, pattern="" if drops else "act"))


def test_a_name_leaves_other_dropout_layers_alone() -> None:
    """Where a technique names one layer, a module's own dropout layers keep their rates; named at 0, all is as was."""
    of, _ = task_of("regression")
    layers = {"first": nn.Linear, "act": nn.ReLU, "drop": nn.Dropout, "last": nn.Linear}

    def made() -> nn.Module:
        sizes: dict[str, tuple[Any, ...]] = {"first": (5, 6), "act": (), "drop": (0.4,), "last": (6, 1)}
        return nn.Sequential(OrderedDict((name, layer(*sizes[name])) for name, layer in layers.items()))

    plain, off, own, none = (
        train(of, [net(made, **({} if rates is None else {"dropout": rates}))]).weights_of(0)
        for rates in (None, {"act": 0.0}, {"act": 0.0, "drop": 0.4}, {"drop": 0.0})
    )
    np.testing.assert_array_equal(plain, off)
    assert not np.allclose(plain, none)
    assert not np.allclose(own, none)


# --- closed forms ----------------------------------------------------------------------------------------------


def kernels(of: Setup, config: Any, found: Any, epoch: int = -1) -> dict[str, torch.Tensor]:
    return {name: w for name, w in named(found, of, config, epoch=epoch).items() if w.dim() > 1}


def test_a_large_lambda_leaves_nothing() -> None:
    """Under a large L1 every kernel is exactly zero and biases are free: the net says the same of every row."""
    of = setup("regression")
    config = net(penalty=t.L1Penalty(100.0))
    found = train(of, [config])
    assert all(not w.any() for w in kernels(of, config, found).values())
    assert not found.nonzero.any()
    y = of.problem.y
    best = -((y[of.folds.train[1]] - y[of.folds.train[1]].mean()) ** 2).mean()
    assert found.scores["train"][0, 0, -1] <= best + 1e-12


def test_l1_reaches_exact_zeros() -> None:
    """A moderate L1 makes some weights exactly zero and not others; more of it makes more."""
    of = setup("regression")
    found = train(of, [net(penalty=t.L1Penalty(strength)) for strength in (0.0, 0.03, 0.3)], 12)
    none, some, more = found.nonzero[:, -1]
    assert none == 5 * 6 + 6 * 5 + 5 > some > more


def test_l2_shrinks_to_no_zero() -> None:
    """L2 makes weights smaller and none of them zero."""
    of = setup("regression")
    found = train(of, [net(penalty=t.L2Penalty(strength)) for strength in (0.0, 0.1, 1.0)], 12)
    assert np.all(found.nonzero == 65)
    sizes = torch.from_numpy(found.weights)[-1, :, :65].norm(dim=1)
    assert sizes[0] > sizes[1] > sizes[2] > 0


@pytest.mark.parametrize(("groups", "layer", "axis"), [("inputs", 0, 0), ("neurons", 0, 1), ("neurons", 1, 1)])
def test_group_sparsity_takes_whole_groups(groups: str, layer: int, axis: int) -> None:
    """The weights of an input, or into a neuron, are all zero or all not; enough strength takes every group."""
    of = setup("regression")
    for strength, whole in ((0.004, False), (100.0, True)):
        config = net(group_sparsity=t.GroupSparsity(strength, groups))
        zero = kernels(of, config, train(of, [config], 12))[f"linear{layer}.weight"] == 0
        assert torch.equal(zero.all(axis), zero.any(axis))
        assert zero.all() if whole else not zero.all()
    assert kernels(of, config, train(of, [config]))["out.weight"].any()


def test_max_norm_holds() -> None:
    """After every epoch the weights into every neuron have at most the norm given, and some have it."""
    of = setup("multiclass")
    config = net(max_norm=0.5)
    found = train(of, [config])
    for epoch in range(EPOCHS):
        norms = torch.cat([w.norm(dim=1) for w in kernels(of, config, found, epoch).values()])
        assert norms.max() <= 0.5 + 1e-12
        assert torch.isclose(norms.max(), torch.tensor(0.5, dtype=torch.float64))


def test_penalty_by_pattern() -> None:
    """A penalty by pattern of names acts on the parameters that match, and on no others."""
    of = setup("regression")
    config = net(penalty={"linear0.*": t.L1Penalty(100.0), "out.bias": t.L1Penalty(100.0)})
    found = named(train(of, [config]), of, config)
    zero = {name for name, value in found.items() if not value.any()}
    assert zero == {"linear0.weight", "linear0.bias", "out.bias"}
