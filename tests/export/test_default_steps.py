"""What text and dates become by default goes along: as plain code, and as ONNX as far as that has it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from regsearch import MLP, Estimator, Float, InvalidInput, Linear, Net, Study, column_transformer, load
from regsearch import Path as LambdaPath
from regsearch.data.problem import make_problem
from regsearch.export.code import code
from regsearch.models.base import Model

N = 80
RANDOM = np.random.default_rng(0)
X = pd.DataFrame({
    "size": RANDOM.normal(size=N),
    "town": RANDOM.choice(["Rome", "Bern"], N),
    "note": [f"Das HÄUSCHEN Nummer {k} ist {RANDOM.choice(['alt und dunkel', 'neu'])}" for k in range(N)],
    "street": [f"street{k % 60}" if k % 2 else "main" for k in range(N)],
    "day": pd.date_range("2026-01-30", periods=N).astype(str),
    "sold": pd.date_range("2026-01-30", periods=N, freq="7h"),
})  # fmt: skip
WORDS = ["size", "town", "note"]
Y = X["size"] + X["note"].str.contains("dunkel") + RANDOM.normal(size=N) / 5
for place, name in enumerate(X.columns[:5]):
    X.loc[place::13, name] = None
NEW = pd.DataFrame({"size": [0.5, -1.0], "town": ["Rome", "Oslo"], "note": ["Ein häuschen, ALT", "dunkel_2 Häuschen"]})


@pytest.mark.parametrize(
    ("config", "columns"),
    [
        (Linear("l1", 0.02), [*X]), (Linear("l2", 0.05, unpenalized=["day"]), ["size", "town", "street", "day"]),
        (Estimator(Ridge(), {"alpha": 2.0}), ["size", "sold"]),
    ],
)  # fmt: skip
def test_plain_code_prepares_as_the_bundle_does(config: Any, columns: list[str]) -> None:
    """The code imports nothing of regsearch, and what it fits says of a table what the refit says."""
    problem = make_problem(X[columns], Y)
    config = config.replace(prepare=column_transformer(X[columns]))
    filled = X["size"].fillna(0.0)
    problem = make_problem(X[columns].assign(size=filled), Y)
    text = code(config, problem, "sklearn")
    assert "regsearch" not in text
    made: dict[str, Any] = {}
    exec(text, made)
    theirs = made["model"].fit(problem.X, Y).predict(problem.X)
    np.testing.assert_allclose(theirs, config.refit(problem, 0).predict(problem.X), atol=1e-5)
    if "day" in columns:
        with pytest.raises(ValueError, match="'day' must hold dates as %Y-%m-%d, got 'soon'"):
            made["model"].predict(problem.X.head(2).assign(day="soon"))


def exported(space: Model, columns: list[str], root: Path) -> Path:
    study = Study("words", X[columns], Y, space=space, cv=3, root=root, tracking=False)
    study.run(1, quiet=True)
    return study.export(out=root / "bundle")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="needs the extra onnx")
@pytest.mark.parametrize("kind", ["linear", "net"])
def test_onnx_counts_words_as_the_bundle_does(kind: str, tmp_path: Path) -> None:
    """Words in any letters, unknown ones and levels weigh in ONNX what they weigh in the bundle."""
    import onnxruntime

    from regsearch.export.serving import to_onnx

    space = Linear("l2", LambdaPath(3)) if kind == "linear" else Net(MLP(hidden=(4,)), dropout=Float(0, 0.3))
    bundle = exported(space, WORDS, tmp_path)
    session = onnxruntime.InferenceSession(to_onnx(bundle).read_bytes())
    given = {name: NEW[[name]].to_numpy() for name in WORDS} | {"size": NEW[["size"]].to_numpy(np.float32)}
    said = session.run(None, given)[-1].ravel()
    np.testing.assert_allclose(said, load(bundle).predict(NEW), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="needs the extra onnx")
@pytest.mark.parametrize(("column", "says"), [("day", r"\.dt\.month, or serve"), ("street", "astype\\('category'\\)")])
def test_onnx_says_what_it_cannot_prepare(column: str, says: str, tmp_path: Path) -> None:
    """Dates and rare levels are refused with what to do instead."""
    from regsearch.export.serving import to_onnx

    bundle = exported(Linear("l2", LambdaPath(3)), ["size", column], tmp_path)
    with pytest.raises(InvalidInput, match=says):
        to_onnx(bundle)
