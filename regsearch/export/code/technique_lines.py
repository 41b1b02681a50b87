"""The lines of a plain training loop for each technique, by slot; a slot that is not here has no plain form."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, TypeAlias

from regsearch.data.problem import Problem
from regsearch.export.code.adapting import adaptive_lines, factor_of
from regsearch.export.code.augmenting import image_lines, sequence_lines
from regsearch.export.code.inside import activity_lines, domain_lines, group_sparsity_lines, weight_noise_lines
from regsearch.export.code.loop import written
from regsearch.export.code.tasks import adaptive_sharing_lines, soft_sharing_lines, task_relation_lines
from regsearch.models.neural.dropout_masks import MOST
from regsearch.models.neural.layout import Layout
from regsearch.space.tree import number

Lines: TypeAlias = Mapping[str, str]  # by place of the loop; `helper` names a function that they call


@dataclass(frozen=True)
class NetForm:
    """What a technique's lines depend on."""

    problem: Problem
    layout: Layout
    horizon: int
    optimizer: str
    slots: frozenset[str]
    hidden_layers: tuple[str, ...] = ()

    def layers(self, pattern: str) -> tuple[str, ...]:
        """Hidden layers that a technique acts on."""
        return tuple(name for name in self.hidden_layers if fnmatchcase(name, pattern or "*"))

    def hidden_parameters(self) -> list[tuple[str, ...]]:
        """Names of the parameters of each hidden layer of a net of several tasks."""
        of_layer: dict[str, list[str]] = {}
        for param in self.layout.params:
            layer = re.fullmatch(r"(?:linear|norm)(\d+)\.(?:weight|bias)", param.name)
            if layer is not None:
                of_layer.setdefault(layer[1], []).append(param.name)
        return [tuple(of_layer[layer]) for layer in sorted(of_layer, key=int)]

    def names(self, slot: str, pattern: str) -> tuple[str, ...]:
        """Parameters that a technique acts on, as `regsearch.models.neural.columns` finds them."""
        role = self.layout.part("bias" if slot == "bias_penalty" else "kernel")
        return tuple(param.name for param in (self.layout.matching(pattern) if pattern else role).params)


def _penalty(one: Any, form: NetForm, names: tuple[str, ...], slot: str) -> Lines:
    l1, l2 = one.strengths()
    factor = " * penalising" if slot == "penalty" and "penalty_schedule" in form.slots else ""
    return {
        "helper": "shrink",
        "stepped": f"shrink(optimizer, [weights[name] for name in {written(names)}], lr, l1={l1!r}{factor}, "
        f"l2={l2!r}{factor})",
    }


def _mixup(one: Any, form: NetForm) -> Lines:
    alpha = number(one.alpha)
    lines = (
        f"share = float(torch.distributions.Beta({alpha!r}, {alpha!r}).sample())", "other = torch.randperm(len(x))",
        "x, (t, w) = x + share * (x[other] - x), mix(t, w, other, share)",
    )  # fmt: skip
    return {"helper": "mix", "samples": "\n".join(lines)}


def _cutmix(one: Any, form: NetForm) -> Lines:
    part = (
        "    cut = patch(x.shape[2:], float(torch.rand(()).sqrt()))" if form.problem.grid
        else "    cut = torch.randperm(x.shape[1]) < max(1, int(torch.rand(()) * x.shape[1]))"
    )  # fmt: skip
    lines = (
        f"if torch.rand(()) < {number(one.probability)!r}:", "    other = torch.randperm(len(x))", part,
        "    x, (t, w) = torch.where(cut, x[other], x), mix(t, w, other, float(cut.double().mean()))",
    )  # fmt: skip
    return {"helper": "mix of patches" if form.problem.grid else "mix", "samples": "\n".join(lines)}


def _cutout(one: Any, form: NetForm) -> Lines:
    chosen, side = f"torch.rand(()) < {number(one.probability)!r}", number(one.patch)
    if form.problem.grid:
        changed = f"image.masked_fill(patch(x.shape[2:], {side!r}), 0) if {chosen} else image"
        return {"helper": "patch", "batch": f"x = torch.stack([{changed} for image in x])"}
    masked = f"    x[:, torch.randperm(x.shape[1]) < max(1, int({side!r} * x.shape[1]))] = 0"
    return {"batch": f"if {chosen}:\n{masked}"}


