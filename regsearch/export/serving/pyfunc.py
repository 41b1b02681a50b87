"""What an MLflow server calls: it gives `_load_pyfunc` the bundle's folder, and predictions are the loaded model's.

Imported by servers, so it imports neither Optuna nor MLflow.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from typing import Any

from regsearch.errors import InvalidInput
from regsearch.export.bundle import load

PREDICT_METHOD = "predict_method"  # the name of the parameter that a request may have
METHODS = ("predict", "predict_proba")
TRUSTED = "trusted"  # in the MLflow model's config: types that whoever registered the bundle trusts
MODULE = "module"  # there, too: the function that makes a net of one's own, which a bundle alone never imports


class Served:
    """A bundle's model with the one method that MLflow calls."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Predictions ``[n]`` or ``[n, t]``; or a DataFrame of probabilities with a column for each class, by its name.

        Of targets with tasks of their own both are DataFrames; columns of probabilities are called ``TARGET CLASS``.

        Parameters
        ----------
        data
            Raw columns as in the study: a DataFrame or an array.
        params
            ``{"predict_method": "predict_proba"}`` asks for probabilities.

        Raises
        ------
        InvalidInput
            When the model has no such method.
        """
        method = (params or {}).get(PREDICT_METHOD, "predict")
        if method not in METHODS or not hasattr(self.model, method):
            had = " or ".join(name for name in METHODS if hasattr(self.model, name))
            raise InvalidInput(f"{PREDICT_METHOD} must be {had} for this model, got {method!r}.")
        found = getattr(self.model, method)(self._with_dates(data))
        if method == "predict":
            return found
        import pandas as pd

        if isinstance(found, dict):  # by target
            named = {
                f"{target} {label}": shares[:, j]
                for target, shares in found.items() for j, label in enumerate(self.model.classes_[target].tolist())
            }  # fmt: skip
            return pd.DataFrame(named)
        return pd.DataFrame(found, columns=[str(label) for label in self.model.classes_.tolist()])

    def _with_dates(self, data: Any) -> Any:
        """Rows whose dates of a time zone, which JSON has as text, are dates."""
        zoned = [column for column in self.model.form.columns if column.zone is not None]
        text = [column for column in zoned if column.name in data and data[column.name].dtype.kind in "OTU"]
        if not text:
            return data  # an array, too
        try:
            return data.assign(**{str(column.name): column.read_dates(data[column.name]) for column in text})
        except ValueError as error:
            raise InvalidInput(f"Requests have dates such as 2026-01-31T12:00:00+01:00: {error}; mend them.") from error


def _load_pyfunc(folder: str, model_config: Mapping[str, Any] | None = None) -> Served:
    """The name that MLflow looks for in a loader module."""
    config = model_config or {}
    module = config.get(MODULE)
    return Served(load(folder, config.get(TRUSTED, ()), pkgutil.resolve_name(module) if module else None))
