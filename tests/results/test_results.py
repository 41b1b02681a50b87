"""Results: the stored study as a table."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nets import PRUNED_AT, Dial
from samples import NonNegativeRidge, finished, study
from sklearn.dummy import DummyRegressor

import regsearch
from regsearch import MLP, Choice, Estimator, Float, InvalidInput, Linear, Net, NotFound, spaces
from regsearch import nn_techniques as t
from regsearch.metrics.statistics import ROUNDING
from regsearch.models.linear import backend
from regsearch.models.path import Point
from regsearch.results.choice import describe
from regsearch.results.formatting import format_value
from regsearch.results.ranking import merge_ties, rank_trials
from regsearch.results.report import write_report
from regsearch.results.report.note import note
from regsearch.results.report.sentences import verdict
from regsearch.results.results import Results, load_results
from regsearch.results.rules import RETURNS, Pick
from regsearch.storage.store import Store, trial_file
from regsearch.storage.trial import Trial
from regsearch.study.summary import summary


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return study(tmp_path_factory.mktemp("results"), space=spaces.linear(), test=0.2).run(15, quiet=True)


@pytest.mark.slow
def test_table(results: Results) -> None:
    """One row per trial, by number, with scores that follow from the curves, params, held-out scores and a reason."""
    table = results.trials
    assert table.index.name == "number"
    assert table.index.tolist() == [trial.number for trial in finished(results)] == list(range(15))
    assert {"state", "role", "score", "se", "train", "gap", "gap_se", "complexity", "fit_s", "at_edge", "unsolved",
            "diverges",
            "penalty",
            "l1_ratio", "gamma", "lambda", "scale", "test_neg_mean_squared_error", "reason",
    } == set(table.columns)  # fmt: skip
    assert set(table["role"]) == {"reference", "start", "sampled"}
    for trial in finished(results):
        curves, row = results.curves(trial.number), table.loc[trial.number]
        val, train = curves.val[:, trial.step], curves.train[:, trial.step]
        assert row["score"] == pytest.approx(val.mean())
        assert row["se"] == pytest.approx(val.std(ddof=1) / math.sqrt(len(val)))
        assert row["gap"] == pytest.approx((train - val).mean())
    numeric = table[["score", "se", "train", "gap", "gap_se", "fit_s", "lambda", "gamma", "l1_ratio"]]
    assert all(pd.api.types.is_float_dtype(kind) for kind in numeric.dtypes)
    for trial in finished(results):  # a hole is what the trial does not have
        assert {name for name in numeric if math.isnan(numeric.loc[trial.number, name])} == {*trial.lacking}
    assert 0 < numeric["l1_ratio"].isna().sum() < len(numeric)


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


def trial(number: int, score: float, complexity: float = math.nan, **fields: Any) -> Trial:
    """A complete trial with that score; its training score is 1."""
    point = Point(score, 0.0, 1.0, 1.0 - score, 0.0)
    config = fields.pop("config", {"number": number})
    return Trial(
        number, "complete", config=config, key=str(config), points={"score": point}, complexity=complexity, **fields
    )


def order(*trials: Trial) -> list[int]:
    return [one.number for one in rank_trials(trials, "score")]


def test_of_equal_trials_the_most_regularized_comes_first() -> None:
    """Equal scores go by complexity, then the larger lambda or fewer epochs, then number; the reference comes last."""
    plain = trial(0, 1.0, complexity=1, role="reference", axis="lambda", value=0.0)
    assert order(plain, trial(1, 1.0), trial(2, 0.5), trial(3, 2.0)) == [3, 1, 0, 2]
    assert order(plain, trial(1, 1.0, 5), trial(2, 1.0, 3), trial(3, 1.0)) == [2, 1, 3, 0]
    along = [
        trial(number, 1.0, 3, axis="lambda", value=value) for number, value in enumerate([0.1, 10.0, 10.0, 1.0], 1)
    ]
    assert order(plain, *along) == [2, 3, 4, 1, 0]
    assert order(*[trial(number, 1.0, axis="epochs", value=value) for number, value in enumerate([9, 3, 5])]) == [
        1,
        2,
        0,
    ]
    same = trial(1, 1.0, complexity=1, config=plain.config, axis="lambda", value=0.0)
    assert order(same, plain, trial(2, 1.0, 7)) == [2, 0, 1]
    assert order() == []


@given(
    scores=st.lists(st.integers(-3, 3), min_size=1, max_size=12), scale=st.sampled_from([1e-9, 1.0, 1e9]),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_rounding_decides_nothing(scores: list[int], scale: float, seed: int) -> None:
    """In any unit, trials come in one order whether or not their scores are off by rounding."""
    off = 1 + 1e-15 * np.random.default_rng(seed).integers(-4, 5, len(scores))
    costs = np.random.default_rng(seed).permutation(len(scores))

    def made(values: Any) -> list[Trial]:
        points = [Point(value, 0.0, scale, scale - value, 0.0) for value in values]
        return [
            Trial(number, "complete", config=number, key=str(number), points={"score": point}, complexity=cost)
            for number, (point, cost) in enumerate(zip(points, costs, strict=True))
        ]

    exact = np.array(scores) * scale
    found = order(*made(exact))
    assert found == order(*made(exact * off))
    assert found == sorted(range(len(scores)), key=lambda number: (-scores[number], costs[number]))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.integers(0, 2**32 - 1))
def test_merged_ties(values: list[int], seed: int) -> None:
    """Values as far apart as rounding become the least of them; others stay, and so does all order."""
    off = 1e-15 * np.random.default_rng(seed).uniform(-1, 1, len(values))
    found = merge_ties(np.array(values) + off, 1e-12)
    for value in set(values):
        of_it = np.array(values) == value
        assert set(found[of_it]) == {(value + off[of_it]).min()}
    tiny = Point(-1e-14, 0.0, -2e-14, 0.0, 0.0)
    assert tiny.tolerance == 2e-14 * ROUNDING


def test_counts(tmp_path: Path) -> None:
    """Every trial is in one state, and what waits is no row of the table."""
    space = Estimator(NonNegativeRidge(), {"alpha": Choice(1.0, -1.0, 1e9, 10.0)})
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
    points = {results.metric: Point(1.0, math.nan, math.inf, 2.0, math.nan)}
    bare = replace(results.best, trial=replace(results.best.trial, points=points)).row()
    assert (bare["se"], bare["train"], bare["gap"]) == (None, None, 2.0)


def test_a_choice_as_text(results: Results) -> None:
    """Printed, a choice says its trial, config, score, gap and why."""
    text = str(results.best)
    assert f"trial {results.best.number}: penalty=" in text
    assert f"{results.metric} {format_value(results.best.score, results.best.point.val_se, digits=5)} (train" in text
    assert text.endswith(results.best.why)


def test_a_choice_from_a_single_fold(tmp_path: Path) -> None:
    """A single fold has no standard error, and none is printed."""
    best = study(tmp_path, cv=[(np.arange(40), np.arange(40, 60))]).run(3, quiet=True).best
    assert math.isnan(best.point.val_se)
    assert f"{best.metric} {best.score:.5g} (train " in str(best)
    assert "nan" not in str(best)


@pytest.mark.parametrize("found", [3, None, (0, 0), "best", Trial(0, "complete")])
def test_a_rule_that_returns_no_pick(results: Results, found: Any) -> None:
    """A rule of the user's own that returns something else is told what to return, and how."""

    def mine(table: Any) -> Any:
        return found

    with pytest.raises(InvalidInput, match=r"The rule 'mine' must return a Pick, got .*return regsearch\.Pick\("):
        results.choose(mine)


