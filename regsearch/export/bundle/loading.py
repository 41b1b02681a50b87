"""A bundle read back: the fitted model, or its config to fit again. Nothing that is not trusted runs."""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from regsearch.cleaning import first_line
from regsearch.documents import without_constants
from regsearch.errors import InvalidInput
from regsearch.export.bundle.checked import Checked
from regsearch.export.bundle.column import plain
from regsearch.export.bundle.example import predictions, rows_of
from regsearch.export.bundle.files import EXAMPLE, FORM, MODEL, Bundle, open_bundle, read_config
from regsearch.export.bundle.schema import Form
from regsearch.export.bundle.settings import BundleSettings, settings_of
from regsearch.inputs import names, said
from regsearch.models.base import Model
from regsearch.models.neural.files import PREPARE, TRANSFORM
from regsearch.models.persist import read_object
from regsearch.space.config import to_data
from regsearch.space.placing import params_for


def load(folder: str | os.PathLike[str], trusted: Sequence[str] = (), module: Callable[[], Any] | None = None) -> Any:
    """The fitted model of a bundle: a scikit-learn pipeline, or a net with scikit-learn's methods.

    It checks the rows that it is given: columns of a DataFrame are put in order by name, and what is missing, renamed
    or of another type is refused. ``load(folder).model`` is the estimator without that check.

    Parameters
    ----------
    folder
        What `regsearch export` wrote.
    trusted
        Names of types beyond scikit-learn's own that you trust.
    module
        The function that makes the module of a net, where it is your own.

    Raises
    ------
    NotFound
        When the folder holds no bundle.
    InvalidInput
        When the bundle is of a newer schema, damaged, edited, or holds types that are not trusted.
    """
    bundle = open_bundle(folder)
    model, form = fitted(bundle, trusted, module), form_of(bundle)
    _try_out(bundle, model, form)
    return Checked(model, form)


def load_config(
    folder: str | os.PathLike[str], trusted: Sequence[str] = (), module: Callable[[], Any] | None = None
) -> BundleSettings:
    """The config of a bundle, to fit again; see `load` for parameters and errors."""
    bundle = open_bundle(folder).single("A config")
    return settings_of(bundle, lambda: fitted(bundle, trusted, module), module)


def to_trust(folder: str | os.PathLike[str]) -> list[str]:
    """The types beyond scikit-learn's own that `load` must be allowed to trust, as a bundle says."""
    return list(read_config(folder).get("load", {}).get("trusted", []))


def form_of(bundle: Bundle) -> Form:
    """The rows that the model of a bundle takes."""
    return Form.read(bundle.json(FORM))


def stored_example(bundle: Bundle, form: Form) -> tuple[Any, dict[str, Any]]:
    """The rows of the stored example, and what the model said of them at export.

    Raises
    ------
    InvalidInput
        When they are not of the form.
    """
    stored = bundle.json(EXAMPLE)
    try:
        rows = rows_of(stored["rows"], form)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise InvalidInput(
            f"{EXAMPLE} must have rows as {FORM} describes them ({error!r}); export it again."
        ) from error
    return rows, {name: answer for name, answer in stored.items() if name not in ("schema", "rows")}


def fitted(bundle: Bundle, trusted: Sequence[str] = (), module: Callable[[], Any] | None = None) -> Any:
    """The fitted model of a bundle as it is; of an ensemble, the mean of its members'."""
    trusted = names(trusted, "trusted")
    if module is not None and not callable(module):
        raise InvalidInput(f"module must be the function that makes the net's module, got {said(module)}.")
    if bundle.members:
        return _averaged(bundle, trusted, module)
    bundle.file(bundle.model)
    if bundle.model == MODEL:
        return _estimator(read_object(bundle.folder / MODEL, trusted), bundle)
    for name in (PREPARE, TRANSFORM):
        if name in bundle.files:
            bundle.file(name)
    if importlib.util.find_spec("torch") is None:
        raise InvalidInput("This bundle is a net: it needs torch, which is missing; pip install 'regsearch[torch]'.")
    from regsearch.models.neural.predictor import load_net

    return load_net(bundle.folder, trusted, module)


def _averaged(bundle: Bundle, trusted: Sequence[str], module: Callable[[], Any] | None) -> Any:
    """The members of an ensemble, all of which take its rows."""
    from regsearch.export.bundle.averaged import averaged

    form, models = form_of(bundle), []
    for one in bundle.parts:
        if form_of(one) != form:
            raise InvalidInput(
                f"The members of an ensemble must take its rows, {one.folder} takes others; export it again."
            )
        models.append(fitted(one, trusted, module if one.factory else None))
    return averaged(models, [*bundle.members.values()], form)


def _estimator(found: Any, bundle: Bundle) -> Any:
    """What a model's file held, if that is an estimator."""
    if isinstance(found, type) or not (hasattr(found, "predict") and hasattr(found, "get_params")):
        raise InvalidInput(
            f"A bundle has an estimator, that of {bundle.folder} is a {type(found).__name__}; export it again."
        )
    return found


def _try_out(bundle: Bundle, model: Any, form: Form) -> None:
    """Have a model predict its stored example: one whose parts do not go together is refused when it is loaded.

    Raises
    ------
    InvalidInput
        When it cannot, or says what the schema has not.
    """
    rows, stored = stored_example(bundle, form)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answers = predictions(model, form.checked(rows))
            classes = _classes(model, form)
    except Exception as error:  # whatever parts of a model that do not go together lead to
        raise InvalidInput(
            f"The model of {bundle.folder} cannot predict the rows of its own example ({type(error).__name__}: "
            f"{first_line(error)}); export it again."
        ) from error
    if {name: np.shape(one) for name, one in answers.items()} != {name: _shape(one) for name, one in stored.items()}:
        raise InvalidInput(f"The model of {bundle.folder} must say of its example what {EXAMPLE} has; export it again.")
    if classes != [[*one] for one in _wanted(form)]:
        raise InvalidInput(f"The model of {bundle.folder} must tell the classes of {FORM} apart; export it again.")


def _wanted(form: Form) -> list[Any]:
    """Labels of each target that is classes."""
    found = [one.classes for one in form.tasks] or [form.classes]
    return [one for one in found if one is not None]


def _classes(model: Any, form: Form) -> list[list[Any]]:
    """The same of a model."""
    if not _wanted(form):
        return []
    labels = model.classes_.values() if form.tasks else [getattr(model, "classes_", form.classes)]
    return [[plain(label) for label in np.asarray(one).tolist()] for one in labels]


def _shape(stored: Any) -> tuple[int, ...] | None:
    """Of nested lists; `None` where they are none of one length."""
    try:
        shape: tuple[int, ...] = np.shape(stored)
    except ValueError:
        return None
    return shape


def starts_of(folder: str | os.PathLike[str], space: Model) -> list[dict[str, Any]]:
    """Optuna parameters under which a space gives the config of a bundle, or those of its members; see `params_for`.

    None for the space's own reference: it is in no option of the space, and every study begins with it.
    """
    references = [without_constants(to_data(one)) for one in space.references().values()]
    return [
        params_for(space, one.searched, one.provenance["path"]["value"], os.fspath(one.folder))
        for one in open_bundle(folder).parts
        if one.provenance["path"]["config"] not in references
    ]
