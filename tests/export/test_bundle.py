"""Reading bundles: rows are checked before they are predicted, configs can be fitted again, forgeries are refused."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import python, regression, study
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from regsearch import (
    MLP,
    Choice,
    ElasticNet,
    Estimator,
    Float,
    InvalidInput,
    Linear,
    Net,
    NotFound,
    Study,
    load,
    load_config,
    spaces,
)
from regsearch import nn_techniques as t
from regsearch.data.problem import make_problem
from regsearch.export.bundle import Form, open_bundle
from regsearch.export.bundle.example import difference, example_of, predictions, rows_of
from regsearch.export.bundle.files import CONFIG, EXAMPLE, FORM, MODEL, PARTS, PROVENANCE, sha256, to_json
from regsearch.export.bundle.loading import stored_example
from regsearch.export.bundle.schema import form_of
from regsearch.models.linear.convert import to_C
from regsearch.results.rules import Pick
from regsearch.space.config import to_data
from regsearch.space.params import flat
from regsearch.space.placing import params_for
from regsearch.space.sampling import fill, sample

BARE = """
import json, sys
import regsearch
config = regsearch.load_config(sys.argv[1])
model = regsearch.load(sys.argv[1])
config.build()
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules} & {"optuna", "mlflow"})))
"""


def frame() -> tuple[pd.DataFrame, Any]:
    X, y = regression()
    table = pd.DataFrame(X[:, :2], columns=["a", "b"])
    table["count"] = np.arange(60)
    table["kind"] = pd.Categorical(np.array(["x", "y", "z"])[np.arange(60) % 3])
    table["code"] = pd.Categorical(np.arange(60) % 4)
    table["flag"] = X[:, 4] > 0
    table.loc[::7, "a"] = np.nan
    table.loc[::9, "kind"] = np.nan
    return table, y


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Study:
    one = study(tmp_path_factory.mktemp("bundle"), space=spaces.linear())
    one.run(6, quiet=True)
    return one


@pytest.fixture(scope="module")
def tabular(tmp_path_factory: pytest.TempPathFactory) -> Study:
    one = study(tmp_path_factory.mktemp("frame"), data=frame())
    one.run(6, quiet=True)
    return one


@pytest.fixture(scope="module")
def framed(tabular: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tabular.export(tmp_path_factory.mktemp("framed") / "bundle")


def edit(bundle: Path, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a JSON file of a bundle by hand, with a hash that fits."""
    document = json.loads((bundle / name).read_text())
    change(document)
    (bundle / name).write_text(to_json(document))
    if name != PROVENANCE:
        edit(bundle, PROVENANCE, lambda said: said["files"].update({name: sha256(bundle / name)}))


# --- the same bytes --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_exports_differ_in_the_date_alone(searched: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two exports are equal to the bit but for one field, and with SOURCE_DATE_EPOCH in that too."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    first, second = searched.export(tmp_path / "first"), searched.export(tmp_path / "second")
    contents = {file.name: file.read_bytes() for file in first.iterdir()}
    assert {file.name: file.read_bytes() for file in second.iterdir()} == contents
    assert open_bundle(first).provenance["exported"] == "1970-01-02T00:00:00+00:00"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "172800")
    third = searched.export(tmp_path / "third")
    assert {file.name for file in third.iterdir() if file.read_bytes() != contents[file.name]} == {PROVENANCE}
    dated = [{**open_bundle(folder).provenance, "exported": ""} for folder in (first, third)]
    assert dated[0] == dated[1]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(InvalidInput, match="seconds since 1970, got 'yesterday'"):
        searched.export(tmp_path / "fourth")


