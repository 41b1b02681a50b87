"""What a report says in sentences holds of the study that it is about."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from samples import study
from sklearn.metrics import make_scorer, r2_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.tree import DecisionTreeRegressor

from regsearch import Choice, Estimator, Linear
from regsearch.export.bundle.card import _scores
from regsearch.metrics.statistics import Estimate
from regsearch.results.report.sentences import _shrunk, verdict
from regsearch.results.results import Results
from regsearch.results.rules import Pick


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return study(tmp_path_factory.mktemp("study")).run(3, quiet=True)


def answers(results: Results) -> list[str]:
    return [answer for _, answer in verdict(results)]


def unnamed(results: Results) -> Pick:
    trial = results.candidates[-1]
    return Pick(trial.number, trial.step, "It is the last.")


@pytest.mark.slow
def test_the_luck_of_a_choice_is_that_of_its_rule(results: Results) -> None:
    """A report says of what a rule chose what `correct` says of the rule, and calls named only what was named."""
    chosen = results.choose("one_se")
    assert str(results.correct("one_se")) in answers(replace(results, subject=chosen))[2]
    named = results.choose(chosen.number, chosen.step)
    assert "It was named" in answers(replace(results, subject=named))[2]
    by_function = answers(replace(results, subject=results.choose(unnamed)))[2]
    assert "is not known: unnamed" in by_function
    assert "It was named" not in by_function


@pytest.mark.slow
def test_what_helps_is_judged_within_a_family(tmp_path: Path) -> None:
    """Where another family's reference scores best of all, the winner is still compared with its own reference."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 15))
    y = 3.0 * (np.abs(X[:, 0]) > 0.7) + rng.normal(size=90) / 10  # which no line follows, and no single cut
    tree = Estimator(DecisionTreeRegressor(random_state=0), {"max_depth": Choice(1)})
    one = study(tmp_path, data=(X, y), space=Choice(Linear("l2"), tree)).run(6, quiet=True)
    first, own = one.complete[0], one.reference
    assert own is not None
    assert (first.role, first.family) == ("reference", "DecisionTreeRegressor")
    assert own.family == one.best.trial.family == "linear"
    overfits, remedy, _ = answers(one)
    assert f"The reference (linear, without regularization) has a gap of {one.point(own).gap:.3g}" in overfits
    assert f"The reference of another family ({first.family}" in overfits
    assert "helps" not in overfits
    assert one.against_reference(one.best) in remedy


@pytest.mark.slow
def test_families_on_a_single_fold(tmp_path: Path) -> None:
    """A single fold tells of no error, and what scores alike does not win."""
    space = Choice(
        Estimator(DecisionTreeRegressor(random_state=0), {"max_depth": Choice(1, 2)}),
        Estimator(KNeighborsRegressor(), {"n_neighbors": Choice(3, 7)}),
    )
    rows = np.arange(60)
    one = study(tmp_path, space=space, cv=[(rows[:40], rows[40:])]).run(6, quiet=True)
    first, second = one.families.rows
    assert second.row()["behind"] > 0
    assert second.row()["behind_se"] is None
    assert "a single fold cannot tell them apart" in one.families.summary
    alike = replace(one.families, rows=(first, replace(second, behind=Estimate(0.0, 0.1, 5, 4))))
    assert "are as good" in alike.summary
    assert "wins" not in alike.summary


@pytest.mark.slow
def test_a_share_of_a_gap_is_one(results: Results) -> None:
    """The winner has a share of the reference's gap less, none of it where its own is none, and no share of noise."""
    point = results.best.point
    plain = replace(point, gap=4 * abs(point.gap), gap_se=0.0)
    assert "75% less" in _shrunk(replace(results, subject=results.choose("best")), plain) or point.gap < 0
    without = replace(
        results.best, trial=replace(results.best.trial, points={results.metric: replace(point, gap=-1.0)})
    )
    assert _shrunk(replace(results, subject=without), plain).endswith("has none")
    assert _shrunk(results, replace(plain, gap_se=plain.gap)) == ""


@pytest.mark.slow
@pytest.mark.parametrize("weighs", ["uniform_average", "variance_weighted"])
def test_a_score_is_called_a_mean_where_it_is(weighs: str, tmp_path: Path) -> None:
    """Scores of targets are said to have the score as their mean only where they do."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    Y = np.column_stack([10 * X[:, 0] + rng.normal(size=80), X[:, 1] / 5 + rng.normal(size=80)])
    scoring = make_scorer(r2_score, multioutput=weighs)
    one = study(tmp_path, data=(X, Y), space=Linear("l2", Choice(0.01, 0.1)), scoring=scoring).run(2, quiet=True)
    assert len(one.overview().by_target) == 2
    assert ("The mean of these is the score." in answers(one)[3]) == (weighs == "uniform_average")


@pytest.mark.slow
def test_a_rule_over_all_points_reads_every_path(results: Results) -> None:
    """Trials that count elsewhere than where they score best, as those of so many epochs do, have their points too."""
    top, *others = results.candidates
    ends = [trial.at(trial.steps - 1, results.trajectory(trial.number)) for trial in others]
    low = [replace(one, points={results.metric: replace(one.point, val=-1e9)}) for one in ends]
    fixed = results.as_if([top, *low], {})
    near = sum(len(results.curves(one.number).reaching(top.point.floor)) for one in results.candidates)
    assert near > len(results.curves(top.number).reaching(top.point.floor))
    assert f"of all {near} points" in fixed.choose("one_se").why


def test_a_card_says_how_folds_become_a_score() -> None:
    """A score of all rows at once is not called a mean over folds, nor is one on held-out rows."""
    figures = {"metric": "r2", "val": 0.5, "val_se": 0.1, "train": 0.6, "gap": 0.1, "gap_se": 0.1, "test": {"r2": 0.4}}
    folds = {"cv": "leave one out", "count": 60}
    mean, once = (_scores(figures | {"pooled": pooled}, folds) for pooled in (False, True))
    assert "validation is the mean over folds" in mean
    assert "mean over folds" not in once
    assert "scored once, on all rows outside training" in once
