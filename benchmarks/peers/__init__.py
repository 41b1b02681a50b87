"""Solvers that linear paths are measured against, each with the same data, lambdas and its own folds, on one thread."""