@pytest.mark.slow
def test_another_process_writes_the_same_model(tabular: Study, framed: Path, tmp_path: Path) -> None:
    """The model file has nothing of the process that wrote it, and another one writes it as well."""
    done = python(
        "-c", "import sys, pathlib, regsearch; from regsearch.models.persist import write_object; "
        "write_object(regsearch.load(sys.argv[1]).model, pathlib.Path(sys.argv[2]))", str(framed),
        str(tmp_path / "again.skops"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    fresh = tabular.export(tmp_path / "fresh")
    assert (fresh / MODEL).read_bytes() == (framed / MODEL).read_bytes()
    first, second = (load_pipeline(file) for file in (framed / MODEL, tmp_path / "again.skops"))
    np.testing.assert_array_equal(first.predict(frame()[0]), second.predict(frame()[0]))


def load_pipeline(file: Path) -> Any:
    from regsearch.models.persist import read_object

    return read_object(file)


def test_reading_imports_no_optuna(bundle: Path, tmp_path: Path) -> None:
    """A fresh process loads a linear bundle and its config without optuna or mlflow."""
    done = python("-c", BARE, str(bundle), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


# --- rows ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@given(order=st.permutations(["a", "b", "count", "kind", "code", "flag"]))
def test_columns_in_any_order(framed: Path, order: list[str]) -> None:
    """The order of a frame's columns changes no prediction."""
    X, _ = frame()
    model = load(framed)
    np.testing.assert_array_equal(model.predict(X[order]), model.model.predict(X))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda X: X.drop(columns="b"), "'b' missing"),
        (lambda X: X.rename(columns={"b": "B"}), "'b' missing and 'B' unknown"),
        (lambda X: X.assign(a="high"), "'a' must be numeric as in training, got text"),
        (lambda X: X.assign(kind=1), "'kind' must be a category of text as in training, got numbers"),
        (lambda X: X.assign(code="one"), "'code' must be a category of numbers as in training, got text"),
        (lambda X: X.assign(flag="yes"), "'flag' must be boolean as in training, got text"),
        (lambda X: X.assign(a=pd.Timestamp("2020-01-01")), "'a' must be numeric as in training, got dates"),
        (lambda X: X.to_numpy(), "a DataFrame with the columns 'a', 'b'"),
        (lambda X: X[["a", "a", "b", "count", "kind", "code", "flag"]], "must be unique"),
    ],
)
def test_other_columns_are_refused(framed: Path, change: Callable[[Any], Any], said: str) -> None:
    """Columns that are missing, renamed, too many, or of another type are refused by name, whatever the method."""
    X, y = frame()
    model = load(framed)
    for method in (model.predict, lambda rows: model.score(rows, y)):
        with pytest.raises(InvalidInput, match=said):
            method(change(X))


def test_columns_beside_those_of_training_are_ignored(framed: Path) -> None:
    """What training did not have changes no prediction, and is named in one warning, however often it comes."""
    X, _ = frame()
    model, wide = load(framed), X.assign(extra=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        said = [model.predict(wide) for _ in range(3)]
    assert [str(one.message) for one in caught] == ["Columns that training did not have are ignored: 'extra'."]
    assert all((one == model.predict(X)).all() for one in said)


@pytest.mark.slow
def test_rows_as_services_get_them(framed: Path) -> None:
    """One row from JSON, whose columns are objects, and rows with categories as text predict what a frame does."""
    X, _ = frame()
    model = load(framed)
    expected = model.predict(X)
    rows = X.astype(object).where(X.notna(), None).to_dict("records")
    one_by_one = np.concatenate([model.predict(pd.DataFrame([row])) for row in rows])
    np.testing.assert_allclose(one_by_one, expected, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X.assign(kind=X["kind"].astype(object))), expected)
    assert list(X.columns) == ["a", "b", "count", "kind", "code", "flag"], "rows are not written to"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (np.zeros((2, 5)), r"shape \(6,\) as in training, got \(5,\)"),
        (np.zeros(6), r"X.reshape\(1, -1\)"),
        ([["a"] * 6], "must hold numbers"),
        (sparse.csr_array(np.ones((2, 6))), "pass X.toarray"),
    ],
)
def test_other_arrays_are_refused(bundle: Path, rows: Any, said: str) -> None:
    """Arrays of another shape or of no numbers are refused."""
    with pytest.raises(InvalidInput, match=said):
        load(bundle).predict(rows)


def test_a_category_that_is_new(framed: Path) -> None:
    """A category that training did not have is warned of once for its column, and counts as none of the known ones."""
    X, _ = frame()
    model, strange = load(framed), X[:3].assign(kind=["giant", "huge", "giant"])
    with pytest.warns(UserWarning, match="column 'kind' has the category 'giant', which training did not have") as said:
        found = model.predict(strange)
    assert len(said) == 1
    np.testing.assert_array_equal(model.predict(strange), found)  # a second warning would be an error here
    np.testing.assert_array_equal(load(framed).model.predict(strange), found)
    known = X.assign(kind=X["kind"].cat.add_categories("giant"))
    np.testing.assert_array_equal(load(framed).predict(known), load(framed).predict(X))  # in no row, so no matter


