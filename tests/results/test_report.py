"""The report: one page that needs nothing from elsewhere and says every number that was chosen."""

from __future__ import annotations

import html
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from browser import opened, shoot
from nets import Dial
from playwright.sync_api import Browser, Dialog, Page
from samples import regression, study
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer

from regsearch import Choice, Estimator, Float, InvalidInput, Linear, NotFound, SearchFailed, spaces
from regsearch.results.plots.gap import gap_record
from regsearch.results.report import note, write_artifacts, write_report
from regsearch.results.report import page as page_of
from regsearch.results.report.drawing import BASIC, CARTESIAN, plotly_script
from regsearch.results.report.sentences import about, verdict
from regsearch.results.report.templates import OURS, rendered
from regsearch.results.results import Results
from regsearch.results.rules import RULES
from regsearch.space.path import Path as Lambdas


class Links(HTMLParser):
    """What a page asks a browser to load, which scripts it has, and whether its tags match."""

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


@contextmanager
def watched(tab: Page) -> Iterator[None]:
    """Within the block nothing is loaded beside the page itself, nothing fails, and nothing is complained about."""
    said: list[str] = []
    tab.on("request", lambda request: said.append(request.url) if request.url.startswith("http") else None)
    tab.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: said.append(str(error)))
    yield
    assert said == []


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return study(tmp_path_factory.mktemp("report"), space=spaces.linear()).run(12, quiet=True)


