"""The report: one page that needs nothing from elsewhere and says every number that was chosen."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from nets import Dial
from samples import regression, study
from sklearn.linear_model import Ridge

from regsearch import Choice, Estimator, Float, Linear, SearchFailed, spaces
from regsearch.axes import EPOCHS, LAMBDA
from regsearch.plots import stills as figures
from regsearch.plots.canvas import family
from regsearch.plots.scores import gap_record, path_record
from regsearch.plots.still import draw_path
from regsearch.report import note, page, write_artifacts
from regsearch.results import Results


class Links(HTMLParser):
    """What a page asks a browser to load or to run, and whether its tags match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)
        for name, value in attrs:
            inside = (value or "").startswith(("#", "data:"))
            if name in ("src", "href", "xlink:href", "data", "action", "srcset") and not inside:
                self.loaded.append(f"{tag} {name}={value}")
            assert not name.startswith("on"), f"{tag} runs {name}"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return study(tmp_path_factory.mktemp("report"), space=spaces.linear()).run(12, quiet=True)


@pytest.fixture(scope="module")
def epochs(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A study of paths along epochs, pruned trials among them."""
    return study(tmp_path_factory.mktemp("epochs"), "dial", space=Dial()).run(12, quiet=True)


def test_the_page_needs_nothing(results: Results) -> None:
    """The page is well formed, loads nothing, runs nothing, and styles nothing from elsewhere."""
    text = page(results, figures(results))
    links = Links(text)
    assert not links.open
    assert links.loaded == []
    assert not {"script", "link", "iframe", "object", "embed", "img"} & set(links.tags)
    assert "@import" not in text
    assert not re.findall(r"url\((?!#)", text)
    assert text.startswith("<!doctype html>")


def test_the_page_says_every_chosen_number(results: Results) -> None:
    """For each rule: trial, score, standard error, train score, gap and reason; and every trial with its config."""
    text = page(results, {})
    for rule in ("best", "one_se"):
        chosen = results.choose(rule)
        point = chosen.point
        cells = [rule, str(chosen.number), *(f"{v:.4g}" for v in (point.val, point.val_se, point.train, point.gap))]
        assert "".join(f"<td>{cell}</td>" for cell in cells) in text
        assert chosen.why in text
    for trial in results.complete:
        assert f"<td>{results.point(trial).val:.4g}</td>" in text
        assert f"gamma={trial.params['gamma']:.4g}" in text


def test_the_note_says_what_was_chosen(results: Results) -> None:
    """The Markdown summary has the study, both rules, the reference and the best config."""
    text = note(results)
    for rule in ("best", "one_se"):
        chosen = results.choose(rule)
        assert f"| {rule} | {chosen.number} | {chosen.score:.5g} |" in text
    assert results.reference is not None
    assert f"| without regularization | {results.reference.number} |" in text
    assert "60 rows, 6 columns, regression" in text
    assert f"penalty={results.best.params['penalty']}" in text


def test_the_pages_text_is_escaped(tmp_path: Path) -> None:
    """What comes from the user is text, never markup."""
    X, y = regression()

    def scorer(model: object, X: object, y: object) -> float:
        return float(-np.mean((model.predict(X) - y) ** 2))  # type: ignore[attr-defined]

    one = study(tmp_path, data=(X, y), scoring={"<script>alert(1)</script>": scorer}).run(3, quiet=True)
    text = page(one, figures(one))
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_artifacts(results: Results, tmp_path: Path) -> None:
    """The report and the figures are written, whole, and listed for MLflow."""
    listed = write_artifacts(results, tmp_path / "report")
    written = {file.name for file in (tmp_path / "report").iterdir()}
    assert written == {"report.html", "path.png", "gap.png"}
    assert {Path(one.path).name for one in listed} == written
    for name in ("path.png", "gap.png"):
        assert (tmp_path / "report" / name).read_bytes().startswith(b"\x89PNG")
    assert Links((tmp_path / "report" / "report.html").read_text()).tags.count("svg") == 2


def test_what_the_figures_show(results: Results) -> None:
    """The path is the best trial's means and standard errors; the gap figure has one dot for each complete trial."""
    along = path_record(results)
    assert along is not None
    curves = results.curves(results.best.number)
    np.testing.assert_allclose(along.val, curves.val.mean(axis=0))
    np.testing.assert_allclose(along.train, curves.train.mean(axis=0))
    np.testing.assert_allclose(along.se, curves.val.std(axis=0, ddof=1) / np.sqrt(len(curves.val)))
    dots = np.concatenate(list(gap_record(results).families.values()))
    points = [results.point(trial) for trial in results.complete]
    assert sorted(map(tuple, dots)) == sorted((point.gap, point.val) for point in points)


def test_a_path_of_epochs(epochs: Results) -> None:
    """Epochs are drawn from left to right on whole numbers, with the best and the first one within its error."""
    record = path_record(epochs)
    assert record is not None
    assert record.along is EPOCHS
    assert record.axis.tolist() == list(range(1, 31))
    within = np.flatnonzero(record.val >= epochs.best.point.floor)
    assert record.marks == {"best": epochs.best.value, "one standard error": within[0] + 1}
    (axes,) = draw_path(record).axes
    assert (axes.get_xlabel(), axes.get_xscale(), axes.xaxis_inverted()) == ("epochs", "linear", False)
    assert all(tick == round(tick) for tick in axes.get_xticks())
    said = [text.get_text() for text in axes.get_legend().get_texts()]
    assert f"best: {epochs.best.value}" in said
    assert f"one standard error: {within[0] + 1}" in said


def test_a_path_of_lambdas(results: Results) -> None:
    """Lambdas are drawn from the largest, by their logarithm."""
    record = path_record(results)
    assert record is not None
    assert record.along is LAMBDA
    (axes,) = draw_path(record).axes
    assert axes.get_xlabel().startswith("lambda")
    assert (axes.get_xscale(), axes.xaxis_inverted()) == ("log", True)
    assert f"best: {results.best.lambda_:.3g}" in [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_report_says_where_on_its_path_a_choice_lies(results: Results, epochs: Results) -> None:
    """The note has a column of lambdas or epochs, and the page's configs say them."""
    for one in (results, epochs):
        text = note(one)
        assert f"| trial | score | train | gap | {one.best.axis} |" in text
        for rule in ("best", "one_se"):
            value = one.choose(rule).value
            assert value is not None
            assert re.search(rf"\| {rule} \| .* \| {value:.3g} \|\n", text)
    assert f"epochs={epochs.best.value}" in page(epochs, {})


def test_pictures_of_the_space(epochs: Results, tmp_path: Path) -> None:
    """Pictures that the space draws stand in the page with a caption, and are written and listed beside the others."""
    assert epochs.space is not None
    pictures = epochs.space.figures(study(tmp_path).problem, 0)
    listed = write_artifacts(epochs, tmp_path / "report", pictures)
    names = ["report.html", "path.png", "gap.png", "augmented_samples.png"]
    assert [Path(one.path).name for one in listed] == names
    assert all(Path(one.path).stat().st_size for one in listed)
    text = (tmp_path / "report" / "report.html").read_text()
    assert "<figcaption>Augmented samples</figcaption>" in text
    assert Links(text).loaded == []
    assert Links(text).tags.count("svg") == 3


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"penalty": "elastic_net", "gamma": 0.0}, "elastic net"),
        ({"penalty": "adaptive_lasso", "gamma": 1.2}, "adaptive lasso"),
        ({"penalty": "none"}, "none"),
        ({"estimator": "SVC", "gamma": 0.1}, "SVC"),
        ({"module": "cnn", "penalty": "l1"}, "cnn, l1"),
        ({"module": "my_net", "penalty": "none"}, "my net"),
        ({"module": "mlp"}, "mlp"),
    ],
)
def test_families(params: dict[str, object], name: str) -> None:
    """A legend names modules and estimators, and penalties where there is one."""
    assert family(params) == name


