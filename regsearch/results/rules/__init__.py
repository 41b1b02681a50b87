"""Rules: plain functions from results to the chosen trial and path point, each with its reason in one sentence.

One file each: a function with `@rule` in a new file of this folder, or in a script, is found by its name.
"""

from __future__ import annotations

import importlib
import pkgutil

from regsearch.results.rules.pick import NAMED, OneTrial, Pick
from regsearch.results.rules.registry import (
    RETURNS,
    RULES,
    RULES_WITH_NUMBER,
    Rule,
    find_rule,
    rule,
    rule_name,
    rule_names,
    rule_with_number,
)

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = [
    "NAMED", "RETURNS", "RULES", "RULES_WITH_NUMBER", "OneTrial", "Pick", "Rule", "find_rule", "rule", "rule_name",
    "rule_names", "rule_with_number",
]  # fmt: skip
