"""Honest figures: what the best of many scores is worth, what a search gained on rows that it never read, and what its
choice gains over the reference. All of it is read from what is stored.
"""

from __future__ import annotations

from regsearch.honest.bootstrap import Corrected, corrected
from regsearch.honest.held_out import Overtuning, overtuning
from regsearch.honest.reference import against_reference, gaps

__all__ = ["Corrected", "Overtuning", "against_reference", "corrected", "gaps", "overtuning"]