@pytest.fixture(scope="module")
def epochs(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A study of paths along epochs, pruned trials among them."""
    return study(tmp_path_factory.mktemp("epochs"), "dial", space=Dial()).run(12, quiet=True)


@pytest.mark.slow
def test_the_page_says_every_chosen_number(results: Results) -> None:
    """For each rule: trial, score, standard error, train score, gap and reason; and every trial with its config."""
    text = page_of(results)
    for rule in RULES:
        chosen = results.choose(rule)
        point = chosen.point
        row = text[text.index(f"<td>{rule}</td>") :].partition("</tr>")[0]
        number, *cells = re.findall(r'<td class="number">(.*?)</td>', row)[:5]
        assert number == str(chosen.number)
        for cell, value in zip(cells, (point.val, point.val_se, point.train, point.gap), strict=True):
            decimals = len(cell.partition(".")[2])
            assert cell == f"{value:.{decimals}f}"
            assert 10.0**-decimals <= 0.1 * point.val_se
        assert chosen.why in html.unescape(text)
    for trial in results.complete:
        assert f'<td class="number">{results.point(trial).val:.3f}</td>' in text
        assert f"gamma={trial.params['gamma']:.4g}" in text


@pytest.mark.slow
def test_the_page_answers(results: Results) -> None:
    """The verdict has the winner's and the reference's gap and the corrected score; advice stands with its evidence."""
    text = html.unescape(page_of(results))
    best, reference = results.best, results.reference
    assert reference is not None
    assert f"a gap of {best.gap:.3g}" in text
    assert f"(without regularization) has a gap of {results.point(reference).gap:.3g}" in text
    assert results.corrected.score is not None
    assert f"corrected {results.corrected.score:.5g}" in text
    for one in results.advice:
        assert one.text in text
        assert one.evidence in text
    for drawn in results.plots.drawn():
        assert f'id="{drawn.name}"' in text
        assert drawn.caption in text


@pytest.mark.slow
def test_what_the_folds_cannot_tell_is_not_claimed(tmp_path: Path) -> None:
    """Of noise nothing is said to help, nor of a reference alone; of a strong effect it is not doubted."""
    rng = np.random.default_rng(0)
    noise, wide = (rng.normal(size=(60, 4)), rng.normal(size=60)), regression(40, 34)
    doubt = "Nothing clearly changes the score."
    vague = study(tmp_path, "vague", data=noise, space=Linear("l2", lambda_=Float(1e-3, 1e-2))).run(4, quiet=True)
    assert vague.best.number != vague.reference.number
    assert doubt in page_of(vague)
    assert doubt not in page_of(study(tmp_path, "wide", data=wide, space=Linear("l2")).run(4, quiet=True))
    assert "nothing else was tried yet" in page_of(study(tmp_path, "alone").run(1, quiet=True))


@pytest.mark.slow
def test_a_winner_without_a_penalty_is_no_remedy(tmp_path: Path) -> None:
    """Where the best point of all paths is at lambda 0, that is said of it, and nothing is said to have helped."""
    X, _ = regression(200, 4)  # and noise that no shrinkage takes for a signal, by luck of the folds
    exact = X @ np.array([1.0, 2.0, -3.0, 0.5]) + np.random.default_rng(2).normal(size=200) * 1e-3
    best = (one := study(tmp_path, data=(X, exact), space=Linear(Choice("l1", "l2"))).run(3, quiet=True)).best
    assert best.lambda_ == 0 == best.settings["lambda"]
    assert "Its lambda is 0: that is the fit without a penalty." in str(best)
    assert "Nothing did" in page_of(one)
    assert "What it has and the reference has not" not in page_of(one)


@pytest.mark.slow
def test_only_figures_that_are_there_are_named(tmp_path: Path) -> None:
    """Where nothing beats the reference, the figure of scores by kind is pointed at in studies that have it."""
    poor = {"alpha": Choice(1e5, 1e6)}
    one_kind = study(tmp_path, "one", space=Estimator(Ridge(), poor)).run(4, quiet=True)
    two_kinds = study(tmp_path, "two", space=Linear(Choice("l1", "l2"), Choice(30.0, 300.0))).run(5, quiet=True)
    for results in (one_kind, two_kinds):
        alone = results.candidates == results.complete
        assert results.reference_leads != alone
        assert (results.best.number == results.reference.number) == alone
        text = page_of(results)
        assert "Nothing did" in text
        assert ("no rule chooses the reference" in text) != alone
        assert ("figure of scores by kind" in text) == ('id="kinds"' in text)
    assert 'id="kinds"' in text


@pytest.mark.slow
def test_findings_are_told(epochs: Results) -> None:
    """What an ablation, nested folds and an explanation found stands in the page."""
    row = {
        "technique": "dropout",
        "score_change": -0.5,
        "gap_change": 0.25,
        "score_change_se": 0.1,
        "gap_change_se": 0.1,
    }
    best = {"number": epochs.best.number, "step": epochs.best.step, "rule": "best"}
    epochs.store.save_finding("ablation", best | {"metric": epochs.metric, "rows": [row]})
    epochs.store.save_finding("nested", {"scores": [-1.0, -2.0], "mean": -1.5, "se": None, "rule": "one_se"})
    epochs.store.save_finding("interpretation", best | {"lines": ["One of <five> units is hidden."]})
    text = page_of(epochs)
    assert f"dropout matters most: without it {epochs.metric} falls by 0.5 ± 0.1" in text
    assert "which chooses anew by the rule one_se in each of 2 outer folds, gives -1.5." in text
    assert "<li>One of &lt;five&gt; units is hidden.</li>" in text
    epochs.store.save_finding("ablation", best | {"number": 1000, "metric": epochs.metric, "rows": [row]})
    epochs.store.save_finding("interpretation", best | {"number": 1000, "lines": ["Of another winner."]})
    text = page_of(epochs)
    assert "dropout matters" not in text
    assert "trial 1000, the best then" in text
    assert "Of another winner" not in text
    epochs.store.save_finding("ablation", best | {"metric": epochs.metric, "rows": [row | {"score_change_se": 0.4}]})
    assert "No technique clearly matters: the largest loss, without dropout, is 0.5 ± 0.4" in page_of(epochs)


@pytest.mark.slow
def test_the_page_in_a_browser(results: Results, tmp_path: Path, browser: Browser) -> None:
    """Offline, light or dark, on a desk or a phone, every figure is drawn once seen, and nothing is wider than that."""
    file = write_report(results, tmp_path / "folder" / "report.html")
    names = [drawn.name for drawn in results.plots.drawn()]
    for scheme, width in (("light", 1100), ("dark", 390)):
        with opened(browser) as tab, watched(tab):
            tab.set_viewport_size({"width": width, "height": 844})
            tab.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            tab.goto(file.as_uri())
            tab.locator(f"#{names[0]} .main-svg").first.wait_for()
            assert tab.locator(f"#{names[-1]} .main-svg").count() == 0  # not yet: nobody has looked
            for name in names:
                tab.locator(f"#{name}").scroll_into_view_if_needed()
                tab.locator(f"#{name} .main-svg").first.wait_for()
            assert tab.evaluate("document.documentElement.scrollWidth") == width
            assert (tab.locator("#parallel .scroll.moves").count() == 1) == (width == 390)  # which says so
            paper = tab.evaluate("getComputedStyle(document.querySelector('#gap .main-svg')).backgroundColor")
            assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 25, 29)"}[scheme]
            shoot(tab, f"report-{scheme}", whole=True)


@pytest.mark.slow
def test_the_page_on_paper(results: Results, tmp_path: Path, page: Page) -> None:
    """Printed unseen, the page has every figure, none wider than the paper."""
    file = write_report(results, tmp_path / "report.html")
    with watched(page):
        page.emulate_media(color_scheme="dark")
        page.goto(file.as_uri())
        page.locator("#gap .main-svg").first.wait_for()
        page.pdf(path=tmp_path / "report.pdf", format="A4")
        names = [drawn.name for drawn in results.plots.drawn()]
        for name in names:
            page.locator(f"#{name} .main-svg").first.wait_for(state="attached")
    assert (tmp_path / "report.pdf").stat().st_size > 50_000


@pytest.mark.slow
def test_the_page_is_whole(results: Results) -> None:
    """The page is well formed, loads nothing and styles nothing from elsewhere; plotly is in it once."""
    text = page_of(results)
    links = Links(text)
    assert not links.open
    assert links.loaded == []
    assert not {"link", "iframe", "object", "embed"} & set(links.tags)
    assert "@import" not in text[: text.index("</style>")]
    assert text.count("plotly.js") == 0  # it is packed
    assert text.count('id="plotly"') == 1
    assert text.startswith("<!doctype html>")


def test_a_template_of_ones_own(results: Results, tmp_path: Path) -> None:
    """A page of a user's folder extends ours, escaped as ours; a folder without one, or with a wrong one, is told."""
    own = tmp_path / "page.html"
    with pytest.raises(NotFound, match=r"none of page\.css, page\.html, page\.js"):
        page_of(results, tmp_path)
    own.write_text('{% extends "regsearch/page.html" %}{% block header %}{{ "<b>" }}{{ report.about }}{% endblock %}')
    text = page_of(results, tmp_path)
    assert f"<header>&lt;b&gt;{html.escape(about(results))}</header>" in text
    assert "What each rule chooses" in text
    for wrong in ("{% block %}", "{{ report.nothing }}", '{% include "none.css" %}'):
        own.write_text(wrong)
        with pytest.raises(InvalidInput, match="must be one of Jinja"):
            page_of(results, tmp_path)
    with pytest.raises(NotFound, match="there is none at"):
        page_of(results, tmp_path / "gone")


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"\n{{ 1/0 }}", ", line 2: division by zero"), (b"{{ ''.__class__.__mro__ }}", ", line 1: .*unsafe"),
     ("é".encode("latin-1"), " is not: .*codec can't decode")],
)  # fmt: skip
def test_a_template_that_fails_is_named(content: bytes, says: str, tmp_path: Path) -> None:
    """Whatever a template does, the error names its file; it may not reach what is no part of the report."""
    own = tmp_path / "page.html"
    own.write_bytes(content)
    with pytest.raises(InvalidInput, match=re.escape(str(own)) + says):
        rendered(tmp_path)


