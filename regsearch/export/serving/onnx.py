"""A bundle's model as ONNX, checked against what the bundle itself says."""

from __future__ import annotations

import copy
import json
import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from regsearch.cleaning import first_line
from regsearch.data.category_text import CategoriesToText
from regsearch.data.column_roles import WORD
from regsearch.data.column_steps import DateParts, TextOrNothing, WordWeights
from regsearch.data.features import is_sparse
from regsearch.errors import InvalidInput
from regsearch.export.bundle import load
from regsearch.export.bundle.column import Column
from regsearch.export.bundle.example import rows_of
from regsearch.export.bundle.files import EXAMPLE, ONNX, TARGET, open_bundle
from regsearch.export.bundle.schema import Form
from regsearch.models.neural.files import TENSORS
from regsearch.models.neural.network.robust import smoothly_clipped
from regsearch.models.persist import write_whole

if TYPE_CHECKING:
    import torch

INPUT = "X"
COLUMNS = "columns"  # in the model's metadata: which input is which column of a DataFrame
WITHIN = 1e-5  # of what the bundle says, relative where it is larger than 1
OPSET = 18
LETTERS = r"[\p{L}\p{N}_]+"  # what Python's \w is in the language of ONNX Runtime's expressions


def to_onnx(
    bundle: str | os.PathLike[str], out: str | os.PathLike[str] | None = None, trusted: Sequence[str] = (),
    module: Callable[[], Any] | None = None,
) -> Path:  # fmt: skip
    """Write a bundle's model as ONNX, checked on the bundle's example.

    Its input is ``X`` ``[n, ...]`` of float32; of a DataFrame, an input ``[n, 1]`` for each column in the bundle's
    order: numbers as float32, booleans as float32 0 and 1 (NaN where one is missing), text and categories as text,
    which is empty where it is missing, or as int64 where they are whole numbers. An input has the name of its column,
    with ``_`` for what ONNX has in no name and a number where two would be one; ``columns`` in the model's metadata is
    the JSON object of which input is which column. The last output is the probabilities ``[n, C]`` in the order of the
    model's classes; of a classifier without ``predict_proba`` the labels ``[n]``, of a regression the numbers
    ``[n, t]``.

    Parameters
    ----------
    bundle
        What `regsearch.export.write` wrote.
    out
        The file; default ``model.onnx`` in the bundle.
    trusted, module
        As `regsearch.load` takes them.

    Raises
    ------
    InvalidInput
        When the model has no ONNX form, its packages are missing, or what ONNX Runtime says differs from the bundle.
    """
    opened, model = open_bundle(bundle).single("An ONNX model"), load(bundle, trusted, module)
    if model.form.tasks:
        raise InvalidInput(
            "An ONNX model is written of one task, got a bundle of several; serve it with MLflow, which has them all."
        )
    rows = _rows(rows_of(opened.json(EXAMPLE)["rows"], model.form), model.form)
    convert = _net if opened.model == TENSORS else _pipeline
    try:
        inner, undone = _parts(model.model, TARGET in opened.head)
        made = _undoing(convert(inner, rows, model.form), undone)
        if model.form.columns:
            columns = {given.name: name for given, name in zip(made.graph.input, model.form.names, strict=True)}
            made.metadata_props.add(key=COLUMNS, value=json.dumps(columns, ensure_ascii=False))
        written = bytes(made.SerializeToString())
        _compare(written, model, rows, model.form)
    except ImportError as error:
        raise InvalidInput(f"ONNX needs packages that are missing ({error}); pip install 'regsearch[onnx]'.") from error
    file = Path(bundle) / ONNX if out is None else Path(out)
    write_whole(file, written)
    return file


def _rows(rows: Any, form: Form) -> Any:
    """An example as ONNX has numbers."""
    if form.rows == "frame":
        return rows
    return np.ascontiguousarray(rows.toarray() if is_sparse(rows) else rows, dtype=np.float32)


def _type(column: Column) -> Any:
    """numpy's type of the input that a column is."""
    if column.kind in ("numeric", "boolean"):
        return np.float32
    if column.said == "text":
        return str
    if column.values == "numbers" and all(isinstance(one, int) for one in column.categories):
        return np.int64
    raise InvalidInput(
        f"An ONNX model takes numbers, booleans, text, and categories of text or of whole numbers, the column "
        f"{column.name!r} has none of them; convert it before the search, or serve the bundle with MLflow."
    )


