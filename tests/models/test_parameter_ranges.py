"""What a space draws lies in what its estimator takes, or is refused before any fit."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from samples import NonNegativeRidge, regression, study
from sklearn.ensemble import BaggingRegressor, GradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import ElasticNet, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils._param_validation import InvalidParameterError

from regsearch import Choice, Estimator, Float, Int, InvalidInput, RegSearchCV
from regsearch.models.parameter_ranges import check_ranges

PIPELINE = make_pipeline(PolynomialFeatures(2), Ridge())
OWN = [
    (Ridge(), "alpha"), (ElasticNet(), "l1_ratio"), (DecisionTreeRegressor(), "min_samples_split"),
    (KNeighborsRegressor(), "n_neighbors"), (GradientBoostingRegressor(n_estimators=2), "subsample"),
    (PIPELINE, "polynomialfeatures__degree"), (BaggingRegressor(Ridge(), 2), "estimator__alpha"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("estimator", "params", "said"),
    [
        (Ridge(), {"alpha": Float(-1, 1)}, r"'alpha' does not: .*Ridge must be a float in .*\[0.0, inf\).*Got -1"),
        (ElasticNet(), {"l1_ratio": Float(0, 1.5)}, r"'l1_ratio' .*in the range \[0.0, 1.0\]. Got 1.5"),
        (DecisionTreeRegressor(), {"max_depth": Float(1, 9)}, r"'max_depth' .*an int in the range .*Got 1"),
        (DecisionTreeRegressor(), {"min_samples_split": Int(1, 9)}, r"an int in the range \[2, inf\).*Got 1 "),
        (GradientBoostingRegressor(), {"subsample": Float(0, 1)}, r"\(0.0, 1.0\]. Got 0"),
        (PIPELINE, {"ridge__alpha": Choice(1.0, -2.0)}, r"'ridge__alpha' .*Got -2.0 "),
        (PIPELINE, {"ridge__solver": Choice("auto", "fast")}, r"'fast'"),
        (PIPELINE, {"polynomialfeatures__degree": -1, "ridge__alpha": Float(0.1, 1)}, "'polynomialfeatures__degree'"),
        (make_pipeline(SelectKBest(), PIPELINE), {"pipeline__ridge__alpha": Float(-0.5, 1)}, "Ridge must be"),
        (PIPELINE, {"ridge": Choice(Ridge(), ElasticNet()), "ridge__alpha": Float(-1, 1)}, r"'ridge__alpha'"),
        (BaggingRegressor(Ridge()), {"estimator__alpha": Float(-1, 1)}, "'estimator__alpha'"),
    ],
)
def test_what_is_outside_is_refused_before_the_search(
    tmp_path: Path, estimator: Any, params: dict[str, Any], said: str
) -> None:
    """The error names parameter, value and constraint, from a study and from a search alike; nothing is written."""
    space = Estimator(estimator, params)
    with pytest.raises(InvalidInput, match=said):
        study(tmp_path, space=space)
    with pytest.raises(InvalidInput, match=said):
        RegSearchCV(space, n_trials=2).fit(*regression())
    assert not list(tmp_path.iterdir())


@given(st.sampled_from(OWN), st.floats(-3, 3) | st.integers(-3, 5) | st.sampled_from(["auto", None, True]))
def test_refused_is_what_the_estimator_refuses(own: tuple[Any, str], value: Any) -> None:
    """A value is refused exactly where the fit of the estimator would refuse it by its constraints."""
    estimator, name = own
    X, y = regression(12, 3)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # what it takes need not converge
            sklearn.clone(estimator).set_params(**{name: value}).fit(np.abs(X), y)
        wanted = False
    except InvalidParameterError:
        wanted = True
    except ValueError:  # of the data, not of the parameter alone
        wanted = False
    try:
        check_ranges(estimator, {name: value})
        refused = False
    except InvalidInput:
        refused = True
    assert refused == wanted


def test_what_says_nothing_takes_all() -> None:
    """An estimator without constraints, and one whose user switched the checks off, are taken at their word."""
    check_ranges(NonNegativeRidge(), {"alpha": Float(-1, 1)})
    with sklearn.config_context(skip_parameter_validation=True):
        check_ranges(Ridge(), {"alpha": Float(-1, 1)})
    check_ranges(PIPELINE, {"ridge": Choice(Ridge(), "passthrough"), "polynomialfeatures": "passthrough"})
