"""Columns of every kind in a bundle: text and dates of an Estimator, categories of objects, booleans as ONNX."""

from __future__ import annotations

import importlib.util
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from samples import study
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from regsearch import MLP, Choice, Estimator, Float, InvalidInput, Linear, Net, column_transformer, load
from regsearch import Path as LambdaPath
from regsearch import nn_techniques as t
from regsearch.data.problem import make_problem
from regsearch.export.bundle import to_trust
from regsearch.export.bundle.column import column_of
from regsearch.export.bundle.tables import read_table
from regsearch.export.verify import Evidence, verify

N = 60
RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=N)
DAYS = pd.to_datetime(["2020-01-01", "2021-01-01", "2022-06-01"] * 20)
OBJECTS: dict[str, Callable[[], Any]] = {
    "intervals": lambda: pd.cut(NUMBERS, 3),
    "intervals closed on the left": lambda: pd.cut(NUMBERS, [-9, -1 / 3, 0.1, 9], right=False),
    "intervals of dates": lambda: pd.cut(pd.Series(pd.date_range("2020", periods=N, freq="h")), 3),
    "intervals of whole numbers": lambda: pd.cut(np.arange(N) - 9, [-10, 0, 18, 65]),
    "intervals of times": lambda: pd.cut(pd.Series(pd.to_timedelta(np.arange(N) - 9, unit="h")), 3),
    "dates": lambda: pd.Categorical(DAYS),
    "dates of a zone": lambda: pd.Categorical(DAYS.tz_localize("Europe/Berlin")),
    "months": lambda: pd.Categorical(pd.period_range("2020-01", periods=3, freq="M").tolist() * 20),
    "days without time": lambda: pd.Categorical([day.date() for day in DAYS]),
}
SPACES: dict[str, Callable[[], Any]] = {
    "linear": lambda: Linear(lambda_=Float(0.01, 1, log=True)),
    "net": lambda: Net(MLP(hidden=(4,)), dropout=Float(0, 0.5), early_stopping=t.FixedEpochs(epochs=3)),
}


def with_categories(kind: str) -> tuple[pd.DataFrame, Any]:
    """A table with a column of categories, of which one is missing."""
    X = pd.DataFrame({"a": NUMBERS, "kind": OBJECTS[kind]()})
    X.loc[3, "kind"] = None
    return X, X["a"] + 3 * X["kind"].cat.codes + RNG.normal(size=N)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("kind", OBJECTS)
@pytest.mark.slow
def test_categories_of_objects_need_no_trust(kind: str, space: str, tmp_path: Path) -> None:
    """A bundle with categories of intervals or dates loads without `trusted`, and takes them or their text."""
    X, y = with_categories(kind)
    one = study(tmp_path, data=(X, y), space=SPACES[space]())
    one.run(2, quiet=True)
    folder = one.export(tmp_path / "bundle")
    assert to_trust(folder) == []
    model = load(folder)
    expected = one.results().best.config.refit(one.problem, 0).predict(X)
    np.testing.assert_array_equal(model.predict(X), expected)
    texts = X.assign(kind=X["kind"].astype(object).map(str, na_action="ignore"))
    texts.assign(y=y).to_csv(tmp_path / "rows.csv", index=False)
    read, *_ = read_table(tmp_path / "rows.csv", "y", model.form)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a category that is unknown warns
        np.testing.assert_array_equal(model.predict(texts), expected)
        np.testing.assert_allclose(model.predict(read), expected)
    assert verify(folder, Evidence(make_problem(X, y))).holds


