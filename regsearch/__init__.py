"""regsearch: hyperparameter search for regularization.

The public names load what they need when they are first used, so that ``import regsearch`` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from regsearch import spaces
    from regsearch.bundle import load, load_config
    from regsearch.chosen import Chosen
    from regsearch.errors import InvalidInput, NotFound, RegsearchError, SearchFailed, StudyMismatch
    from regsearch.estimator import Estimator
    from regsearch.linear import L1, L2, AdaptiveElasticNet, AdaptiveLasso, ElasticNet, Linear, NoPenalty, Penalty
    from regsearch.neural import CNN, MLP, Net
    from regsearch.neural import techniques as nn_techniques
    from regsearch.results import Results
    from regsearch.rules import Pick
    from regsearch.search_cv import RegSearchCV
    from regsearch.study import Study
    from regsearch.tree import Choice, Float, Int, Path

_HOMES = {
    "regsearch.errors": ("InvalidInput", "NotFound", "RegsearchError", "SearchFailed", "StudyMismatch"),
    "regsearch.estimator": ("Estimator",),
    "regsearch.bundle": ("load", "load_config"),
    "regsearch.linear": (
        "L1", "L2", "AdaptiveElasticNet", "AdaptiveLasso", "ElasticNet", "Linear", "NoPenalty", "Penalty",
    ),
    "regsearch.neural": ("CNN", "MLP", "Net"),
    "regsearch.chosen": ("Chosen",),
    "regsearch.results": ("Results",),
    "regsearch.rules": ("Pick",),
    "regsearch.search_cv": ("RegSearchCV",),
    "regsearch.tree": ("Choice", "Float", "Int", "Path"),
    "regsearch.study": ("Study",),
}  # fmt: skip
_MODULES = {"nn_techniques": "regsearch.neural.techniques", "spaces": "regsearch.spaces"}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CNN", "L1", "L2", "MLP", "AdaptiveElasticNet", "AdaptiveLasso", "Choice", "Chosen", "ElasticNet", "Estimator",
    "Float", "Int", "InvalidInput", "Linear", "Net", "NoPenalty", "NotFound", "Path", "Penalty", "Pick",
    "RegSearchCV", "RegsearchError", "Results", "SearchFailed", "Study", "StudyMismatch", "load", "load_config",
    "nn_techniques", "spaces",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name not in _HOME_OF:
        raise AttributeError(f"module 'regsearch' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