@pytest.mark.parametrize(
    ("space", "trials"),
    [
        (Linear(penalty="l1", lambda_=Float(0.01, 1.0, log=True)), 4),
        (Estimator(Ridge(), {"alpha": Choice(1.0, 2.0)}), 4),
        (Linear(), 1),
    ],
)
def test_studies_without_a_path(tmp_path: Path, space: object, trials: int) -> None:
    """A study whose trials have a single point, or a single trial, has its figures and its page too."""
    one = study(tmp_path, space=space).run(trials, quiet=True)
    assert path_record(one) is None
    assert set(figures(one)) == {"gap"}
    assert Links(page(one, figures(one))).loaded == []
    assert note(one)


def test_one_fold(tmp_path: Path) -> None:
    """A single fold has no standard error: the figures and the page do without."""
    one = study(tmp_path, cv=[(np.arange(40), np.arange(40, 60))]).run(6, quiet=True)
    assert {"gap"} <= set(figures(one))
    assert write_artifacts(one, tmp_path / "report")


def test_nothing_to_report(tmp_path: Path) -> None:
    """A study without a complete trial has a note and no artifacts."""
    one = study(tmp_path, space=Estimator(Ridge(alpha=-1.0), {"fit_intercept": Choice(True, False)}))
    with pytest.raises(SearchFailed):
        one.run(2, quiet=True)
    results = one.results()
    assert write_artifacts(results, tmp_path / "report") == []
    assert not (tmp_path / "report").exists()
    assert "small" in note(results)
