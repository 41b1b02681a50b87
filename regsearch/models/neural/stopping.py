"""When training ends: what the techniques in the slot ``early_stopping`` have in common."""

from __future__ import annotations

from typing import ClassVar

from regsearch.models.neural.technique import Technique


class Stopping(Technique, abstract=True):
    """When training ends and which epoch counts; read by the trainer, not by the stack."""

    slots: ClassVar[tuple[str, ...]] = ("early_stopping",)
