"""Every penalty, one file each; a new file is found by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from regsearch.models.linear.penalty import Penalty
from regsearch.space.registry import shipped

if TYPE_CHECKING:  # for type checkers, which cannot see what is found
    from regsearch.models.linear.penalties.adaptive_elastic_net import AdaptiveElasticNet as AdaptiveElasticNet
    from regsearch.models.linear.penalties.adaptive_lasso import AdaptiveLasso as AdaptiveLasso
    from regsearch.models.linear.penalties.best_subset import BestSubset as BestSubset
    from regsearch.models.linear.penalties.elastic_net import ElasticNet as ElasticNet
    from regsearch.models.linear.penalties.fused_lasso import FusedLasso as FusedLasso
    from regsearch.models.linear.penalties.group_lasso import GroupLasso as GroupLasso
    from regsearch.models.linear.penalties.l0 import L0 as L0
    from regsearch.models.linear.penalties.l1 import L1 as L1
    from regsearch.models.linear.penalties.l2 import L2 as L2
    from regsearch.models.linear.penalties.mcp import MCP as MCP
    from regsearch.models.linear.penalties.multi_task_elastic_net import MultiTaskElasticNet as MultiTaskElasticNet
    from regsearch.models.linear.penalties.multi_task_lasso import MultiTaskLasso as MultiTaskLasso
    from regsearch.models.linear.penalties.no_penalty import NoPenalty as NoPenalty
    from regsearch.models.linear.penalties.relaxed_elastic_net import RelaxedElasticNet as RelaxedElasticNet
    from regsearch.models.linear.penalties.relaxed_lasso import RelaxedLasso as RelaxedLasso
    from regsearch.models.linear.penalties.scad import SCAD as SCAD
    from regsearch.models.linear.penalties.slope import SLOPE as SLOPE
    from regsearch.models.linear.penalties.sparse_group_lasso import SparseGroupLasso as SparseGroupLasso

_FOUND = {cls.__name__: cls for cls in shipped(__name__, __path__, Penalty)}
__all__ = sorted(_FOUND)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _FOUND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return _FOUND[name]