GIVEN: dict[str, Callable[[pd.Series[Any]], Any]] = {
    "text": lambda values: values.astype(object).map(str, na_action="ignore"),
    "categories of text": lambda values: values.astype(object).map(str, na_action="ignore").astype("category"),
    "objects": lambda values: pd.Series([*values], dtype=object),
    "other categories": lambda values: pd.Series([*values], dtype=object).astype("category"),  # of floats
    "some of them": lambda values: values[:5].cat.remove_unused_categories(),
}


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("kind", ["intervals", "intervals of whole numbers", "dates", "months", "days without time"])
def test_categories_of_objects_are_recognized(kind: str, given: str) -> None:
    """Intervals and dates are the categories of training however pandas holds them, with holes and a stranger too."""
    X, _ = with_categories(kind)
    column = column_of("kind", "category", X["kind"])
    values = GIVEN[given](X["kind"])
    admitted = column.admitted(values)
    assert column.strangers(admitted) == []
    levels = [str(level) for level in admitted.cat.categories]
    texts = X["kind"][: len(values)].astype(object).map(str, na_action="ignore")
    np.testing.assert_array_equal(admitted.cat.rename_categories(levels).isna(), texts.isna())
    assert admitted.cat.rename_categories(levels).dropna().tolist() == texts.dropna().tolist()
    odd = column.admitted(pd.concat([texts, pd.Series(["odd"])]))
    assert column.strangers(odd) == ["odd"]


def words() -> tuple[pd.DataFrame, Any]:
    """Text that y hangs on, a date, and a number."""
    text = [" ".join(RNG.choice(["red", "green", "blue", "dark"], 3)) for _ in range(N)]
    X = pd.DataFrame({"text": text, "day": pd.date_range("2020", periods=N), "a": NUMBERS})
    X.loc[5, "day"] = pd.NaT
    return X, X["a"] + X["text"].str.count("red") + RNG.normal(size=N) / 10


def as_polars(X: pd.DataFrame) -> pl.DataFrame:
    return pl.DataFrame({name: X[name].astype(object).where(X[name].notna(), None).tolist() for name in X.columns})


def of_words(alpha: float = 1.0) -> Any:
    return make_pipeline(make_column_transformer((TfidfVectorizer(), "text"), ("passthrough", ["a"])), Ridge(alpha))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [None, object, "string"])
def test_text_reaches_a_pipeline_as_it_is(dtype: Any, tmp_path: Path) -> None:
    """An Estimator's own pipeline gets text and dates as they are: its scores are those of scikit-learn."""
    X, y = words()
    X = X if dtype is None else X.astype({"text": dtype})
    space = Estimator(of_words(), {"ridge__alpha": Choice(0.1, 1.0)})
    one = study(tmp_path, data=(X, y), space=space, cv=KFold(3))
    best = one.run(3, quiet=True).best
    alpha = dict(best.config.params)["ridge__alpha"]
    scores = cross_val_score(of_words(alpha), X, y, cv=KFold(3), scoring="neg_mean_squared_error")
    assert best.score == pytest.approx(scores.mean(), rel=1e-12)
    model = load(one.export(tmp_path / "bundle"))
    expected = of_words(alpha).fit(X, y).predict(X)
    for rows in (X, X[["a", "day", "text"]], as_polars(X)):
        np.testing.assert_allclose(model.predict(rows), expected)
    X.assign(y=y).to_csv(tmp_path / "rows.csv", index=False)
    np.testing.assert_allclose(model.predict(read_table(tmp_path / "rows.csv", "y", model.form)[0]), expected)
    assert verify(tmp_path / "bundle", Evidence(make_problem(X, y))).holds
    with pytest.raises(InvalidInput, match="'text' must be text as in training, got numbers"):
        model.predict(X.assign(text=1.0))
    with pytest.raises(InvalidInput, match="'day' must be date as in training, got text"):
        model.predict(X.assign(day="monday"))


def months(X: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"month": X["day"].dt.month.fillna(0)})


def test_dates_reach_a_pipeline_as_they_are(tmp_path: Path) -> None:
    """A step that takes parts of a date finds a date."""
    X, y = words()
    steps = make_column_transformer((FunctionTransformer(months), ["day"]), ("passthrough", ["a"]))
    space = Estimator(make_pipeline(steps, Ridge()), {"ridge__alpha": Choice(1.0, 2.0)})
    one = study(tmp_path, data=(X, y), space=space)
    assert not one.run(2, quiet=True).counts["failed"]


