"""The spaces of the regularization cocktail: what they hold, what can be left out, and that all of it trains."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from regsearch import MLP, Choice, Float, InvalidInput, spaces
from regsearch.models.base import Candidate
from regsearch.models.neural import techniques as t
from regsearch.models.neural.config import options
from regsearch.models.neural.training.stack import Stack
from regsearch.space.sampling import fill, random_params
from regsearch.testing.nets import setup

PAPER = {
    "batch_norm", "swa", "snapshots", "lookahead", "weight_decay", "dropout", "skip_connection", "shake_drop", "mixup",
    "cutmix", "cutout", "adversarial_training",
}  # fmt: skip


def kinds(space: Any) -> set[str]:
    return {one.kind for value in space.techniques.values() for one in options(value)}


def test_the_cocktail_is_that_of_the_paper() -> None:
    """Every technique of the paper is an option, each may be off, and training ends with a cycle of the schedule."""
    for space in (spaces.cocktail(), spaces.image_cocktail()):
        found = kinds(space) | ({"dropout"} if "spatial_dropout" in kinds(space) else set())
        assert found >= PAPER
        searched = [value for value in space.techniques.values() if isinstance(value, Choice)]
        assert all(value.options[0] is None or value.options[0] == t.Dropout(0.0) for value in searched)
    stop, schedule = spaces.cocktail().stopping, spaces.cocktail().techniques["schedule"]
    assert stop.epochs == 105 == sum(schedule.first * schedule.factor**i for i in range(3))


def test_what_is_left_out_and_pinned() -> None:
    """Slots and techniques are left out by name, others fixed or searched otherwise; unknown names are refused."""
    without = ["averaging", "cutout", "skip"]
    space = spaces.cocktail(without=without, dropout=0.3, norm="batch_norm", lr=Float(1e-4, 1e-2))
    assert not {"swa", "snapshots", "cutout", "skip_connection", "shake_drop"} & kinds(space)
    assert {"mixup", "cutmix"} <= kinds(space)
    assert space.techniques["dropout"] == t.Dropout(0.3)
    assert space.lr == Float(1e-4, 1e-2)
    assert "averaging" not in space.techniques
    assert "skip" not in spaces.cocktail(hidden=(8,)).techniques
    assert spaces.cocktail() == spaces.cocktail(without=[])
    assert kinds(spaces.image_cocktail(without=["augment"])) == kinds(spaces.image_cocktail()) - {"augment"}
    with pytest.raises(InvalidInput, match=r"has no 'shake' to leave out; it has .*lookahead.*shake_drop"):
        spaces.cocktail(without=["shake"])


@pytest.mark.slow
@pytest.mark.parametrize("image", [False, True])
def test_all_of_it_trains(image: bool) -> None:
    """Configs at random of either space train to the end beside one another, most with several techniques on."""
    of = setup("multiclass", image=image)
    made = spaces.image_cocktail(channels=(3, 4), first=1, cycles=2) if image else spaces.cocktail((6, 5), 1, 2)
    space = made.replace(batch_size=12, device="cpu")
    space.check(of)
    rng = np.random.default_rng(0)
    configs = [fill(space, random_params(space, rng)) for _ in range(8 if image else 12)]
    found = list(Stack(of).stream(Candidate(i, one) for i, one in enumerate(configs)))
    assert Counter(one.state for one in found) == {"complete": len(configs)}
    assert all(np.isfinite(one.trajectory.curves["neg_log_loss"].val).all() for one in found)
    on = [sum(bool(one.acting) for slot, _, one in config.placed() if slot not in ("schedule", "early_stopping"))
          for config in configs]  # fmt: skip
    assert max(on) >= 4


def test_it_is_an_mlp_of_the_given_widths() -> None:
    """The net is the one that is asked for; the paper's is nine layers of 512."""
    assert spaces.cocktail(hidden=(512,) * 9).module == MLP((512,) * 9)
