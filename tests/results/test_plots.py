"""Figures: what their records hold, and that each draws what its record says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from nets import Dial
from samples import regression, study
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import LinearSVC

from regsearch import MLP, Choice, Estimator, Float, InvalidInput, Linear, Net, NotFound, spaces
from regsearch import nn_techniques as t
from regsearch.models.axes import EPOCHS, LAMBDA
from regsearch.results import plots
from regsearch.results.plots import PLOTS, Plots, plot, static_images
from regsearch.results.plots.ablation import ablation_record
from regsearch.results.plots.calibration import calibration_record, reliability
from regsearch.results.plots.coefficients import coefficients_record
from regsearch.results.plots.columns import parameter_columns
from regsearch.results.plots.gap import GapRecord, Mark, _frame, _marks, gap, gap_image, gap_record, pareto
from regsearch.results.plots.history import history_record
from regsearch.results.plots.images import new_image
from regsearch.results.plots.importance import importance_record
from regsearch.results.plots.kinds import kinds_record
from regsearch.results.plots.learning_curve import learning_record
from regsearch.results.plots.parameters import space_record
from regsearch.results.plots.path import path_image, path_record
from regsearch.results.plots.strengths import strengths_record
from regsearch.results.plots.style import Window, escape, model_label, new_figure, short_name, thin_out, window
from regsearch.results.report import page, write_artifacts
from regsearch.results.results import Results
from regsearch.storage.trial import Trial

FINITE = st.floats(-1e6, 1e6, allow_subnormal=False)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return study(tmp_path_factory.mktemp("plots"), space=spaces.linear(), test=0.2).run(26, quiet=True)


@pytest.fixture(scope="module")
def epochs(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return study(tmp_path_factory.mktemp("epochs"), "dial", space=Dial()).run(12, quiet=True)


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Results:
    X, y = regression(120)
    return study(tmp_path_factory.mktemp("classes"), "classes", data=(X, y > 0)).run(6, quiet=True)


# --- what all figures share ------------------------------------------------------------------------------------


@given(arrays(np.float64, st.integers(1, 40), elements=FINITE), FINITE)
def test_a_window_holds_what_it_must(values: np.ndarray, must: float) -> None:
    """A window lies within its values and what it must hold, holds at least half of them, and counts the others."""
    shown = window(values, [must])
    assert min(values.min(), must) <= shown.low <= must <= shown.high <= max(values.max(), must)
    assert shown.outside == (~shown.holds(values)).sum() <= len(values) / 2
    assert shown.range[0] < shown.low
    assert shown.high < shown.range[1]
    assert shown.holds(shown.clip(values)).all()


def test_far_values_do_not_stretch_a_window() -> None:
    """The same values get the same window with and without a diverged one, which is counted."""
    values = np.linspace(-1, 0, 50)
    assert window(np.append(values, [-1e9, np.nan])) == Window(-1.0, 0.0, 2)
    assert window(values, may=[-1e9]).low == -1
    assert window(values, may=[-2.5]).low == -2.5
    assert window(np.array([np.nan])).outside == 1


@given(st.integers(1, 500), st.integers(4, 60))
def test_thinning_keeps_the_best(total: int, count: int) -> None:
    """No more than asked for remain, in their order, each once, the first half and the last one among them."""
    kept = thin_out(range(total), count)
    assert len(kept) == min(total, count)
    assert kept == sorted(set(kept))
    assert kept[: count // 2] == list(range(min(total, count // 2)))
    assert kept[-1] == total - 1


@pytest.mark.parametrize(
    ("name", "others", "said"),
    [
        ("dropout", (), "dropout"),
        ("techniques.weight_decay", ("lambda",), "weight decay"),
        ("svc__C", (), "C"),
        ("a.rate", ("b.rate",), "a.rate"),
        ("x" * 60, (), f"{'x' * 12}…{'x' * 11}"),
    ],
)
def test_short_names(name: str, others: tuple[str, ...], said: str) -> None:
    """A parameter goes by its last part, unless another ends alike; long names lose their middle."""
    assert short_name(name, others) == said


LONG = "a very long name of a feature that was measured at station {} in the year of the survey that was made"


@pytest.mark.parametrize("names", [[LONG.format(k) for k in range(12)], ["x" * k for k in range(40, 60)],
                                   [f"{a}{'x' * 40}{b}{'x' * 40}" for a in "ab" for b in "cd"], ["a_b", "a b"]],
                         ids=["middle", "length", "two places", "words"])  # fmt: skip
def test_names_that_are_cut_stay_apart(names: list[str]) -> None:
    """Names with long common ends are cut to texts that differ, whatever their order, where they differ if possible."""
    cuts = [short_name(name, names) for name in names]
    assert len(set(cuts)) == len(names)
    assert max(map(len, cuts)) <= 24
    assert [short_name(name, names[::-1]) for name in names] == cuts
    if names[0] == LONG.format(0):
        assert all(f"station {k}" in said for k, said in enumerate(cuts))


@given(st.lists(st.text("ab_. ", min_size=1, max_size=60), min_size=1, max_size=12, unique=True))
def test_no_two_names_are_shown_alike(names: list[str]) -> None:
    """However names are made, each is shown in at most 24 letters, as no other is."""
    cuts = [short_name(name, names) for name in names]
    assert len(set(cuts)) == len(names)
    assert max(map(len, cuts)) <= 24


def test_text_is_text() -> None:
    """No markup and no template of plotly's comes from a user's name."""
    assert escape("<b>%{x}</b>") == "&lt;b&gt;% {x}&lt;/b&gt;"


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
    assert model_label(params) == name


# --- scores ----------------------------------------------------------------------------------------------------


@given(arrays(np.float64, st.tuples(st.integers(1, 25), st.just(2)), elements=st.integers(0, 6).map(float)))
def test_the_front_is_what_nothing_beats(dots: np.ndarray) -> None:
    """On the front are, once each, exactly the (gap, score) that no other dot equals in both and beats in one."""

    def beaten(dot: np.ndarray) -> bool:
        as_good = (dots[:, 0] <= dot[0]) & (dots[:, 1] >= dot[1])
        return bool((as_good & (dots != dot).any(axis=1)).any())

    assert list(map(tuple, pareto(dots))) == sorted({tuple(dot) for dot in dots if not beaten(dot)})


@pytest.mark.slow
def test_gap_record(results: Results) -> None:
    """One dot for each complete trial but the reference, which is marked, as are the choices of two rules."""
    record = gap_record(results)
    assert record is not None
    dots = np.concatenate(list(record.families.values()))
    sampled = [results.point(trial) for trial in results.complete if trial.role != "reference"]
    assert sorted(map(tuple, dots)) == sorted((point.gap, point.val) for point in sampled)
    assert results.reference is not None
    points = {"best": results.best.point, "one se": results.choose("one_se").point,
              "reference": results.point(results.reference)}  # fmt: skip
    assert {mark.label: (mark.gap, mark.score) for mark in record.marks} == {
        name: (pytest.approx(point.gap), pytest.approx(point.val)) for name, point in points.items()
    }
    traces = {trace.name: np.column_stack([trace.x, trace.y]) for trace in results.plots.gap().data}
    assert sorted(map(tuple, np.concatenate([traces[name] for name in record.families]))) == sorted(map(tuple, dots))
    np.testing.assert_array_equal(traces["Pareto front"], record.front)


@pytest.mark.slow
def test_nothing_drawn_lies_beyond_the_front(results: Results, epochs: Results, classes: Results) -> None:
    """No trial and no choice, which may be a point of a path that no trial chose, beats two of the front."""
    for one in (results, epochs, classes):
        record = gap_record(one)
        assert record is not None
        marks = [[mark.gap, mark.score] for mark in record.marks]
        for x, y in np.concatenate([*record.families.values(), marks]):
            assert any(x >= front[0] and y <= front[1] for front in record.front)


CLOUD = np.random.default_rng(0).normal([0.1, -0.5], 0.01, (20, 2))
CLOUD = CLOUD[np.argsort(-CLOUD[:, 1])]


@pytest.mark.parametrize("far", [[2.0, -0.9], [0.1, -1e9], [1e9, -0.6]], ids=["both", "score", "gap"])
@pytest.mark.parametrize("count", [1, 5, 15])
def test_far_trials_do_not_stretch_the_frame(far: list[float], count: int) -> None:
    """The frame is that of the trials that matter, with and without bad ones, which are not among its dots."""
    x, y = _frame(CLOUD, CLOUD[:1])
    framed = _frame(np.concatenate([CLOUD, [far] * count]), CLOUD[:1])
    assert framed == (x, y)
    assert not (framed[0].holds(np.array(far[:1])) & framed[1].holds(np.array(far[1:]))).any()
    assert (x.holds(CLOUD[:10, 0]) & y.holds(CLOUD[:10, 1])).all()


@given(arrays(np.float64, st.tuples(st.integers(1, 30), st.just(2)), elements=FINITE), st.integers(0, 29))
def test_the_frame_holds_the_choices(dots: np.ndarray, pick: int) -> None:
    """Whatever the trials, the best and a trial that was asked for lie in the frame, and no choice stretches it far."""
    dots = dots[np.argsort(-dots[:, 1])]
    chosen = np.stack([dots[0], dots[pick % len(dots)]])
    x, y = _frame(dots, chosen)
    assert (x.holds(chosen[:, 0]) & y.holds(chosen[:, 1])).all()
    far = np.array([[x.high + 9 * (x.high - x.low) + 1.0, y.low]])
    longer, same = _frame(dots, chosen, far)
    assert same == y
    assert longer == x if x.high > x.low else longer.high == far[0, 0], "unless there is nothing to be seen without it"
    close = np.array([[x.high + (x.high - x.low), y.high]])
    assert _frame(dots, chosen, close)[0].high == close[0, 0]


def test_half_of_the_trials_being_one_model_hides_no_others() -> None:
    """Where most trials agree to a fraction of an error, the frame has what differs by no more than one."""
    same, other = np.array([0.1, -0.5]) + 1e-6 * CLOUD, CLOUD - np.array([0.0, 0.1])
    dots = np.concatenate([same, other])
    x, y = _frame(dots, same[:1], errors=(0.5, 0.5))
    assert (x.holds(dots[:, 0]) & y.holds(dots[:, 1])).all()
    assert _frame(dots, same[:1]) == _frame(same, same[:1]), "without an error, what is near is near to them"
    few = np.concatenate([same, other[:5]])
    assert _frame(few, same[:1], errors=(0.5, 0.5)) == _frame(same, same[:1]), "a few do not stretch it"


@pytest.mark.parametrize("value", [0.0, -54.4656, 1e9])
def test_equal_values_but_for_rounding_have_an_axis_to_be_read(value: float) -> None:
    """Values that are one but for rounding are drawn on an axis of their size, on which ticks differ."""
    low, high = Window(value, value + abs(value) * 1e-15).range
    assert high - low >= 0.5 * abs(value)
    assert high > low


def test_what_is_outside_is_said() -> None:
    """The figure says how many trials its first view does not show, the reference if it is one, and how to see them."""
    unit = Window(0.0, 1.0)
    dots = np.array([[0.5, 0.5], [0.1, 0.9], [3.0, 0.5]])
    marks = (Mark("best", 0.1, 0.9, "star"), Mark("reference", 9.0, 0.0, "x"))
    record = GapRecord({"l1": dots}, {"l1": ["", "", ""]}, pareto(dots), marks, unit, unit, "r2")
    drawn = gap(record)
    assert drawn.layout.meta["note"] == "2 points lie outside the frame (reference included): a double click shows all"
    assert drawn.data[0].x.tolist() == dots[:, 0].tolist(), "where they are, for that click"
    assert [one.text for one in drawn.layout.annotations] == ["→ reference: gap 9, score 0"]
    (axes,) = gap_image(record).axes
    assert "→ reference: gap 9, score 0" in [text.get_text() for text in axes.get_legend().get_texts()]
    assert gap(replace(record, families={"l1": dots[:2]}, marks=marks[:1])).layout.meta["note"] == ""
    alone = gap(replace(record, families={"l1": dots[:2]})).layout.meta["note"]
    assert alone == "1 point lies outside the frame (reference): a double click shows all"


@pytest.mark.parametrize(
    ("one_se", "reference", "labels"),
    [
        ((0.5, 0.5), (0.9, 0.1), ["best = one se", "reference"]),
        ((0.5, 0.499), (0.9, 0.1), ["best ≈ one se", "reference"]),
        ((0.4, 0.4), (0.9, 0.1), ["best", "one se", "reference"]),
        ((0.5, 0.5), (0.5, 0.5), ["best = one se = reference"]),
        ((0.4, 0.5), (0.4, 0.5), ["best", "one se = reference"]),
    ],
)
def test_marks_that_coincide_are_one(
    one_se: tuple[float, float], reference: tuple[float, float], labels: list[str]
) -> None:
    """No mark hides another: those of one place, or nearly so, are one that is named after all of them."""
    unit = Window(0.0, 1.0)
    marks = _marks({"best": (0.5, 0.5), "one se": one_se, "reference": reference}, unit, unit)
    assert [mark.label for mark in marks] == labels
    assert (marks[0].gap, marks[0].score) == (0.5, 0.5)


def test_path_record(results: Results) -> None:
    """The path is the best trial's means and standard errors over folds, along lambdas from the largest."""
    record = path_record(results)
    assert record is not None
    curves = results.curves(results.best.number)
    np.testing.assert_allclose(record.val, curves.val.mean(axis=0))
    np.testing.assert_allclose(record.train, curves.train.mean(axis=0))
    np.testing.assert_allclose(record.se, curves.val.std(axis=0, ddof=1) / np.sqrt(len(curves.val)))
    assert record.along is LAMBDA
    drawn = results.plots.path()
    assert (drawn.layout.xaxis.type, drawn.layout.xaxis.autorange) == ("log", "reversed")
    assert f"best: {results.best.lambda_:.3g}" in [trace.name for trace in drawn.data]
    (axes,) = path_image(record).axes
    assert axes.get_xlabel().startswith("lambda")
    assert (axes.get_xscale(), axes.xaxis_inverted()) == ("log", True)


