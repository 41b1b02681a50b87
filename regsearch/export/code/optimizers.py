"""The text of an optimizer in a plain training loop, and of the metric that it gives penalties."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from regsearch.models.neural.techniques.lion import BETAS as LION
from regsearch.models.neural.techniques.lion import SQUARES
from regsearch.models.neural.techniques.radam import LONGEST
from regsearch.space.tree import number

SHRINK = '''

@torch.no_grad()
def shrink(optimizer, weights, lr, l1, l2):
    """The proximal step of l1 |w|_1 + l2 / 2 |w|_2^2 in the optimizer's own metric: zeros are exact."""
    for w in weights:
        moved = metric(optimizer.state[w], lr)
        w -= w.clamp(-moved * l1, moved * l1)
        w /= 1 + moved * l2
'''

_ADAM = """

def metric(state, lr):
    return lr / ((state["exp_avg_sq"] / (1 - BETAS[1] ** int(state["step"]))).sqrt() + EPS)
"""

_SGD = """

def metric(state, lr):
    return torch.tensor(lr / (1 - {momentum!r}), dtype=DTYPE)
"""

_RADAM = f"""

def metric(state, lr):
    count = int(state["step"])
    left = BETAS[1] ** count
    length = {LONGEST!r} - 2 * count * left / (1 - left)
    if length <= 5:
        return torch.tensor(lr, dtype=DTYPE)
    rest = (length - 4) * (length - 2) * {LONGEST!r} / (({LONGEST!r} - 4) * ({LONGEST!r} - 2) * length)
    return lr * math.sqrt(rest * (1 - left)) / (state["exp_avg_sq"].sqrt() + EPS)
"""

_LION = f'''

class Lion(torch.optim.Optimizer):
    """Steps of the sign of a running mean of the gradient (Chen et al. 2023)."""

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for w in group["params"]:
                state = self.state[w]
                if not state:
                    state |= {{"step": 0, "mean": torch.zeros_like(w), "squares": torch.zeros_like(w)}}
                counting = state["mean"].lerp(w.grad, {1 - LION[0]!r})
                state["mean"].lerp_(w.grad, {1 - LION[1]!r})
                w -= group["lr"] * counting.sign()
                state["squares"].lerp_(counting**2, {1 - SQUARES!r})
                state["step"] += 1


def metric(state, lr):
    deviation = (state["squares"] / (1 - {SQUARES!r} ** state["step"])).sqrt().clamp(min=1e-12)
    return lr * math.sqrt(2 / math.pi) / deviation
'''

DECAYED = """torch.optim.AdamW(
        [
            {{"params": [weights[name] for name in KERNELS], "weight_decay": {decay!r}}},
            {{"params": [value for name, value in weights.items() if name not in KERNELS], "weight_decay": 0.0}},
        ],
        lr=LR, betas=BETAS, eps=EPS,
    )"""


@dataclass(frozen=True)
class OptimizerText:
    """An optimizer's call, and the functions that it needs; `metric` is one that penalties call."""

    call: Callable[[Any], str]
    metric: Callable[[Any], str]


OPTIMIZERS: Mapping[str, OptimizerText] = {
    "adam": OptimizerText(
        lambda one: "torch.optim.Adam(net.parameters(), lr=LR, betas=BETAS, eps=EPS)", lambda one: _ADAM
    ),
    "sgd": OptimizerText(
        lambda one: f"torch.optim.SGD(net.parameters(), lr=LR, momentum={number(one.momentum)!r}, "
        f"nesterov={one.form == 'nesterov' and number(one.momentum) > 0})",
        lambda one: _SGD.format(momentum=number(one.momentum)),
    ),
    "radam": OptimizerText(
        lambda one: "torch.optim.RAdam(net.parameters(), lr=LR, betas=BETAS, eps=EPS)", lambda one: _RADAM
    ),
    "lion": OptimizerText(lambda one: "Lion(net.parameters(), {'lr': LR})", lambda one: _LION),
}  # fmt: skip
