"""Results: the stored study as a table."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from nets import PRUNED_AT, Dial
from samples import finished, study
from sklearn.linear_model import Ridge

from regsearch import Choice, Estimator, NotFound, spaces
from regsearch.path import Point
from regsearch.results import Results, load_results
from regsearch.rules import Pick
from regsearch.storage import Store
from regsearch.trials import Trial


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return study(tmp_path_factory.mktemp("results"), space=spaces.linear(), test=0.2).run(15, quiet=True)


def test_table(results: Results) -> None:
    """One row per trial, by number, with scores that follow from the curves, params, held-out scores and a reason."""
    table = results.trials
    assert table.index.name == "number"
    assert table.index.tolist() == [trial.number for trial in finished(results)] == list(range(15))
    assert {"state", "role", "score", "se", "train", "gap", "gap_se", "complexity", "fit_s", "penalty", "l1_ratio",
            "gamma", "lambda", "scale", "test_neg_mean_squared_error", "reason"} == set(table.columns)  # fmt: skip
    assert set(table["role"]) == {"reference", "start", "sampled"}
    for trial in finished(results):
        curves, row = results.curves(trial.number), table.loc[trial.number]
        val, train = curves.val[:, trial.step], curves.train[:, trial.step]
        assert row["score"] == pytest.approx(val.mean())
        assert row["se"] == pytest.approx(val.std(ddof=1) / math.sqrt(len(val)))
        assert row["gap"] == pytest.approx((train - val).mean())
    numeric = table[["score", "se", "train", "gap", "gap_se", "fit_s", "lambda", "gamma", "l1_ratio"]]
    assert all(pd.api.types.is_float_dtype(kind) for kind in numeric.dtypes)
    assert not numeric.isna().any().any()


def test_the_chosen_point_is_the_best_of_its_path(results: Results) -> None:
    """Each trial stands at the best mean of its path, the first among equals."""
    for trial in finished(results):
        assert trial.step == int(results.curves(trial.number).val.mean(axis=0).argmax())


def test_order(results: Results) -> None:
    """Complete trials come best first, and the top of the table is their head."""
    scores = [results.point(trial).val for trial in results.complete]
    assert scores == sorted(scores, reverse=True)
    assert [one.number for one in results.top(4)] == [trial.number for trial in results.complete[:4]]
    assert results.best.score == scores[0] == results.trials["score"].max()
    assert len(results.top(1000)) == len(results.complete)


def test_counts(tmp_path: Path) -> None:
    """Every trial is in one state, and what waits is no row of the table."""
    space = Estimator(Ridge(), {"alpha": Choice(1.0, -1.0, 1e9, 10.0)})
    found = study(tmp_path, space=space).run(3, quiet=True)
    assert sum(found.counts.values()) == len(found.all)
    assert found.counts["waiting"] == 2
    assert len(found.trials) == 3
    found = study(tmp_path, space=space).run(12, quiet=True)
    assert found.counts["failed"] >= 1
    assert found.counts["pruned"] >= 1
    failed = found.trials[found.trials["state"] == "failed"]
    assert failed["score"].isna().all()
    assert failed["reason"].str.contains("alpha").all()
    number = int(failed.index[0])
    with pytest.raises(NotFound, match=f"Trial {number} has no score: it is failed"):
        found.point(found.all[number])


def test_reading_it_elsewhere(results: Results) -> None:
    """Read without the script, the study has the same table and the same choices, configs included."""
    read = load_results(Store(results.store.root, results.name))
    pd.testing.assert_frame_equal(read.trials, results.trials)
    for rule in ("best", "one_se"):
        assert read.choose(rule) == results.choose(rule)


def test_a_row_is_json(results: Results) -> None:
    """A choice as a row is one JSON object without NaN: what is not finite is null."""
    row = results.best.row()
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    assert (row["score"], row["number"], row["lambda"]) == (
        results.best.score, results.best.number, results.best.lambda_,
    )  # fmt: skip
    bare = replace(results.best, point=Point(1.0, math.nan, math.inf, 2.0, math.nan)).row()
    assert (bare["se"], bare["train"], bare["gap"]) == (None, None, 2.0)


def test_a_choice_as_text(results: Results) -> None:
    """Printed, a choice says its trial, config, score, gap and why."""
    text = str(results.best)
    assert f"trial {results.best.number}: penalty=" in text
    assert f"{results.metric} {results.best.score:.5g}" in text
    assert text.endswith(results.best.why)


@pytest.fixture(scope="module")
def epochs(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A study of paths along epochs."""
    return study(tmp_path_factory.mktemp("epochs"), "dial", space=Dial(), test=0.2).run(12, quiet=True)


