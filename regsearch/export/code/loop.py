"""The text of a plain training loop."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from regsearch.export.code.augmenting import STRETCHED, WARPED
from regsearch.export.code.sources import WIDTH

MIX = '''

def mix(t, w, other, share):
    """Targets and weights of samples of which a share is that of others."""
    mixed = w + share * (w[other] - w)
    return t + (share * w[other] / mixed)[:, None] * (t[other] - t), mixed
'''

PATCH = '''

def patch(size, side):
    """The places of a stretch, rectangle or box with its middle anywhere, cut by the edges."""
    found = torch.tensor(True)
    for length in size:
        start, place = int(torch.randint(length, ())) - int(side * length) // 2, torch.arange(length)
        found = found[..., None] & (place >= start) & (place < start + int(side * length))
    return found
'''

SKIP = '''

class Skip(nn.Sequential):
    """Adds what comes in, pooled as the layers do it, to what they make of it, which is dropped or shaken at a rate."""

    def __init__(self, layers, rate=0.0, shakes=False):
        super().__init__(layers)
        self.rate, self.shakes = rate, shakes

    def forward(self, x):
        h = super().forward(x)
        x = getattr(functional, f"max_pool{x.dim() - 2}d")(x, 2) if x.dim() > 2 else x
        x = functional.pad(x, [0, 0] * (x.dim() - 2) + [0, h.shape[1] - x.shape[1]])
        if self.training and self.rate:
            shape = (len(h), *[1] * (h.dim() - 1))
            forward = back = (torch.rand(shape, dtype=h.dtype) >= self.rate).to(h.dtype)
            if self.shakes:
                forward = forward + (1 - forward) * (2 * torch.rand(shape, dtype=h.dtype) - 1)
                back = back + (1 - back) * torch.rand(shape, dtype=h.dtype)
            h = (h * back + (h * (forward - back)).detach()) / (1 - self.rate)
        return x + h
'''

ENSEMBLE = '''

class Ensemble(nn.Module):
    """Nets whose mean counts{of}."""

    def __init__(self, nets):
        super().__init__()
        self.nets = nn.ModuleList(nets)

    def forward(self, x):
        out = torch.stack([net(x) for net in self.nets])
        return {mean}
'''

_MEANS = {
    "regression": ("", "out.mean(0)"),
    "binary": (
        ": of probabilities, as log-odds",
        "functional.logsigmoid(out).logsumexp(0) - functional.logsigmoid(-out).logsumexp(0)",
    ),
    "multiclass": (": of probabilities, as logits", "out.log_softmax(2).logsumexp(0)"),
}

HELPERS = {"mix": MIX, "warped": WARPED, "stretched": STRETCHED, "patch": PATCH, "mix of patches": MIX + PATCH} | {
    f"ensemble of {task}": ENSEMBLE.format(of=of, mean=mean) for task, (of, mean) in _MEANS.items()
}

_TEXT = '''"""A net of torch alone: its module, and a training loop with what regularizes it.{unlike}"""

import math
from collections import OrderedDict

import numpy as np
import torch
{imports}
from torch import nn
from torch.nn import functional
{definitions}
SHAPE = {shape}  # of a row that the net sees
{classes}KERNELS = {kernels}  # what weight decay and the like act on
LR, EPOCHS, BETAS, EPS = {lr!r}, {epochs}, {betas}, {eps!r}
DTYPE = torch.{dtype}
{prepare}

def make_net():
    torch.manual_seed({start})
    layers = OrderedDict(
{module}
    )
    return nn.Sequential(layers).to(DTYPE)
{helpers}

def mean_loss(out, t, w):
    return ({loss} * w).mean()


def fit(X, y, sample_weight=None{grouped}):
    """Train on these rows; a function from X to {returns}."""
    weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
{groups}    X, y, weight = X[weight > 0], np.asarray(y)[weight > 0], weight[weight > 0]
{fitted}{split}    rows_of = lambda X: np.asarray({rows}, dtype=float).reshape(len(X), *SHAPE)
    columns = rows_of(X).reshape(len(X), SHAPE[0], -1)
{scale}
    spread = np.where(spread > 1e-12, spread, 1.0)
    center, spread = (a.reshape(-1, *[1] * (len(SHAPE) - 1)) for a in (center, spread))
    scaled = lambda X: torch.tensor({scaled}, dtype=DTYPE)
{targets}
    inputs, weight = scaled(X), torch.tensor(weight / weight.mean(), dtype=DTYPE)

    net, n = make_net(), len(inputs)
{made}    weights = dict(net.named_parameters())
    optimizer = {optimizer}
    cuts = {batches}  # a batch of one row joins the one before it
{before}    for epoch in range(EPOCHS):
        batches = torch.randperm(n).tensor_split(cuts)
        for i, rows in enumerate(batches):
            x, t, w, lr = inputs[rows], targets[rows], weight[rows], LR
{batch}{samples}{rate}            optimizer.zero_grad()
            out = net(x)
            loss = mean_loss(out, t, w)
{loss_lines}            loss.backward()
{ascent}{gradient}            optimizer.step()
{stepped}{averaged}{epoch_end}{after}    net.eval()

    @torch.no_grad()
    def predict(X):
        out = net(scaled(X))
        return {answer}

    return predict
'''

GROUPS = (
    "    if groups is None:\n"
    "        raise ValueError('The penalty on what tells groups apart needs groups=, one for each row.')\n"
    "    groups = torch.tensor(np.unique(np.asarray(groups), return_inverse=True)[1][weight > 0])\n"
)
_RATE = 'for group in optimizer.param_groups:\n    group["lr"] = lr'
_DEPTH = {
    "made": 4,
    "before": 4,
    "batch": 12,
    "samples": 12,
    "loss_lines": 12,
    "rate": 12,
    "ascent": 12,
    "gradient": 12,
    "stepped": 12,
    "averaged": 12,
    "epoch_end": 8,
    "after": 4,
    "scale": 4,
    "targets": 4,
}


def written(names: Sequence[str]) -> str:
    """A tuple of names as code."""
    return "(" + "".join(f'"{name}", ' for name in names).rstrip(" ") + ")"


def write_loop(values: Mapping[str, Any]) -> str:
    """The loop with the numbers and lines of a net; see `regsearch.export.code.nets.net_code` for what they are."""
    lines: dict[str, Sequence[str]] = {place: list(values[place]) for place in _DEPTH}
    if lines["rate"]:
        lines["rate"] = [*lines["rate"], _RATE]
    blocks = {
        place: textwrap.indent("".join(f"{one}\n" for one in lines[place]), " " * _DEPTH[place]) for place in _DEPTH
    }
    blocks |= {place: blocks[place].rstrip("\n") for place in ("scale", "targets")}
    prepared = values["prepare"]
    text = _TEXT.format(**{**values, **blocks} | {
        "unlike": f"\n\n{textwrap.fill(values['unlike'], WIDTH)}\n" if values["unlike"] else "",
        "classes": "" if values["classes"] is None else f"CLASSES = {values['classes']!r}\n",
        "prepare": (f"PREPARE = {prepared}\n" if prepared else "")
        + (f"TARGET = {values['target']}\n" if values["target"] else ""),
        "fitted": "    PREPARE.fit(X)\n" if prepared else "",
        "grouped": ", groups=None" if values["grouped"] else "",
        "groups": GROUPS if values["grouped"] else "",
        "rows": "PREPARE.transform(X)" if prepared else "X",
    })  # fmt: skip
    return text.replace("import torch\n\n", "import torch\n") if not values["imports"] else text
