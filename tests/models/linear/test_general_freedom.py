"""Degrees of freedom of penalties of general form, by what they are defined as: how much fits follow the noise."""

from __future__ import annotations

import numpy as np
import pytest

from regsearch._types import Array
from regsearch.models.linear.fused import FusedTerms
from regsearch.models.linear.general import GeneralTerms, PenalisedColumns, Quadratic
from regsearch.models.linear.groups import GroupTerms
from regsearch.models.linear.penalty import Terms
from regsearch.models.linear.sorted_terms import SortedTerms
from regsearch.models.linear.spent import spent

ROWS, COLUMNS, DRAWS = 40, 8, 500
TRUTH = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0, -0.8, -0.8])
CASES = {
    "lasso": (Terms(np.ones(1), 0.0), 0.3),
    "elastic net": (Terms(np.full(1, 0.5), 0.5), 0.4),
    "fused": (FusedTerms(0.4), 0.25),
    "SLOPE": (SortedTerms(0.6), 0.4),
    "groups": (GroupTerms(0.0), 0.2),
    "sparse groups": (GroupTerms(0.4), 0.25),
}


def counted(terms: GeneralTerms, w: Array, gram: Array, lambda_: float) -> float:
    """Degrees of freedom as a fold counts them."""
    own = np.flatnonzero(w)
    bends = terms.bends(w, own)
    if bends is None:
        return float(len(np.unique(terms.faces(w)[w != 0])))
    corner = gram[np.ix_(own, own)]
    return spent(corner, bends, lambda_)


@pytest.mark.parametrize("name", CASES)
def test_they_are_how_much_fits_follow_the_noise(name: str) -> None:
    """Their mean over draws of the noise is the covariance of fits and y over its variance (Efron 2004)."""
    rng = np.random.default_rng(0)
    terms, lambda_ = CASES[name]
    terms = terms.on(PenalisedColumns.plain(np.arange(COLUMNS) // 2)).of_fold(0, (COLUMNS, 1))
    X = rng.normal(size=(ROWS, COLUMNS)) + rng.normal(size=(ROWS, 1)) / 2
    quadratic = Quadratic(X.T @ X / ROWS)
    difference = np.empty(DRAWS)
    for draw in range(DRAWS):
        noise = rng.normal(size=ROWS)
        slope = X.T @ (X @ TRUTH + noise) / ROWS
        w = terms.minimise(quadratic, np.zeros((COLUMNS, 1)), slope[:, None], lambda_, 1e-12)
        difference[draw] = noise @ (X @ (w[:, 0] - TRUTH)) - counted(terms, w, quadratic.gram, lambda_)
    error = difference.std() / np.sqrt(DRAWS)
    assert abs(difference.mean()) < 3 * error
    assert error < 0.25  # so that a count of coefficients would be told apart
