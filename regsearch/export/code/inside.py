"""The text of what acts inside a net, or on its kernels, in a plain training loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from regsearch.export.code.loop import written
from regsearch.models.neural.techniques.mmd import WIDTHS
from regsearch.space.tree import number

DISCREPANCY = f'''

def discrepancy(h, groups):
    """The mean over pairs of groups of the squared discrepancy between what they say; Gaussian kernels."""
    distance = ((h * h).sum(1)[:, None] + (h * h).sum(1) - 2 * h @ h.T).clamp(min=0)
    width = distance.detach().mean().clamp(min=1e-12)
    kernel = sum(torch.exp(-distance / (share * width)) for share in {WIDTHS}) / {len(WIDTHS)}
    member = functional.one_hot(groups).to(h.dtype)
    share = member / member.sum(0).clamp(min=1)
    within, there = share.T @ kernel @ share, (member.sum(0) > 0).to(h.dtype)
    pairs = (there[:, None] * there).triu(1)
    own = within.diagonal()
    return ((own[:, None] + own - 2 * within) * pairs).sum() / pairs.sum().clamp(min=1)
'''


def term_lines(slot: str, layers: Sequence[str], term: str) -> dict[str, str]:
    """A term of the loss from what leaves hidden layers, `h` in the text of it."""
    kept = slot.removesuffix("_penalty") + "_terms"
    return {
        "before": f"{kept} = []\nfor name in {written(layers)}:\n    net.get_submodule(name).register_forward_hook(\n"
        f"        lambda layer, given, h: {kept}.append({term}) if layer.training else None\n    )",
        "loss_lines": f"loss = loss + sum({kept})\n{kept}.clear()",
    }  # fmt: skip


def activity_lines(one: Any, layers: Sequence[str]) -> dict[str, str]:
    """A penalty on what leaves hidden layers."""
    l1, l2 = one.strengths()
    return term_lines("activity_penalty", layers, f"({l1!r} * h.abs().sum() + {l2!r} * h.square().sum() / 2) / len(h)")


def domain_lines(one: Any, layers: Sequence[str]) -> dict[str, str]:
    """A penalty on what tells groups apart inside a net."""
    term = f"{number(one.lambda_)!r} * discrepancy(h.flatten(1), groups[rows])"
    return term_lines("domain_penalty", layers, term) | {"helper": "discrepancy"}


def weight_noise_lines(one: Any, names: Sequence[str]) -> dict[str, str]:
    """Noise on the kernels at which a gradient is taken."""
    noisy = (
        "clean = {name: weights[name].detach().clone() for name in KERNELS}", "with torch.no_grad():",
        "    for name in KERNELS:",
        f"        weights[name].add_({number(one.sigma)!r} * torch.randn_like(weights[name]))",
    )  # fmt: skip
    back = ("with torch.no_grad():", "    for name in KERNELS:", "        weights[name].copy_(clean[name])")
    return {"samples": "\n".join(noisy), "ascent": "\n".join(back)}


def group_sparsity_lines(one: Any, names: Sequence[str]) -> dict[str, str]:
    """The proximal step of a penalty on the norms of what goes into neurons, or leaves inputs."""
    chosen, kept = (names[:1], 1) if one.groups == "inputs" else (names[:-1], 0)
    lines = (
        "with torch.no_grad():", f"    for w in (weights[name] for name in {written(chosen)}):",
        f"        axes = [axis for axis in range(w.dim()) if axis != {kept}]",
        "        moved = metric(optimizer.state[w], lr).expand(w.shape)",
        f"        strength = {number(one.lambda_)!r} * math.sqrt(w.numel() / w.shape[{kept}])",
        "        limit = strength / moved.reciprocal().mean(axes, keepdim=True)",
        "        norm = w.square().sum(axes, keepdim=True).sqrt().clamp(min=1e-30)",
        "        w.mul_((1 - limit / norm).clamp(min=0))",
    )  # fmt: skip
    return {"helper": "metric", "stepped": "\n".join(lines)}
