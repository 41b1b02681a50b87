"""What nets of several targets share: a technique in the slot `tasks`. Each target is a task; m tasks."""

from __future__ import annotations

from typing import ClassVar

from regsearch.errors import InvalidInput
from regsearch.models.neural.technique import ProblemInfo, Technique


class TaskSharing(Technique, abstract=True):
    """How the tasks of several targets, numbers or classes, are tied; without one, all layers but the last are shared.

    `towers` says whether each task has a net of its own, and `stitched` whether these nets mix what leaves their
    layers.
    """

    slots: ClassVar[tuple[str, ...]] = ("tasks",)
    towers: ClassVar[bool] = False
    stitched: ClassVar[bool] = False

    def check(self, info: ProblemInfo) -> None:
        if info.targets < 2:
            got = "one target" if info.task == "regression" else "classes"
            raise InvalidInput(f"{type(self).__name__} needs several targets, got a problem of {got}; leave it out.")