@pytest.mark.parametrize("rule", [7.5, None, ("best",), Pick(0, 0, ""), Pick])
def test_what_is_no_rule(results: Results, rule: Any) -> None:
    """What is neither a name nor a function, a class say, is refused, with what a rule is."""
    with pytest.raises(InvalidInput, match=r"A rule must be a name or a function, got .*return regsearch\.Pick\("):
        results.choose(rule)


def test_what_a_rule_is_told_to_return_works(results: Results) -> None:
    """The lines that the refusal gives are a rule."""
    lines = re.search("`(.*)`", RETURNS)
    assert lines is not None
    scope: dict[str, Any] = {"regsearch": regsearch}
    body = "\n    ".join(lines[1].split("; "))
    exec(f"def mine(results):\n    {body}", scope)
    chosen = results.choose(scope["mine"])
    assert (chosen.number, chosen.rule, chosen.why) == (results.best.number, "mine", "why")


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
        ({}, ""),
    ],
)
def test_what_a_trial_is_called(params: dict[str, str], kind: str) -> None:
    """A trial is called by its penalty, and where it has none by its estimator or module."""
    assert Trial(0, "complete", params=params).kind == kind


def test_predictions_outside_training_give_the_score(results: Results) -> None:
    """The stored predictions of the best trial, scored fold by fold, are its validation scores."""
    one = study(results.store.root, test=0.2)
    best = results.best
    predictions = results.decisions(best.number)
    assert predictions is not None
    scores = [-np.mean((predictions[rows, 0] - one.problem.y[rows]) ** 2) for rows in one.folds.val]
    assert best.score == pytest.approx(np.mean(scores), rel=1e-5)


