"""Nets and other models that are trained by a loop of the user's own, one epoch after the other."""

from regsearch.models.own_loop.fold import EpochScores, LoopFold
from regsearch.models.own_loop.model import Loop

__all__ = ["EpochScores", "Loop", "LoopFold"]