def test_a_path_of_epochs(epochs: Results) -> None:
    """Epochs are drawn from left to right on whole numbers, with the best and the first one within its error."""
    record = path_record(epochs)
    assert record is not None
    assert record.along is EPOCHS
    assert record.axis.tolist() == list(range(1, 31))
    within = np.flatnonzero(record.val >= epochs.best.point.floor)
    assert record.marks == {"best": epochs.best.value, "one standard error": within[0] + 1}
    assert record.y.low > record.val.min()  # the worst epochs do not set the scale
    (axes,) = path_image(record).axes
    assert (axes.get_xlabel(), axes.get_xscale(), axes.xaxis_inverted()) == ("epochs", "linear", False)
    assert all(tick == round(tick) for tick in axes.get_xticks())
    drawn = epochs.plots.path()
    assert drawn.layout.xaxis.type == "linear"
    assert f"one standard error: {within[0] + 1}" in [trace.name for trace in drawn.data]


def test_kinds_and_history(results: Results) -> None:
    """Each complete trial has its score among its kind's, and its place in the search, where the best only rises."""
    kinds, history = kinds_record(results), history_record(results)
    assert kinds is not None
    assert history is not None
    scores = sorted(results.point(trial).val for trial in results.complete)
    assert sorted(np.concatenate(list(kinds.scores.values()))) == scores == sorted(history.scores)
    assert (np.diff(history.best) >= 0).all()
    assert history.best[-1] == results.best.score
    assert results.overtuning is not None
    assert history.held_out[:, 1].tolist() == list(results.overtuning.test)
    inside = window(history.scores, [history.scores.max()]).holds(np.array(results.overtuning.val))
    assert inside[-1]
    assert history.y.holds(history.held_out[inside, 1]).all()
    assert history.numbers[history.held_out[:, 0].astype(int) - 1].tolist() == list(results.overtuning.numbers)