def _adversarial(one: Any, form: NetForm) -> Lines:
    loss = (
        "statistics = [value.clone() for value in net.buffers()]",
        f"moved = x.detach() + {number(one.epsilon)!r} * torch.autograd.grad(loss, x, retain_graph=True)[0].sign()",
        "loss = (loss + mean_loss(net(moved), t, w)) / 2",
    )
    back = ("for value, once in zip(net.buffers(), statistics):", "    value.copy_(once)")
    return {"samples": "x.requires_grad_()", "loss_lines": "\n".join(loss), "gradient": "\n".join(back)}


_AUGMENTED: dict[str, Callable[[Any, NetForm], Lines]] = {
    "mixup": _mixup, "cutmix": _cutmix, "cutout": _cutout, "adversarial_training": _adversarial,
}  # fmt: skip


def _max_norm(one: Any, form: NetForm, names: tuple[str, ...]) -> Lines:
    ball = f"({number(one.limit)!r} / w.flatten(1).norm(dim=1)).clamp(max=1)"
    lines = (
        "with torch.no_grad():", "    for w in (weights[name] for name in KERNELS):",
        f"        w.mul_({ball}.view(-1, *[1] * (w.dim() - 1)))",
    )  # fmt: skip
    return {"stepped": "\n".join(lines)}


def _ema(one: Any, form: NetForm) -> Lines:
    follow = (
        "steps += 1", f"decay = min({number(one.decay)!r}, (1 + steps) / (10 + steps))",
        "for name, value in net.state_dict().items():", "    if value.is_floating_point():",
        "        average[name].lerp_(value, 1 - decay)",
    )  # fmt: skip
    return {
        "before": "steps, average = 0, {name: value.clone() for name, value in net.state_dict().items()}",
        "averaged": "\n".join(follow),
        "after": "net.load_state_dict(average)",
    }


def _weight_decay(one: Any, form: NetForm, names: tuple[str, ...]) -> Lines:
    if one.kind == "cpr":
        return _cpr(one)
    scheduled = "weight_decay_schedule" in form.slots
    if form.optimizer == "adam" and not scheduled:  # AdamW has it
        return {}
    lines = (
        "with torch.no_grad():", "    for name in KERNELS:",
        f"        weights[name].mul_(1 - lr * {number(one.rate)!r}{' * decaying' if scheduled else ''})",
    )  # fmt: skip
    return {"gradient": "\n".join(lines)}


def _factor(one: Any, form: NetForm, slot: str) -> str:
    if one.kind == "adaptive_strength":
        return factor_of(slot)
    share = "(epoch + i / len(batches))"
    if one.kind == "rise":
        return f"(1 - {1 - number(one.initial)!r} * (1 - {share} / {form.horizon}))"
    return f"(1 - {1 - number(one.final)!r} * {share} / {form.horizon})"


def _dropout_schedule(one: Any, form: NetForm, names: tuple[str, ...]) -> Lines:
    lines = (
        "for layer, rate in dropouts:",
        f"    layer.p = min(max(rate, {MOST!r}), rate * {_factor(one, form, 'dropout_schedule')})",
    )
    found = {
        "before": "dropouts = [(one, one.p) for one in net.modules() if type(one).__name__.startswith('Dropout')]",
        "batch": "\n".join(lines),
    }
    return _beside(found, _adapted(one, form, "dropout_schedule"))


def _strength(one: Any, form: NetForm, names: tuple[str, ...], slot: str, called: str) -> Lines:
    return _beside({"rate": f"{called} = {_factor(one, form, slot)}"}, _adapted(one, form, slot))


def _adapted(one: Any, form: NetForm, slot: str) -> Lines:
    return adaptive_lines(one, form.problem, slot) if one.kind == "adaptive_strength" else {}


def _beside(one: Lines, other: Lines) -> Lines:
    """The lines of both, in this order."""
    return {place: "\n".join(lines[place] for lines in (other, one) if place in lines) for place in {**one, **other}}


