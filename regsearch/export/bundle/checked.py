"""The model that a bundle loads: it looks at the rows before it predicts them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from regsearch.data.frames import to_pandas
from regsearch.errors import InvalidInput, warn
from regsearch.export.bundle.schema import Form, listed

TAKE_ROWS = frozenset(
    ("predict", "predict_proba", "predict_log_proba", "decision_function", "decision", "score", "transform")
)


class Checked:
    """A fitted estimator whose rows are checked first: see `Form.checked`.

    A category that training did not have is warned of, once for each column. Everything else is the estimator's own:
    parameters, attributes, tags. Its clone is the unfitted estimator.

    Parameters
    ----------
    model
        The estimator.
    form
        The rows that it takes.
    """

    def __init__(self, model: Any, form: Form) -> None:
        self.model, self.form = model, form
        self._told: set[str | int] = set()  # columns that were warned of

    def __getattr__(self, name: str) -> Any:
        if name in ("model", "form", "_told"):  # while a copy is being made
            raise AttributeError(name)
        found = getattr(self.model, name)
        return _checking(found, self.form, self._told) if name in TAKE_ROWS else found

    def __sklearn_clone__(self) -> Any:
        from sklearn.base import clone

        return clone(self.model)

    def __repr__(self) -> str:
        return f"Checked({self.model!r})"


def _checking(method: Callable[..., Any], form: Form, warned: set[str | int]) -> Callable[..., Any]:
    def of(X: Any, *arguments: Any, **options: Any) -> Any:
        X, others = form.without_others(X)
        if new := [name for name in others if name not in warned]:
            warned.update(new)
            warn(f"Columns that training did not have are ignored: {listed(new)}.")
        X = form.checked(X)
        for name, values in form.strangers(X).items():
            if name not in warned:
                warned.add(name)
                warn(_strange(name, values))
        try:
            return method(X, *map(to_pandas, arguments), **{name: to_pandas(one) for name, one in options.items()})
        except ValueError as error:  # looked into only now: most rows are in order, and one is to be quick
            fault = form.fault(X)
            if fault:
                raise InvalidInput(fault) from error
            raise

    return of


def _strange(name: str | int, values: list[Any]) -> str:
    return (
        f"The column {name!r} has the category {values[0]!r}, which training did not have; linear models and nets take "
        "it for none of those that they know. This is said once for each column."
    )
