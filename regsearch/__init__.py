"""regsearch: hyperparameter search for regularization.

The public names load what they need when they are first used, so that ``import regsearch`` stays light.
"""

from __future__ import annotations

import importlib
import io
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regsearch import spaces
    from regsearch.data.column_preparation import column_transformer
    from regsearch.errors import InvalidInput, NotFound, RegsearchError, SearchFailed, StudyMismatch
    from regsearch.export.bundle import load, load_config
    from regsearch.models.estimator import Estimator
    from regsearch.models.linear import Linear, Loss, Penalty
    from regsearch.models.linear.losses import Cox, Gamma, Huber, Poisson, Quantile, Tweedie
    from regsearch.models.linear.penalties import L0 as L0
    from regsearch.models.linear.penalties import L1, L2, AdaptiveElasticNet, AdaptiveLasso, ElasticNet, NoPenalty
    from regsearch.models.linear.penalties import MCP as MCP
    from regsearch.models.linear.penalties import SCAD as SCAD
    from regsearch.models.linear.penalties import SLOPE as SLOPE
    from regsearch.models.linear.penalties import BestSubset as BestSubset
    from regsearch.models.linear.penalties import FusedLasso as FusedLasso
    from regsearch.models.linear.penalties import GroupLasso as GroupLasso
    from regsearch.models.linear.penalties import MultiTaskElasticNet as MultiTaskElasticNet
    from regsearch.models.linear.penalties import MultiTaskLasso as MultiTaskLasso
    from regsearch.models.linear.penalties import RelaxedElasticNet as RelaxedElasticNet
    from regsearch.models.linear.penalties import RelaxedLasso as RelaxedLasso
    from regsearch.models.linear.penalties import SparseGroupLasso as SparseGroupLasso
    from regsearch.models.neural import CNN, MLP, Net
    from regsearch.models.neural import techniques as nn_techniques
    from regsearch.models.own_loop import Loop
    from regsearch.models.preparation import Prepare
    from regsearch.parallel.ray import Ray
    from regsearch.results.choice import Chosen
    from regsearch.results.results import Results
    from regsearch.results.rules import Pick
    from regsearch.space.path import Path
    from regsearch.space.tree import Choice, Float, Int
    from regsearch.study.opening import open as open  # noqa: A004 - as that of other files
    from regsearch.study.search_cv import RegSearchCV
    from regsearch.study.study import Study

_HOMES = {
    "regsearch.data.column_preparation": ("column_transformer",),
    "regsearch.errors": ("InvalidInput", "NotFound", "RegsearchError", "SearchFailed", "StudyMismatch"),
    "regsearch.models.estimator": ("Estimator",),
    "regsearch.export.bundle": ("load", "load_config"),
    "regsearch.models.linear": ("Linear", "Loss", "Penalty"),
    "regsearch.models.neural": ("CNN", "MLP", "Net"),
    "regsearch.models.own_loop": ("Loop",),
    "regsearch.models.preparation": ("Prepare",),
    "regsearch.parallel.ray": ("Ray",),
    "regsearch.results.choice": ("Chosen",),
    "regsearch.results.results": ("Results",),
    "regsearch.results.rules": ("Pick",),
    "regsearch.study.search_cv": ("RegSearchCV",),
    "regsearch.space.path": ("Path",),
    "regsearch.space.tree": ("Choice", "Float", "Int"),
    "regsearch.study.opening": ("open",),
    "regsearch.study.study": ("Study",),
}  # fmt: skip
_MODULES = {"nn_techniques": "regsearch.models.neural.techniques", "spaces": "regsearch.spaces"}


def _classes(room: str) -> Iterator[str]:
    """The classes in the files of penalties or losses: read, not imported, which would load numpy."""
    with os.scandir(f"{__path__[0]}/models/linear/{room}") as files:
        for file in files:
            if file.name.endswith(".py"):
                with io.open(file, encoding="utf-8") as text:  # noqa: UP020 - `open` is this package's own
                    yield from re.findall(r"^class ([A-Za-z]\w*)", text.read(), flags=re.MULTILINE)


_HOME_OF = {name: home for home, names in _HOMES.items() for name in names} | {
    name: f"regsearch.models.linear.{room}" for room in ("losses", "penalties") for name in sorted(_classes(room))
}

__all__ = [
    "CNN", "L1", "L2", "MLP", "AdaptiveElasticNet", "AdaptiveLasso", "Choice", "Chosen", "Cox", "ElasticNet",
    "Estimator", "Float", "Gamma", "Huber", "Int", "InvalidInput", "Linear", "Loop", "Loss", "Net", "NoPenalty",
    "NotFound", "Path", "Penalty", "Pick", "Poisson", "Prepare", "Quantile", "Ray", "RegSearchCV", "RegsearchError",
    "Results", "SearchFailed", "Study", "StudyMismatch", "Tweedie", "column_transformer", "load", "load_config",
    "nn_techniques", "open", "spaces",
]  # fmt: skip
__all__ += [name for name in _HOME_OF if name not in __all__]  # a new penalty or loss is in no list


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name not in _HOME_OF:
        raise AttributeError(f"module 'regsearch' has no attribute {name!r}{_meant(name)}", name=name)
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def _meant(name: str) -> str:
    """What was perhaps meant by a name that is none; of those that programs ask for by themselves, nothing."""
    if name.startswith("_"):
        return ""
    from regsearch.inputs import did_you_mean

    called = {"lasso": "L1", "ridge": "L2", "search": "Study", "regsearch": "RegSearchCV", "mlpclassifier": "Net"}
    hint = did_you_mean(name, __all__, "", called)
    return f"; {hint}" if hint else ""


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