@pytest.mark.slow
def test_dates_of_any_type_are_rows(tmp_path: Path) -> None:
    """A model of dates takes dates of Python and of Arrow for what they are, and no dates of several time zones."""
    X, y = words()
    X = X[["a", "day"]].dropna()
    one = study(tmp_path, data=(X, y[X.index]), space=Linear("l2", LambdaPath(5)), cv=2)
    one.run(1, quiet=True)
    model = load(one.export(out=tmp_path / "bundle"))
    expected, days = model.predict(X), X["day"]
    arrow = days.dt.date.astype(pd.ArrowDtype(pa.date32()))
    for same in (days.dt.date, pd.Series(list(days.dt.to_pydatetime()), X.index, dtype=object), arrow):
        np.testing.assert_allclose(model.predict(X.assign(day=same)), expected)
    zones = [day.tz_localize(("UTC", "Asia/Tokyo")[k % 2]).to_pydatetime() for k, day in enumerate(days)]
    with pytest.raises(InvalidInput, match="'day' must hold dates of one time zone"):
        model.predict(X.assign(day=pd.Series(zones, X.index, dtype=object)))


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("text", r"X\['text'\].astype\('category'\); or have a transformer encode it inside each fold"),
        ("day", r"in parts, X\['day'\].dt.month or .dt.dayofweek, or as days since the first, \(X\['day'\] - "),
        ("written", r"read its dates with pd.to_datetime\(X\['written'\]\); a date is taken in parts"),
    ],
)
def test_what_is_encoded_is_told_apart(column: str, said: str, tmp_path: Path) -> None:
    """Without a transformer text and dates are refused before a fit; a date is offered as parts, not as categories."""
    X, y = words()
    X["written"] = X["day"].dt.strftime("%d/%m/%Y")
    model = Linear(prepare=Choice(None, column_transformer(X)))
    with pytest.raises(InvalidInput, match=said) as error:
        study(tmp_path, data=(X[["a", column]], y), space=model)
    assert ("category" in str(error.value).replace("categorical", "")) == (column == "text")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="needs the extra onnx")
@pytest.mark.parametrize("kind", ["linear", "classes", "net", "pipeline", "booleans alone"])
def test_booleans_become_onnx(kind: str, tmp_path: Path) -> None:
    """A model with boolean columns, holes in them or not, says as ONNX what it says as a bundle."""
    import onnxruntime

    from regsearch.export.serving import to_onnx

    X = pd.DataFrame({
        "a": NUMBERS, "flag": RNG.random(N) < 0.5, "kind": OBJECTS["intervals"](),
        "holes": pd.array(RNG.choice([True, False, None], N), dtype="boolean"),
    })  # fmt: skip
    y: Any = X["a"] + 2 * X["flag"] + RNG.normal(size=N) / 2
    columns = {"pipeline": ["a", "flag"], "booleans alone": ["flag", "holes"]}.get(kind, list(X.columns))
    steps = make_pipeline(StandardScaler(), LogisticRegression())
    scaled = Estimator(steps, {"logisticregression__C": Choice(0.1, 1.0)})
    space = {"net": SPACES["net"](), "pipeline": scaled}.get(kind, SPACES["linear"]())
    y = y > 1 if kind in ("classes", "pipeline") else y
    one = study(tmp_path, data=(X[columns], y), space=space)
    one.run(2, quiet=True)
    model = load(one.export(tmp_path / "bundle"))
    session = onnxruntime.InferenceSession(to_onnx(tmp_path / "bundle"), providers=["CPUExecutionProvider"])
    fed = {
        name: X[[name]].astype(object).map(str).to_numpy()
        if name == "kind"
        else X[[name]].to_numpy(dtype=np.float32, na_value=np.nan)
        for name in columns
    }
    expected = model.predict_proba(X[columns]) if y.dtype == bool else model.predict(X[columns])
    np.testing.assert_allclose(session.run(None, fed)[-1].reshape(expected.shape), expected, rtol=1e-4, atol=1e-4)


