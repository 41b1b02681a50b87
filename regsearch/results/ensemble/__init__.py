"""Ensembles of a study's trials, selected on the predictions outside training that it stored."""

from regsearch.results.ensemble.ensemble import AMONG, SIZE, Ensemble, EnsembleMember, ensemble

__all__ = ["AMONG", "SIZE", "Ensemble", "EnsembleMember", "ensemble"]
