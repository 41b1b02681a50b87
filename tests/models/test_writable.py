"""What cannot be exported is known before the search."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from samples import NonNegativeRidge, study
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from regsearch import Choice, Estimator, Float, InvalidInput, spaces

ALPHA = {"ridge__alpha": Float(0.1, 1.0)}


class Holder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A step with a lock: a copy has another, and no file has any."""

    def __init__(self, held: Any = 1) -> None:
        self.held, self.lock = held, threading.Lock()

    def fit(self, X: Any, y: Any = None) -> Any:
        return self

    def transform(self, X: Any) -> Any:
        return X


def local() -> Any:
    class Local(Ridge):  # type: ignore[misc]
        pass

    return Local()


def unchanged(x: Any) -> Any:
    return x


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "params", "step"),
    [
        (make_pipeline(FunctionTransformer(lambda x: x), Ridge()), ALPHA, "functiontransformer"),
        (make_pipeline(Holder(), Ridge()), ALPHA, "holder"),
        (make_pipeline(StandardScaler(), local()), {"local__alpha": Float(0.1, 1.0)}, "local"),
        (make_pipeline(make_column_transformer((Holder(), [0])), Ridge()), ALPHA, "columntransformer__holder"),
        (TransformedTargetRegressor(Ridge(), func=lambda y: y, inverse_func=lambda y: y),
         {"regressor__alpha": Float(0.1, 1.0)}, "func"),
        (make_pipeline(FunctionTransformer(), Ridge()),
         {"functiontransformer__func": Choice(None, unchanged, lambda x: x)}, "functiontransformer"),
    ],
)  # fmt: skip
def test_a_step_that_no_file_holds_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], estimator: Any, params: dict[str, Any], step: str
) -> None:
    """One line before the first trial names the step, and the export of the winner is refused as it says."""
    searched = study(tmp_path, space=Estimator(estimator, params))
    searched.run(4)
    lines = capsys.readouterr().err.splitlines()
    said = [k for k, line in enumerate(lines) if line.startswith(f"What this study finds cannot be exported: {step}")]
    assert len(said) == 1
    assert said[0] < next(k for k, line in enumerate(lines) if "trials/s" in line)
    if not isinstance(next(iter(params.values())), Choice):
        with pytest.raises(InvalidInput, match=r"without pickle|must load again"):
            searched.export(tmp_path / "bundle")


@pytest.mark.slow
@pytest.mark.parametrize(
    "space",
    [
        spaces.linear(),
        Estimator(make_pipeline(FunctionTransformer(np.tanh), StandardScaler(), Ridge()), ALPHA),
        Estimator(make_pipeline(FunctionTransformer(unchanged), Ridge()), ALPHA),
        Estimator(NonNegativeRidge(), {"alpha": Float(0.1, 1.0)}),
    ],
)
def test_nothing_is_said_of_what_can_be_exported(tmp_path: Path, space: Any) -> None:
    """Where every step can be written, nothing is said, and the winner is exported."""
    assert space.cannot_be_exported() == ""
    searched = study(tmp_path, space=space)
    searched.run(2, quiet=True)
    searched.export(tmp_path / "bundle")
