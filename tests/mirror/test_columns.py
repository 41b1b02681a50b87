"""What MLflow logs of a trial, column by column."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nets import Dial
from samples import study

from regsearch.mirror import columns, content
from regsearch.mirror.columns import ScoreColumn, TrialColumn, best_metrics, prefixes, trial_metrics
from regsearch.mirror.content import study_record, trial_record, view_of
from regsearch.results.results import Results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A study of two scorers, of a path, with a held-out set and measures."""
    scoring = ["neg_mean_squared_error", "r2"]
    return study(tmp_path_factory.mktemp("columns"), space=Dial(), test=0.2, scoring=scoring).run(6, quiet=True)


def test_every_figure_of_a_trial(results: Results) -> None:
    """Logged are the scores of each scorer, held-out scores, the place on the path, measures, complexity and time."""
    best = results.complete[0]
    found = trial_metrics(best, results.metric)
    point, other = results.point(best), results.point(best, "r2")
    assert (found["val/mean"], found["val/se"], found["train/mean"]) == (point.val, point.val_se, point.train)
    assert (found["gap/mean"], found["gap/se"]) == (point.gap, point.gap_se)
    assert (found["r2/val/mean"], found["r2/gap/se"]) == (other.val, other.gap_se)
    assert found["test/r2"] == best.test["r2"]
    assert found["epochs"] == best.value
    assert best.measures.items() <= found.items()
    assert found["time/fit_s"] == best.seconds
    assert "complexity/nonzero" in found
    kept = best_metrics(best, results.metric)
    assert kept.items() <= found.items()
    assert {name.partition("/")[0] for name in kept} == {"val", "train", "gap", "test"}


def test_the_page_knows_every_prefix(results: Results) -> None:
    """Whatever a trial logs with a slash in its name, measures aside, has a section on the study's page."""
    best, known = results.complete[0], prefixes(["r2"])
    record = trial_record(best, results.trajectory(best.number), results.metric, results.name)
    for name in {*record.metrics, *record.series} - set(best.measures):
        assert "/" not in name or name.rpartition("/")[0] in known
    assert len(known) == len(set(known))


def test_a_column_is_one_entry(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    """A declared column is logged of each trial or scorer, shown in the table if it says so, and has its section."""
    steps = TrialColumn("steps/all", lambda trial: float(trial.steps))
    ratio = ScoreColumn("ratio/gap", lambda point: point.gap / point.train, shown=True)
    monkeypatch.setattr(columns, "FIGURES", (*columns.FIGURES, steps))
    monkeypatch.setattr(columns, "SCORES", (*columns.SCORES, ratio))
    best = results.complete[0]
    record = trial_record(best, results.trajectory(best.number), results.metric, results.name)
    point = results.point(best, "r2")
    assert record.metrics["steps/all"] == best.steps
    assert record.metrics["r2/ratio/gap"] == pytest.approx(point.gap / point.train, rel=1e-5)
    assert {"steps", "ratio", "r2/ratio"} <= set(prefixes(["r2"]))
    view = study_record(results.identity, view_of(results.identity["metrics"], Dial())).view
    assert view is not None
    assert view.metrics[-1] == "ratio/gap"


@given(st.lists(st.floats(width=64)))
def test_many_numbers_get_the_digits_that_one_gets(values: list[float]) -> None:
    """Numbers of a series have six digits at most, as one alone has, and are as near to what they were."""
    found = content._six_digits(np.array(values)).tolist()
    for rounded, alone in zip(found, content._rounded(values), strict=True):
        assert repr(rounded) == repr(float(f"{rounded:.6g}"))
        assert rounded == pytest.approx(alone, rel=2e-6, nan_ok=True)
