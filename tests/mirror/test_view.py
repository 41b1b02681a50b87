"""The prepared view of a study, in MLflow's own pages: a real server, looked at with a real browser."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from browser import PATIENCE_MS, shoot
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow_stores import free_port, serving
from playwright.sync_api import Locator, Page, expect
from samples import finished, mlflow_client, study
from sklearn.svm import SVR

from regsearch import Choice, Estimator, Float, spaces
from regsearch.mirror import view
from regsearch.mirror.content import study_record, summary_record, trial_record, view_of
from regsearch.mirror.pages import keep_page, page_links
from regsearch.mirror.records import decode
from regsearch.mirror.runs import NOTE, StudyStore
from regsearch.models.base import Model
from regsearch.models.families import as_space
from regsearch.results.results import Results

expect.set_options(timeout=PATIENCE_MS)
COLUMNS = ["val/mean", "val/se", "train/mean", "gap/mean"]
DESK = 1440  # pixels, of which the page's assistant takes a fourth
SHARED = "family"  # one experiment of two studies


@dataclass(frozen=True)
class Shown:
    """Two studies of one experiment, searched and served."""

    server: str
    root: Path
    first: Results
    second: Results

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(tracking_uri=self.server)

    def links(self, results: Results) -> tuple[str, str]:
        """The table and the charts of a study."""
        found = page_links(results.store, self.server)
        assert found is not None
        return found

    def parent(self, results: Results) -> Any:
        """The study's parent run."""
        experiment = self.client.get_experiment_by_name(SHARED)
        assert experiment is not None
        clause = f"tags.`regsearch.study` = '{results.name}'"
        (parent,) = self.client.search_runs([experiment.experiment_id], clause)
        return parent


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """Studies of a linear model, one of them longer than the twenty runs that MLflow compares by itself."""
    root = tmp_path_factory.mktemp("view")
    options = {"experiment": SHARED, "tracking": None, "space": spaces.linear()}
    first = study(root, "first", **options).run(30, quiet=True)
    second = study(root, "second", **options, seed=1).run(4, quiet=True)
    with serving(root, free_port()) as server:
        yield Shown(server, root, first, second)


def state(tags: dict[str, str], study_id: str) -> dict[str, Any]:
    """The page's record that the tag of a study holds."""
    shared = json.loads(tags[f"mlflow.sharedViewState.regsearch-{study_id[:12]}"])
    packed = shared["state"].removeprefix("deflate;")
    found: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(packed)))
    return found


def cells(page: Page, column: str) -> list[str]:
    """What the rows of the table say in a column, from above."""
    rows = page.locator(f'.ag-row [col-id="{column}"]')
    expect(rows.first).to_contain_text(re.compile(r"\S"))  # the count of runs is there before their rows are
    placed = rows.evaluate_all(
        "them => them.map(it => [+it.closest('.ag-row').getAttribute('row-index'), it.innerText])"
    )
    return [text.strip() for _, text in sorted(placed)]


@pytest.mark.slow
def test_the_table_shows_trials_by_score(shown: Shown, page: Page) -> None:
    """The table opens on the trials alone, best first, in the prepared order of columns, with the study's numbers."""
    page.set_viewport_size({"width": DESK, "height": 900})
    page.goto(shown.links(shown.first)[0])
    heads = [page.locator(f'.ag-header-cell[col-id="params.`{name}`"]') for name in ("penalty", "lambda")]
    heads += [column(page, name) for name in COLUMNS]
    for head in heads:
        expect(head).to_be_visible()
    expect(page.get_by_text("30 matching runs")).to_be_visible()
    scores = [float(text) for text in cells(page, "metrics.`val/mean`")]
    best = [shown.first.point(trial) for trial in shown.first.complete[: len(scores)]]
    assert len(scores) > 10
    assert scores == [float(f"{point.val:.6g}") for point in best]
    assert cells(page, "metrics.`gap/mean`")[0] == f"{float(f'{best[0].gap:.6g}'):g}"
    boxes = [head.bounding_box() or {"x": 0.0, "width": 0.0} for head in heads]
    assert [box["x"] for box in boxes] == sorted(box["x"] for box in boxes)
    assert boxes[-1]["x"] + boxes[-1]["width"] <= DESK * 0.75
    shoot(page, "mlflow_table")


def column(page: Page, metric: str) -> Locator:
    """The header of a metric's column."""
    return page.locator(f'.ag-header-cell[col-id="metrics.`{metric}`"]')


