"""Early stopping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from regsearch.models.neural.technique import Stopping
from regsearch.space.domains import Between, Whole
from regsearch.space.tree import tunable


@dataclass(frozen=True)
class EarlyStopping(Stopping):
    """Training ends when validation has not improved for a while; the best epoch counts (Prechelt 1998).

    Parameters
    ----------
    max_epochs
        Where training ends at the latest: also the horizon of a learning-rate schedule.
    patience
        Epochs without improvement.
    min_delta
        How much larger a score must be to count as an improvement.
    inner
        0: the mean validation curve of all folds picks one epoch for all. Otherwise the share of each fold's training
        rows that is held out to pick an epoch for that fold, which the validation rows then only score.
    epochs
        The epoch that was picked: training ends there. 0 before that.
    """

    max_epochs: Any = tunable(Whole(1), 100)
    patience: Any = tunable(Whole(1), 10)
    min_delta: Any = tunable(Between(0.0, 1e6), 0.0)
    inner: Any = tunable(Between(0.0, 0.5), 0.0)
    epochs: Any = tunable(Whole(0), 0)
