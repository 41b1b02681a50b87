"""A study that goes on in another space: what of it counts, under which names, and what is said of the rest."""

from __future__ import annotations

from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from samples import finished, mlflow_client, outcomes, poll, regression, study
from sklearn.linear_model import Ridge

from regsearch import MLP, Choice, Estimator, Float, InvalidInput, Linear, Net, NotFound, Results
from regsearch import Path as Axis
from regsearch import nn_techniques as t
from regsearch.cli import main
from regsearch.models.deadline import Deadline
from regsearch.results.results import load_results
from regsearch.space.config import digest
from regsearch.space.sampling import fill
from regsearch.storage.optuna_study import OptunaStudy
from regsearch.storage.store import trial_file
from regsearch.study.limits import Limits

OLD = Linear(Choice("elastic_net", "l1"), Float(1e-2, 1.0, log=True))
NEW = Linear(  # one option more, two with a leaf of one name, a range that is shifted, and another leaf
    Choice("elastic_net", "adaptive_elastic_net", "l1"), Float(1e-3, 0.3, log=True), scale=Choice("standard", "minmax")
)
WIDE = regression(60, 90)  # so many columns that lambdas are fitted in chunks
CHANGED = "ignore:The space has changed:UserWarning"
pytestmark = pytest.mark.filterwarnings(CHANGED)


def by_key(results: Results) -> dict[str, Any]:
    """What is known of each complete trial that is no reference, by its config: all that its turn does not change."""
    return {
        trial.key: (repr(trial.params), trial.lacking, trial.family, trial.step, repr(trial.points), trial.draws)
        for trial in results.all if trial.state == "complete" and trial.role != "reference"
    }  # fmt: skip


@pytest.fixture
def moved(tmp_path: Path) -> Any:
    """A study of ten trials in the old space, then in the new one, up to sixteen."""
    study(tmp_path, space=OLD).run(10, quiet=True)
    one = study(tmp_path, space=NEW)
    one.run(16, quiet=True)
    return one


def test_what_lies_in_the_new_space_counts(tmp_path: Path, moved: Any) -> None:
    """Trials of configs that the new space has count, under its names, with their own numbers; others are outside."""
    before, after = study(tmp_path, "before", space=OLD).run(10, quiet=True), moved.results()
    assert [trial.key for trial in after.all[:10]] == [trial.key for trial in before.all]
    for old, new in zip(before.all, after.all, strict=False):
        lies = old.role == "reference" or old.params["lambda"] <= 0.3
        assert new.state == ("complete" if lies else "outside")
        assert (new.points, new.seconds > 0) == (old.points, old.seconds > 0)
        assert old.role == "reference" or not lies or digest(fill(NEW, new.draws)) == new.key
    assert after.counts["complete"] == 16
    assert after.counts["outside"] > 0
    assert {trial.params["gamma"] for trial in after.complete} > {0.0}
    assert all("penalty.elastic_net.l1_ratio" in one.draws for one in after.complete if one.kind == "elastic_net")


def test_a_damaged_file_outside_the_space_is_nobodys_concern(tmp_path: Path, moved: Any) -> None:
    """What is not evaluated again is not said to be; back in its space, the trial is."""
    (number, *_) = [trial.number for trial in moved.results().all if trial.state == "outside"]
    (moved.store.folder / trial_file(number)).write_bytes(b"")
    assert moved.results().damage == ()
    old = study(tmp_path, space=OLD)
    with pytest.warns(RuntimeWarning, match=f"trial {number}: .* is empty: it is run again"):
        old.run(16, quiet=True)
    assert (old.results().damage, old.results().all[number].state) == ((), "complete")


def test_numbers_are_those_of_a_study_made_in_the_new_space(tmp_path: Path, moved: Any) -> None:
    """A trial that both have is the same in a study that had the new space from the beginning, in all that counts."""
    given = [dict(trial.draws) for trial in moved.results().complete if trial.role != "reference"]
    fresh = study(tmp_path, "fresh", space=NEW, try_first=given).run(16, quiet=True)
    assert by_key(fresh) == by_key(moved.results())
    assert fresh.references[""].points == moved.results().references[""].points
    assert fresh.best.score == moved.results().best.score
    assert list(fresh.trials.columns) == list(moved.results().trials.columns)


