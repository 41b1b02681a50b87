"""What a fitted search says is what its best estimator does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from regsearch._types import Array
from regsearch.data import validation
from regsearch.data.features import is_frame


def _has(method: str) -> Callable[[Any], bool]:
    """Whether a search has a method: as its best estimator, or, before fit, as far as is known."""

    def check(search: Any) -> bool:
        if hasattr(search, "best_estimator_"):
            getattr(search.best_estimator_, method)  # its own AttributeError says why not
            return True
        given = search._given()
        return search._kind() != "regressor" if given is None else hasattr(given, method)

    return check


class AsksBest:
    """The predictions of a search; it has those that its best estimator has."""

    best_estimator_: Any

    def predict(self, X: Any) -> Any:
        """Labels or numbers ``[n]``; ``[n, targets]`` of several, a DataFrame where their tasks are mixed."""
        return self._ask("predict", X)

    @available_if(_has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Any:
        """Probabilities ``[n, C]`` of the classes; by target where tasks are mixed."""
        return self._ask("predict_proba", X)

    @available_if(_has("predict_log_proba"))  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: Any) -> Any:
        """Logarithms of `predict_proba`, where the best estimator says them."""
        return self._ask("predict_log_proba", X)

    @available_if(_has("decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> Any:
        """Log-odds ``[n]`` or logits ``[n, C]``, by target where tasks are mixed; an `Estimator`'s own decisions."""
        return self._ask("decision_function", X)

    @property
    def coef_(self) -> Array:
        """Coefficients of the last step of `best_estimator_`."""
        best = getattr(self._best("coef_"), "regressor_", self.best_estimator_)  # that of a transformed y
        return np.asarray((best[-1] if hasattr(best, "steps") else best).coef_)

    def _best(self, wanted: str) -> Any:
        """The best estimator, for one of its attributes."""
        if not hasattr(self, "best_estimator_"):
            without = hasattr(self, "results_")
            why = "was fitted with refit=False; set refit=True" if without else "is not fitted yet; call fit first"
            raise AttributeError(f"This RegSearchCV {why}, {wanted!r} is of its best estimator.")
        return self.best_estimator_

    def _ask(self, method: str, X: Any) -> Any:
        check_is_fitted(self)
        found = getattr(self._best(method), method)(validation.validate_predict_data(self, X))
        return found if is_frame(found) or isinstance(found, dict) else np.asarray(found)