def test_a_table_of_epochs(epochs: Results) -> None:
    """Of paths along epochs the table has epochs, measures and held-out scores, of pruned trials what is known."""
    table = epochs.trials
    assert {"epochs", "module", "dropout", "weights/norm", "weights/nonzero"} <= set(table.columns)
    assert (table["weights/nonzero"] == 812).all()
    assert table["test_neg_mean_squared_error"].notna().sum() == sum(bool(trial.test) for trial in epochs.all) > 0
    pruned = table[table["state"] == "pruned"]
    assert len(pruned) > 0
    assert (pruned["epochs"] <= PRUNED_AT).all()
    assert pruned["score"].notna().all()
    complete = table[(table["state"] == "complete") & (table["dropout"] > 0)]
    assert (complete["epochs"] == (20 * complete["dropout"]).round()).all()


def test_a_choice_of_epochs(epochs: Results) -> None:
    """A choice is a whole number of epochs, in its config too; its other figures are those of the trial's own point."""
    best = epochs.best
    assert type(best.value) is type(best.config.epochs) is int
    assert best.config.epochs == best.params["epochs"] == best.value == best.step + 1
    assert best.measures == {"weights/norm": 3.25, "weights/nonzero": 812.0}
    assert set(best.test) == {"neg_mean_squared_error"}
    assert "\nheld out: neg_mean_squared_error=-" in str(best)
    assert "\nmeasures: weights/norm=3.25, weights/nonzero=812\n" in str(best)
    row = best.row()
    assert (row["axis"], row["value"], row["lambda"]) == ("epochs", best.value, None)
    assert (row["test"], row["measures"]) == (best.test, best.measures)
    first = epochs.at(Pick(best.number, 0, "the first"), "first")
    assert first.value == first.params["epochs"] == first.config.epochs == 1
    assert type(first.params["epochs"]) is int
    assert (first.test, first.measures) == ({}, {})
    assert "held out" not in str(first)


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        ({"penalty": "l1"}, "l1"),
        ({"penalty": "none"}, "none"),
        ({"estimator": "SVC"}, "SVC"),
        ({"module": "cnn", "penalty": "l1"}, "l1"),
        ({"module": "cnn", "penalty": "none"}, "cnn"),
        ({"module": "cnn"}, "cnn"),
        (None, ""),
    ],
)
def test_what_a_trial_is_called(params: dict[str, str] | None, kind: str) -> None:
    """A trial is called by its penalty, and where it has none by its estimator or module."""
    assert Trial(0, "complete", params=params).kind == kind


def test_predictions_outside_training_give_the_score(results: Results) -> None:
    """The stored predictions of the best trial, scored fold by fold, are its validation scores."""
    one = study(results.store.root, test=0.2)
    best = results.best
    predictions = results.store.arrays(best.number)["predictions"][:, 0]
    scores = [-np.mean((predictions[rows] - one.problem.y[rows]) ** 2) for rows in one.folds.val]
    assert best.score == pytest.approx(np.mean(scores), rel=1e-5)


def test_study_of_another_name(tmp_path: Path) -> None:
    """An absent study is not found, by name and root."""
    with pytest.raises(NotFound, match=rf"no study 'absent' under {tmp_path}"):
        load_results(Store(tmp_path, "absent"))
    with pytest.raises(NotFound, match="never started"):
        load_results(Store(tmp_path, "absent", f"sqlite:///{tmp_path / 'o.db'}"))
