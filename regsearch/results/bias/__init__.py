"""Scores without bias: what the best of many scores is worth, what a search gained on rows that it never read, and what
its choice gains over the reference. All of it is read from what is stored.
"""

from __future__ import annotations

from regsearch.results.bias.bootstrap import Corrected, corrected
from regsearch.results.bias.overtuning import Overtuning, overtuning
from regsearch.results.bias.reference import against_reference, gaps

__all__ = ["Corrected", "Overtuning", "against_reference", "corrected", "gaps", "overtuning"]