def test_rows_that_no_model_takes(framed: Path, bundle: Path) -> None:
    """No rows, and infinite numbers, are refused in a sentence that names the columns and the first row."""
    X, _ = frame()
    with pytest.raises(InvalidInput, match="at least one, got none"):
        load(framed).predict(X[:0])
    with pytest.raises(InvalidInput, match=r"infinite ones in the column 'b' \(first in row 2\); clip"):
        load(framed).predict(X.assign(b=np.where(np.arange(len(X)) == 2, np.inf, 1.0)))
    rare = np.where(np.arange(len(X)) == 4, -np.inf, 2.5)
    refused = pytest.raises(InvalidInput, match=r"infinite ones in the column 'code' \(first in row 4\)")
    with refused, pytest.warns(UserWarning, match="has the category -inf"):
        load(framed).predict(X.assign(code=pd.Categorical(rare)))
    rows = regression()[0]
    rows[[7, 3], [0, 5]] = -np.inf
    with pytest.raises(InvalidInput, match=r"infinite ones in columns 0, 5 \(first in row 3\)"):
        load(bundle).predict(rows)
    with pytest.raises(InvalidInput, match="at least one, got none"):
        load(bundle).predict(rows[:0])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):  # no fault of the rows
        load(bundle).score(regression()[0], [1.0])


@pytest.mark.slow
def test_infinite_entries_of_sparse_rows(tmp_path: Path) -> None:
    """Of sparse rows too, the column and the row are named."""
    X, y = regression()
    one = study(tmp_path, data=(sparse.csr_array(X), y), space=Linear("l2"))
    one.run(2, quiet=True)
    model = load(one.export(tmp_path / "bundle"))
    X[3, 4] = np.inf
    with pytest.raises(InvalidInput, match=r"infinite ones in the column 4 \(first in row 3\)"):
        model.predict(sparse.csr_array(X))


@pytest.mark.slow
def test_a_column_of_no_name(tmp_path: Path) -> None:
    """A column may be called by the empty string."""
    X, y = regression()
    one = study(tmp_path, data=(pd.DataFrame(X, columns=["", *"abcde"]), y))
    one.run(2, quiet=True)
    assert load(one.export(tmp_path / "bundle")).form.names == ["", *"abcde"]


def test_arrays_of_any_kind(bundle: Path) -> None:
    """Lists, a frame and another precision are rows of an array's model as well."""
    X, _ = regression()
    model = load(bundle)
    expected = model.predict(X)
    np.testing.assert_array_equal(model.predict(X.tolist()), expected)
    np.testing.assert_allclose(model.predict(pd.DataFrame(X)), expected, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X.astype(object)), expected)


def test_a_loaded_model_is_an_estimator(bundle: Path) -> None:
    """What is loaded has scikit-learn's manners: it scores, has the pipeline's attributes, and clones unfitted."""
    X, y = regression()
    model = load(bundle)
    assert model.steps == model.model.steps
    assert model.score(X, y) == model.model.score(X, y)
    assert np.isfinite(cross_val_score(clone(model), X, y, cv=3)).all()
    with pytest.raises(AttributeError):
        model.predict_proba(X)


# --- examples --------------------------------------------------------------------------------------------------


DATA = {
    "array": regression()[0],
    "frame": frame()[0],
    "float32": regression()[0].astype(np.float32),
    "sparse": sparse.csr_array(np.where(np.abs(regression()[0]) > 1, regression()[0], 0.0)),
    "images": np.arange(60 * 4 * 4, dtype=np.uint8).reshape(60, 1, 4, 4),
    "numbered": pd.DataFrame(regression()[0]),
}