def test_the_smallest_script_that_draws(results: Results) -> None:
    """Reports carry the least of plotly that draws figures of regsearch, and more where one of a user's needs it."""
    kinds = {trace.type for drawn in results.plots.drawn() for trace in drawn.figure.data}
    assert kinds <= BASIC
    scripts = [plotly_script(some) for some in (BASIC, CARTESIAN, {"scatter", "surface"})]
    for some, script in zip((BASIC, CARTESIAN), scripts, strict=False):
        assert all(f'moduleType:"trace",name:"{kind}"' in script for kind in some)
        assert script.count('moduleType:"trace"') == len(some)
    assert len(scripts[0]) < len(scripts[1]) < len(scripts[2]) / 3
    assert len(page_of(results).encode()) < 8e5


@pytest.mark.slow
def test_of_many_trials_the_best_are_seen_first(results: Results, tmp_path: Path, page: Page) -> None:
    """The first figure is drawn with the first marks of each trace, then with every trial."""
    script = (OURS / "page.js").read_text()
    (tmp_path / "page.js").write_text(script.replace("AT_ONCE = 150", "AT_ONCE = 3"))
    text = page_of(results, tmp_path)
    assert text != page_of(results)
    (tmp_path / "report.html").write_text(text)
    page.add_init_script("""
        const look = () => {
          const seen = document.querySelectorAll("#gap .points path").length;
          if (seen && seen !== counts.at(-1)) counts.push(seen);
          requestAnimationFrame(look);
        };
        globalThis.counts = [];
        look();
    """)
    sampled = sum(len(of) for of in gap_record(results).families.values())
    marks = len(gap_record(results).marks)
    with watched(page):
        page.goto((tmp_path / "report.html").as_uri())
        page.wait_for_function("counts.length > 1")
    assert page.evaluate("counts")[-1] == sampled + marks
    assert page.evaluate("counts[0]") == sum(min(3, len(of)) for of in gap_record(results).families.values()) + marks