# --- parameters ------------------------------------------------------------------------------------------------


def test_columns(results: Results) -> None:
    """Every parameter that differs is a column; places are values, their decades, or numbers of their words."""
    found = {column.name: column for column in parameter_columns(results, results.complete)}
    assert set(found) == {"penalty", "l1_ratio", "gamma", "lambda", "scale"}
    assert found["lambda"].along
    ratios = [trial.params["l1_ratio"] for trial in results.complete]
    assert found["l1_ratio"].at.tolist() == ratios
    said = dict(found["penalty"].ticks)
    assert [said[at] for at in found["penalty"].at] == [
        trial.params["penalty"].replace("_", " ") for trial in results.complete
    ]
    for column in found.values():
        places = [at for at, _ in column.ticks]
        assert column.ends[0] <= min(places) <= max(places) <= column.ends[1]


def test_decades(results: Results) -> None:
    """What spans decades lies at its logarithm, zero below the smallest; what a trial does not have lies nowhere."""
    values = [1e-4, 0.0, 1.0, 100.0, None]
    trials = [Trial(k, "complete", params={"lambda": value}) for k, value in enumerate(values)]
    (column,) = parameter_columns(results, trials)
    np.testing.assert_allclose(column.at[[0, 2, 3]], [-4, 0, 2])
    assert column.at[1] < -4
    assert np.isnan(column.at[4])
    assert tuple(said for _, said in column.ticks if said in ("0", "1", "100")) == ("0", "1", "100")


