"""What results keep of the files of trials."""

from __future__ import annotations

import pickle
from typing import BinaryIO

import numpy as np
import pytest
from samples import study

from regsearch.results import readings
from regsearch.results.readings import Readings
from regsearch.results.results import Results
from regsearch.storage.artifacts import FolderArtifacts


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return study(tmp_path_factory.mktemp("readings")).run(4, quiet=True)


@pytest.mark.parametrize("budget", [readings.BUDGET, 1500, 0])
def test_readings_are_what_the_store_reads(budget: int, results: Results) -> None:
    """Whatever is kept, curves and decisions are those of the files, at first and again."""
    kept, store = Readings(results.store, budget), results.store
    for trial in 2 * results.complete:
        for name, ours in vars(kept.curves(trial.number, results.metric)).items():
            np.testing.assert_array_equal(ours, vars(store.curves(trial.number, results.metric))[name])
        np.testing.assert_array_equal(kept.predictions(trial.number), store.predictions(trial.number))
        ours, theirs = kept.along(trial.number), store.along(trial.number)
        assert (ours is None) == (theirs is None)
        if ours is not None and theirs is not None:
            np.testing.assert_array_equal(ours.decisions, theirs.decisions)


def test_a_file_is_read_once(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read is not read again, unless it is more than is kept."""
    number, opened = results.complete[0].number, list[str]()
    real = FolderArtifacts.open

    def noted(self: FolderArtifacts, name: str) -> BinaryIO:
        opened.append(name)
        return real(self, name)

    monkeypatch.setattr(FolderArtifacts, "open", noted)
    for budget, count in ((readings.BUDGET, 1), (10, 3)):
        kept = Readings(results.store, budget)
        opened.clear()
        for _ in range(3):
            kept.predictions(number)
        assert len(opened) == count


def test_what_is_returned_is_the_callers(results: Results) -> None:
    """Who writes to what was read changes nothing for others."""
    number = results.complete[0].number
    before = results.curves(number).val.copy()
    results.curves(number).val[:] = 0
    decisions = results.decisions(number)
    assert decisions is not None
    decisions[:] = 7
    np.testing.assert_array_equal(results.curves(number).val, before)
    again = results.decisions(number)
    assert again is not None
    assert (again != 7).any()


def test_a_pickle_has_none_of_them(results: Results) -> None:
    """Results in a pickle are as small after they were read as before, and read the same."""
    kept = Readings(results.store)
    before = len(pickle.dumps(kept))
    scores = kept.curves(1, results.metric).val
    assert len(pickle.dumps(kept)) == before
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(kept)).curves(1, results.metric).val, scores)


def test_results_are_pickled_without_what_scores_them(results: Results) -> None:
    """What scores predictions may be a formula that no pickle takes: results come back without it, and as they were."""
    assert results.live is not None
    again = pickle.loads(pickle.dumps(results))
    assert again.live is None
    assert str(again) == str(results)