@pytest.mark.slow
def test_study_of_another_name(tmp_path: Path) -> None:
    """An absent study is not found, by name and root."""
    with pytest.raises(NotFound, match=rf"no study 'absent' under {tmp_path}"):
        load_results(Store(tmp_path, "absent"))
    with pytest.raises(NotFound, match="never started"):
        load_results(Store(tmp_path, "absent", f"sqlite:///{tmp_path / 'o.db'}"))


class Crowded(DummyRegressor):  # type: ignore[misc]
    """An estimator whose parameters are called as the columns of a table of trials are."""

    def __init__(self, gap: Any = 0.0, score: Any = 0.0, number: Any = 0.0, state: Any = 0.0, train: Any = 0.0,
                 se: Any = 0.0, role: Any = 0.0, reason: Any = 0.0, fit_s: Any = 0.0, complexity: Any = 0.0,
                 gap_se: Any = 0.0, test_r2: Any = 0.0, r2_gap: Any = 0.0, plain: Any = 0.0) -> None:  # fmt: skip
        super().__init__()
        for name, value in locals().items():
            if name not in ("self", "__class__"):
                setattr(self, name, value)


def test_no_parameter_overwrites_a_column(tmp_path: Path) -> None:
    """Parameters called as columns are keep both: the table's own under its name, theirs as `param_NAME`."""
    names = sorted(set(Crowded().get_params()) - set(DummyRegressor().get_params()))
    space = Estimator(Crowded(), {name: Float(1, 2) for name in names})
    options = {"scoring": ["neg_mean_absolute_error", "r2"], "test": 0.2}
    found = study(tmp_path, space=space, **options).run(4, quiet=True)
    usual = study(tmp_path, "usual", space=Estimator(Crowded(), {"plain": Float(1, 2)}), **options).run(4, quiet=True)
    table, own = found.trials, usual.trials.columns.drop("plain")
    assert {*own, "plain", *(f"param_{name}" for name in names if name != "plain")} == set(table.columns)
    assert list(table.index) == [trial.number for trial in found.all if trial.state != "waiting"]
    same = [name for name in own if name != "fit_s"]
    pd.testing.assert_frame_equal(table.iloc[:1][same], usual.trials.iloc[:1][same])
    for name in names:
        assert list(table[name if name == "plain" else f"param_{name}"]) == [
            trial.params[name] for trial in found.all[:4]
        ]
    assert set(found.best.row()["config"]) == {"estimator", *names}
    assert (found.best.row()["gap"], found.best.row()["score"]) == (found.best.gap, found.best.score)


@pytest.mark.slow
def test_the_penalty_has_its_lambda_whatever_it_is_called(tmp_path: Path) -> None:
    """A leaf has one name in every trial of a study, and lambda is that of the penalty: not of biases or activity."""
    pytest.importorskip("torch")
    net = Net(MLP(hidden=(3,)), early_stopping=t.EarlyStopping(max_epochs=2))
    weak, strong = Float(1e-4, 1e-3, log=True), Float(0.1, 1.0, log=True)
    both = net.replace(penalty=Choice(None, t.L1Penalty(weak)), bias_penalty=Choice(None, t.L2Penalty(strong)))
    results = study(tmp_path, "both", space=both).run(6, quiet=True)
    strengths = {"penalty.lambda", "bias_penalty.lambda"}
    assert all({name for name in trial.params if "lambda" in name} == strengths for trial in finished(results))
    for chosen in results.top(6):
        for name in ("penalty", "bias_penalty"):  # what a trial does not have is not shown
            assert (f"{name}.lambda" in chosen.params) == (chosen.params[name] != "none")
        assert chosen.lambda_ == chosen.params.get("penalty.lambda", 0)
        assert chosen.lambda_ == (0 if chosen.params["penalty"] == "none" else pytest.approx(5e-4, rel=1))
        assert chosen.params.get("bias_penalty.lambda", 0.1) >= 0.1
    alone = study(tmp_path, "alone", space=net.replace(bias_penalty=t.L2Penalty(strong))).run(2, quiet=True)
    assert {chosen.lambda_ or None for chosen in alone.top(2)} == {None}
    only = study(tmp_path, "only", space=net.replace(penalty=t.L1Penalty(weak))).run(2, quiet=True)
    assert only.all[1].lambda_ == only.all[1].params["lambda"]


