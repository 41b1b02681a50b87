"""Scores that weigh rows, told from those that do not: class weights and weights of fits do not touch them."""

from __future__ import annotations

import json
import re
from pathlib import Path as Folder
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import regsearch
from regsearch import Choice, Float, InvalidInput, Linear, Net, Study
from regsearch.cli import main
from regsearch.data.problem import make_problem
from regsearch.metrics.predictions import probabilities
from regsearch.mirror.content import study_record
from regsearch.results.comparison import compare
from regsearch.results.report import note, page
from regsearch.results.rules import Pick

ROWS = 150
WEIGHT = np.where(np.arange(ROWS) % 3 == 0, 4.0, 1.0)


def data(classes: int = 2) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, 4))
    signal = X @ [1, 0.5, 0, 0] + rng.normal(size=ROWS)
    return X, np.array(["no", "rare", "yes"])[np.searchsorted([0.8, 1.8][: classes - 1], signal)]


def study(root: Folder, name: str = "a", space: Any = None, **options: Any) -> Study:
    X, y = data()
    return Study(name, X, y, space=space or Linear("l2"), cv=3, root=root, tracking=False, **options)


@pytest.mark.slow
@pytest.mark.parametrize("class_weight", ["balanced", {"no": 1.0, "rare": 5.0}])
def test_class_weights_are_taken_away(class_weight: Any, tmp_path: Folder) -> None:
    """An ablation takes class weights that were searched back to those of the reference: a study of these alone."""
    both = study(tmp_path, "both", Linear("l2", class_weight=Choice(None, class_weight)), scoring="balanced_accuracy")
    both.run(3, quiet=True)

    def weighs(results: Any) -> Pick:
        trial = next(one for one in results.complete if one.params.get("class_weight") != "none")
        return Pick(trial.number, trial.step, "It has class weights.")

    rows = {row.technique: row for row in both.ablate(weighs, quiet=True).rows}
    assert set(rows) == {"penalty", "class_weight"}
    left = study(tmp_path, "left", Linear("l2"), scoring="balanced_accuracy").run(2, quiet=True)
    plain = next(trial for trial in left.complete if trial.role != "reference")
    assert rows["class_weight"].own.point.val == pytest.approx(left.point(plain).val, rel=1e-9)
    assert rows["class_weight"].was == ("balanced" if class_weight == "balanced" else "(('no', 1.0), ('rare', 5.0))")


@pytest.mark.parametrize("config", [Linear("l2", 0.1, class_weight="balanced"), Net(class_weight={"a": 2})])
def test_class_weights_of_the_reference_stay(config: Any) -> None:
    """Linear models and nets lose class weights in an ablation only where the reference has others, or none."""
    plain = config.replace(class_weight=None)
    assert config.without(plain)["class_weight"] == plain
    assert plain.without(config)["class_weight"] == config
    for reference in (None, config.reference()):
        assert "class_weight" not in config.without(reference)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("class_weight", ["balanced", {"no": 1.0, "rare": 5.0}])
@pytest.mark.parametrize("classes", [2, 3])
def test_class_weights_are_scikit_learns(classes: int, class_weight: Any, weighted: bool) -> None:
    """A refit with class weights is scikit-learn's, times the rows' weights; fitted again it is the same."""
    X, y = data(classes)
    weight = WEIGHT if weighted else None
    ours = Linear("l2", 0.05, class_weight=class_weight).refit(make_problem(X, y, sample_weight=weight), 0)
    again = clone(ours).fit(X, y, standardscaler__sample_weight=weight, logisticregression__sample_weight=weight)
    np.testing.assert_allclose(again.predict_proba(X), ours.predict_proba(X), atol=1e-3)
    given = np.ones(ROWS) if weight is None else weight
    mass = {label: given[y == label].sum() for label in np.unique(y)}
    factors = {label: given.sum() / (classes * one) for label, one in mass.items()}
    factors = factors if class_weight == "balanced" else {label: class_weight.get(label, 1.0) for label in mass}
    total = given * [factors[label] for label in y]
    C = 1 / (0.05 * total.sum())
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=C, tol=1e-10, max_iter=10_000))
    oracle.fit(X, y, standardscaler__sample_weight=weight, logisticregression__sample_weight=total)
    np.testing.assert_allclose(ours.predict_proba(X), oracle.predict_proba(X), atol=1e-3)