@pytest.mark.parametrize("case", DATA)
def test_an_example_comes_back(case: str) -> None:
    """The rows of an example come back from JSON with their types, and their form admits them as they are."""
    X = DATA[case]
    problem = make_problem(X, regression()[1])
    form = Form.read(json.loads(to_json(form_of(problem).data())))
    assert form == form_of(problem)
    rows = json.loads(to_json({"rows": example_of(problem, form)}))["rows"]
    made = rows_of(rows, form)
    assert made.shape == (5, *X.shape[1:])
    if isinstance(X, pd.DataFrame):
        assert list(made.dtypes) == list(X.dtypes)
        assert all(set(made[name].dropna()) <= set(X[name].dropna()) for name in X.columns)
    else:
        assert made.dtype == X.dtype
        dense = made.toarray() if sparse.issparse(made) else made
        whole = X.toarray() if sparse.issparse(X) else X
        assert np.isin(dense, whole).all()
    np.testing.assert_array_equal(*(_dense(one) for one in (form.checked(made), made)))


def _dense(X: Any) -> Any:
    return X.toarray() if sparse.issparse(X) else X.astype(object).fillna("") if isinstance(X, pd.DataFrame) else X


def test_no_row_of_an_example_is_a_row_of_the_data() -> None:
    """The columns of an example are of different rows: nobody's row is in it."""
    X, y = regression(200)
    problem = make_problem(X, y)
    rows = np.array(example_of(problem, form_of(problem)))
    assert not any((row == X).all(axis=1).any() for row in rows)


def test_the_stored_example_is_what_the_model_says(framed: Path) -> None:
    """The stored predictions are those of the loaded model on the stored rows."""
    model = load(framed)
    rows, said = stored_example(open_bundle(framed), model.form)
    assert predictions(model, rows) == said


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5), by=st.floats(1e-9, 1e-2))
def test_difference(values: list[float], by: float) -> None:
    """The difference of predictions is 0 for equal ones, and their relative change otherwise."""
    stored = {"predict": values}
    assert difference(stored, {"predict": list(values)}) == 0
    largest = max(map(abs, values))
    moved = {"predict": [value + by * largest for value in values]}
    if largest > 1e-3:
        assert difference(stored, moved) == pytest.approx(by, rel=1e-3, abs=1e-12)
    assert difference({"predict": ["a"]}, {"predict": ["b"]}) == float("inf")
    assert difference(stored, {"predict": values, "predict_proba": []}) == float("inf")


# --- configs ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_linear_config_is_a_pipeline(tmp_path: Path) -> None:
    """A config whose penalty scikit-learn has becomes its own pipeline, of the strength for the rows at hand."""
    X, y = regression(120)
    labels = y > 0
    one = study(tmp_path, data=(X, labels), space=Linear("l2", Float(1e-3, 1.0, log=True)))
    one.run(4, quiet=True)
    config = load_config(one.export(tmp_path / "bundle"))
    assert config.config == one.results().best.config
    built = config.build(make_problem(X[:40], labels[:40]))
    assert isinstance(built, Pipeline)
    last = built.steps[-1][1]
    assert isinstance(last, LogisticRegression)
    assert not hasattr(last, "coef_")
    assert isinstance(config.config, Linear)
    assert np.isclose(last.C, to_C(config.config.lambda_, 40), rtol=1e-12)
    assert built.fit(X, labels).predict(X).dtype == bool


@pytest.mark.slow
@pytest.mark.parametrize("penalty", ["l1", "l2", ElasticNet(0.5)], ids=str)
@pytest.mark.parametrize("labelled", [False, True], ids=["numbers", "classes"])
def test_a_pipeline_fitted_again_is_the_bundle(penalty: Any, labelled: bool, tmp_path: Path) -> None:
    """What `build` gives for the study's rows, and a clone of what is loaded, fit to the bundle's own predictions."""
    X, y = regression(120)
    space = Linear(penalty, lambda_=Float(2e-3, 4e-3))
    one = study(tmp_path, data=(X, y > 0 if labelled else y), space=space)
    one.run(2, quiet=True)
    folder = one.export(tmp_path / "bundle", lambda results: Pick(1, 0, "after the reference"))
    model = load(folder)
    built = load_config(folder).build(one.problem)
    said, spread = ("predict_proba", 1.0) if labelled else ("predict", y.std())
    assert repr(built) == repr(clone(model))
    for again in (built, clone(model)):
        again.fit(X, one.problem.labels)
        np.testing.assert_allclose(getattr(again, said)(X) / spread, getattr(model, said)(X) / spread, atol=2e-3)