def test_readers_without_the_script_see_the_same(
    tmp_path: Path, moved: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is stored says by itself what is outside and why; no rule chooses it, and its number says so."""
    with_script, alone = moved.results(), load_results(moved.store)
    assert repr(alone.all) == repr(with_script.all)
    (one, *_) = [trial for trial in alone.all if trial.state == "outside"]
    assert "lambda is" in one.outside
    assert "outside the space: lambda is" in alone.trials.reason[one.number]
    with pytest.raises(NotFound, match="is outside"):
        alone.choose(one.number)
    assert main(["show", "small", "--root", str(tmp_path)]) == 0
    assert main(["report", "small", "--root", str(tmp_path), "--out", str(tmp_path)]) == 0
    assert f"{alone.counts['outside']} outside" in (tmp_path / "small.html").read_text(encoding="utf-8")


def test_before_a_run_results_are_as_a_run_would_have_them(tmp_path: Path) -> None:
    """Results of the changed study choose in its space at once, and change nothing that is stored."""
    old = study(tmp_path, space=OLD).run(10, quiet=True)
    seen = study(tmp_path, space=NEW).results()
    assert all(trial.role == "reference" or trial.params["lambda"] <= 0.3 for trial in seen.complete)
    assert repr(load_results(seen.store).all) == repr(old.all)
    study(tmp_path, space=NEW).run(1, quiet=True)
    assert repr(load_results(seen.store).all[:10]) == repr(seen.all[:10])


def test_there_and_back(tmp_path: Path, moved: Any) -> None:
    """In the space that a study began in, what was outside counts again, as it was."""
    back = study(tmp_path, space=OLD).run(1, quiet=True)
    plain = study(tmp_path, "plain", space=OLD).run(10, quiet=True)
    assert outcomes(back)[:10] == outcomes(plain)
    assert [one.draws for one in back.all[:10]] == [one.draws for one in plain.all]
    new = [one for one in back.all[10:] if one.config and one.params["scale"] == "minmax"]
    assert {one.state for one in new} == {"outside"}


def test_a_resumed_run_is_the_same(tmp_path: Path) -> None:
    """Cut in pieces, or with the move killed in its middle, a study that changed its space comes to the same trials."""
    found = []
    for name, totals in (("straight", [9]), ("pieces", [3, 6, 9])):
        study(tmp_path, name, space=OLD).run(7, quiet=True)
        if name == "pieces":
            with OptunaStudy.load(study(tmp_path, name, space=OLD).store) as kept:  # as if killed right after it began
                kept._keep_identity({**kept.identity, "space_hash": ""})
                kept._give_up_unfinished()
        for total in totals:
            results = study(tmp_path, name, space=NEW).run(total, quiet=True)
        found.append(results)
    assert outcomes(found[0]) == outcomes(found[1])


def test_what_waited_is_asked_for_anew(tmp_path: Path) -> None:
    """Starts of the old space that had no turn yet have none in the new one, unless that has them, too."""
    study(tmp_path, space=OLD).run(2, quiet=True)
    results = study(tmp_path, space=NEW).run(6, quiet=True)
    assert {one.state for one in results.all[2:5]} == {"interrupted"}
    assert all(one.draws["lambda"] <= 0.3 for one in finished(results) if one.draws)
    assert results.counts["complete"] == 6


@pytest.mark.slow
def test_what_stands_as_it_was_stopped_is_kept(tmp_path: Path) -> None:
    """What had no more time, but may be chosen as it stands, is chosen in the new space, too, and outside it is not."""
    old = Linear("l1", Axis(20), scale=Choice("standard", "none"))
    for at in count(8):
        one = study(tmp_path, f"at{at}", space=old, data=WIDE)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Limits, "begin", lambda limits, at=at: Deadline(at, clock=partial(next, count())))
            before = one.run(3, quiet=True)
        if before.candidates and before.candidates[0].stands:
            break
    (stood,) = before.candidates
    for space, known in ((Linear("l1", Axis(20), scale=Choice("standard", "none", "minmax")), True),
                         (Linear("l1", Axis(20), scale="minmax"), False), (old, True)):  # fmt: skip
        results = study(tmp_path, one.name, space=space, data=WIDE).run(3, quiet=True)
        trial = results.all[stood.number]
        assert (trial.state, trial.was) == (("pruned", "") if known else ("outside", "pruned"))
        assert (trial in results.complete) == trial.is_scored == known
        assert (trial.step, trial.points, trial.sha256) == (stood.step, stood.points, stood.sha256)
        assert not results.damage


def test_another_path_is_another_space(tmp_path: Path) -> None:
    """Trials that walked other lambdas are outside, for their numbers are not those of the new path."""
    study(tmp_path, space=Linear("l1", Axis(10))).run(2, quiet=True)
    results = study(tmp_path, space=Linear("l1", Axis(12))).run(2, quiet=True)
    assert (results.all[1].state, results.all[1].outside) == ("outside", "the space has another path")
    assert results.best.trial.steps >= 12


def test_a_real_number_in_place_of_a_whole_one_is_said(tmp_path: Path) -> None:
    """A space that has 1.0 where it had 1 has another config, as some estimators mean another thing by it."""
    ridges = [Estimator(Ridge(), {"alpha": Choice(one, one * 2)}) for one in (3, 3.0)]
    study(tmp_path, space=ridges[0]).run(3, quiet=True)
    trials = study(tmp_path, space=ridges[1]).results().all
    assert [trial.outside for trial in trials] == ["", *(f"params.alpha is {n}, the space has {n}.0" for n in (3, 6))]


def test_samplers_see_what_lies_in_the_space(tmp_path: Path) -> None:
    """A sampler finds the trials that count, with parameters and ranges of the space that is searched now."""
    seen: list[Any] = []

    class Looks(optuna.samplers.RandomSampler):
        def infer_relative_search_space(self, given: Any, trial: Any) -> dict[str, Any]:
            done = given.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
            seen.append({one.number: (dict(one.params), dict(one.distributions), one.value) for one in done})
            return optuna.search_space.intersection_search_space(done)

    spaces = [
        Estimator(Ridge(), {"alpha": Float(0.1, high, log=True), "fit_intercept": options})
        for high, options in ((100.0, Choice(True)), (10.0, Choice(True, False)))
    ]
    old = study(tmp_path, space=spaces[0], sampler=optuna.samplers.RandomSampler(3)).run(9, quiet=True)
    results = study(tmp_path, space=spaces[1], sampler=Looks(0)).run(14, quiet=True)
    inside = {one.number: one for one in old.all if one.role != "reference" and one.params["alpha"] <= 10}
    assert 0 < len(inside) < 8
    first = {number: of for number, of in seen[0].items() if number < 9}
    assert first.keys() == inside.keys()
    for number, (params, distributions, value) in first.items():
        assert params == inside[number].draws
        assert value == inside[number].point.val
        assert distributions["alpha"] == optuna.distributions.FloatDistribution(0.1, 10.0, log=True)
        assert distributions["fit_intercept"].choices == (True, False)
    assert {one.params["fit_intercept"] for one in results.all} == {True, False}


@pytest.mark.slow
def test_nets_and_another_reference(tmp_path: Path) -> None:
    """A technique that is added keeps trials without it; longer training has another reference, which is evaluated."""

    def net(epochs: int, **more: Any) -> Any:
        return Net(MLP(hidden=(4,)), dropout=Float(0.0, 0.5), early_stopping=t.EarlyStopping(max_epochs=epochs), **more)

    old = study(tmp_path, space=net(3)).run(5, quiet=True)
    more = study(tmp_path, space=net(3, weight_decay=Choice(None, Float(0.01, 0.1)))).run(9, quiet=True)
    assert [one.state for one in more.all[:5]] == [one.state for one in old.all]
    longer = study(tmp_path, space=net(4)).run(3, quiet=True)
    assert {one.state for one in longer.all[:9] if one.config} == {"outside"}
    assert [one.role for one in finished(longer) if one.state != "outside"][:1] == ["reference"]


def test_other_families(tmp_path: Path) -> None:
    """A family that is added has a reference and starts of its own; the trials of the first one are its."""
    old = study(tmp_path, space=Linear(Choice("l1", "l2"), Axis(20))).run(3, quiet=True)
    space = Choice(Linear(Choice("l1", "l2"), Axis(20)), Estimator(Ridge(), {"alpha": Float(0.1, 10.0)}))
    results = study(tmp_path, space=space).run(6, quiet=True)
    assert [one.family for one in results.all[:3]] == ["linear"] * 3
    assert [one.points for one in results.all[:3]] == [one.points for one in old.all]
    assert sorted(results.references) == ["Ridge", "linear"]
    assert results.references["linear"].number == 0


@pytest.mark.slow
@pytest.mark.process
def test_in_a_database_and_with_workers(tmp_path: Path) -> None:
    """A storage URL and workers have the same trials as the journal and this process."""
    for name, more, how in (("here", {}, {}), ("there", {"storage": f"sqlite:///{tmp_path}/o.db"}, {"workers": 1})):
        study(tmp_path, name, space=OLD, **more).run(7, quiet=True)
        study(tmp_path, name, space=NEW, **more).run(10, quiet=True, **how)
    here, there = study(tmp_path, "here", space=NEW), study(tmp_path, "there", space=NEW, **more)
    assert outcomes(here.results()) == outcomes(there.results())


@pytest.mark.slow
def test_mlflow_says_what_is_outside(tmp_path: Path) -> None:
    """Runs of trials outside have a tag, which goes when they are back; nobody writes a trial twice."""

    def tagged() -> tuple[int, set[int]]:
        client = mlflow_client(tmp_path)
        found = client.search_runs([client.get_experiment_by_name("small").experiment_id])
        tags = [run.data.tags for run in found if "regsearch.trial" in run.data.tags]
        return len(tags), {int(one["regsearch.trial"]) for one in tags if "regsearch.outside" in one}

    for space, total in ((OLD, 8), (NEW, 9), (OLD, 9)):
        results = study(tmp_path, space=space, tracking=None).run(total, quiet=True)
        trials = finished(results)
        expected = len(trials), {one.number for one in trials if one.state == "outside"}
        assert poll(lambda expected=expected: tagged() == expected)
    assert main(["sync", "small", "--root", str(tmp_path)]) == 0
    assert tagged() == expected


@pytest.mark.filterwarnings("default:The space has changed")
def test_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run in another space says how many trials lie in it, once; a quiet one warns."""
    study(tmp_path, space=OLD).run(6, quiet=True)
    said = "The space has changed: 1 of 6 finished trials lie in it and count; 5 outside it are kept and never chosen."
    with pytest.warns(UserWarning, match=said):
        study(tmp_path, space=Linear("l2")).run(1, quiet=True)
    study(tmp_path, space=Linear("l2")).run(1)
    assert "The space has changed" not in capsys.readouterr().err
    results = study(tmp_path, space=OLD).run(1)
    assert "The space has changed: 6 of 6 finished trials lie in it and count." in capsys.readouterr().err
    assert np.isfinite(results.best.score)


class Tilde(Ridge):  # type: ignore[misc]
    """A ridge whose parameters have any names."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {"alpha": self.alpha, "alpha~2": 0.0}


def test_a_name_that_changed_parameters_are_stored_by_is_refused(tmp_path: Path) -> None:
    """A parameter whose draws would be read as those of another is refused before any trial, with another name."""
    space = Estimator(Tilde(), {"alpha": Float(0.1, 1.0), "alpha~2": Float(0.1, 1.0)})
    with pytest.raises(InvalidInput, match=r"must not end in ~ and a number, .* got 'alpha~2'; call it 'alpha_2'"):
        study(tmp_path, space=space)