@pytest.mark.slow
def test_class_weights_touch_no_score(tmp_path: Folder) -> None:
    """With balanced classes a study's score is scikit-learn's, unweighted, of its predictions outside training."""
    X, y = data()
    space = Linear("l2", class_weight="balanced")
    made = Study(
        "a", X, (y == "rare") * 1, space=space, cv=3, scoring="average_precision", root=tmp_path, tracking=False
    )
    results = made.run(2, quiet=True)
    best = results.best
    decided = results.decisions(best.number)[:, 0]  # type: ignore[index]
    y = made.problem.y
    expected = np.mean([average_precision_score(y[val], decided[val]) for val in made.folds.val])
    assert best.score == pytest.approx(expected, rel=1e-9)
    assert "weighted" not in str(best)


@pytest.mark.slow
def test_class_weights_are_searched_and_shipped(tmp_path: Folder) -> None:
    """A choice of class weights is a parameter of trials, and the bundle's config has the one that was chosen."""
    space = Linear("l2", class_weight=Choice(None, "balanced", {"no": 1.0, "rare": np.float64(5)}))
    made = study(tmp_path, space=space, scoring="balanced_accuracy")
    results = made.run(4, quiet=True)
    assert [trial.params["class_weight"] for trial in results.all][:3] == ["none", "none", "balanced"]
    config = regsearch.load_config(made.export(tmp_path / "bundle")).config
    assert config == results.best.config
    assert "class_weight" not in study(tmp_path, "plain").run(2, quiet=True).trials


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda X, y: Linear(class_weight="even"), "must be None, 'balanced' or a dict"),
        (lambda X, y: Linear(class_weight={"no": 0}), "above 0, got 0 for the class 'no'"),
        (lambda X, y: Study("a", X, y, space=Linear(class_weight={"maybe": 2})), "must name classes .*, got 'maybe'"),
        (lambda X, y: Study("a", X, X[:, 0], space=Linear(class_weight="balanced")), "needs classes, got a regression"),
        (
            lambda X, y: Study("a", X, X[:, 0], space=Net(class_weight={"a": 2}, lr=Float(0.1, 1))),
            "needs classes, got a regression",
        ),
        (lambda X, y: Study("a", X, y, space=Linear(), score_weight=-WEIGHT), "score_weight must be finite"),
    ],
)
def test_refuses(make: Any, said: str) -> None:
    """Class weights and weights of scores that cannot be are refused with what they may be."""
    with pytest.raises(InvalidInput, match=said):
        make(*data())


@pytest.mark.slow
@pytest.mark.parametrize("score_weight", [None, np.arange(ROWS) % 2 + 0.5])
def test_scores_weigh_rows_as_they_are_told(tmp_path: Folder, score_weight: Any) -> None:
    """Fits have the weights of fits and scores their own: scikit-learn's loss of the predictions outside training."""
    made = study(tmp_path, sample_weight=WEIGHT, score_weight=score_weight)
    results = made.run(2, quiet=True)
    likely = probabilities(results.decisions(results.best.number))  # type: ignore[arg-type]
    y, w = made.problem.y, score_weight
    losses = [log_loss(y[val], likely[val], sample_weight=None if w is None else w[val]) for val in made.folds.val]
    assert results.best.score == pytest.approx(-np.mean(losses), rel=1e-6)
    same = study(tmp_path, "b", sample_weight=WEIGHT).run(2, quiet=True)
    assert abs(same.best.score - results.best.score) > 1e-6
    assert results.metric_label == ("neg_log_loss" if score_weight is None else "neg_log_loss (weighted)")


@pytest.mark.slow
def test_weighted_scores_say_so(tmp_path: Folder) -> None:
    """Where scores weigh rows, their name says it in choices, figures, comparisons and cards."""
    made = study(tmp_path, space=Linear(Choice("l1", "l2")), sample_weight=WEIGHT)
    results = made.run(3, quiet=True)
    shown = [str(results.best), results.best.why, (made.export(tmp_path / "out") / "README.md").read_text()]
    other = study(tmp_path, "b", sample_weight=WEIGHT, seed=0).run(3, quiet=True)
    shown.append(str(compare(results, other)))
    assert all("neg_log_loss (weighted)" in text or "`neg_log_loss (weighted)`" in text for text in shown)