def test_a_config_trains_as_the_search_did(bundle: Path, searched: Study) -> None:
    """Without a pipeline of scikit-learn's, fitting the config to the study's rows gives the bundle's predictions."""
    X, y = regression()
    built = load_config(bundle).build()
    assert not hasattr(built, "model_")
    np.testing.assert_array_equal(clone(built).fit(X, y).predict(X), load(bundle).predict(X))


@pytest.mark.slow
def test_a_net_config_trains(tmp_path: Path) -> None:
    """A net's config is an estimator that trains the net: on the study's rows, to the bundle's probabilities."""
    X, y = regression()
    labels = np.where(y > 0, "up", "down")
    space = Net(MLP(hidden=(4,)), dropout=Float(0, 0.5), early_stopping=t.EarlyStopping(max_epochs=3))
    one = study(tmp_path, data=(X, labels), space=space)
    one.run(2, quiet=True)
    folder = one.export(tmp_path / "bundle")
    built = load_config(folder).build().fit(X, labels)
    np.testing.assert_array_equal(built.predict_proba(X), load(folder).predict_proba(X))
    assert set(built.predict(X)) <= {"up", "down"}


@pytest.mark.slow
def test_an_estimator_config(tmp_path: Path) -> None:
    """The config of an estimator's bundle is that estimator, unfitted, with the parameters that were found."""
    space = Estimator(make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": Float(0.1, 10.0, log=True)})
    one = study(tmp_path, space=space)
    best = one.run(4, quiet=True).best
    built = load_config(one.export(tmp_path / "bundle")).build()
    assert built.get_params()["ridge__alpha"] == best.params["ridge__alpha"]
    assert not hasattr(built[-1], "coef_")


SPACE = Linear(
    penalty=Choice("l1", "l2", spaces.linear().penalty.options[-1]), scale=Choice("standard", "none"),
    lambda_=Float(1e-4, 10.0, log=True),
)  # fmt: skip


@given(data=st.data())
def test_a_config_is_found_in_its_space(data: st.DataObject) -> None:
    """Placing a config that was drawn from a space gives the parameters that it was drawn with."""
    import optuna

    class Drawn(optuna.trial.FixedTrial):
        """A trial of hypothesis's choice."""

        def _suggest(self, name: str, distribution: Any) -> Any:
            if isinstance(distribution, optuna.distributions.CategoricalDistribution):
                self._params[name] = data.draw(st.sampled_from(distribution.choices))
            else:
                self._params[name] = data.draw(st.floats(distribution.low, distribution.high))
            return super()._suggest(name, distribution)

    trial = Drawn({})
    config = sample(SPACE, trial)
    params = params_for(SPACE, to_data(config), None, "it")
    assert params == trial._params
    assert fill(SPACE, params) == config


# --- forgeries -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "sub/model.skops", ".."])
def test_paths_that_escape(bundle: Path, name: str) -> None:
    """A bundle that names a file outside its folder is refused before that file is touched."""
    edit(bundle, PROVENANCE, lambda said: said["files"].update({name: "0" * 64}))
    with pytest.raises(InvalidInput, match="lie in its folder"):
        load(bundle)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("other", [None, "text", {}])
def test_a_provenance_edited_into_none(bundle: Path, part: str, other: Any) -> None:
    """A provenance that lacks what verifying, retraining or starting from it reads is refused by the part's name."""
    edit(bundle, PROVENANCE, lambda said: said.update({part: other}))
    if other == {} and not PARTS[part]:
        assert open_bundle(bundle).provenance[part] == {}
        return
    with pytest.raises(InvalidInput, match=f"must have '{part}'"):
        open_bundle(bundle)


def test_a_provenance_of_other_types(bundle: Path) -> None:
    """What a part of the provenance says is there and of its type, or the part is refused."""
    text = (bundle / PROVENANCE).read_text()
    for part, name in [(part, name) for part, kinds in PARTS.items() for name in kinds]:
        given = json.loads(text)[part][name]
        for other in ([], True, {} if not isinstance(given, dict) else "text", None):
            said = json.loads(text)
            if other is None:
                del said[part][name]
            else:
                said[part][name] = other
            (bundle / PROVENANCE).write_text(json.dumps(said))
            with pytest.raises(InvalidInput, match=rf"must have '{part}'.*{name} \("):
                open_bundle(bundle)


@pytest.mark.parametrize("name", [CONFIG, FORM, MODEL])
def test_a_file_edited_by_hand(bundle: Path, name: str) -> None:
    """A file that is not what was exported is refused, however little was changed."""
    (bundle / name).write_bytes((bundle / name).read_bytes() + b"\n")
    with pytest.raises(InvalidInput, match=f"{name} is damaged.*sha256"):
        load(bundle)


@pytest.mark.parametrize("name", [PROVENANCE, FORM, EXAMPLE])
@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff", b"{}"])
def test_json_that_is_none(bundle: Path, name: str, text: bytes) -> None:
    """A JSON file that was cut or holds something else is refused in one sentence."""
    (bundle / name).write_bytes(text)
    if name != PROVENANCE:
        edit(bundle, PROVENANCE, lambda said: said["files"].update({name: sha256(bundle / name)}))
    with pytest.raises(InvalidInput, match=r"damaged|must"):
        load(bundle) if name != EXAMPLE else stored_example(open_bundle(bundle), load(bundle).form)


def test_a_form_of_no_rows(bundle: Path) -> None:
    """A schema of rows that no model takes is refused, even where its hash was made to fit."""
    edit(bundle, FORM, lambda said: said.update({"rows": "cube"}))
    with pytest.raises(InvalidInput, match="rows are frame or array or sparse, not 'cube'"):
        load(bundle)


def test_a_model_cut_inside(bundle: Path) -> None:
    """A model one of whose arrays was cut is refused, even where its hash was made to fit."""
    with ZipFile(bundle / MODEL) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    cut = next(name for name in parts if name.endswith(".npy"))
    with ZipFile(bundle / MODEL, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part[:-8] if name == cut else part)
    edit(bundle, PROVENANCE, lambda said: said["files"].update({MODEL: sha256(bundle / MODEL)}))
    with pytest.raises(InvalidInput, match=f"{MODEL} is damaged"):
        load(bundle)


@pytest.mark.parametrize("name", [PROVENANCE, FORM])
def test_what_is_missing(bundle: Path, name: str) -> None:
    """A bundle without one of its files is not found by that file's name."""
    (bundle / name).unlink()
    with pytest.raises(NotFound, match=f"has a {name}"):
        load(bundle)


@pytest.mark.parametrize(
    ("line", "other", "said"),
    [
        ('type = "linear"', 'type = "quadratic"', "quadratic"),
        ("lambda = ", 'lambda = "much" #', "lambda"),
        ('type = "linear"', 'type = "linear"\nsecret = 1', "secret"),
        ('type = "linear"', 'type = "l1"', "must be a model"),
        ("task = ", "load = 3\ntask = ", "'load', a table"),
        ("[config]", "[load]\ntrusted = 5\n[config]", "list of names"),
    ],
)
def test_a_config_edited_into_none(bundle: Path, line: str, other: str, said: str) -> None:
    """A config that was edited into none is refused by what is wrong, even where its hash was made to fit."""
    text = (bundle / CONFIG).read_text()
    text = (
        text.replace(line, other, 1) if other != 'type = "l1"' else text.partition("[config]")[0] + f"[config]\n{other}"
    )
    (bundle / CONFIG).write_text(text)
    edit(bundle, PROVENANCE, lambda known: known["files"].update({CONFIG: sha256(bundle / CONFIG)}))
    with pytest.raises(InvalidInput, match=said):
        load_config(bundle)


def test_the_card_is_honest(searched: Study, bundle: Path) -> None:
    """The card has score, gap, rule, every parameter of the config, and what being the best of many is worth."""
    text, best = (bundle / "README.md").read_text(), searched.results().best
    for figure in (
        best.point.val,
        best.point.val_se,
        best.point.train,
        best.point.gap,
        searched.results().corrected.score,
    ):
        assert f"{figure:.5g}" in text
    assert best.why in text
    assert all(f"- {name}: " in text for name in flat(best.config))
    assert all((bundle / name).exists() for name in ("gap.png", "path.png") if name in text)
