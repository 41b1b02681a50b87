"""From a bundle to a version in MLflow's model registry."""

from __future__ import annotations

import importlib.metadata
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from regsearch.cleaning import cleaned, first_line, public_address, remember_secrets
from regsearch.errors import InvalidInput
from regsearch.export.bundle.column import Column
from regsearch.export.bundle.example import rows_of
from regsearch.export.bundle.files import EXAMPLE, Bundle, open_bundle
from regsearch.export.bundle.loading import form_of
from regsearch.export.bundle.schema import Form
from regsearch.export.serving.code import Code, code_of, name_of
from regsearch.export.serving.pyfunc import MODULE, PREDICT_METHOD, TRUSTED, _load_pyfunc
from regsearch.models.neural.files import TENSORS

LOADER = "regsearch.export.serving.pyfunc"
NEEDED = ("numpy", "pandas", "scipy", "scikit-learn", "skops", "regsearch")
OF_NETS = ("torch", "safetensors")
# of the first question to a server, where the user has set none: MLflow's own are silent for minutes where none answers
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


@dataclass(frozen=True)
class Registered:
    """A version in a registry; ``models:/NAME@ALIAS`` loads it where there is an alias."""

    name: str
    version: int
    alias: str | None
    model_id: str

    @property
    def uri(self) -> str:
        return f"models:/{self.name}@{self.alias}" if self.alias else f"models:/{self.name}/{self.version}"


def save_model(
    bundle: str | os.PathLike[str], out: str | os.PathLike[str], trusted: Sequence[str] = (),
    module: Callable[[], Any] | None = None,
) -> Path:  # fmt: skip
    """Write a bundle as an MLflow model: the bundle's files, a signature, an example and pinned requirements.

    Requests are a DataFrame with the columns of the study (numbers as doubles, text, dates and booleans as they are,
    categories as their values, or as their text where JSON has none, as of intervals), or a tensor ``[n, ...]`` of
    doubles: rows of a table, or sequences, images and volumes as training had them. Both may have
    ``{"predict_method": "predict_proba"}`` as parameters. Where the study's X was of other types, the model card has
    the line that converts it.

    Parameters
    ----------
    bundle
        What `regsearch.export.write` wrote.
    out
        A folder that does not exist yet.
    trusted
        Types beyond scikit-learn's own that servers will trust.
    module
        The function that makes the module of a net, where it is your own. Servers import it by its name, as they do
        trusted types; files that define them and that no package installs are copied into the model.

    Raises
    ------
    NotFound, InvalidInput
        When the bundle cannot be loaded, or a server could not import what it needs.
    """
    import mlflow.pyfunc

    opened = open_bundle(bundle)
    config, code = _needed(opened, trusted, module)
    served = _load_pyfunc(str(bundle), config)  # what cannot be loaded here cannot be there
    form = form_of(opened)
    rows = _rows(opened, form)
    served.predict(rows)
    mlflow.pyfunc.save_model(
        path=str(out), loader_module=LOADER, data_path=str(opened.folder.resolve()), signature=_signature(form),
        input_example=rows, pip_requirements=requirements(opened, code.packages), model_config=config,
        code_paths=[str(path) for path in code.paths] or None,
    )  # fmt: skip
    return Path(out)


def _needed(bundle: Bundle, trusted: Sequence[str], module: Callable[[], Any] | None) -> tuple[dict[str, Any], Code]:
    """What a server is given, and the code of the user's own that it takes."""
    if bundle.factory is None or module is None:
        return {TRUSTED: list(trusted)}, code_of(trusted)
    name = name_of(module)
    return {TRUSTED: list(trusted), MODULE: name}, code_of([*trusted, name.replace(":", ".")])


def requirements(bundle: Bundle, others: Sequence[str] = ()) -> list[str]:
    """What serving a bundle needs, pinned to what it was exported with; regsearch's own search is not used."""
    exported: Mapping[str, str] = bundle.provenance["versions"]
    names = dict.fromkeys((*NEEDED, *(OF_NETS if any(one.model == TENSORS for one in bundle.parts) else ()), *others))
    versions = {name: exported.get(name) or importlib.metadata.version(name) for name in names}
    return [f"{name}=={version.partition('+')[0]}" for name, version in versions.items()]  # no index has local labels