@pytest.mark.slow
def test_importance_finds_what_decides(tmp_path: Path) -> None:
    """Where the score depends on one of two parameters, a forest finds which."""
    space = Estimator(Ridge(), {"alpha": Float(1e-2, 1e4, log=True), "tol": Float(1e-6, 1e-4)})
    one = study(tmp_path, space=space, prune=False)
    record = importance_record(one.run(30, quiet=True))
    assert record is not None
    assert record.names == ("alpha", "tol")
    assert record.drop[0] > 10 * abs(record.drop[1])


@pytest.mark.slow
def test_parallel_has_a_line_for_each_trial(results: Results) -> None:
    """Each trial is a line through as many axes as there are parameters, and its score."""
    record = space_record(results)
    assert record is not None
    drawn = results.plots.parallel()
    ends = sum(int(np.isnan(np.asarray(trace.y, dtype=float)[len(record.columns) + 1 :: len(record.columns) + 2]).sum())
               for trace in drawn.data)  # fmt: skip
    assert ends == len(results.complete)
    panels = [trace for trace in results.plots.slices().data if len(trace.x) > 1]
    assert [len(panel.x) for panel in panels] == [len(results.complete)] * len(record.columns)


# --- calibration -----------------------------------------------------------------------------------------------


@given(st.integers(20, 300), st.integers(0, 1000))
def test_reliability(rows: int, seed: int) -> None:
    """Bins keep every row, in order of probability; intervals hold the shares; the error of certain truth is none."""
    rng = np.random.default_rng(seed)
    predicted = rng.uniform(size=rows)
    found = reliability(predicted, rng.uniform(size=rows) < predicted)
    assert found.count.sum() == rows
    assert np.ptp(found.count) <= 1
    assert (np.diff(found.predicted) > 0).all()
    np.testing.assert_allclose(found.count @ found.predicted, predicted.sum())
    low, high = found.interval
    assert ((low <= found.true + 1e-12) & (found.true <= high + 1e-12)).all()
    certain = predicted > 0.5
    assert reliability(certain.astype(float), certain).error == 0


