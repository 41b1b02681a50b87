"""The text of embeddings and of robust scaling in a plain training loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from regsearch.models.neural.architectures import Embedded
from regsearch.models.neural.network.architecture import Architecture
from regsearch.models.neural.network.robust import FARTHEST
from regsearch.space.tree import number

QUANTILES = '''

def quantiles(values, weight, shares):
    """Weighted quantiles [len(shares), p] of columns [n, p] (Akinshin 2023, type 7)."""
    whole = (weight == np.round(weight)).all()
    count = weight.sum() if whole else weight.sum() ** 2 / (weight**2).sum()
    order = np.argsort(values, axis=0)
    ordered = np.take_along_axis(values, order, axis=0)
    reached = np.cumsum(weight[order], axis=0) * (count / weight.sum())
    reached[-1] = count
    within = [np.clip(reached - share * (count - 1), 0.0, 1.0) for share in shares]
    return np.stack([(np.diff(one, axis=0, prepend=0.0) * ordered).sum(axis=0) for one in within])
'''

_PERIODIC = '''

class Periodic(nn.Module):
    """Columns, each beside a linear layer of its own of cosines of it; then the other columns."""

    def __init__(self, columns, others, frequencies, width, sigma):
        super().__init__()
        self.columns, self.others, self.shape = columns, others, (len(columns), frequencies)
        count, bound = len(columns), 1 / math.sqrt(frequencies)
        self.frequency = nn.Parameter(torch.randn(count * frequencies).to(DTYPE) * sigma)
        self.phase = nn.Parameter(torch.empty(count * frequencies).uniform_(-math.pi, math.pi))
        self.weight = nn.Parameter(torch.empty(count * width, frequencies).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(count * width).uniform_(-bound, bound))

    def forward(self, x):
        own = x[:, self.columns, None]
        waves = (2 * math.pi * own * self.frequency.view(self.shape) + self.phase.view(self.shape)).cos()
        weight = self.weight.view(self.shape[0], -1, self.shape[1])
        made = torch.einsum("bck,cwk->bcw", waves, weight) + self.bias.view(self.shape[0], -1)
        return torch.cat([torch.cat([own, made], 2).flatten(1), x[:, self.others]], 1)
'''

_BINS = '''

class Bins(nn.Module):
    """For each bin of a column how far a value has got through it; then the other columns."""

    def __init__(self, columns, others, bins):
        super().__init__()
        self.columns, self.others = columns, others
        for name in ("low", "width"):  # of a bin that is not there, the width is 0
            self.register_buffer(name, torch.zeros(len(columns), bins))

    def fit(self, x, weight):
        bins = self.low.shape[1]
        found = quantiles(x[:, self.columns].double().numpy(), weight, np.linspace(0, 1, bins + 1))
        for j in range(len(self.columns)):
            edges = np.unique(found[:, j])
            if len(edges) == 2:
                edges = np.array([edges[0], edges.mean(), edges[1]])
            if len(edges) > 1:
                places = np.r_[:1, bins - len(edges) + 2 : bins]
                self.low[j, places] = torch.tensor(edges[:-1], dtype=DTYPE)
                self.width[j, places] = torch.tensor(np.diff(edges), dtype=DTYPE)

    def forward(self, x):
        there = self.width > 0
        share = (x[:, self.columns, None] - self.low) / self.width.where(there, 1.0)
        least, most = torch.zeros_like(share[0, 0]), torch.ones_like(share[0, 0])
        least[0], most[-1] = -math.inf, math.inf
        made = share.maximum(least).minimum(most).where(there, 0.0)
        return torch.cat([made.flatten(1), x[:, self.others]], 1)
'''

ROBUST = (
    "low, center, high = quantiles(columns[:, :, 0], weight, (0.25, 0.5, 0.75))",
    "spread = np.where(high - low > 1e-12, high - low, np.ptp(columns, (0, 2)) / 2)",
)
CLIPPED = f"(lambda z: z / np.sqrt(1 + (z / {FARTHEST!r}) ** 2))((rows_of(X) - center) / spread)"


@dataclass(frozen=True)
class EmbeddingText:
    """An embedding as code: its class, the call that makes a layer, and what follows once there are rows."""

    text: str
    call: Callable[[Any, str], str]
    made: tuple[str, ...] = ()


_TEXTS: Mapping[str, EmbeddingText] = {
    "periodic": EmbeddingText(
        _PERIODIC, lambda one, of: f"Periodic({of}, {one.frequencies}, {one.width}, {number(one.sigma)!r})"
    ),
    "piecewise_linear": EmbeddingText(
        QUANTILES + _BINS, lambda one, of: f"Bins({of}, {one.bins})", ("net.embedding.fit(inputs, given)",)
    ),
}  # fmt: skip
HAS_CODE = tuple(_TEXTS)


@dataclass(frozen=True)
class EmbeddingCode:
    """What stands in front of the layers of a plain net: code of an embedding, all empty without one."""

    text: str = ""
    call: str = ""
    made: tuple[str, ...] = ()

    @classmethod
    def of(cls, embedding: Any, architecture: Architecture, inputs: int) -> EmbeddingCode:
        """That of an embedding technique, for the architecture that has found its columns."""
        if not isinstance(architecture, Embedded):
            return cls()
        columns = list(architecture.columns)
        others = sorted(set(range(inputs)) - set(columns))
        one = _TEXTS[embedding.kind]
        return cls(one.text, one.call(embedding, f"{columns}, {others}"), one.made)