def register(
    bundle: str | os.PathLike[str], name: str, *, tracking_uri: str, alias: str | None = "champion",
    experiment: str | None = None, trusted: Sequence[str] = (), module: Callable[[], Any] | None = None,
) -> Registered:  # fmt: skip
    """Log a bundle to an MLflow store and register it as the next version of a model.

    Parameters
    ----------
    bundle, trusted, module
        See `save_model`.
    name
        Of the registered model, which is made when there is none.
    alias
        Moved to the new version, after everything else is there.
    experiment
        That the model is logged to; default: the model's name.

    Raises
    ------
    InvalidInput
        When the store refuses or does not answer. What had been made by then is deleted again, after Ctrl-C too; what
        could not be deleted is named.
    """
    place = experiment or name
    remember_secrets(tracking_uri)
    with _whole(tracking_uri, name):
        _ask(tracking_uri, place)
    with tempfile.TemporaryDirectory() as folder:
        saved = save_model(bundle, Path(folder) / "model", trusted, module)
        with _whole(tracking_uri, name) as steps:
            return _register(_client(tracking_uri), steps, saved, name, alias, place)


def _ask(tracking_uri: str, experiment: str) -> None:
    """Ask a server what registering asks it first, so that a dead one is known before the model is saved."""
    if not tracking_uri.startswith(("http://", "https://")):
        return
    ours = {name: value for name, value in PATIENCE.items() if name not in os.environ}
    os.environ.update(ours)  # MLflow reads them nowhere else
    try:
        _client(tracking_uri).get_experiment_by_name(experiment)
    finally:
        for name in ours:
            os.environ.pop(name, None)


@contextmanager
def _whole(tracking_uri: str, name: str) -> Iterator[_Steps]:
    """Steps that are all taken in a store, or are unmade; a second Ctrl-C ends the unmaking."""
    from mlflow.exceptions import MlflowException

    steps = _Steps()
    try:
        yield steps
    except (MlflowException, OSError, sqlite3.Error) as error:
        left = steps.undo()
        rest = f"left behind: {', '.join(left)}; delete it there." if left else "nothing is left behind there."
        raise InvalidInput(
            f"The MLflow store {public_address(tracking_uri)} did not take the model {name!r}: {first_line(error)}; "
            f"{rest}"
        ) from cleaned(error)
    except BaseException as error:
        left = steps.undo()
        if left:
            error.add_note(f"In the MLflow store {public_address(tracking_uri)} is left: {', '.join(left)}.")
        raise


@dataclass
class _Steps:
    """What was made in a store, and how it is unmade."""

    made: list[tuple[str, Callable[[], object]]] = field(default_factory=list)

    def undo(self) -> list[str]:
        """Unmake everything, the last first; what could not be unmade."""
        from mlflow.exceptions import MlflowException

        left = []
        for what, unmake in reversed(self.made):
            try:
                unmake()
            except (MlflowException, OSError):
                left.append(what)
        return left


def _register(client: Any, steps: _Steps, saved: Path, name: str, alias: str | None, experiment: str) -> Registered:
    """Log, register and name a saved model; a run is its source, without which MLflow looks in its global store."""
    place = _experiment(client, steps, experiment)
    run = client.create_run(place, run_name=f"register {name}").info.run_id
    steps.made.append((f"the run {run}", lambda: _drop_run(client, run)))
    logged = client.create_logged_model(place, name=_safe(name), source_run_id=run)
    steps.made.append((f"the logged model {logged.model_id}", lambda: client.delete_logged_model(logged.model_id)))
    client.log_model_artifacts(logged.model_id, str(saved))
    client.finalize_logged_model(logged.model_id, "READY")
    if not client.search_registered_models(f"name = '{_quoted(name)}'"):
        client.create_registered_model(name)
        steps.made.append((f"the registered model {name!r}", lambda: client.delete_registered_model(name)))
    version = client.create_model_version(name, logged.artifact_location, run_id=run, model_id=logged.model_id)
    number = int(version.version)
    what = f"version {number} of {name!r}"
    steps.made.append((what, lambda: client.delete_model_version(name, str(number))))
    client.set_terminated(run)
    if alias:
        before = client.get_registered_model(name).aliases.get(alias)
        if before is not None:  # deleting a version takes its aliases with it
            what = f"the alias {alias!r} at version {number}"
            steps.made.append((what, lambda: client.set_registered_model_alias(name, alias, str(before))))
        client.set_registered_model_alias(name, alias, str(number))
    return Registered(name, number, alias or None, str(logged.model_id))


