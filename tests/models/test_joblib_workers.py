"""Processes that fit for a study end with it, however it ends; those that were the user's before stay."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from samples import regression, study
from sklearn.linear_model import Ridge

from regsearch import MLP, Estimator, Float, Net, Study
from regsearch import nn_techniques as t
from regsearch.models.base import Model, Outcome
from regsearch.study.loop import SearchLoop

ENDS: dict[str, type[BaseException] | None] = {"whole": None, "Ctrl-C": KeyboardInterrupt, "error": RuntimeError}


def workers() -> set[int]:
    """The processes that this one has started and that are no one's to track resources."""
    own = psutil.Process().children()
    return {one.pid for one in own if one.is_running() and "resource_tracker" not in " ".join(one.cmdline())}


@pytest.fixture(autouse=True)
def no_pool() -> None:
    """There is no pool of an earlier test."""
    get_reusable_executor(max_workers=1).shutdown(wait=True, kill_workers=True)


def searched(root: Path, space: Model) -> Study:
    return study(root, space=space, n_jobs=2, data=regression(40, 3))


SPACES: dict[str, Callable[[], Model]] = {
    "estimator": lambda: Estimator(Ridge(), {"alpha": Float(0.1, 10.0, log=True)}),
    "net": lambda: Net(MLP([4]), early_stopping=t.EarlyStopping(max_epochs=3), weight_decay=Float(1e-4, 0.1, log=True)),
}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "end"), [(kind, end) for end in ENDS for kind in SPACES])
def test_workers_end_with_their_study(kind: str, end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a study ends, by itself, at Ctrl-C or with anyone's error, it leaves no process that fitted for it."""
    before, seen, real, error = workers(), list[int](), SearchLoop._finish, ENDS[end]

    def finish(self: SearchLoop, outcome: Outcome) -> None:
        seen.append(len(workers() - before))
        if error is not None:
            raise error
        real(self, outcome)

    monkeypatch.setattr(SearchLoop, "_finish", finish)
    with pytest.raises(RuntimeError) if error is RuntimeError else nullcontext():
        searched(tmp_path, SPACES[kind]()).run(3, quiet=True)
    assert seen[0] >= 2
    assert workers() <= before


@pytest.mark.slow
def test_a_pool_of_the_user_stays(tmp_path: Path) -> None:
    """Processes that were there before the study go on with what the user has for them."""
    pids = set(Parallel(n_jobs=2)(delayed(os.getpid)() for _ in range(8)))
    searched(tmp_path, SPACES["estimator"]()).run(2, quiet=True)
    assert pids <= workers()