@pytest.mark.slow
def test_the_charts_are_drawn(shown: Shown, page: Page) -> None:
    """The charts show every trial's gap against its score, parallel coordinates, and the paths."""
    page.goto(shown.links(shown.first)[1])
    expect(page.get_by_text("gap/mean vs. val/mean")).to_be_visible()
    points = page.locator(".js-plotly-plot").first.locator(".point")
    expect(points).to_have_count(30)
    shoot(page, "mlflow_charts")
    page.get_by_role("heading", name="Parallel Coordinates").scroll_into_view_if_needed()
    page.mouse.move(1000, 800)
    page.mouse.wheel(0, 400)  # what is out of sight is not drawn
    expect(page.get_by_text("log10_lambda").first).to_be_visible()
    shoot(page, "mlflow_parallel")
    page.mouse.wheel(0, 600)
    expect(page.get_by_text("path/train").first).to_be_visible()
    expect(page.get_by_text("path_axis/log10_lambda").first).to_be_attached()  # not "Step"
    expect(page.locator(".scatterlayer .js-line").first).to_be_attached()
    shoot(page, "mlflow_paths")


@pytest.mark.slow
def test_the_parent_links_to_the_view(shown: Shown, page: Page) -> None:
    """The parent run's page has the summary, and its link opens the table."""
    parent = shown.parent(shown.first)
    page.goto(f"{shown.server}/#/experiments/{parent.info.experiment_id}/runs/{parent.info.run_id}")
    link = page.get_by_role("link", name="All trials")
    expect(link).to_be_visible()
    expect(page.get_by_text("without regularization").first).to_be_attached()
    link.scroll_into_view_if_needed()
    shoot(page, "mlflow_parent")
    with page.expect_popup() as opened:  # MLflow opens the links of a description in a tab of their own
        link.click()
    expect(opened.value.get_by_text("30 matching runs")).to_be_visible()


@pytest.mark.slow
def test_studies_of_one_experiment_have_a_view_each(shown: Shown, page: Page) -> None:
    """Studies that share an experiment have a view each, which shows no trial of the other."""
    page.goto(shown.links(shown.second)[0])
    expect(page.get_by_text("4 matching runs")).to_be_visible()
    names = cells(page, "attributes.`Run Name`")
    assert {int(re.findall(r"(\d+) \w+$", name)[0]) for name in names} == {
        trial.number for trial in finished(shown.second)
    }
    tags = shown.client.get_experiment(shown.parent(shown.second).info.experiment_id).tags
    for results in (shown.first, shown.second):
        assert shown.parent(results).info.run_id in state(tags, results.identity["id"])["searchFilter"]


def test_every_name_of_the_view_is_logged(shown: Shown) -> None:
    """The view names only metrics and parameters that the trials have, and all of them in columns or in a section."""
    parent = shown.parent(shown.first)
    tags = shown.client.get_experiment(parent.info.experiment_id).tags
    found = state(tags, shown.first.identity["id"])
    clause = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    runs = shown.client.search_runs([parent.info.experiment_id], clause)
    logged = {f"{kind}.`{name}`" for run in runs for kind, of in run.data.to_dictionary().items()
              if kind in ("metrics", "params") for name in of}  # fmt: skip
    assert set(found["selectedColumns"]) <= logged
    charts = {chart["type"]: chart for chart in found["compareRunCharts"]}
    drawn = [*charts["PARALLEL"]["selectedMetrics"], charts["SCATTER"]["xaxis"]["key"], charts["LINE"]["metricKey"]]
    assert {f"metrics.`{name}`" for name in drawn} <= logged
    assert {f"params.`{name}`" for name in charts["PARALLEL"]["selectedParams"]} <= logged
    sections = {section["name"] for section in found["compareRunSections"]}
    grouped = {name.split("`")[1].rpartition("/")[0] for name in logged if name.startswith("metrics")}
    assert grouped - {""} <= sections
    assert {section["name"] for section in found["compareRunSections"] if section["display"]} >= {"path"}
    assert {chart["metricSectionId"] for chart in found["compareRunCharts"]} <= sections


def test_nets_show_what_they_vary() -> None:
    """A space of nets has its epochs and what it varies in columns, and draws only what every trial has."""
    space = spaces.mlp()
    shown = study_record(identity(), view_of(identity()["metrics"], space)).view
    assert shown is not None
    assert {"epochs", "dropout", "lambda", "penalty"} <= set(shown.params)
    assert "hidden" not in shown.params
    assert shown.parallel_metrics[0] == "epochs"
    assert {"penalty", "weight_decay", "dropout"} <= set(shown.parallel_params)  # those that are off have a value, too
    assert not {"lambda", "l1_ratio"} & set(shown.parallel_params)
    assert len(shown.parallel_params) <= 6