@pytest.mark.slow
def test_the_pages_text_is_escaped(tmp_path: Path, page: Page) -> None:
    """What comes from the user is text, never markup, in figures too."""
    X, y = regression()

    def scorer(model: object, X: object, y: object) -> float:
        return float(-np.mean((model.predict(X) - y) ** 2))  # type: ignore[attr-defined]

    one = study(tmp_path, data=(X, y), scoring={"</script><script>alert(1)</script>": scorer}).run(3, quiet=True)
    alerts: list[str] = []

    def shown(dialog: Dialog) -> None:
        alerts.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", shown)
    text = write_report(one, tmp_path / "report.html").read_text()
    assert "<script>alert" not in text
    page.goto((tmp_path / "report.html").as_uri())
    page.locator("#gap .main-svg").first.wait_for()
    assert alerts == []
    assert "</script><script>alert(1)</script>" in page.locator("#gap .ytitle").text_content()


@pytest.mark.slow
def test_a_report_is_replaced_whole(results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where writing breaks off, the earlier page is as it was and nothing lies beside it; a link to it stays."""
    file = write_report(results, tmp_path / "report.html")
    before = file.read_bytes()
    link = tmp_path / "latest.html"
    link.symlink_to(file)
    assert write_report(results, link) == link
    assert link.is_symlink()

    def break_off(part: Path, content: bytes) -> None:
        with part.open("wb") as out:
            out.write(content[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", break_off)
    with pytest.raises(KeyboardInterrupt):
        write_report(results, file)
    assert file.read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["latest.html", "report.html"]


@pytest.mark.slow
def test_a_report_for_a_pipe(results: Results, tmp_path: Path) -> None:
    """What is no regular file is written to, not replaced."""
    os.mkfifo(tmp_path / "pipe")
    reader = Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    read: list[bytes] = []
    reader.start()
    write_report(results, tmp_path / "pipe")
    reader.join()
    assert read[0].startswith(b"<!doctype html>")
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.slow
def test_artifacts(results: Results, epochs: Results, tmp_path: Path) -> None:
    """The report and the figures are written, whole, and listed for MLflow; the space's pictures beside them."""
    assert epochs.space is not None
    for name, figure in epochs.space.figures(study(tmp_path).problem, 0).items():
        figure.savefig(tmp_path / "kept.png")
        epochs.store.save_picture(name, (tmp_path / "kept.png").read_bytes())
    for one, more in ((results, []), (epochs, ["augmented_samples.png"])):
        folder = tmp_path / one.name
        listed = write_artifacts(one, folder)
        assert [Path(artifact.path).name for artifact in listed] == ["report.html", "gap.png", "path.png", *more]
        assert {file.name for file in folder.iterdir()} | set(more) == {Path(one.path).name for one in listed}
        for artifact in listed[1:]:
            assert Path(artifact.path).read_bytes().startswith(b"\x89PNG")
        text = (folder / "report.html").read_text()
        assert Links(text).tags.count("img") == len(more)
        assert ("<figcaption>Augmented samples</figcaption>" in text) == bool(more)


def test_the_note_says_what_was_chosen(results: Results) -> None:
    """The Markdown summary has the study, both rules, the reference and the best config."""
    text = note(results).replace("&nbsp;", "")
    for rule in ("best", "one_se"):
        chosen = results.choose(rule)
        assert f"| {rule} | {chosen.number} | {chosen.score:.3f} |" in text
    assert results.reference is not None
    assert f"| without regularization | {results.reference.number} |" in text
    assert "60 rows, 6 columns, regression" in text
    assert f"penalty={results.best.params['penalty']}" in text


def test_the_report_says_where_on_its_path_a_choice_lies(results: Results, epochs: Results) -> None:
    """The note has a column of lambdas or epochs, and the page's configs say them."""
    for one in (results, epochs):
        text = note(one).replace("&nbsp;", "")
        assert f"| trial | score | train | gap | {one.best.axis} |" in text
        for rule in ("best", "one_se"):
            value = one.choose(rule).value
            assert value is not None
            assert re.search(rf"\| {rule} \| .* \| {value:.3g} \|\n", text)
    assert f"epochs={epochs.best.value}" in page_of(epochs)


@pytest.mark.slow
def test_one_fold(tmp_path: Path) -> None:
    """A single fold has no standard error: the figures and the page do without."""
    one = study(tmp_path, cv=[(np.arange(40), np.arange(40, 60))]).run(6, quiet=True)
    assert write_artifacts(one, tmp_path / "report")


def test_a_step_without_a_score(tmp_path: Path) -> None:
    """A step that is named where the score is not defined is shown and reported as such, without a figure of NaN."""

    def correlation(true: Any, said: Any) -> float:
        return float(np.corrcoef(true, said)[0, 1]) if np.ptp(said) > 0 else math.nan

    one = study(tmp_path, space=Linear("l1", Lambdas(20)), scoring=make_scorer(correlation), cv=3)
    results = one.run(2, quiet=True)
    number = next(trial.number for trial in results.complete if trial.steps > 1)
    top = results.choose(number, 0)
    assert top.why.endswith("It has no score there: correlation is not defined in some fold.")
    of_top = replace(results, subject=top)
    text = " ".join(answer for _, answer in verdict(of_top)) + results.against_reference(top)
    assert "correlation is not defined" in text
    assert "nan" not in text
    assert {"gap", "path"} <= set(of_top.plots.all())
    assert write_report(results, tmp_path / "top.html", top).is_file()


def test_one_trial_is_said_as_one(tmp_path: Path) -> None:
    """Of a single trial no sentence speaks of several, and no axis counts parts of one."""
    one = study(tmp_path, space=Linear("l2", Float(0.1, 1.0)), cv=3)
    single = one.run(1, quiet=True)
    said = " ".join([*(single.choose(rule).why for rule in RULES), single.corrected.why])
    assert "only trial" in said
    assert "only point" in said
    assert not re.search(r"\b1 (trials|points|configs) (that|within|is)", said)
    assert one.run(3, quiet=True).plots.history().layout.xaxis.dtick == 1


def test_nothing_to_report(tmp_path: Path) -> None:
    """A study without a complete trial has a note and no artifacts."""
    one = study(tmp_path, space=Estimator(Ridge(alpha=-1.0), {"fit_intercept": Choice(True, False)}))
    with pytest.raises(SearchFailed):
        one.run(2, quiet=True)
    results = one.results()
    assert write_artifacts(results, tmp_path / "report") == []
    assert not (tmp_path / "report").exists()
    assert "small" in note(results)
