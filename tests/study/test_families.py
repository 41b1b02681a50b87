"""One study of several families: references, standings, and what is done with its winner."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import samples
from sklearn.ensemble import RandomForestRegressor
from sklearn.tree import DecisionTreeRegressor

from regsearch import Choice, Estimator, Int, Linear, RegSearchCV, Study
from regsearch import Path as LambdaPath
from regsearch.export.bundle import load_config
from regsearch.models.base import Candidate
from regsearch.results.report import write_report
from regsearch.results.results import Results, load_results
from regsearch.storage.store import Store
from regsearch.study.summary import summary

TREE = Estimator(DecisionTreeRegressor(random_state=0), {"max_depth": Int(1, 6)})
SPACE: Any = Choice(TREE, Linear(penalty=Choice("l1", "l2"), lambda_=LambdaPath(12)))
FAMILIES = ["linear", "DecisionTreeRegressor"]


def made(root: Path, **options: Any) -> Study:
    return samples.study(root, "families", space=SPACE, **options)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Results]:
    study = made(tmp_path_factory.mktemp("families"))
    return study, study.run(12, quiet=True)


def test_each_family_has_its_own_reference(found: tuple[Study, Results]) -> None:
    """A choice is compared with the reference of its family, the same as in a study of that family alone."""
    study, results = found
    assert sorted(results.references) == sorted(FAMILIES)
    for name, family in study.space.families.items():  # type: ignore[attr-defined]
        (alone,) = family.backend(study.setup).stream([Candidate(0, family.reference(), "reference")])
        np.testing.assert_allclose(results.references[name].point.val, alone.point.val)
    best = results.best
    assert results.reference is results.references[best.trial.family]
    assert best.trial.family in results.against_reference(best)
    gaps = results.gaps(next(one.number for one in results.complete if one.family == "DecisionTreeRegressor"))
    theirs = results.point(results.references["DecisionTreeRegressor"]).gap
    assert gaps.iloc[-2]["reference_gap"] == pytest.approx(theirs)


def test_the_standings_are_the_best_of_each_family_on_the_same_folds(found: tuple[Study, Results]) -> None:
    """What a family lacks to the winner is the mean of the differences fold by fold."""
    _, results = found
    rows = results.families.rows
    assert {one.name for one in rows} == set(FAMILIES)
    assert rows[0].best == results.candidates[0]
    own = [results.curves(one.best.number).val[:, one.best.step] for one in rows]
    assert rows[1].behind.mean == pytest.approx((own[0] - own[1]).mean())
    for one in rows:
        of_family = [t for t in results.complete if t.family == one.name and t.role != "reference"]
        assert one.point.val == max(results.point(t).val for t in of_family)
    assert results.families.summary.startswith(f"{rows[0].name} wins")
    for text in (str(results.families), summary(results, tracking=False)):
        assert rows[1].name in text


@pytest.mark.slow
def test_a_family_study_is_read_without_its_script(found: tuple[Study, Results]) -> None:
    """What is stored says which family a trial is of; the report has a table of them."""
    study, results = found
    stored = load_results(Store(study.store.root, "families"))
    assert [one.family for one in stored.all] == [one.family for one in results.all]
    assert str(stored.families) == str(results.families)
    page = write_report(stored, study.store.root / "report.html").read_text()
    assert "DecisionTreeRegressor" in page.split("<h2>Families</h2>")[1]


def test_a_search_that_was_stopped_goes_on_alike(found: tuple[Study, Results], tmp_path: Path) -> None:
    """Twelve trials in two runs are the twelve of one: families, draws and scores."""
    _, results = found
    study = made(tmp_path)
    study.run(5, quiet=True)
    again = study.run(12, quiet=True)
    assert [(one.family, one.draws) for one in again.all] == [(one.family, one.draws) for one in results.all]
    assert [one.points for one in again.all] == [one.points for one in results.all]


@pytest.mark.slow
def test_the_winner_of_any_family_is_exported_and_started_from(found: tuple[Study, Results], tmp_path: Path) -> None:
    """The bundle has the config of its family, and a new study of the families begins from it."""
    study, results = found
    for number, row in enumerate(results.families.rows):
        chosen = next(one for one in results.top(12) if one.number == row.best.number)
        bundle = study.export(tmp_path / str(number), chosen)
        if row.name == "linear":
            assert load_config(bundle).config == chosen.config
            new = made(tmp_path / "new", start_from=bundle, seed=1).run(3, quiet=True)
            assert new.all[2].params["penalty"] == chosen.params["penalty"]
    ablated = study.ablate(quiet=True)
    assert {one.technique for one in ablated.rows} <= {"penalty", "max_depth"}


@pytest.mark.slow
def test_a_search_cv_takes_families() -> None:
    """`RegSearchCV` of several families refits the winner, whichever family that is of."""
    X, y = samples.regression()
    search = RegSearchCV(SPACE, n_trials=6, cv=3).fit(X, y)
    assert search.best_params_["family"] in FAMILIES
    assert set(search.cv_results_["param_family"]) == set(FAMILIES)
    assert search.predict(X).shape == y.shape


def test_degrees_of_freedom_are_not_compared_across_families(found: tuple[Study, Results]) -> None:
    """No rule takes a family for simpler because its complexity is a number in another unit."""
    from regsearch.results.rules.points import complexity_known

    _, results = found
    known = [one for one in results.candidates if np.isfinite(one.complexity)]
    assert complexity_known(known)
    assert not complexity_known([known[0], *(one for one in results.candidates if one.family != known[0].family)])


@pytest.mark.slow
@pytest.mark.parametrize("prune", [False, True])
def test_workers_evaluate_families_as_this_process_does(tmp_path: Path, prune: bool) -> None:
    """Whoever evaluates a config of whichever family, it comes to the same scores."""
    forest = Estimator(RandomForestRegressor(5, random_state=0), {"max_depth": Int(1, 6)})
    space = Choice(TREE, forest, Linear(penalty=Choice("l1", "l2"), lambda_=LambdaPath(12)))
    study = samples.study(tmp_path, "workers", space=space, prune=prune)
    there = study.run(20, workers=2, deterministic=True, quiet=True)
    for trial in itertools.islice((one for one in there.all if one.state == "complete"), 12):
        config = there.unfilled(trial)
        (here,) = config.backend(study.setup).stream([Candidate(0, config, "reference")])
        assert trial.point.val == pytest.approx(here.point.val)
    assert {one.family for one in there.all} == {"linear", "DecisionTreeRegressor", "RandomForestRegressor"}