def test_missing_categories_become_onnx(tmp_path: Path) -> None:
    """A missing category is the empty text of an ONNX model, though no row of the example lacks it; what cannot be is
    refused.
    """
    import onnxruntime

    from regsearch.export.serving import to_onnx

    kinds = np.array(["x", "y", "z"])[RNG.integers(0, 3, N)].astype(object)
    kinds[50:55] = None
    X = pd.DataFrame({"a": NUMBERS, "kind": pd.Categorical(kinds)})
    one = study(tmp_path, space=Linear("l2", Choice(0.01, 0.02)), data=(X, X["a"] + 9.0 * X["kind"].isna()))
    one.run(1, quiet=True)
    bundle = one.export(tmp_path / "bundle")
    assert None not in [row["kind"] for row in json.loads((bundle / "example.json").read_text())["rows"]]
    session = onnxruntime.InferenceSession(to_onnx(bundle), providers=["CPUExecutionProvider"])
    fed = {"a": NUMBERS[:, None].astype(np.float32), "kind": np.where(X["kind"].isna(), "", X["kind"])[:, None]}
    np.testing.assert_allclose(session.run(None, fed)[-1][:, 0], load(bundle).predict(X), rtol=1e-4, atol=1e-4)
    other = X.assign(kind=X["kind"].cat.rename_categories([1, 2, 3]))
    one = study(tmp_path, "numbers", space=Linear("l2", Choice(0.01, 0.02)), data=(other, X["a"]))
    one.run(1, quiet=True)
    with pytest.raises(InvalidInput, match="missing categories as empty text"):
        to_onnx(one.export(tmp_path / "numbers"))


def zoned(tmp_path: Path) -> tuple[Path, pd.DataFrame, Any]:
    """A bundle of dates of a zone with summer time and of booleans, both with holes; with its rows and predictions."""
    hours = pd.date_range("2021-01-01", periods=N, freq="101h", tz="Europe/Berlin")
    X = pd.DataFrame({"a": NUMBERS, "at": hours, "flag": pd.array(RNG.choice([True, False], N), dtype="boolean")})
    X.loc[3, "at"], X.loc[[4, 5], "flag"] = pd.NaT, pd.NA
    y = X["a"] + X["at"].dt.hour.fillna(0) + 9 * X["flag"].fillna(True).astype(bool)
    one = study(tmp_path, space=Linear("l2"), data=(X, y))
    one.run(1, quiet=True)
    bundle = one.export(tmp_path / "bundle")
    X.assign(y=y).to_csv(tmp_path / "rows.csv", index=False)
    return bundle, X, load(bundle).predict(X)


def test_dates_are_of_the_time_zone_of_training(tmp_path: Path) -> None:
    """One moment is predicted alike in whatever zone it is told, from a file too; a date without a zone is refused."""
    bundle, X, said = zoned(tmp_path)
    model = load(bundle)
    for other in ("UTC", "Asia/Tokyo"):
        np.testing.assert_array_equal(model.predict(X.assign(at=X["at"].dt.tz_convert(other))), said)
    np.testing.assert_array_equal(model.predict(X.assign(at=None)), model.predict(X.assign(at=pd.NaT)))
    with pytest.raises(InvalidInput, match="of the time zone Europe/Berlin as in training, got them without"):
        model.predict(X.assign(at=X["at"].dt.tz_localize(None)))
    rows, y, _ = read_table(tmp_path / "rows.csv", "y", model.form)
    np.testing.assert_allclose(model.predict(rows), said)
    assert verify(bundle, Evidence(make_problem(rows, y))).holds


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_holes_of_a_request_are_holes(tmp_path: Path) -> None:
    """What JSON has of missing booleans and of dates of a zone is predicted as the bundle predicts the rows."""
    import mlflow.pyfunc
    from mlflow.pyfunc.scoring_server import infer_and_parse_data

    from regsearch.export.serving import save_model

    bundle, X, said = zoned(tmp_path)
    model = mlflow.pyfunc.load_model(str(save_model(bundle, tmp_path / "mlflow")))
    np.testing.assert_array_equal(model.predict(X), said)
    sent = json.loads(X.to_json(orient="split", date_format="iso"))
    request = infer_and_parse_data({"dataframe_split": sent}, model.metadata.get_input_schema())
    np.testing.assert_allclose(model.predict(request), said, rtol=1e-9)  # pandas writes ten digits
    with pytest.raises(InvalidInput, match="Requests have dates such as"):
        model.predict(request.assign(at="yesterday"))