def test_equal_probabilities_share_a_bin() -> None:
    """A model that says the same of every row is off by the whole share alone, however its rows are ordered."""
    true = np.arange(200) % 4 == 0
    for order in (np.arange(200), np.argsort(true, kind="stable")):
        constant = reliability(np.full(200, 0.3), true[order])
        assert (constant.count.tolist(), constant.error) == ([200.0], pytest.approx(0.05))
        two = reliability(np.repeat([0.1, 0.8], 100), true[order])
        assert two.count.tolist() == [100.0, 100.0]


@given(st.integers(20, 200), st.integers(0, 99))
def test_weights_count_as_repeated_rows(rows: int, seed: int) -> None:
    """A row of weight 2 counts as two rows: shares and error are those of the rows written out, and equal weights
    change nothing."""
    rng = np.random.default_rng(seed)
    predicted = rng.integers(0, 4, rows) / 4 + 0.1  # so few values that both ways make the same bins
    true, weight = rng.uniform(size=rows) < predicted, rng.integers(1, 4, rows)
    found = reliability(predicted, true, weight.astype(float), bins=1000)
    written = reliability(np.repeat(predicted, weight), np.repeat(true, weight), bins=1000)
    np.testing.assert_allclose(found.predicted, written.predicted)
    np.testing.assert_allclose(found.true, written.true)
    assert found.error == pytest.approx(written.error)
    assert (found.effective <= found.count + 1e-9).all()
    plain, equal = reliability(predicted, true), reliability(predicted, true, np.full(rows, 0.3))
    np.testing.assert_allclose([*equal.true, *equal.effective, equal.error], [*plain.true, *plain.count, plain.error])


def test_calibration_of_a_study(classes: Results, results: Results) -> None:
    """The winner's stored predictions of every validated row are binned; a regression has no calibration."""
    record = calibration_record(classes)
    assert record is not None
    assert record.of == "class True"
    assert set(record.trials) == {"best", "without regularization"}
    assert all(one.count.sum() == 120 for one in record.trials.values())
    assert calibration_record(results) is None


