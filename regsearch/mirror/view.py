"""A study's page in MLflow, prepared: trials sorted by score in chosen columns, and charts that compare them.

MLflow keeps a shared view of an experiment in a tag: the page's own record, as JSON, compressed. Its format is
undocumented and was read off MLflow 3.17; this module alone knows it. A server that does not know it shows its usual
page under the same address.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

from regsearch.mirror.records import StudyRecord, View

# What opens the page in model-training mode: the tag for servers that go by it, the parameter for those that do not.
KIND = {"mlflow.experimentKind": "custom_model_development"}
_MODE = "workflowType=machine_learning"
_COMPARED = 100  # runs that the page loads at once, and so compares
_UNPREFIXED = "Model metrics"  # the page's section of metrics without a slash in their names
_BEFORE = ("1", "attributes.`Run Name`", "runDateAndNestInfo")  # the page's own columns: select a run, name, state
_AFTER = ("duration",)
# pixels, by which the scores are in sight on a screen of 1440 beside the page's assistant
_OWN_WIDTHS = {"attributes.`Run Name`": 125, "runDateAndNestInfo": 50}
_WORD, _FIGURE = 105, 88


def address(experiment_id: str, study_id: str) -> str:
    """The table of a study's prepared view, below the server's address."""
    return f"#/experiments/{experiment_id}/runs?{_MODE}&viewStateShareKey={_share_key(study_id)}"


def charts(table: str) -> str:
    """The charts of the view whose table has this address."""
    return f"{table}&compareRunsMode=CHART"


def links(server: str, table: str) -> tuple[str, str]:
    """What opens the table and the charts of a view in a browser."""
    return f"{server}/{table}", f"{server}/{charts(table)}"


def tag(study: StudyRecord, view: View, parent: str) -> tuple[str, str]:
    """Key and value of the experiment tag that holds the view of a study, whose parent run has that id."""
    state = json.dumps(_state(view, parent), separators=(",", ":")).encode()
    packed = "deflate;" + base64.b64encode(zlib.compress(state, 9)).decode()
    shared = {"name": study.study, "createdAt": study.start_ms, "state": packed}
    return f"mlflow.sharedViewState.{_share_key(study.study_id)}", json.dumps(shared, separators=(",", ":"))


def _share_key(study_id: str) -> str:
    return f"regsearch-{study_id[:12]}"


def _state(view: View, parent: str) -> dict[str, Any]:
    """The page's record: the parent is filtered out, which also makes the trials a flat list."""
    metrics = [_column("metrics", name) for name in view.metrics]
    params = [_column("params", name) for name in (*view.first, *(one for one in view.params if one not in view.first))]
    columns = [*params[: len(view.first)], *metrics, *params[len(view.first) :]]
    widths = _OWN_WIDTHS | dict.fromkeys(params, _WORD) | dict.fromkeys(metrics, _FIGURE)
    return {
        "searchFilter": f'tags.`mlflow.parentRunId` = "{parent}"',
        "orderByKey": _column("metrics", view.order), "orderByAsc": False,
        "startTime": "ALL", "lifecycleFilter": "Active", "datasetsFilter": [], "modelVersionFilter": "All Runs",
        "selectedColumns": columns, "columnOrder": [*_BEFORE, *columns, *_AFTER], "columnWidths": widths,
        "runsExpanded": {}, "runsPinned": [], "runsHidden": [], "runsVisibilityMap": {}, "runsHiddenMode": "SHOW_ALL",
        "viewMaximized": True, "runListHidden": False, "isAccordionReordered": True,
        "groupBy": None, "groupsExpanded": {}, "useGroupedValuesInCharts": True,
        "autoRefreshEnabled": False, "hideEmptyCharts": True, "globalLineChartConfig": None,
        "compareRunSections": _sections(view), "compareRunCharts": _charts(view),
    }  # fmt: skip


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"


def _sections(view: View) -> list[dict[str, Any]]:
    """Ours, then those that the page makes of the other metrics, one for each prefix: closed, they cost nothing."""
    ours = [_section("Gap and score", columns=1), _section("Parameters", columns=1)]
    ours += [_section("path", columns=2)] if view.lines else []
    shown = [section["name"] for section in ours]
    others = [name for name in (*view.prefixes, _UNPREFIXED) if name not in shown]
    return ours + [_section(name, display=False) for name in others]


def _section(name: str, **fields: Any) -> dict[str, Any]:
    """A section of charts, open unless `fields` say otherwise; its name is its id."""
    common = {"uuid": name, "name": name, "display": True, "cardHeight": 440}
    return {**common, "isReordered": True, "deleted": False, "isGenerated": False, **fields}


def _charts(view: View) -> list[dict[str, Any]]:
    x, y = view.scatter
    parameters, metrics = list(view.parallel_params), list(view.parallel_metrics)
    return [
        _chart("SCATTER", "Gap and score", "scatter", xaxis=_axis(x), yaxis=_axis(y)),
        _chart(
            "PARALLEL", "Parameters", "parallel",
            selectedParams=parameters, selectedMetrics=metrics, showAllRuns=True,
        ),
        *(_line(name, view.along) for name in view.lines),
    ]  # fmt: skip


def _axis(metric: str) -> dict[str, str]:
    return {"key": metric, "type": "METRIC"}


def _line(metric: str, along: str) -> dict[str, Any]:
    return _chart(
        "LINE", "path", metric, metricKey=metric, selectedMetricKeys=[metric], lineSmoothness=0, scaleType="linear",
        xAxisScaleType="linear", xAxisKey="metric" if along else "step", selectedXAxisMetricKey=along,
        yAxisKey="metric", yAxisExpressions=[],
        range={}, ignoreOutliers=False, useGlobalXaxisKey=False, useGlobalLineSmoothing=False, displayPoints=False,
    )  # fmt: skip


def _chart(kind: str, section: str, name: str, **fields: Any) -> dict[str, Any]:
    common = {"type": kind, "uuid": name, "metricSectionId": section, "runsCountToCompare": _COMPARED}
    return {**common, "deleted": False, "isGenerated": False, **fields}