def _drop_run(client: Any, run: str) -> None:
    client.set_terminated(run, "KILLED")
    client.delete_run(run)


def _experiment(client: Any, steps: _Steps, name: str) -> str:
    """An experiment's id; in a local database a new one keeps its artifacts beside it, as a study's does."""
    from regsearch.mirror.sqlite import database_path

    found = client.get_experiment_by_name(name)
    if found is not None:
        if found.lifecycle_stage == "deleted":  # as a refused registration left it: its name stays taken
            client.restore_experiment(found.experiment_id)
            steps.made.append((f"the experiment {name!r}", lambda: client.delete_experiment(found.experiment_id)))
        return str(found.experiment_id)
    database = database_path(client.tracking_uri)
    place = None if database is None else (database.absolute().parent / "artifacts").as_uri()
    made = str(client.create_experiment(name, artifact_location=place))
    steps.made.append((f"the experiment {name!r}", lambda: client.delete_experiment(made)))
    return made


def _client(tracking_uri: str) -> Any:
    from mlflow import MlflowClient

    from regsearch.mirror.sqlite import database_path, opening

    database = database_path(tracking_uri)
    with nullcontext() if database is None else opening(database):
        return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


def _safe(name: str) -> str:
    """A name without the characters that MLflow refuses for logged models."""
    return "".join("_" if letter in "/:.%\"'" else letter for letter in name)


def _quoted(name: str) -> str:
    return name.replace("'", "''")


# --- what requests look like -----------------------------------------------------------------------------------

# what MLflow neither checks nor changes: a missing boolean of a request would be False, dates of a zone are refused
ANY = "any"
TYPES = {"text": "string", "numbers": "double", "booleans": ANY, "dates": "datetime"}  # of other columns


def _signature(form: Form) -> Any:
    """Columns of a DataFrame by name, or a tensor of doubles; and the method as a parameter."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
    from mlflow.types.schema import AnyType

    if form.rows == "frame":
        anything = AnyType()  # type: ignore[no-untyped-call]
        types = {column.name: _type(column) for column in form.columns}
        inputs = Schema([ColSpec(anything if kind == ANY else kind, _text(name)) for name, kind in types.items()])
    else:
        inputs = Schema([TensorSpec(np.dtype(float), (-1, *form.shape))])
    return ModelSignature(inputs, params=ParamSchema([ParamSpec(PREDICT_METHOD, "string", "predict")]))


def _type(column: Column) -> str:
    """MLflow's name of a column's type: numbers are doubles, so that a whole number and a hole are numbers too."""
    if column.zone is not None:
        return ANY
    return {"numeric": "double", "boolean": ANY}.get(column.kind) or TYPES[column.said]


def _text(name: str | int) -> str:
    if not isinstance(name, str):
        raise InvalidInput(f"MLflow names columns by text, got {name!r}; rename it before the search.")
    return name


def _rows(bundle: Bundle, form: Form) -> Any:
    """The bundle's example as a request would have it."""
    rows = rows_of(bundle.json(EXAMPLE)["rows"], form)
    if form.rows != "frame":
        return (rows.toarray() if form.rows == "sparse" else rows).astype(float)
    numbers = {"double": float, "datetime": "datetime64[ns]"}
    kinds = {column.name: numbers.get(_type(column), object) for column in form.columns}
    for column in form.columns:
        if column.said != column.values or column.zone is not None:
            rows[column.name] = rows[column.name].astype(object).map(str, na_action="ignore")
    rows = rows.astype(kinds)
    for name, kind in kinds.items():
        if kind is object:
            rows[name] = rows[name].where(rows[name].notna(), None)  # what JSON has of a hole
    return rows
