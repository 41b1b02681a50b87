"""Text and dates of a table become numbers by themselves, and whoever wants it otherwise says so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from regsearch import InvalidInput, Linear, Study, column_transformer, load, spaces
from regsearch import Path as LambdaPath
from regsearch.data.column_roles import column_roles, said_of
from regsearch.data.column_steps import DateParts
from regsearch.export.bundle.files import open_bundle
from regsearch.export.bundle.loading import form_of
from regsearch.export.bundle.tables import read_table

N = 80
RANDOM = np.random.default_rng(0)
X = pd.DataFrame({
    "size": RANDOM.normal(size=N),
    "notes": [f"the house number {k} is {RANDOM.choice(['old and dark', 'new'])} inside" for k in range(N)],
    "sold": pd.date_range("2024-01-30", periods=N, freq="36h"),
    "built": pd.date_range("1990-01-13", periods=N, freq="D").strftime("%d/%m/%Y"),
    "town": RANDOM.choice(["Rome", "Bern"], N),
    "owner": [f"Dr {k}" for k in range(N)],
    "lift": RANDOM.choice([True, False], N),
})  # fmt: skip
HOLES = X.assign(lift=X["lift"].astype(object))
for place, name in enumerate(HOLES.columns):
    HOLES.loc[place::11, name] = None
Y = X["notes"].str.contains("dark") + X["size"] + X["sold"].dt.month / 12 + RANDOM.normal(size=N) / 5


def test_a_column_is_what_its_form_says() -> None:
    """Dates in any usual form are dates, few texts or few words are categories, and the rest is words, holes or not."""
    said = {one.name: str(one) for one in column_roles(HOLES.assign(lift=X["lift"]))}
    assert said == {
        "size": "size: number", "notes": "notes: words (tf-idf)", "sold": "sold: date in parts",
        "built": "built: date in parts, read as %d/%m/%Y", "town": "town: 2 categories",
        "owner": "owner: dropped, each of its 73 texts is in under 5 rows", "lift": "lift: boolean",
    }  # fmt: skip
    either = column_roles(pd.DataFrame({"day": ["01/02/2024", "03/04/2024"]}))
    assert "days and months could be swapped" in said_of(either)


def test_no_column_is_silently_one_constant() -> None:
    """Numbers as text are refused with the first that is none; of levels that are all rare, shared words are taken."""
    numbers = [str(k / 7) for k in range(60)]
    for texts, says in (([*numbers, None, "?", "-"], r"'a' .* got '\?'.*to_numeric"), (numbers, r"such as '0\.0'")):
        stray = pd.DataFrame({"a": pd.Series(texts, dtype=object)})
        with pytest.raises(InvalidInput, match=says):
            column_transformer(stray)
        assert column_roles(stray, {"a": "category"})[0].role == "category"
        assert column_transformer(stray.astype("category")).fit_transform(stray.astype("category")).shape[1] >= 60
    rare = {"prefixed": [f"{'ab'[k % 2]}-{k}" for k in range(60)], "codes": ["1", "2"] * 30}
    assert [one.role for one in column_roles(pd.DataFrame(rare))] == ["words", "category"]
    with pytest.raises(InvalidInput, match="must not be dropped"):
        column_transformer(X[["owner"]])


@pytest.mark.parametrize("text", ["$%d,%03d.50", "CHF %d'%03d", "%d.%03d %%", "%d%03d km", "-%d,%03d", "%d%d,%02d"])
def test_numbers_as_people_write_them_are_refused(text: str) -> None:
    """A column of amounts is neither dropped nor words: the error's own line makes its numbers."""
    values = [(k, (37 * k) % 97, 5) for k in range(1, 60)]
    texts = [text % one[: text.count("%") - text.count("%%") * 2] for one in values]
    X = pd.DataFrame({"a": [*texts, None]})
    with pytest.raises(InvalidInput, match="numbers as people write them, such as") as error:
        column_roles(X)
    line = str(error.value).partition("convert it, ")[2].partition(", or make")[0]
    exec(line, {"X": X, "pd": pd})
    kept = [re.sub(r"[^\d.-]", "", one.replace(",", "." if text.endswith(",%02d") else "")) for one in texts]
    assert X["a"].tolist()[:-1] == [float(one) for one in kept]


@pytest.mark.parametrize("text", ["A%05d", "%d:30", "079 123 45 %02d", "10.0.0.%d", "%d Main Street", "v1.%d"])
def test_what_has_digits_is_not_yet_a_number(text: str) -> None:
    """Codes, times, telephone numbers, versions and addresses are what text is, and no error."""
    assert column_roles(pd.DataFrame({"a": [text % k for k in range(60)]}))[0].role in ("drop", "words")


