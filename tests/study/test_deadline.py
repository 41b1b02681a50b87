"""A study whose time is up, or that Ctrl-C ends: what is in flight is kept, and gone on with to the same numbers."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from samples import finished, mlflow_client, outcomes, poll, regression, study
from sklearn.linear_model import Ridge

from regsearch import Choice, Estimator, Float, Linear, RegSearchCV, Results, load
from regsearch import Path as Axis
from regsearch.export.verify import Evidence, verify
from regsearch.mirror.content import trial_record
from regsearch.models.base import Backend, Candidate, Outcome
from regsearch.models.deadline import Deadline
from regsearch.models.path import Curves, Trajectory
from regsearch.results.advice.ranges import range_extensions
from regsearch.results.choice import describe
from regsearch.storage.store import Store, trial_file
from regsearch.study.history import History
from regsearch.study.limits import Limits

WIDE = regression(60, 90)  # so many columns that lambdas are fitted in chunks
LINEAR: dict[str, Any] = {"space": Linear(Choice("l1", "elastic_net"), Axis(20)), "data": WIDE}
RIDGE: dict[str, Any] = {"space": Estimator(Ridge(), {"alpha": Float(0.1, 100.0, log=True)}), "cv": 5, "prune": False}
Ticking = Callable[..., None]


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> Ticking:
    """A function that lets the time of runs be up after so many looks at the clock."""

    def give(at: float = np.inf, trial_s: float = np.inf) -> None:
        def begin(limits: Limits) -> Deadline:
            ticks = count()
            return Deadline(at, trial_s, lambda: float(next(ticks)), threading.Event())

        monkeypatch.setattr(Limits, "begin", begin)

    return give


# --- time ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [LINEAR, RIDGE, RIDGE | {"prune": True}], ids=["linear", "estimator", "pruned estimator"]
)
def test_stopped_again_and_again(tmp_path: Path, ticking: Ticking, options: dict[str, Any]) -> None:
    """A study that is cut off in every run, wherever it is, comes to the trials of one that never was, to the bit."""
    whole = study(tmp_path, "whole", **options).run(7, quiet=True)
    cut, seen = study(tmp_path, "cut", **options), set()
    for at in np.random.default_rng(0).integers(6, 18, size=100):  # wherever in a trial that is
        ticking(at)
        results = cut.run(7, quiet=True)
        stopped = [trial for trial in results.all if trial.state == "stopped"]
        done = len(finished(results)) == 7
        assert results.stopped == ("7 trials" if done else "time is up")
        for trial in stopped:
            partial, full = results.curves(trial.number).val, whole.curves(trial.number).val[:, : trial.steps]
            np.testing.assert_array_equal(partial[np.isfinite(partial)], full[np.isfinite(partial)])
            assert trial.reason.startswith("time was up")
            seen.add(trial.number)
        numbers = [trial.number for trial in (*finished(results), *stopped)]
        assert numbers == list(range(len(numbers)))
        assert len(stopped) <= 1
        if done:
            break
    assert done
    assert len(seen) >= 2
    assert outcomes(results) == outcomes(whole)


@pytest.mark.slow
def test_the_best_that_was_stopped_is_chosen_until_it_goes_on(tmp_path: Path, ticking: Ticking) -> None:
    """Where no searched trial has come to its end, the choice is the best as it stands, said to be so: it is shown,
    exported and refitted at the point it had come to; gone on with, it is what it would have been.
    """
    one = study(tmp_path, **LINEAR)
    whole = study(tmp_path, "whole", **LINEAR).run(2, quiet=True)
    ticking(10)
    results = one.run(2, quiet=True)
    assert [(trial.role, trial.state) for trial in results.all[:2]] == [("reference", "complete"), ("start", "stopped")]
    chosen, (trial,) = results.choose(), results.candidates
    assert (chosen.number, chosen.step) == (trial.number, trial.step)
    assert "It was stopped (time was up at lambda" in str(chosen)
    curve = results.curves(trial.number).mean()
    assert chosen.point.val == pytest.approx(curve.max())
    assert results.trials.loc[trial.number, "state"] == "stopped"
    assert results.predictions(trial.number).shape == (60,)
    refit = load(one.export(tmp_path / "bundle")).predict(WIDE[0])
    fixed = one.problem
    expected = chosen.config.refit(fixed, 0).predict(WIDE[0])
    np.testing.assert_allclose(refit, np.ravel(expected), rtol=1e-6)
    ticking()
    assert outcomes(one.run(2, quiet=True)) == outcomes(whole)
    assert not any(trial.stands for trial in one.results().all)


@pytest.mark.slow
def test_a_shorter_run_takes_nothing_away(tmp_path: Path, ticking: Ticking) -> None:
    """What stands as one run left it stays chosen, with its file, where the next run comes less far with it, and while
    that goes on.
    """
    one, seen = study(tmp_path, **LINEAR), []
    ticking(10)
    before = one.run(2, quiet=True)
    assert before.candidates[0].stands
    for at in range(3, 7):  # wherever on the way to there
        ticking(at)
        after = one.run(2, quiet=True, on_trial=lambda study, trial: seen.append(study.results().choose()))
        assert [(one.steps, one.sha256) for one in after.candidates] == [
            (before.best.trial.steps, before.best.trial.sha256)
        ]
    for chosen in (after.choose(), one.results().choose(), *seen):
        assert (chosen.number, chosen.step, chosen.point) == (before.best.number, before.best.step, before.best.point)
    assert not after.damage
    np.testing.assert_array_equal(after.decisions(before.best.number), before.decisions(before.best.number))


@dataclass
class GivesUp:
    """A backend that gives up each trial at its first point."""

    backend: Backend

    def stream(self, candidates: Iterable[Candidate]) -> Iterator[Outcome]:
        for found in self.backend.stream(candidates):
            whole = found.trajectory
            curves = {name: Curves(one.train[:, :1], one.val[:, :1]) for name, one in whole.curves.items()}
            early = Trajectory(whole.axis[:1], curves, whole.complexity[:, :1])
            yield Outcome(found.candidate, "pruned", early, reason="far behind")


@pytest.mark.slow
@pytest.mark.parametrize("leads", [True, False])
def test_the_best_stands_where_it_is_given_up(
    tmp_path: Path, ticking: Ticking, monkeypatch: pytest.MonkeyPatch, leads: bool
) -> None:
    """What stands as one run left it and is the best of all is chosen as it stood, exported and verified, where the
    next run gives it up; another is pruned as any trial is.
    """
    one, made = study(tmp_path, **LINEAR), Linear.backend
    ticking(10)
    before = one.run(2, quiet=True)
    (stood,) = before.candidates
    ticking()
    with monkeypatch.context() as giving_up:
        giving_up.setattr(Linear, "backend", lambda config, setup: GivesUp(made(config, setup)))
        if not leads:
            giving_up.setattr(History, "leads", lambda *_: False)
        after = one.run(2, quiet=True)
    trial = after.all[stood.number]
    assert (trial.state, trial.is_scored, after.counts["stopped"], after.damage) == ("pruned", leads, 0, ())
    if leads:
        chosen = one.results().choose()
        assert (chosen.number, chosen.step, chosen.point) == (stood.number, stood.step, stood.point)
        assert "far behind; it stands as it was stopped before: time was up" in str(chosen)
        assert str(chosen).endswith("no run goes on with it.")
        np.testing.assert_array_equal(after.decisions(stood.number), before.decisions(stood.number))
        assert verify(one.export(tmp_path / "bundle"), Evidence(one.problem)).holds


def test_what_is_worse_than_any_other_does_not_lead(tmp_path: Path, ticking: Ticking) -> None:
    """A stopped trial leads where no complete one, and no other that stands, scores better."""
    one = study(tmp_path, **LINEAR)
    ticking(10)
    (stood,) = one.run(2, quiet=True).candidates
    history = History(one.store, stood.metric)
    point = replace(stood.point, val=stood.point.val + 1)
    better = replace(stood, number=9, state="complete", stands=False, points={stood.metric: point})
    assert history.leads(stood, [])
    assert not history.leads(stood, [better])
    history.add(better)
    assert not history.leads(stood, [])


@pytest.mark.slow
def test_a_damaged_file_keeps_no_shorter_one_out(tmp_path: Path, ticking: Ticking) -> None:
    """What stands in a file that cannot be read gives way to what the next run comes to, however short that is."""
    one = study(tmp_path, **LINEAR)
    ticking(10)
    before = one.run(2, quiet=True)
    stood = before.candidates[0]
    file = one.store.folder / trial_file(stood.number)
    file.write_bytes(file.read_bytes()[:-100])
    assert one.results().damage
    ticking(5)
    with pytest.warns(RuntimeWarning, match="is not what was written"):
        after = one.run(2, quiet=True)
    assert after.all[stood.number].steps < stood.steps
    assert not one.results().damage


@pytest.mark.slow
def test_what_was_stopped_has_no_end_to_speak_of(tmp_path: Path, ticking: Ticking) -> None:
    """A path that time has cut off is no reason to make it longer or shorter, nor to say that it is at its end, and its
    trial is marked, and counted in its family.
    """
    space = Choice(Linear("l1", Axis(100, 1e-3)), Estimator(Ridge(), {"alpha": Float(0.1, 100.0, log=True)}))
    for at in range(8, 40):
        ticking(at)
        results = study(tmp_path, f"at{at}", space=space, data=WIDE, cv=5, prune=False).run(3, quiet=True)
        rising = [trial for trial in results.all if trial.stands and results.trajectory(trial.number).rising]
        if rising:
            break
    (trial,) = rising
    assert not trial.at_edge
    chosen = results.choose(trial.number)
    assert ("(stopped)" in describe(trial, {}), chosen.row()["stopped"]) == (True, True)
    assert not [move for move in range_extensions(results) if "lambda" in move.name]
    rows = {one.name: one for one in results.families.rows}
    assert rows[trial.family].trials >= 1


def test_a_stopped_choice_has_a_row_in_scikit_learns_table(ticking: Ticking) -> None:
    """`RegSearchCV` whose time is up before one trial beside the reference ends has that as its best, as it stands."""
    X, y = WIDE
    ticking(10)
    search = RegSearchCV(LINEAR["space"], cv=3, n_trials=3, timeout=1.0).fit(X, y)
    assert search.cv_results_["state"].tolist() == ["complete", "stopped"]
    assert search.best_index_ == 1
    assert search.cv_results_["mean_test_score"][search.best_index_] == pytest.approx(search.best_score_)


def test_what_is_said_of_stopped_trials(tmp_path: Path, ticking: Ticking, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that had no more time says how many trials are to be gone on with, and what it kept of them is in the table
    of trials, chosen by no rule while it has not all folds, and of no account for the number of trials.
    """
    one = study(tmp_path, **RIDGE)
    ticking(6)
    results = one.run(8)
    assert "1 stopped by time, to be gone on with (time is up)" in capsys.readouterr().err
    assert (results.counts["stopped"], results.counts["pruned"], finished(results)) == (1, 0, [])
    (row,) = results.trials[results.trials.state == "stopped"].itertuples()
    assert row.reason == "time was up after 3 of 5 folds"
    assert row.score == pytest.approx(np.nanmean(results.curves(row.Index).val))
    assert results.complete == ()
    assert trial_record(results.all[0], results.trajectory(0), results.metric, results.name).state == "STOPPED"
    ticking()
    results = one.run(1, quiet=True)
    assert [trial.state for trial in finished(results)] == ["complete"]
    assert results.trials.reason.tolist() == [""]