@pytest.mark.parametrize(
    ("estimator", "scoring", "live", "stored"),
    [
        (LinearSVC(), "roc_auc", False, False),
        (LogisticRegression(), "roc_auc", True, False),
        (LogisticRegression(), None, True, True),
    ],
)
def test_margins_are_no_probabilities(
    estimator: Any, scoring: str | None, live: bool, stored: bool, tmp_path: Path
) -> None:
    """An estimator is drawn where it has probabilities, as its script or a scorer that needs them says."""
    X, y = regression()
    one = study(tmp_path, data=(X, y > 0), space=Estimator(estimator, {"C": Float(0.1, 1)}), scoring=scoring)
    results = one.run(2, quiet=True)
    assert (calibration_record(results) is not None) == live
    assert (calibration_record(replace(results, space=None)) is not None) == stored


# --- findings --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_became_of_a_strength_is_drawn(tmp_path: Path, results: Results) -> None:
    """The winner's strengths that follow its training have a line each, the mean of its folds; a thin one for each."""
    with pytest.raises(NotFound, match="'strengths' needs a best trial with a strength that follows"):
        results.plots.strengths()
    space = Net(
        MLP(hidden=(4,)), early_stopping=t.EarlyStopping(max_epochs=4), dropout=Float(0.1, 0.2),
        penalty=t.L2Penalty(1e-3), dropout_schedule=t.AdaptiveStrength(gain=2.0),
        penalty_schedule=t.AdaptiveStrength(gain=0.5),
    )  # fmt: skip
    nets = study(tmp_path, "nets", space=space, prune=False).run(2, quiet=True)
    record = strengths_record(nets)
    assert record is not None
    followed = nets.store.trajectory(nets.best.number).followed
    assert len(followed) == len(record.mean) == 2
    for name, values in followed.items():
        said = name.replace("_", " ")
        np.testing.assert_allclose(record.mean[said], values.mean(axis=0))
        assert record.folds[said].shape == values.shape == (3, 4)
        assert np.ptp(values) > 0
    figure = nets.plots.strengths()
    named = {trace.name: trace.y for trace in figure.data if trace.name}
    np.testing.assert_array_equal(named["penalty strength"], record.mean["penalty strength"])
    assert "strengths" in nets.plots.all()


@pytest.mark.slow
def test_findings(epochs: Results) -> None:
    """What an ablation, a learning curve and coefficients found is drawn, the largest effects first."""
    rows = [
        {"technique": name, "was": "on", "score": -1.0, "gap": 0.1, "score_change": change, "score_change_se": 0.1,
         "gap_change": -change, "gap_change_se": None, "held_score_change": 2 * change, "held_gap_change": -change}
        for name, change in (("dropout", -0.1), ("penalty", -0.4), ("ema", 0.2))
    ]  # fmt: skip
    best = {"number": epochs.best.number, "step": epochs.best.step, "rule": "best"}
    kept = {
        "ablation": {"number": 0, "step": 3, "rule": "one_se", "metric": epochs.metric, "axis": "epochs", "chosen": {},
                     "rows": rows},
        "learning_curve": best | {"metric": "r2", "sizes": [10, 20], "train": [[1, 0.9], [1, 0.8]],
                           "val": [[0, 0.5], [0, 0.7]]},
        "coefficients": best | {"axis": "lambda", "values": [1.0, 0.1, 0.01], "names": ["a", "b"], "note": "scaled",
                         "coef": [[0, 0.1, 5], [0, -2, -3]], "chosen": 0.1},
    }  # fmt: skip
    for name in kept:
        with pytest.raises(NotFound, match=f"'{name}' needs"):
            getattr(epochs.plots, name)()
    for name, found in kept.items():
        epochs.store.save_finding(name, found)
    ablation, learning, coefficients = ablation_record(epochs), learning_record(epochs), coefficients_record(epochs)
    assert ablation is not None
    assert ablation.techniques == ("penalty", "dropout", "ema")
    assert ablation.score.tolist() == [-0.4, -0.1, 0.2]
    assert ablation.held_score.tolist() == [-0.8, -0.2, 0.4]
    assert epochs.plots.ablation().data[1].x.tolist() == [-0.8, -0.2, 0.4]
    (drawn,) = [drawn for drawn in epochs.plots.drawn() if drawn.name == "ablation"]
    assert "a diamond is the change where that is held" in drawn.caption
    assert ablation.subject == "trial 0, chosen by one_se"
    assert learning is not None
    assert learning.subject == "the winner"
    assert epochs.plots.learning_curve().data[-1].y.tolist() == [0, 0.6]
    assert coefficients is not None
    assert coefficients.names == ("b", "a")
    assert {"ablation", "learning_curve", "coefficients"} <= set(epochs.plots.all())
    epochs.store.save_finding("coefficients", kept["coefficients"] | {"step": epochs.best.step + 1})
    assert coefficients_record(epochs) is None, "those of an earlier winner"