def test_what_columns_become_is_what_pandas_and_scikit_learn_say() -> None:
    """Parts of dates are pandas' own, words are those of TfidfVectorizer, and levels are zeros and ones."""
    step = column_transformer(X).fit(X)
    made = pd.DataFrame(step.transform(X).toarray(), columns=step.get_feature_names_out())
    built = pd.to_datetime(X["built"], format="%d/%m/%Y")
    np.testing.assert_array_equal(made["built month"], built.dt.month)
    np.testing.assert_array_equal(made["sold hour"], X["sold"].dt.hour)
    np.testing.assert_array_equal(made["sold day of week"], X["sold"].dt.day_of_week)
    np.testing.assert_array_equal(made["town=Rome"], X["town"] == "Rome")
    theirs = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b\w+\b").fit(X["notes"])
    np.testing.assert_allclose(
        made["notes=dark"], theirs.transform(X["notes"]).toarray()[:, theirs.vocabulary_["dark"]]
    )
    few = column_transformer(X, {"notes": "drop", "town": "words", "owner": "drop"}).fit(X)
    assert {"town=rome", "town=bern"} < set(few.get_feature_names_out())
    assert not any(name.startswith(("notes", "owner")) for name in few.get_feature_names_out())


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "UInt8", "int64[pyarrow]", "double[pyarrow]"])
def test_numbers_of_types_with_a_missing_value_of_their_own_are_floats(dtype: str) -> None:
    """Beside dates, in training and in rows to predict, they become what floats with NaN become."""
    floats = X[["sold"]].assign(rooms=np.where(np.arange(N) % 4, np.arange(N) % 7, np.nan))
    nullable = floats.assign(rooms=floats["rooms"].astype("Int64").astype(dtype))
    expected = column_transformer(floats).fit(floats)
    for given in (floats, nullable):
        step = column_transformer(given).fit(given)
        assert step.get_feature_names_out().tolist() == expected.get_feature_names_out().tolist()
        for rows in (floats, nullable):
            np.testing.assert_array_equal(step.transform(rows), expected.transform(floats))


@pytest.mark.parametrize(
    ("roles", "says"),
    [
        ({"twn": "words"}, "'town'"), ({"town": "word"}, "must be number"), ({"town": "date"}, "read it with"),
        ({"sold": "words"}, "is a date or dropped"), ({"town": "number"}, "text column 'town' must be category"),
    ],
)  # fmt: skip
def test_roles_that_cannot_be_are_refused(roles: Any, says: str) -> None:
    """The error names the column and what it may be."""
    with pytest.raises(InvalidInput, match=says):
        column_transformer(X, roles)


@pytest.mark.slow
def test_a_csv_file_goes_from_ten_lines_to_a_bundle_that_serves_raw_rows(tmp_path: Path) -> None:
    """A table as pandas reads it is searched, says what became of columns, and its bundle takes the file."""
    HOLES.assign(price=Y).to_csv(tmp_path / "houses.csv", index=False)
    table = pd.read_csv(tmp_path / "houses.csv")
    data: tuple[Any, Any] = table.drop(columns="price"), table["price"]
    study = Study("houses", *data, space=Linear("l1", LambdaPath(10)), cv=3, root=tmp_path, tracking=False)
    assert "notes: words (tf-idf)" in str(study)
    best = study.run(2, quiet=True).best
    assert best.score > -Y.var()
    bundle = study.export(out=tmp_path / "bundle")
    model = load(bundle)
    rows, _, _ = read_table(tmp_path / "houses.csv", "price", form_of(open_bundle(bundle)))
    np.testing.assert_allclose(model.predict(rows), model.predict(data[0]))
    assert np.isfinite(model.predict(data[0].head(1).assign(town="Oslo", notes=None, built=None))).all()
    with pytest.raises(InvalidInput, match=r"'built' must hold dates as %d/%m/%Y, got '1990-01-13'"):
        model.predict(data[0].head(1).assign(built="1990-01-13"))


def test_rows_to_predict_have_dates_of_any_type() -> None:
    """Days of Python or Arrow are those that pandas has, with holes, in one row and where none is known."""
    days = X["sold"].dt.normalize().rename("day")
    expected = DateParts().fit(days.to_frame()).transform(days.to_frame())
    holes = days.astype(object).map(lambda day: day.date()).where(np.arange(N) != 1, None)
    of_arrow = days.astype("date32[pyarrow]")
    for one in (holes, of_arrow, days.dt.tz_localize("UTC"), days.astype("timestamp[us][pyarrow]")):
        step = DateParts().fit(one.to_frame())
        known = one.notna().to_numpy()
        found = step.transform(one.to_frame())
        np.testing.assert_array_equal(found[known], expected[known])
        assert np.isnan(found[~known]).all()
        np.testing.assert_array_equal(step.transform(one.iloc[[0]].to_frame()), expected[[0]])
    assert np.isnan(DateParts().fit_transform(holes.iloc[[1]].to_frame())).all()
    assert np.isnan(DateParts().fit_transform(pd.DataFrame({"day": [np.nan, np.nan]}))).all()
    with pytest.raises(InvalidInput, match="'day' must hold dates, got '2024-01-30'; read it with"):
        DateParts().fit_transform(days.dt.strftime("%Y-%m-%d").to_frame())


def test_what_is_prepared_otherwise_stays_so(tmp_path: Path) -> None:
    """A transformer of the user's own, and a table without text or dates, are left as they are."""
    own = column_transformer(X, {"notes": "drop"})
    made = Study("own", X, Y, space=Linear(prepare=own), root=tmp_path, tracking=False)
    assert made.space.fields()["prepare"].transformer is own
    plain = Study("plain", X[["size", "lift"]], Y, space=spaces.linear(), root=tmp_path, tracking=False)
    assert plain.space.fields()["prepare"] is None
