"""A bundle's model as ONNX, checked against what the bundle itself says."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from regsearch.bundle import load
from regsearch.bundle.example import rows_of
from regsearch.bundle.files import EXAMPLE, ONNX, open_bundle
from regsearch.bundle.form import Form
from regsearch.errors import InvalidInput
from regsearch.inputs import Array, is_sparse
from regsearch.neural.files import TENSORS
from regsearch.serial import write_whole

if TYPE_CHECKING:
    import torch

INPUT = "X"
COLUMNS = "columns"  # in the model's metadata: which input is which column of a DataFrame
WITHIN = 1e-5  # of what the bundle says, relative where it is larger than 1
OPSET = 18


def to_onnx(
    bundle: str | os.PathLike[str], out: str | os.PathLike[str] | None = None, trusted: Sequence[str] = (),
    module: Callable[[], Any] | None = None,
) -> Path:  # fmt: skip
    """Write a bundle's model as ONNX, checked on the bundle's example.

    Its input is ``X`` ``[n, ...]`` of float32; of a DataFrame, an input ``[n, 1]`` for each column in the bundle's
    order, numbers as float32 and categories as text. An input has the name of its column, with ``_`` for what ONNX
    has in no name and a number where two would be one; ``columns`` in the model's metadata is the JSON object of which
    input is which column. The last output is ``probabilities`` ``[n, C]`` in the order of the model's
    classes, or of a regression the numbers ``[n, t]``.

    Parameters
    ----------
    bundle
        What `regsearch.export` wrote.
    out
        The file; default ``model.onnx`` in the bundle.
    trusted, module
        As `regsearch.load` takes them.

    Raises
    ------
    InvalidInput
        When the model has no ONNX form, its packages are missing, or what ONNX Runtime says differs from the bundle.
    """
    opened, model = open_bundle(bundle), load(bundle, trusted, module)
    rows = _rows(rows_of(opened.json(EXAMPLE)["rows"], model.form), model.form)
    convert = _net if opened.model == TENSORS else _pipeline
    try:
        written = convert(model.model, rows, model.form)
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


def _pipeline(model: Any, rows: Any, form: Form) -> bytes:
    """A scikit-learn pipeline by skl2onnx."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    kinds = {"numeric": FloatTensorType, "category": StringTensorType}
    unknown = [one.name for one in form.columns if one.kind not in kinds or one.values not in ("", "text")]
    if unknown:
        raise InvalidInput(
            f"An ONNX model takes numbers and text, the column {unknown[0]!r} has neither; convert it "
            "before the search, or serve the bundle with MLflow."
        )
    types = [(str(one.name), kinds[one.kind]([None, 1])) for one in form.columns]
    options = {"zipmap": False} if hasattr(model, "predict_proba") else None
    try:
        made = convert_sklearn(
            model, initial_types=types or [(INPUT, FloatTensorType([None, *form.shape]))], options=options
        )
        columns = [str(one.name) for one in form.columns] or [INPUT]
        names = {given.name: name for given, name in zip(made.graph.input, columns, strict=True)}
    except Exception as error:  # skl2onnx has an error of its own for each way in which a step may have no form
        name = type(model.steps[-1][1] if hasattr(model, "steps") else model).__name__
        raise InvalidInput(
            f"skl2onnx cannot convert this {name}: {_first_line(error)}; serve it with MLflow."
        ) from error
    if types:
        made.metadata_props.add(key=COLUMNS, value=json.dumps(names, ensure_ascii=False))
    return bytes(made.SerializeToString())


def _net(model: Any, rows: Any, form: Form) -> bytes:
    """A net's module between what scales its inputs and what makes its output an answer."""
    import torch

    if form.rows == "frame":
        raise InvalidInput(
            "ONNX takes arrays of numbers, this net encodes the columns of a DataFrame; serve it with MLflow."
        )
    answer = "prediction" if model.spec.classes is None else "probabilities"
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
        raise InvalidInput(f"torch cannot convert this net: {_first_line(error)}; serve it with MLflow.") from error
    assert program is not None
    return bytes(program.model_proto.SerializeToString())


def _Answer(model: Any) -> Any:
    """``[n, ...]`` raw rows to probabilities or numbers."""
    import torch

    class Answer(torch.nn.Module):
        fill: torch.Tensor
        center: torch.Tensor
        spread: torch.Tensor
        target_center: torch.Tensor
        target_spread: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            dtype = getattr(torch, model.spec.precision)
            self.module = model.module_
            self.register_buffer("fill", torch.as_tensor(_fill(model), dtype=dtype))
            self.register_buffer("center", (model.tensors["offset"] + model.tensors["center"]).to(dtype))
            for name in ("spread", "target_center", "target_spread"):
                self.register_buffer(name, model.tensors[name].to(dtype))

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            x = X.to(self.center.dtype)
            x = torch.where(torch.isnan(x), self.fill, x)
            out: torch.Tensor = self.module((x - self.center) / self.spread)
            if model.spec.classes is None:
                return (out * self.target_spread[:, 0] + self.target_center[:, 0]).float()
            return (
                torch.softmax(out, 1) if out.shape[1] > 1 else torch.cat([1 - out.sigmoid(), out.sigmoid()], 1)
            ).float()

    return Answer().eval()


def _fill(model: Any) -> Array:
    """What a missing entry becomes; without a preparing step a NaN stays one."""
    return np.asarray(np.nan if model.prepare is None else model.prepare.statistics_, dtype=float)


def _compare(written: bytes, model: Any, rows: Any, form: Form) -> None:
    """Refuse a conversion that says something else than the bundle."""
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(written, providers=["CPUExecutionProvider"])
        said = session.run(None, _fed(rows, form, [one.name for one in session.get_inputs()]))[-1]
    except Exception as error:  # ONNX Runtime has an error of its own for each thing that it cannot do
        raise InvalidInput(
            f"ONNX Runtime cannot run the converted model: {_first_line(error)}; serve the bundle with MLflow."
        ) from error
    expected = np.asarray(model.predict_proba(rows) if form.classes is not None else model.predict(rows))
    off = np.abs(said.reshape(expected.shape) - expected) / np.maximum(1.0, np.abs(expected))
    if not off.max() <= WITHIN:
        raise InvalidInput(
            f"An ONNX model must say what the bundle says within {WITHIN:g}, it is off by {off.max():.2g}: its float32 "
            "rounds these columns too far; scale the data, or serve the bundle with MLflow."
        )


def _fed(rows: Any, form: Form, names: list[str]) -> dict[str, Any]:
    """Inputs by name; those of a DataFrame are in the order of its columns, whatever they are called."""
    if form.rows != "frame":
        return {INPUT: rows}
    types = {"numeric": np.float32, "category": str}
    return {
        name: rows[[one.name]].to_numpy().astype(types[one.kind])
        for name, one in zip(names, form.columns, strict=True)
    }  # fmt: skip


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
