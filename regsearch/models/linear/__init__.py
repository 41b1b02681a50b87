"""Penalised linear models: penalties, path solvers, and the backend that runs a whole path as one trial."""

from regsearch.models.linear.model import Linear
from regsearch.models.linear.penalties import L1, L2, AdaptiveElasticNet, AdaptiveLasso, ElasticNet, NoPenalty, Penalty

__all__ = ["L1", "L2", "AdaptiveElasticNet", "AdaptiveLasso", "ElasticNet", "Linear", "NoPenalty", "Penalty"]
