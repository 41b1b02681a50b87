"""The linear backend behind transformers: candidates that prepare X alike share what it makes of each fold.

Those of one offset do, too: to the others it is a column like any other."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from regsearch.errors import InvalidInput
from regsearch.models.base import Candidate, Outcome, Setup
from regsearch.models.linear.backend import LinearBackend
from regsearch.models.linear.columns import check_column_names
from regsearch.models.linear.loss import Loss
from regsearch.models.preparation import seen_by
from regsearch.space.config import digest

KEPT = 4  # preparations whose folds are kept, with all that trials of one share


class PreparedBackend:
    """A backend of its own for every preparation and offset; see `LinearBackend`."""

    def __init__(self, setup: Setup, losses: tuple[Loss | None, ...] = (None,)) -> None:
        self.setup, self.losses = setup, losses
        self._made: OrderedDict[tuple[str, str | None], LinearBackend] = OrderedDict()

    def stream(self, candidates: Iterable[Candidate]) -> Iterator[Outcome]:
        for candidate in candidates:
            config: Any = candidate.config
            try:
                backend = self._behind(config.prepare, config.offset)
                check_column_names(config, backend.setup.problem)  # other parameters may give other columns
            except InvalidInput as error:  # this config's own trouble: the search goes on
                yield Outcome(candidate, "failed", reason=str(error))
                continue
            yield from backend.stream([candidate])

    def _behind(self, prepare: Any, offset: str | None = None) -> LinearBackend:
        key = "" if prepare is None else digest(prepare), offset
        if key not in self._made:
            while len(self._made) >= KEPT:
                self._made.popitem(last=False)
            problem = seen_by(prepare, self.setup.problem, self.setup.folds.train)
            self._made[key] = LinearBackend(replace(self.setup, problem=problem), self.losses, offset)
        self._made.move_to_end(key)
        return self._made[key]