# --- a transformed y -------------------------------------------------------------------------------------------


def _parts(model: Any, transformed: bool) -> tuple[Any, Any]:
    """A fitted model of what y was transformed to, and the fitted transformer; that is `None` where there is none."""
    from sklearn.compose import TransformedTargetRegressor

    if isinstance(model, TransformedTargetRegressor):  # by a study's target=, or an estimator of the user's own
        return model.regressor_, model.transformer_
    return model, model.target if transformed else None


def _undoing(made: Any, transformer: Any) -> Any:
    """A converted model whose last output is in the units of y.

    Raises
    ------
    InvalidInput
        When the inverse of the transformer is neither of the two that ONNX has.
    """
    if transformer is None:
        return made
    from onnx import TensorProto, helper

    inverse = getattr(transformer, "inverse_func", None)
    if inverse not in (np.exp, np.expm1):
        raise InvalidInput(
            f"An ONNX model undoes target='log' and 'log1p' alone, got {type(transformer).__name__}; serve the bundle "
            "with MLflow."
        )
    said = made.graph.output[-1]
    logarithm = made.graph.name + "_logarithm"
    for node in made.graph.node:
        node.output[:] = [logarithm if name == said.name else name for name in node.output]
    amount = said.name if inverse is np.exp else made.graph.name + "_amount"
    made.graph.node.append(helper.make_node("Exp", [logarithm], [amount]))
    if inverse is np.expm1:
        made.graph.initializer.append(helper.make_tensor(made.graph.name + "_one", TensorProto.FLOAT, [], [1.0]))
        made.graph.node.append(helper.make_node("Sub", [amount, made.graph.name + "_one"], [said.name]))
    return made


# --- pipelines -------------------------------------------------------------------------------------------------


def _pipeline(model: Any, rows: Any, form: Form) -> Any:
    """A scikit-learn pipeline by skl2onnx."""
    model = _of_text(model)
    last, proba = _steps(model)[-1][1], hasattr(model, "predict_proba")
    made = _converted(_joined(model, rows, form), form, {id(last): {"zipmap": False} if proba else {}})
    if not proba:
        del made.graph.output[1:]  # behind the labels of a classifier: scores of another form with each kind
    return made


def _joined(model: Any, rows: Any, form: Form) -> Any:
    """A model that takes each column of a DataFrame as an input: one that picks none itself is handed all of them."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    picks = any(isinstance(part, ColumnTransformer) for part in (model, *model.get_params().values()))
    numbers = all(one.kind in ("numeric", "boolean") for one in form.columns)
    if picks or not numbers or not form.columns:
        return model
    columns = ColumnTransformer([("all", "passthrough", list(range(len(form.columns))))])
    return Pipeline([("columns", columns.fit(rows)), *_steps(model)])


def _of_text(model: Any) -> Any:
    """A fitted model that is given text where it makes it itself of intervals, dates and missing entries."""
    from sklearn.compose import ColumnTransformer

    model = copy.deepcopy(model)
    for part in (model, *model.get_params().values()):
        if isinstance(part, ColumnTransformer):
            part.transformers_ = [(name, _step_of_text(step), columns) for name, step, columns in part.transformers_]
    return model


def _step_of_text(step: Any) -> Any:
    """A step of a column transformer that is given text."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import OneHotEncoder

    if any(isinstance(one, DateParts) for _, one in _steps(step)):
        raise InvalidInput(
            "An ONNX model takes no dates apart; give the study their parts as numbers, such as X['day'].dt.month, or "
            "serve the bundle with MLflow."
        )
    if any(rare is not None for rare in getattr(_steps(step)[-1][1], "infrequent_categories_", None) or ()):
        raise InvalidInput(
            "An ONNX model has no one column for all rare levels, as text of many levels gets; make a category of it, "
            "X['town'].astype('category'), or serve the bundle with MLflow."
        )
    for _, one in _steps(step):
        if isinstance(one, OneHotEncoder):
            one.categories_ = [_levels(levels) for levels in one.categories_]
    if isinstance(_steps(step)[0][1], (CategoriesToText, TextOrNothing)):
        if step[-1].handle_unknown == "infrequent_if_exist":  # and none does
            step[-1].handle_unknown = "ignore"
        return step[-1]
    if isinstance(step, WordWeights):
        step.__class__ = TfidfVectorizer  # of a copy: it differs in how it reads a table, and in the names it gives
    return step


