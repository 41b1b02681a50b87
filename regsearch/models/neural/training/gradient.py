"""The gradient of each row's own loss, with what techniques do to a batch and inside the net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from regsearch._types import Task
from regsearch.models.neural.columns import ActiveTechniques
from regsearch.models.neural.mixing import Samples
from regsearch.models.neural.network.hooks import HiddenHooks
from regsearch.models.neural.network.loss import losses, task_losses
from regsearch.models.neural.network.network import Network
from regsearch.models.neural.network.objective import Parts, on_each
from regsearch.models.neural.network.streams import RandomStreams
from regsearch.models.neural.training.batches import Batch

if TYPE_CHECKING:
    import torch

    from regsearch.models.neural.network.architecture import Forward


class LossGradient:
    """Gradients of rows.

    Parameters
    ----------
    theta
        ``[R, Q]``: the rows, which training changes in place.
    """

    def __init__(
        self, parts: Parts, network: Network, forward: Forward, techniques: ActiveTechniques, theta: torch.Tensor
    ) -> None:
        import torch

        self.parts, self.network, self.forward, self.techniques, self.theta = parts, network, forward, techniques, theta
        self._trainable = theta[:, : network.layout.trainable]
        self._gradient = torch.empty_like(self._trainable)
        self._views = [param.view(self._gradient) for param in network.layout.weights]
        self._leaves_of_theta = self._leaves(theta)

    def __call__(self, batch: Batch, streams: Mapping[Any, RandomStreams]) -> torch.Tensor:
        """``[R, P]``: of the loss of a batch; the next call writes over it."""
        samples, used = self._changed(batch, streams), self._trainable
        for active in self.techniques.with_hook("on_weights"):
            used = active.technique.on_weights(active.v, used, streams[active.key])
        hooks = HiddenHooks(
            self.network.hidden_layers, self.techniques.with_hook("on_hidden"),
            self.techniques.with_hook("on_activity"), streams, self.techniques.with_hook("on_branch"),
            named=self.network.named, domains=batch.domains,
        )  # fmt: skip
        self._differentiate(used, samples, hooks, self.theta)
        for active in self.techniques.with_hook("on_ascent"):
            moved, counts = active.technique.on_ascent(active.v, used, self._gradient)
            first = self._gradient.clone()
            self._differentiate(moved, samples, hooks.again(), self.theta.clone())
            self._gradient.copy_(self._gradient.where(counts[:, None], first))
        return self._gradient

    def _differentiate(self, used: torch.Tensor, samples: Samples, hooks: HiddenHooks, theta: torch.Tensor) -> None:
        """Write the gradient at weights ``[R, P]``, adversaries of the batch included; buffers of `theta` are moved.

        Of a batch running statistics are moved once: further passes move those of a copy.
        """
        adversaries = self.techniques.with_hook("on_adversary")
        x = samples.x
        if adversaries:
            x = x.expand(len(used), *x.shape[1:]).detach().requires_grad_()
        found, of_inputs = self._pass(used, replace(samples, x=x), hooks, theta)
        for view, one in zip(self._views, found, strict=True):
            view.copy_(one)
        for active in adversaries:
            other, share = active.technique.on_adversary(active.v, x.detach(), of_inputs[0])
            further, _ = self._pass(used, replace(samples, x=other), hooks.again(), self.theta.clone())
            for view, one in zip(self._views, further, strict=True):
                view.lerp_(one, share.view(-1, *[1] * (one.dim() - 1)))

    def _pass(
        self, used: torch.Tensor, samples: Samples, hooks: HiddenHooks, theta: torch.Tensor
    ) -> tuple[Sequence[torch.Tensor], Sequence[torch.Tensor]]:
        """Gradients by weights ``[R, P]``, and by inputs where they are asked for; buffers of `theta` are moved."""
        import torch

        buffers = self.network.layout.buffers
        if buffers:
            used = used.clone()  # autograd refuses parameters that share memory with buffers which the pass changes
        leaves = self._leaves_of_theta if used is self._trainable else self._leaves(used)
        views = leaves | {param.name: param.view(theta) for param in buffers}
        inputs = [samples.x] if samples.x.requires_grad else []
        with torch.enable_grad():
            out = self.forward(views, samples.x, hooks, True)
            if theta is self.theta:  # further passes of a batch go over a copy
                self._note(out.detach(), samples)
            loss = (losses(self.parts, out, samples.y, samples.shares) * samples.weight).sum() / samples.weight.shape[1]
            total = sum((term.sum() for term in hooks.terms), loss)
            found = torch.autograd.grad(total, [*leaves.values(), *inputs], materialize_grads=True)
        return found[: len(leaves)], found[len(leaves) :]

    def _note(self, out: torch.Tensor, samples: Samples) -> None:
        """Tell techniques of the loss of each task on each sample of a batch."""
        for active in self.techniques.with_hook("on_errors"):
            active.technique.on_errors(active.v, task_losses(self.parts, out, samples.y), samples.weight)

    def _leaves(self, theta: torch.Tensor) -> dict[str, torch.Tensor]:
        """The weights of rows ``[R, P]`` or longer by name, as what gradients are taken of."""
        return {param.name: param.view(theta).detach().requires_grad_() for param in self.network.layout.weights}

    def _changed(self, batch: Batch, streams: Mapping[Any, RandomStreams]) -> Samples:
        """A batch, scaled and as the techniques change it."""
        x, y = batch.x, batch.y
        for active in self.techniques.with_hook("on_raw"):
            x = active.technique.on_raw(active.v, x, streams[active.key])
        if batch.scaling is not None:
            x = batch.scaling.apply(x)
        for active in self.techniques.with_hook("on_batch"):
            x = active.technique.on_batch(active.v, x, streams[active.key])
        for active in self.techniques.with_hook("on_target"):
            change = partial(_changed_target, active, streams[active.key])
            y = on_each(self.parts, y, change)
        samples = Samples(x, y, batch.weight, batch.shares)
        for active in self.techniques.with_hook("on_samples"):
            samples = active.technique.on_samples(active.v, samples, streams[active.key])
        return samples


def _changed_target(active: Any, random: Any, y: torch.Tensor, task: Task) -> torch.Tensor:
    """Targets of one task ``[1 or R, m, B]`` as a technique makes them."""
    made: torch.Tensor = active.technique.on_target(active.v, y, random, task)
    return made