def test_a_winner_that_took_long_is_explained_when_there_is_time(
    tmp_path: Path, ticking: Ticking, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run whose time is up does not find out what a winner means that took longer than it may still take."""
    one = study(tmp_path, **LINEAR)
    ticking(12)
    assert one.run(3).complete
    assert "not found out in so little time" in capsys.readouterr().err
    assert one.results().finding("interpretation") is None
    ticking()
    assert one.run(3, quiet=True).finding("interpretation")


@pytest.mark.slow
@pytest.mark.process
def test_mlflow_follows_in_the_background(
    tmp_path: Path, ticking: Ticking, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose time is up does not wait until MLflow has all of it, which it gets all the same."""
    monkeypatch.setattr("regsearch.study.mirroring.HURRIED_S", 0.0)  # else a quick writer would be done in time
    one = study(tmp_path, tracking=None, **RIDGE)
    ticking(30)
    results = one.run(100)
    assert "the rest follows in the background" in capsys.readouterr().err
    assert not results.unmirrored  # it was not waited for
    client, mine = mlflow_client(tmp_path), f"tags.`regsearch.study_id` = '{results.identity['id']}'"
    experiment = poll(lambda: client.get_experiment_by_name("small"))
    runs = 1 + sum(trial.config is not None for trial in results.all)  # the study's own
    assert poll(lambda: len(client.search_runs([experiment.experiment_id], mine)) == runs)
    ended = f"{mine} and attributes.status != 'RUNNING'"
    assert poll(lambda: len(client.search_runs([experiment.experiment_id], ended)) == runs)


def test_without_a_score_a_trial_waits(tmp_path: Path, ticking: Ticking) -> None:
    """A trial of which nothing was measured by then is in the queue again, as if it had not begun."""
    options = RIDGE | {"pooled": True}  # of all folds or of none
    one = study(tmp_path, **options)
    ticking(2)
    results = one.run(5, quiet=True)
    assert {trial.state for trial in results.all} == {"waiting"}
    assert results.stopped == "time is up"
    ticking()
    assert outcomes(one.run(5, quiet=True)) == outcomes(study(tmp_path, "whole", **options).run(5, quiet=True))


def test_what_was_kept_may_be_damaged(tmp_path: Path, ticking: Ticking) -> None:
    """Where the file of a stopped trial cannot be read, a reader is told, and the trial is evaluated once all the
    same.
    """
    one = study(tmp_path, **RIDGE)
    ticking(6)
    (stopped,) = [trial for trial in one.run(8, quiet=True).all if trial.state == "stopped"]
    (one.store.folder / "trials" / f"{stopped.number:06d}.npz").write_bytes(b"")
    assert one.results().counts["damaged"] == 1
    ticking()
    with pytest.warns(RuntimeWarning, match="run again"):
        results = one.run(4, quiet=True)
    assert outcomes(results) == outcomes(study(tmp_path, "whole", **RIDGE).run(4, quiet=True))
    assert not results.damage


def test_damaged_trials_stay_so_where_time_is_short(tmp_path: Path, ticking: Ticking) -> None:
    """A finished trial that is evaluated again for its lost file is not replaced by a part of itself."""
    one = study(tmp_path, **RIDGE)
    whole = outcomes(one.run(6, quiet=True))
    (one.store.folder / "trials" / "000003.npz").write_bytes(b"")
    ticking(6)
    with pytest.warns(RuntimeWarning, match="run again"):
        results = one.run(6, quiet=True)
    assert (results.counts["damaged"], results.counts["stopped"]) == (1, 0)
    ticking()
    with pytest.warns(RuntimeWarning, match="run again"):
        assert outcomes(one.run(6, quiet=True)) == whole


def test_the_held_out_set_is_scored_when_there_is_time(tmp_path: Path, ticking: Ticking) -> None:
    """A best trial that finishes as the time is up is scored on the held-out set by the next run."""
    options = RIDGE | {"test": 0.2, "cv": 2}
    whole = study(tmp_path, "whole", **options).run(2, quiet=True)
    one = study(tmp_path, **options)
    one.run(1, quiet=True)
    for at in count(3):
        ticking(at)
        results = one.run(2, quiet=True)
        if len(results.complete) == 2:
            break
    assert whole.all[1].test
    assert not results.all[1].test
    ticking(0)
    assert not one.run(2, quiet=True).all[1].test
    ticking()
    assert one.run(2, quiet=True).all[1].test == whole.all[1].test


@pytest.mark.slow
def test_a_net_of_the_held_out_set_ends_with_the_run(tmp_path: Path, ticking: Ticking) -> None:
    """A net that is trained for the held-out set when the time is up is left there, and trained by a later run."""
    from regsearch import MLP, Net
    from regsearch import nn_techniques as t

    options: dict[str, Any] = {
        "space": Net(MLP(hidden=(4,)), dropout=Float(0.0, 0.5), early_stopping=t.FixedEpochs(12)),
        "cv": 2, "test": 0.2, "prune": False, "n_jobs": 1,
    }  # fmt: skip
    whole = study(tmp_path, "whole", **options).run(1, quiet=True).all[0]
    one = study(tmp_path, **options)
    for at in count(6):  # until the trial is complete, with no time left for more
        ticking(at)
        if one.run(1, quiet=True).complete:
            break
    for at in (3, 8):
        ticking(at)
        trial = one.run(1, quiet=True).all[0]
        assert (trial.state, trial.test, trial.reason) == ("complete", {}, "")
    ticking()
    assert whole.test
    assert one.run(1, quiet=True).all[0].test == whole.test


# --- the time of a trial ---------------------------------------------------------------------------------------


def test_a_trial_that_took_too_long_is_given_up_for_good(tmp_path: Path, ticking: Ticking) -> None:
    """What took longer than a trial may is pruned, with what was measured, and not evaluated again, also without a
    limit.
    """
    one = study(tmp_path, **(LINEAR | {"space": Linear(Choice("l1", "l2"), Axis(20))}))
    ticking(trial_s=2.0)
    results = one.run(4, quiet=True)
    pruned = [trial for trial in results.all if trial.state == "pruned"]
    assert pruned
    assert all(trial.reason.startswith("the 2 s of a trial were up at lambda") for trial in pruned)
    assert all(1 < trial.steps < 20 for trial in pruned)
    ticking()
    assert outcomes(one.run(4, quiet=True)) == outcomes(results)


def test_the_time_of_a_trial_in_scikit_learns_words() -> None:
    """`RegSearchCV` has the limit of a trial, too: what took too long has no scores there."""
    X, y = WIDE
    search = RegSearchCV(LINEAR["space"], cv=3, n_trials=3, trial_timeout=1e-9).fit(X, y)
    assert search.cv_results_["state"].tolist() == ["complete", "pruned", "pruned"]
    assert np.isnan(search.cv_results_["mean_test_score"][1:]).all()


# --- Ctrl-C ----------------------------------------------------------------------------------------------------


class Signals:
    """Sends its process the signal of Ctrl-C at one of its calls."""

    def begin(self, at: int) -> None:
        """From now on, count calls."""
        self.calls, self.at = count(1), at

    def __call__(self) -> None:
        if next(self.calls) == self.at:
            os.kill(os.getpid(), signal.SIGINT)


SIGNALS = Signals()


class Interrupted(Ridge):  # type: ignore[misc]
    """A ridge whose fits may be interrupted."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        SIGNALS()
        return super().fit(X, y, sample_weight)


def unkeyed(results: Results) -> list[Any]:
    """What a search decides, less the keys of its configs: they go by the signals, too, that a fit waits for."""
    return [(state, role, *rest) for state, role, _, *rest in outcomes(results)]


INTERRUPTED = RIDGE | {"space": Estimator(Interrupted(), {"alpha": Float(0.1, 100.0, log=True)})}


def test_ctrl_c_keeps_what_is_in_flight(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After Ctrl-C in the third fold of a trial, two folds are kept; gone on with, the study is as if nothing was."""
    SIGNALS.begin(0)
    whole = unkeyed(study(tmp_path, "whole", **INTERRUPTED).run(5, quiet=True))
    SIGNALS.begin(8)
    one = study(tmp_path, **INTERRUPTED)
    results = one.run(5)
    assert [trial.state for trial in results.all[:2]] == ["complete", "stopped"]
    assert results.all[1].reason == "interrupted after 2 of 5 folds"
    assert "1 complete, 1 stopped by Ctrl-C, to be gone on with (interrupted)" in capsys.readouterr().err
    assert unkeyed(one.run(5, quiet=True)) == whole


def test_a_second_ctrl_c_ends_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while what is in flight is being kept costs that, and nothing else."""
    SIGNALS.begin(0)
    whole = unkeyed(study(tmp_path, "whole", **INTERRUPTED).run(5, quiet=True))
    save = Store.save

    def again(self: Store, number: int, *parts: Any) -> str:
        if number == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return save(self, number, *parts)

    SIGNALS.begin(8)
    one = study(tmp_path, **INTERRUPTED)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "save", again)
        results: Results = one.run(5, quiet=True)
    assert results.stopped == "interrupted"
    assert (len(finished(results)), results.counts["stopped"]) == (1, 0)
    assert unkeyed(one.run(5, quiet=True)) == whole


def test_ctrl_c_in_the_last_trial_is_no_success(tmp_path: Path) -> None:
    """Ctrl-C as the last trial is being stored leaves a study that says so, so that what called it does not go on."""
    SIGNALS.begin(6)  # the refit of the first trial, for the held-out set
    results = study(tmp_path, **(INTERRUPTED | {"test": 0.2})).run(1, quiet=True)
    assert (results.stopped, len(results.complete)) == ("interrupted", 1)
    assert not results.all[0].test


class FailsFirst(Ridge):  # type: ignore[misc]
    """A ridge that cannot be fitted with a small alpha."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        if self.alpha < 1.0:
            raise RuntimeError("too small")
        return super().fit(X, y, sample_weight)


def test_stopped_trials_may_yet_work(tmp_path: Path, ticking: Ticking) -> None:
    """Where all that finished has failed, and more is in flight, the search has not failed yet."""
    space = Estimator(FailsFirst(alpha=0.5), {"alpha": Choice(2.0, 0.2)})
    one = study(tmp_path, **(RIDGE | {"space": space}))
    ticking(6)
    results = one.run(2, quiet=True)
    assert (results.counts["failed"], results.counts["stopped"]) == (1, 1)
    ticking()
    assert one.run(2, quiet=True).counts["complete"] == 1