def _levels(levels: Any) -> Any:
    """Levels of a category of which a missing one is the empty text, as it is in the input."""
    missing = pd.isna(levels)
    if not missing.any():
        return levels
    if levels.dtype.kind != "O" or "" in levels[~missing].tolist():
        raise InvalidInput(
            "An ONNX model has missing categories as empty text, so it takes none beside whole numbers or empty ones; "
            "give them a name, X['town'].cat.add_categories('none').fillna('none'), or serve the bundle with MLflow."
        )
    return np.where(missing, "", levels)


def _word_options(model: Any) -> dict[int, Any]:
    """How the steps that count words find them, by their id: in whatever letters, on any machine."""
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import CountVectorizer

    parts = [one for one in (model, *model.get_params().values()) if isinstance(one, ColumnTransformer)]
    counts = [step for part in parts for _, step, _ in part.transformers_ if isinstance(step, CountVectorizer)]
    ours = {"tokenexp": LETTERS}
    return {
        id(one): {"locale": "C" if "".join(one.vocabulary_).isascii() else "C.UTF-8"}
        | (ours if one.token_pattern == WORD else {})
        for one in counts
    }


def _steps(model: Any) -> list[tuple[str, Any]]:
    """The steps of a model, itself where it is no pipeline."""
    return list(model.steps) if hasattr(model, "steps") else [("model", model)]


def _converted(model: Any, form: Form, options: dict[int, Any] | None = None) -> Any:
    """What skl2onnx makes of a fitted estimator or transformer; options are those of steps, by their id."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

    kinds = {np.float32: FloatTensorType, np.int64: Int64TensorType, str: StringTensorType}
    types = [(str(one.name), kinds[_type(one)]([None, 1])) for one in form.columns]
    try:
        return convert_sklearn(
            model, initial_types=types or [(INPUT, FloatTensorType([None, *form.shape]))],
            options={**(options or {}), **_word_options(model)},
            target_opset={"": OPSET, "ai.onnx.ml": 3},
        )  # fmt: skip
    except Exception as error:  # skl2onnx has an error of its own for each way in which a step may have no form
        name = type(_steps(model)[-1][1]).__name__
        raise InvalidInput(
            f"skl2onnx cannot convert this {name}: {first_line(error)}; serve it with MLflow."
        ) from error


# --- nets ------------------------------------------------------------------------------------------------------


def _net(model: Any, rows: Any, form: Form) -> Any:
    """A net's module, between what scales its inputs and what makes its output an answer, behind what prepares rows."""
    if model.prepare is None:
        return _exported(model, rows, {INPUT})
    from onnx.compose import add_prefix, merge_models

    first = _converted(_of_text(model.prepare), form)
    made = model.prepare.transform(rows)
    prepared = np.asarray(made.toarray() if is_sparse(made) else made, dtype=np.float32)
    taken = {given.name for given in first.graph.input}
    net = add_prefix(_exported(model, prepared, taken), "net_", rename_outputs=False)
    first.ir_version = net.ir_version
    for used in first.opset_import:  # skl2onnx writes the lowest in which all nodes are what they are in that asked for
        used.version = OPSET if used.domain == "" else used.version
    return merge_models(first, net, [(first.graph.output[0].name, f"net_{INPUT}")])


def _exported(model: Any, rows: Any, taken: set[str]) -> Any:
    """What torch makes of a net that takes numbers; its output has a name that no input has."""
    import torch

    answer = "prediction" if model.spec.classes is None else "probabilities"
    while answer in taken:
        answer += "_"
    try:
        with warnings.catch_warnings():  # torch's exporter uses parts of torch that are going away
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                _Answer(model), (torch.from_numpy(rows),), dynamo=True, verbose=False, opset_version=OPSET,
                dynamic_shapes=({0: torch.export.Dim("rows")},), input_names=[INPUT], output_names=[answer],
            )  # fmt: skip
    except ImportError:
        raise
    except Exception as error:  # of a module of the user's own, torch's exporter has many
        raise InvalidInput(f"torch cannot convert this net: {first_line(error)}; serve it with MLflow.") from error
    assert program is not None
    return program.model_proto