@pytest.mark.slow
def test_studies_that_weigh_otherwise_are_compared_alike(tmp_path: Folder) -> None:
    """A study whose scores weigh rows is compared with one whose do not, by the weights of the first."""
    plain = study(tmp_path, "plain").run(3, quiet=True)
    weighed = study(tmp_path, "weighed", sample_weight=WEIGHT).run(3, quiet=True)
    only_fit = study(tmp_path, "fit", sample_weight=WEIGHT, score_weight=None).run(3, quiet=True)
    sides, (difference,) = (found := compare(plain, weighed)).studies, found.differences
    y, folds = study(tmp_path, "c").problem.y, study(tmp_path, "c").folds
    losses = []
    for results in (weighed, plain):
        likely = probabilities(results.decisions(results.best.number))  # type: ignore[arg-type]
        losses.append(np.mean([log_loss(y[val], likely[val]) for val in folds.val]))
    assert difference.score.mean == pytest.approx(losses[1] - losses[0], abs=1e-7)
    assert [side.point.val for side in sides] == pytest.approx([-losses[1], -losses[0]], abs=1e-7)  # under one label
    assert np.isnan([sides[1].point.gap, difference.gap.mean]).all()
    assert found.row()["studies"][1]["gap"] is None
    (other,) = compare(plain, only_fit).differences
    assert other.score.mean == pytest.approx(only_fit.best.score - plain.best.score, rel=1e-9)


@pytest.mark.slow
def test_a_held_out_set_brings_its_weights(tmp_path: Folder) -> None:
    """Held-out scores weigh rows by the third of (X, y, weight), and not at all without it."""
    X, y = data()
    found = []
    for weight in (None, WEIGHT):
        test = (X, y) if weight is None else (X, y, weight)
        made = Study(f"t{weight is None}", X, y, space=Linear("l2"), cv=3, sample_weight=WEIGHT, test=test,
                     root=tmp_path, tracking=False)  # fmt: skip
        results = made.run(2, quiet=True)
        best = results.best
        assert ("held out (weighted)" in str(best)) == results.test_weighted == (weight is not None)
        assert ("held-out neg_log_loss (weighted)" in str(results.overtuning)) == results.test_weighted
        assert "neg_log_loss (weighted)" in str(best)
        likely = best.config.refit(made.problem, 0).predict_proba(X)
        assert best.test["neg_log_loss"] == pytest.approx(-log_loss(y, likely, sample_weight=weight), rel=1e-9)
        found.append(best.test["neg_log_loss"])
    assert found[0] != found[1]


@pytest.mark.slow
def test_sentences_about_the_best_say_that_rows_weigh(tmp_path: Folder) -> None:
    """The corrected score and the comparison with the reference are called weighted where rows weigh, only there."""
    for name, weight in (("a", np.linspace(0.5, 2, len(data()[1]))), ("b", None)):
        results = study(tmp_path, name, sample_weight=weight).run(3, quiet=True)
        said = (str(results.corrected), results.against_reference(results.best))
        assert [f"{results.metric} (weighted)" in one for one in said] == [weight is not None] * 2


@pytest.mark.slow
@pytest.mark.parametrize("weights", [{}, {"sample_weight": WEIGHT}, {"sample_weight": WEIGHT, "score_weight": None}])
def test_every_place_that_shows_a_score_says_that_rows_weigh(
    weights: dict[str, Any], tmp_path: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines and tables of a run, of commands, reports and MLflow call scores, and held-out scores, weighted where rows
    weigh in them, and only there."""
    X, y = data()
    weighted = "sample_weight" in weights and "score_weight" not in weights
    test = (X, y, WEIGHT) if weighted else (X, y)
    space = Linear("l2")
    made = Study("a", X, y, space=space, cv=3, test=test, root=tmp_path, tracking=False, **weights)
    results = made.run(2)
    progress = [line for line in re.split(r"[\r\n]", capsys.readouterr().err) if "best neg_log_loss" in line]
    assert main(["show", "a", "--root", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert main(["show", "a", "--json", "--root", str(tmp_path)]) == 0
    document = json.loads(capsys.readouterr().out)
    card = (made.export(tmp_path / "bundle") / "README.md").read_text()
    history = results.plots.history()
    tags = study_record(results.identity, None).tags
    said = [
        *progress, shown.partition("held out")[0], shown.rpartition("\n\n")[2].partition("se")[0],
        re.findall("held out.*", shown)[0], re.findall("test.*config", shown)[0], re.findall("held out.*", card)[0],
        re.findall(".*3-fold", card)[0], " ".join(re.findall("<th[^>]*>score[^<]*<", page(results))),
        note(results), "".join(trace.name or "" for trace in history.data), history.layout.yaxis.title.text,
    ]  # fmt: skip
    assert progress
    assert ["weighted)" in text for text in said] == [weighted] * len(said)
    assert (document["weighted"], document["test_weighted"]) == (weighted, weighted)
    assert ("regsearch.test_weighted" in tags) == weighted
