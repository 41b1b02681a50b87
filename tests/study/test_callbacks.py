"""Who hears of finished trials, and how a run is asked to end."""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from samples import finished, outcomes, regression, study
from sklearn.linear_model import Ridge

from regsearch import Estimator, Float, InvalidInput, RegSearchCV, RegsearchError, Study
from regsearch.models.deadline import ASKED, StopRequest

RIDGE: dict[str, Any] = {"space": Estimator(Ridge(), {"alpha": Float(0.1, 100.0, log=True)}), "prune": False}


class Asks(Ridge):  # type: ignore[misc]
    """A ridge whose fit may do something else, too."""

    do: Callable[[], None] = staticmethod(lambda: None)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        type(self).do()
        return super().fit(X, y, sample_weight)


def numbers(one: Study) -> list[int]:
    """Of the trials that are stored as finished."""
    return [trial.number for trial in finished(one.results())]


def ended_by(how: Callable[[Study], None]) -> Callable[[Study, Any], None]:
    """A callback that ends the run after trial 3."""
    return lambda one, trial: how(one) if trial.number == 3 else None


def by_thread(one: Study) -> None:
    thread = threading.Thread(target=one.stop)
    thread.start()
    thread.join()


def by_signal(one: Study) -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: one.stop())
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


def test_callbacks_hear_of_each_trial_once_it_is_stored(tmp_path: Path) -> None:
    """Each is called with the study and every finished trial, in order, which is among the results by then."""
    heard: list[tuple[str, int, bool]] = []

    def first(one: Study, trial: Any) -> None:
        heard.append(("first", trial.number, trial.number in numbers(one)))

    one = study(tmp_path, **RIDGE)
    results = one.run(3, on_trial=[first, lambda _, trial: heard.append(("second", trial.number, True))], quiet=True)
    assert heard == [(who, number, True) for number in range(3) for who in ("first", "second")]
    one.run(4, on_trial=first, quiet=True)
    assert heard[6:] == [("first", 3, True)]
    assert len(finished(results)) == 3


def test_a_callback_that_fails(tmp_path: Path) -> None:
    """It ends the run with an error that names it and has its own as cause, calls no other, and costs no trial."""
    heard = []

    def broken(one: Study, trial: Any) -> None:
        heard.append(trial.number)
        if trial.number == 2:
            raise KeyError("no such column")

    one = study(tmp_path, **RIDGE)
    with pytest.raises(RegsearchError, match=r"broken did after trial 2 \(KeyError: 'no such column'\)") as failed:
        one.run(6, on_trial=[broken, lambda _, trial: heard.append(-trial.number)], quiet=True)
    assert isinstance(failed.value.__cause__, KeyError)
    assert heard == [0, 0, 1, -1, 2]
    assert len(finished(one.results())) == 3
    assert outcomes(one.run(6, quiet=True)) == outcomes(study(tmp_path, "whole", **RIDGE).run(6, quiet=True))


def test_the_cause_of_a_callbacks_error_has_no_password(tmp_path: Path) -> None:
    """An address in what a callback raises is shown without its password, in the traceback too."""
    password = "-".join(("very", "secret"))

    def broken(one: Study, trial: Any) -> None:
        raise KeyError(f"http://me:{password}@host.example/x")

    with pytest.raises(RegsearchError) as failed:
        study(tmp_path, **RIDGE).run(1, on_trial=broken, quiet=True)
    said = "".join(traceback.format_exception(failed.value))
    assert "host.example" in said
    assert password not in said


def test_a_request_at_once_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is asked to end before its search begins does nothing; one that is refused beside it ends none."""
    one = study(tmp_path, **RIDGE)
    prepare = one.store.prepare

    def stops() -> None:
        prepare()
        one.stop()

    monkeypatch.setattr(one.store, "prepare", stops)
    assert finished(one.run(3, quiet=True)) == []
    monkeypatch.undo()

    def beside(running: Study, trial: Any) -> None:
        with pytest.raises(InvalidInput):
            running.run(-1)
        running.stop()

    assert len(finished(one.run(3, on_trial=beside, quiet=True))) == 1


def test_a_run_is_asked_to_end(tmp_path: Path) -> None:
    """From a callback, a thread or a signal handler, a run ends after the trial, and goes on as if it never had."""
    for number, how in enumerate((Study.stop, by_thread, by_signal)):
        one = study(tmp_path, f"cut-{number}", **RIDGE)
        results = one.run(7, on_trial=ended_by(how), quiet=True)
        assert (results.stopped, len(finished(results))) == (ASKED, 4)
    one.stop()  # nothing runs: nothing happens
    assert outcomes(one.run(7, quiet=True)) == outcomes(study(tmp_path, "whole", **RIDGE).run(7, quiet=True))


def test_what_is_in_flight_is_kept_as_far_as_it_got(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request in the middle of a trial keeps its folds, of which no callback hears before it is finished."""
    one = study(tmp_path, space=Estimator(Asks(), RIDGE["space"].params), prune=False, cv=5)
    fits, heard = iter(range(100)), []
    monkeypatch.setattr(Asks, "do", staticmethod(lambda: one.stop() if next(fits) == 7 else None))
    results = one.run(5, on_trial=lambda _, trial: heard.append(trial.number), quiet=True)
    (stopped,) = [trial for trial in results.all if trial.state == "stopped"]
    assert stopped.reason == f"{ASKED} after 3 of 5 folds"
    assert heard == [0]
    assert one.run(5, on_trial=lambda _, trial: heard.append(trial.number), quiet=True).counts["complete"] == 5
    assert heard == [0, 1, 2, 3, 4]


@pytest.mark.slow
@pytest.mark.process
def test_with_workers(tmp_path: Path) -> None:
    """With workers, callbacks are called in this process, and a request ends the run there."""
    heard = []

    def here(one: Study, trial: Any) -> None:
        heard.append((os.getpid(), trial.number))
        one.stop()

    results = study(tmp_path, **RIDGE).run(50, workers=2, on_trial=here, quiet=True)
    assert results.stopped == ASKED
    assert {process for process, _ in heard} == {os.getpid()}
    assert len(heard) == len(finished(results)) < 50


def test_a_search_with_callbacks() -> None:
    """A search that a callback ends chooses among what there is, and is fitted."""
    search = RegSearchCV(RIDGE["space"], n_trials=30, cv=3, on_trial=ended_by(Study.stop)).fit(*regression())
    assert len(search.cv_results_["trial"]) == 4
    assert search.predict(regression()[0]).shape == (60,)


@pytest.mark.filterwarnings("ignore:This process.*:DeprecationWarning")
def test_forked_processes_see_a_request() -> None:
    """A request that is made after a fork is seen by the process that was forked before."""
    request, (reads, writes) = StopRequest(), os.pipe()
    process = os.fork()
    if process == 0:
        os.read(reads, 1)
        os._exit(0 if request.is_made else 1)
    request.make()
    os.write(writes, b"x")
    assert os.waitpid(process, 0)[1] == 0


@pytest.mark.parametrize("given", [5, "print", [None], lambda trial: None])
def test_what_is_no_callback_is_refused(tmp_path: Path, given: Any) -> None:
    """What cannot be called with a study and a trial is refused before anything runs."""
    one = study(tmp_path, **RIDGE)
    with pytest.raises(InvalidInput, match="on_trial must be a function"):
        one.run(3, on_trial=given, quiet=True)
    assert not one.store.exists