def _Answer(model: Any) -> Any:
    """``[n, ...]`` prepared rows to probabilities or numbers."""
    import torch

    class Answer(torch.nn.Module):
        center: torch.Tensor
        spread: torch.Tensor
        target_center: torch.Tensor
        target_spread: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            dtype = getattr(torch, model.spec.precision)
            self.module = model.module_
            self.register_buffer("center", (model.tensors["offset"] + model.tensors["center"]).to(dtype))
            for name in ("spread", "target_center", "target_spread"):
                self.register_buffer(name, model.tensors[name].to(dtype))

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            x = (X.to(self.center.dtype).reshape(-1, *model.spec.inputs) - self.center) / self.spread
            out: torch.Tensor = self.module(smoothly_clipped(x) if model.spec.clips else x)
            if model.spec.classes is None:
                return (out * self.target_spread[:, 0] + self.target_center[:, 0]).float()
            return (
                torch.softmax(out, 1) if out.shape[1] > 1 else torch.cat([1 - out.sigmoid(), out.sigmoid()], 1)
            ).float()

    return Answer().eval()


# --- what it says ----------------------------------------------------------------------------------------------


def _compare(written: bytes, model: Any, rows: Any, form: Form) -> None:
    """Refuse a conversion that says something else than the bundle."""
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(written, providers=["CPUExecutionProvider"])
        rows = _with_holes(rows, model, form)
        said = session.run(None, _fed(rows, form, [one.name for one in session.get_inputs()]))[-1]
    except Exception as error:  # ONNX Runtime has an error of its own for each thing that it cannot do
        raise InvalidInput(
            f"ONNX Runtime cannot run the converted model: {first_line(error)}; serve the bundle with MLflow."
        ) from error
    if form.classes is not None and not hasattr(model, "predict_proba"):
        others = int((said != np.asarray(model.predict(rows))).sum())
        if others:
            raise InvalidInput(
                f"An ONNX model must say what the bundle says, of {others} of {len(said)} rows it says another class: "
                "its float32 rounds these columns too far; scale the data, or serve the bundle with MLflow."
            )
        return
    expected = np.asarray(model.predict_proba(rows) if form.classes is not None else model.predict(rows))
    off = np.abs(said.reshape(expected.shape) - expected) / np.maximum(1.0, np.abs(expected))
    if not off.max() <= WITHIN:
        raise InvalidInput(
            f"An ONNX model must say what the bundle says within {WITHIN:g}, it is off by {off.max():.2g}: its float32 "
            "rounds these columns too far; scale the data, or serve the bundle with MLflow."
        )


def _with_holes(rows: Any, model: Any, form: Form) -> Any:
    """Rows, and the first of them without a text or category where the bundle takes that: an example may have none."""
    for column in form.columns:
        if _type(column) is str:
            hole = rows.head(1).assign(**{str(column.name): None}).astype(rows.dtypes.to_dict())
            with suppress(Exception):  # whatever a step of anyone's says of a missing value
                model.predict(hole)
                rows = pd.concat([rows, hole])
    return rows


def _fed(rows: Any, form: Form, names: list[str]) -> dict[str, Any]:
    """Inputs by name; those of a DataFrame are in the order of its columns, whatever they are called."""
    if form.rows != "frame":
        return {INPUT: rows}
    return {name: _input(rows[one.name], _type(one)) for name, one in zip(names, form.columns, strict=True)}


def _input(values: Any, kind: Any) -> Any:
    """``[n, 1]`` of a column, of numpy's type of its input; missing text is empty."""
    if kind is str:
        values = values.astype(object).where(values.notna(), "")
    found = values.to_numpy(dtype=kind, na_value=np.nan) if kind is np.float32 else values.to_numpy().astype(kind)
    return found.reshape(-1, 1)