@pytest.mark.parametrize("number", [None, [1], -1, "1", 0.5])
def test_numbers_of_no_trial(results: Results, number: Any) -> None:
    """What cannot be the number of a trial is refused, whatever is asked for."""
    for read in (results.curves, results.trajectory, results.predictions):
        with pytest.raises(InvalidInput, match="must be a whole number from 0"):
            read(number)


@pytest.mark.parametrize("metric", ["r2", [None], 3, ""])
def test_metrics_of_no_study(results: Results, metric: Any) -> None:
    """A metric that the study does not have is refused with those that it has."""
    with pytest.raises(InvalidInput, match=f"one of the study's .*{results.metric}"):
        results.curves(results.best.number, metric)


def test_numbers_of_numpy_are_numbers(results: Results) -> None:
    """A trial is found by a number as tables of pandas have it, and so many as that are listed."""
    number = results.trials.reset_index()["number"].iloc[1]
    assert isinstance(number, np.integer)
    for read in (results.curves, results.trajectory, results.predictions):
        assert type(read(number)) is type(read(int(number)))
    assert len(results.top(np.int64(2))) == 2


def test_what_is_not_solved_is_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no point is solved the choice says so: in what is printed, its row, the table, the note and the card."""
    monkeypatch.setattr(backend, "SLACK", 0.0)  # the gap of a fit is hardly ever zero
    searched = study(tmp_path, space=Linear("l1", Float(1e-3, 1e-2, log=True)))
    found = searched.run(3, quiet=True)
    best = found.best
    assert best.unsolved
    assert best.row()["unsolved"] is True
    assert "It is not solved" in str(best)
    assert "not solved" in describe(best.trial, best.settings)
    assert found.trials.unsolved[best.number]
    assert "not solved" in note(found)
    folder = searched.export(tmp_path / "bundle", best)
    assert "It is not solved" in "".join(one.read_text() for one in folder.glob("*.md"))


def separable(scoring: str) -> dict[str, Any]:
    """Options of a study of classes that a line separates."""
    X = np.random.default_rng(0).normal(size=(60, 4))
    return {"data": (X, (X @ [2.0, -1.0, 0.5, 0.0] > 0).astype(int)), "scoring": scoring, "space": Linear("l2")}


@pytest.mark.slow
def test_nothing_is_compared_with_what_diverges(tmp_path: Path) -> None:
    """A reference that diverges is said to, in what is printed, the report and the card, and no figure is of it."""
    searched = study(tmp_path, **separable("neg_log_loss"))
    found = searched.run(2, quiet=True)
    assert found.reference.diverges
    assert not found.best.diverges
    assert found.trials.diverges.tolist() == [True, False]
    assert not found.reference_leads
    assert "diverges" in found.against_reference(found.best)
    assert "diverges" in summary(found, False)
    assert any("diverges" in answer for _, answer in verdict(found))
    assert found.gaps(found.best.number).filter(like="reference").isna().all(axis=None)
    assert not any("reference" in one.evidence for one in found.advice)
    assert "diverge" in (searched.export(tmp_path / "bundle") / "README.md").read_text()
    stored = load_results(searched.store)
    assert stored.reference.diverges
    assert stored.best.row()["diverges"] is False
    assert list(searched.ablate().failed) == ["penalty"]


@pytest.mark.slow
def test_ranks_of_what_diverges_are_compared(tmp_path: Path) -> None:
    """Of a score that has a limit, such as that of ranks, the reference is compared as any other."""
    found = study(tmp_path, **separable("roc_auc")).run(2, quiet=True)
    assert not found.reference.diverges
    assert "gap" in found.against_reference(found.best)


def test_results_whose_files_are_partly_gone_say_so(tmp_path: Path) -> None:
    """Results that are held while a trial's file is removed show what is known, and name the trial and what to do."""
    one = study(tmp_path)
    results = one.run(3, quiet=True)
    assert not results.lacks_files
    gone = next(trial.number for trial in results.candidates[::-1])
    results.store.folder.joinpath(trial_file(gone)).unlink()
    said = f"of trial {gone} are gone"
    assert said in str(results)
    assert "study.results() reads what is left" in str(results)
    with pytest.raises(NotFound, match=said):
        write_report(results, tmp_path / "page.html")
    left = one.results()
    assert not left.lacks_files
    assert write_report(left, tmp_path / "page.html").is_file()