def _cpr(one: Any) -> Lines:
    start = (
        "counted, multiplier = 0, dict.fromkeys(KERNELS, 0.0)",
        f"bound = {{name: {number(one.kappa)!r} * float(weights[name].detach().square().mean()) for name in KERNELS}}",
    )
    lines = (
        "counted += 1", "with torch.no_grad():", "    for name in KERNELS:",
        "        square = float(weights[name].square().mean())",
        f"        if counted <= {one.warm_up}:", f"            bound[name] = {number(one.kappa)!r} * square",
        "        else:", "            multiplier[name] = max(0.0, multiplier[name] + square - bound[name])",
        "            weights[name].mul_(max(0.0, 1 - 2 * multiplier[name]))",
    )  # fmt: skip
    return {"before": "\n".join(start), "stepped": "\n".join(lines)}


def _lookahead(one: Any, form: NetForm, names: tuple[str, ...]) -> Lines:
    lines = (
        "taken += 1", f"if taken % {one.steps} == 0:", "    with torch.no_grad():",
        "        for name, value in weights.items():",
        f"            value.copy_(slow[name].lerp_(value, {number(one.slow_step)!r}))",
    )  # fmt: skip
    return {
        "before": "taken, slow = 0, {name: value.detach().clone() for name, value in weights.items()}",
        "stepped": "\n".join(lines),
    }


def _sam(one: Any, form: NetForm, names: tuple[str, ...]) -> Lines:
    lines = (
        "statistics = [value.clone() for value in net.buffers()]",
        "kept = {name: value.detach().clone() for name, value in weights.items()}",
        "length = torch.cat([value.grad.flatten() for value in weights.values()]).norm() + 1e-12",
        "with torch.no_grad():", "    for value in weights.values():",
        f"        value.add_({number(one.rho)!r} / length * value.grad)",
        "optimizer.zero_grad()", "mean_loss(net(x), t, w).backward()",
        "with torch.no_grad():", "    for name, value in weights.items():", "        value.copy_(kept[name])",
        "    for value, once in zip(net.buffers(), statistics):", "        value.copy_(once)",
    )  # fmt: skip
    return {"ascent": "\n".join(lines)}


def _swa(one: Any, form: NetForm) -> Lines:
    follow = (
        f"if epoch + 1 > {one.first(form.horizon)!r}:", "    count += 1",
        "    for name, value in net.state_dict().items():",
        "        before = average.get(name, value.clone())",
        "        average[name] = before + (value - before) / count if value.is_floating_point() else value.clone()",
    )  # fmt: skip
    last = (
        "if count:", "    net.load_state_dict(average)",
        "    for layer in net.modules():  # nothing is dropped for statistics", "        if hasattr(layer, 'p'):",
        "            layer.p = 0.0", "        if hasattr(layer, 'rate'):", "            layer.rate = 0.0",
        "    torch.optim.swa_utils.update_bn([inputs[rows] for rows in torch.randperm(n).tensor_split(cuts)], net)",
    )  # fmt: skip
    return {"before": "count, average = 0, {}", "epoch_end": "\n".join(follow), "after": "\n".join(last)}


def _snapshots(one: Any, form: NetForm) -> Lines:
    ends = tuple(sorted({*one.ends(form.horizon)} - {0}))
    rate = (
        "now = epoch + i / len(batches)",
        f"begun, end = max(e for e in {(0, *ends)} if e <= now), min(e for e in {ends} if e > now)",
        "lr = lr * (1 + math.cos(math.pi * (now - begun) / (end - begun))) / 2",
    )
    keep = (
        f"if epoch + 1 in {ends} and epoch + 1 < EPOCHS:",
        "    state = {name: value.clone() for name, value in net.state_dict().items()}",
        f"    snapshots = [state, *snapshots][:{one.last - 1}]",
    )
    last = (
        "nets = [net, *(make_net() for _ in snapshots)]", "for one, state in zip(nets[1:], snapshots):",
        "    one.load_state_dict(state)", "net = Ensemble(nets)",
    )  # fmt: skip
    return {
        "helper": f"ensemble of {form.problem.task}", "before": "snapshots = []", "rate": "\n".join(rate),
        "epoch_end": "\n".join(keep), "after": "\n".join(last),
    }  # fmt: skip


_AVERAGED: dict[str, Callable[[Any, NetForm], Lines]] = {"ema": _ema, "snapshots": _snapshots, "swa": _swa}