# --- the face --------------------------------------------------------------------------------------------------


def test_every_figure_is_a_method(results: Results) -> None:
    """Each plot is a method of its name with its docstring, and nothing else is called a plot."""
    assert results.plots.names == tuple(one.name for one in plots.plots())
    assert set(results.plots.names) == set(PLOTS) == set(dir(results.plots)) - set(dir(Plots)) - {"study"}
    for name in results.plots.names:
        assert getattr(results.plots, name).__doc__ == PLOTS[name].draw.__doc__ != ""
    with pytest.raises(AttributeError, match=r"no plot 'gaps'; there are .*gap"):
        _ = results.plots.gaps
    assert not hasattr(results.plots, "__wrapped__")


@pytest.mark.slow
def test_a_plot_is_one_function(results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function with the decorator is a method of the results, a figure of the report and an image of MLflow."""
    monkeypatch.setattr(plots.registry, "PLOTS", dict(PLOTS))
    monkeypatch.setattr(plots.accessor, "PLOTS", plots.registry.PLOTS)

    @plot("Nothing is to be seen here.", static=lambda study: new_image()[0])
    def scores(study: Results) -> Any:
        return new_figure(f"Scores of {study.name}")

    assert results.plots.names[-1] == "scores", "after those of the package"
    assert results.plots.scores().layout.meta["title"] == f"Scores of {results.name}"
    assert list(results.plots.all())[-1] == "scores"
    assert 'id="scores"' in page(results)
    assert {file.name for file in tmp_path.iterdir() if file.suffix == ".png"} == set()
    assert Path(write_artifacts(results, tmp_path)[-1].path).name == "scores.png"
    assert (tmp_path / "scores.png").exists()


def test_no_plot_takes_the_name_of_another() -> None:
    """The package's own plots cannot be replaced."""

    def gap(study: Results) -> Any: ...

    with pytest.raises(InvalidInput, match="'gap' is one of regsearch's"):
        plot("It is another.")(gap)


@pytest.mark.slow
def test_all_figures_are_json(results: Results, classes: Results) -> None:
    """What has something to show is drawn, by name, with named axes and a caption of one sentence."""
    for one in (results, classes):
        shown = {drawn.name: drawn for drawn in one.plots.drawn()}
        assert {"gap", "path", "kinds", "slices", "parallel", "history"} <= set(shown) == set(one.plots.all())
        for drawn in shown.values():
            json.loads(drawn.figure.to_json())
            assert drawn.caption.endswith(".")
            assert drawn.caption.count(".") == 1
            assert getattr(one.plots, drawn.name)() == drawn.figure
    assert set(static_images(results)) == {"path", "gap"}


@pytest.mark.parametrize(
    ("space", "trials"),
    [
        (Linear(penalty="l1", lambda_=Float(0.01, 1.0, log=True)), 4),
        (Estimator(Ridge(), {"alpha": Choice(1.0, 2.0)}), 4),
        (Linear(), 1),
    ],
)
def test_studies_without_a_path(tmp_path: Path, space: object, trials: int) -> None:
    """A study whose trials have a single point, or a single trial, has its other figures; one of them says what for."""
    one = study(tmp_path, space=space).run(trials, quiet=True)
    assert path_record(one) is None
    assert "gap" in one.plots.all()
    with pytest.raises(NotFound, match="'path' needs a best trial with a path"):
        one.plots.path()


@pytest.mark.slow
def test_one_fold(tmp_path: Path) -> None:
    """A single fold has no standard error: the figures do without."""
    one = study(tmp_path, cv=[(np.arange(40), np.arange(40, 60))]).run(6, quiet=True)
    assert {"gap", "path"} <= set(one.plots.all())