def test_what_has_no_path_has_no_axis_of_one() -> None:
    """Parallel coordinates of estimators, and of families, have axes that every trial has: MLflow draws no others."""
    svr = Estimator(SVR(), {"C": Float(0.1, 10, log=True)})
    for space, drawn in ((svr, ("C",)), (as_space(Choice(svr=svr, linear=spaces.linear())), ("family",))):
        shown = view_of(("r2",), space)
        assert (shown.parallel_params, shown.parallel_metrics) == (drawn, ("gap/mean", "val/mean"))


@pytest.mark.parametrize("space", [spaces.linear(), spaces.mlp(embedding=True), spaces.cnn(), spaces.cocktail()])
def test_few_draws_show_what_many_do(space: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """A space varies no more in hundreds of configs than in those that its page is made from."""
    shown = view_of(("r2",), space)
    monkeypatch.setattr("regsearch.mirror.content._DRAWS", 200)
    assert view_of(("r2",), space) == shown


def identity() -> dict[str, Any]:
    """What a stored study says of itself, as far as the mirror reads it."""
    words = ("study", "experiment", "id", "task", "metric", "cv", "space", "version", "fingerprint", "folds_hash",
             "space_hash", "script", "target")  # fmt: skip
    numbers = ("created_ms", "seed", "folds", "rows", "columns")
    return dict.fromkeys(words, "x") | dict.fromkeys(numbers, 1) | {"metrics": ["r2", "accuracy"]}


def test_records_keep_the_view() -> None:
    """A study's record crosses the pipe with its view as it was."""
    record = study_record(identity(), view_of(identity()["metrics"], spaces.linear()))
    assert decode(record.encode()) == record


class Stubborn(MlflowClient):
    """A client of a store that takes no experiment tags, as an older server may not."""

    def set_experiment_tag(self, experiment_id: str, key: str, value: Any) -> None:
        raise MlflowException(f"no such thing as {key}")


@pytest.mark.slow
def test_a_store_without_such_tags_loses_only_the_view(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where experiment tags are refused, trials and summary are written as ever, and no link leads nowhere."""
    results = study(tmp_path / "root", tracking=False).run(4, quiet=True)
    client = mlflow_client(tmp_path)
    store = StudyStore(f"sqlite:///{tmp_path / 'mlflow.db'}", (tmp_path / "artifacts").as_uri())
    store._client = Stubborn(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    ready = store.open(study_record(results.identity, view_of(results.identity["metrics"], spaces.linear())))
    done = finished(results)
    for trial in done:
        store.write_trial(trial_record(trial, results.trajectory(trial.number), results.metric, results.name))
    store.finish(summary_record("COMPLETE", 1, results.all, results.metric, results.complete[0], {}, "the summary", ()))
    assert ready.view == ""
    runs = client.search_runs([ready.experiment_id])
    assert len(runs) == len(done) + 1 == 5
    assert client.get_run(ready.run_id).data.tags[NOTE] == "the summary"
    keep_page(results.store, "sqlite:///x", ready)
    assert page_links(results.store) is None


@pytest.mark.parametrize(
    ("tracking", "server"),
    [
        ("sqlite:////root/mlflow.db", "http://127.0.0.1:7000"),
        ("http://host:5000/", "http://host:5000"),
        ("https://me:secret@host/mlflow", "https://host/mlflow"),
    ],
)
def test_links_lead_to_the_server_without_its_password(tmp_path: Path, tracking: str, server: str) -> None:
    """Links go to the tracking server, or where the root is served, and never tell a password."""
    from regsearch.mirror import Ready
    from regsearch.storage.store import Store

    store = Store(tmp_path, "one")
    assert page_links(store) is None
    keep_page(store, tracking, Ready("run", "3", view=view.address("3", "abc")))
    table, charts = page_links(store, "http://127.0.0.1:7000") or ("", "")
    assert re.fullmatch(rf"{re.escape(server)}/#/experiments/3/runs\?.*viewStateShareKey=regsearch-abc", table)
    assert charts == f"{table}&compareRunsMode=CHART"
    assert "secret" not in (store.folder / "findings" / "mlflow.json").read_text()
