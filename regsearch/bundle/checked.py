"""The model that a bundle loads: it looks at the rows before it predicts them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from regsearch.bundle.form import Form

TAKE_ROWS = frozenset(
    ("predict", "predict_proba", "predict_log_proba", "decision_function", "decision", "score", "transform")
)


class Checked:
    """A fitted estimator whose rows are checked first: see `Form.checked`.

    Everything else is the estimator's own: parameters, attributes, tags. Its clone is the unfitted estimator.

    Parameters
    ----------
    model
        The estimator.
    form
        The rows that it takes.
    """

    def __init__(self, model: Any, form: Form) -> None:
        self.model, self.form = model, form

    def __getattr__(self, name: str) -> Any:
        if name in ("model", "form"):  # while a copy is being made
            raise AttributeError(name)
        found = getattr(self.model, name)
        return _checking(found, self.form) if name in TAKE_ROWS else found

    def __sklearn_clone__(self) -> Any:
        from sklearn.base import clone

        return clone(self.model)

    def __repr__(self) -> str:
        return f"Checked({self.model!r})"


def _checking(method: Callable[..., Any], form: Form) -> Callable[..., Any]:
    def of(X: Any, *arguments: Any, **options: Any) -> Any:
        return method(form.checked(X), *arguments, **options)

    return of
