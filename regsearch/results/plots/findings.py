"""What figures of findings share, such as those of an ablation or a learning curve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from regsearch._types import Array
from regsearch.results.stored_study import StoredStudy, is_winner

if TYPE_CHECKING:
    pass


def to_numbers(values: object) -> Array:
    """Numbers of a JSON array, null as NaN."""
    return np.array(values, dtype=np.float64)


def subject(study: StoredStudy, found: Mapping[str, Any]) -> str:
    """Whom a finding is about: the winner; or, after further trials or by another rule, the trial chosen then."""
    if is_winner(study, found):
        return "the winner"
    rule = found["rule"]
    return f"trial {found['number']}, {'the best then' if rule == 'best' else f'chosen by {rule}'}"
