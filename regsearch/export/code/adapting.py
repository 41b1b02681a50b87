"""The text of a strength that follows the distance of two losses in a plain training loop."""

from __future__ import annotations

from typing import Any

from regsearch.data.problem import Problem
from regsearch.models.neural.network.streams import seed_of
from regsearch.models.neural.techniques.adaptive_strength import FARTHEST
from regsearch.models.neural.training.shared import ALL_ROWS
from regsearch.space.tree import number


def splitter_of(problem: Problem) -> str:
    """The class of scikit-learn that takes rows off those that are trained on."""
    return "ShuffleSplit" if problem.classes is None else "StratifiedShuffleSplit"


def split_lines(problem: Problem, share: float, seed: int) -> str:
    """Rows that are not trained on, as a refit takes them off."""
    drawn = f"{splitter_of(problem)}(1, test_size={share!r}, random_state={seed_of(seed, ALL_ROWS, 'inner') % 2**32})"
    lines = (
        f"    rest = np.isin(np.arange(len(y)), next({drawn}.split(X, y))[1])",
        "    (X, other_X), (y, other_y), (weight, other_weight) = ((a[~rest], a[rest]) for a in (X, y, weight))",
    )
    return "\n".join(lines) + "\n"


def factor_of(slot: str) -> str:
    """What the loop calls the strength of a schedule's slot."""
    return slot.removesuffix("_schedule") + "_strength"


def adaptive_lines(one: Any, problem: Problem, slot: str) -> dict[str, str]:
    """What a strength becomes after each epoch."""
    name = factor_of(slot)
    other = (
        "other = torch.tensor((np.asarray(other_y, dtype=float).reshape(len(other_y), -1) - mean) / deviation, "
        "dtype=DTYPE)"
        if problem.classes is None
        else "other = [CLASSES.index(label) for label in np.asarray(other_y).tolist()]\n"
        + ("other = torch.tensor(np.eye(len(CLASSES))[other], dtype=DTYPE)" if len(problem.classes) > 2
           else "other = torch.tensor(other, dtype=DTYPE)[:, None]")
    )  # fmt: skip
    start = (
        f"{name} = 1.0", other, "held_out = scaled(other_X), other, torch.tensor(other_weight, dtype=DTYPE)",
        "parts = [(inputs, targets, weight), held_out]",
    )  # fmt: skip
    after = (
        "net.eval()", "with torch.no_grad():",
        "    known, new = (float(mean_loss(net(x), t, w) / w.mean()) for x, t, w in parts)", "net.train()",
        f"apart = (new - known) / max(new + known, 1e-12) - {number(one.target)!r}",
        f"{name} = min(max({name} * math.exp({number(one.gain)!r} * apart), {1 / FARTHEST!r}), {FARTHEST!r})",
    )  # fmt: skip
    return {"before": "\n".join(start), "epoch_end": "\n".join(after)}