def _label_noise(one: Any, form: NetForm, names: tuple[str, ...]) -> Lines:
    level = number(one.level)
    other = {
        "regression": f"t = t + {level!r} * torch.randn_like(t)",
        "binary": f"t = torch.where(torch.rand_like(t) < {level!r}, torch.randint_like(t, 2), t)",
        "multiclass": f"t = torch.where(torch.rand(len(t), 1) < {level!r}, "
        "torch.eye(t.shape[1], dtype=DTYPE)[torch.randint(t.shape[1], (len(t),))], t)",
    }
    return {"batch": other[form.problem.task]}


def _label_smoothing(one: Any, form: NetForm, names: tuple[str, ...]) -> Lines:
    eps = number(one.eps)
    return {"batch": f"t = t * {1 - eps!r} + {eps!r} / {max(form.problem.outputs, 2)}"}


def _schedule(one: Any, form: NetForm, names: tuple[str, ...]) -> Lines:
    begun, length = "0", str(form.horizon)
    lines = ["now = epoch + i / len(batches)"]
    if one.kind == "cosine_restarts":
        begun, length = "begun", "length"
        lines += [f"begun, length = 0, {number(one.first)!r}", "while now >= begun + length:",
                  f"    begun, length = begun + length, length * {number(one.factor)!r}"]  # fmt: skip
    lines.append(f"lr = lr * (1 - {number(one.depth)!r} * (1 - math.cos(math.pi * (now - {begun}) / {length})) / 2)")
    return {"rate": "\n".join(lines)}


_SHARED: dict[str, Callable[[Any, NetForm], Lines]] = {
    "soft_sharing": lambda one, form: soft_sharing_lines(one, form.problem.targets),
    "task_relation": lambda one, form: task_relation_lines(one, form.problem.targets),
    "cross_stitch": lambda one, form: {},  # a part of the module
    "adaptive_sharing": lambda one, form: adaptive_sharing_lines(
        one, form.problem.targets, form.hidden_parameters(), form.horizon
    ),
}
_CHANGED: dict[str, Callable[[Any], Lines]] = {"augment": image_lines, "sequence_augment": sequence_lines}


LINES: dict[str, Callable[[Any, NetForm, tuple[str, ...]], Lines]] = {
    "penalty": partial(_penalty, slot="penalty"),
    "penalty_schedule": partial(_strength, slot="penalty_schedule", called="penalising"),
    "augment": lambda one, form, names: _CHANGED[one.kind](one),
    "group_sparsity": lambda one, form, names: group_sparsity_lines(one, names),
    "weight_noise": lambda one, form, names: weight_noise_lines(one, names),
    "bias_penalty": partial(_penalty, slot="bias_penalty"),
    "data_augmentation": lambda one, form, names: _AUGMENTED[one.kind](one, form),
    "max_norm": _max_norm,
    "averaging": lambda one, form, names: _AVERAGED[one.kind](one, form),
    "lookahead": _lookahead,
    "sam": _sam,
    "weight_decay": _weight_decay,
    "weight_decay_schedule": partial(_strength, slot="weight_decay_schedule", called="decaying"),
    "dropout_schedule": _dropout_schedule,
    "tasks": lambda one, form, names: _SHARED[one.kind](one, form),
    "label_noise": _label_noise,
    "label_smoothing": _label_smoothing,
    "schedule": _schedule,
    "gradient_clipping": lambda one, form, names: {
        "gradient": f"nn.utils.clip_grad_norm_(net.parameters(), {number(one.norm)!r})"
    },
    "input_dropout": lambda one, form, names: {"batch": f"x = functional.dropout(x, {number(one.rate)!r})"},
    "input_noise": lambda one, form, names: {"batch": f"x = x + {number(one.sigma)!r} * torch.randn_like(x)"},
}


INSIDE: dict[str, Callable[[Any, tuple[str, ...]], Lines]] = {  # by slot, of the hidden layers that they act on
    "activity_penalty": activity_lines, "domain_penalty": domain_lines,
}  # fmt: skip


def lines_of(slot: str, pattern: str, one: Any, form: NetForm) -> Lines:
    """The lines of a technique that has some."""
    if slot in INSIDE:
        return INSIDE[slot](one, form.layers(pattern))
    return LINES[slot](one, form, form.names(slot, pattern))
