"""A study whose trials lie in a database: what becomes of connections, and where a study is looked for."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from damage.services import after_trials
from samples import outcomes, study
from sqlalchemy import event
from sqlalchemy.pool import Pool

from regsearch import NotFound, RegsearchError, StudyMismatch
from regsearch.results.results import load_results
from regsearch.storage.store import Store, study_names


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'optuna.db'}"


@contextmanager
def connections() -> Iterator[list[Any]]:
    """Those to databases that are open within the block."""
    found: list[Any] = []

    def opened(connection: Any, _: Any) -> None:
        found.append(connection)

    def closed(connection: Any, _: Any) -> None:
        found.remove(connection)

    event.listen(Pool, "connect", opened)
    event.listen(Pool, "close", closed)
    try:
        yield found
    finally:
        event.remove(Pool, "connect", opened)
        event.remove(Pool, "close", closed)


@pytest.mark.slow
def test_connections_end_with_what_needed_them(tmp_path: Path, url: str) -> None:
    """A run, a reading, a list and a refusal each leave no connection open, without the collector of garbage."""
    one = study(tmp_path, storage=url)
    gc.disable()
    try:
        with connections() as left:
            one.run(3, quiet=True)
            assert left == []
            assert study_names(tmp_path, url) == ["small"]
            assert len(load_results(one.store).complete) == 3
            with pytest.raises(NotFound):
                load_results(Store(tmp_path, "other", url))
            with pytest.raises(StudyMismatch):
                study(tmp_path, storage=url, seed=1).run(4, quiet=True)
            with pytest.raises(RegsearchError, match="one root"):
                study(tmp_path / "elsewhere", storage=url).run(4, quiet=True)
            assert left == []
    finally:
        gc.enable()


@pytest.mark.slow
def test_a_connection_that_is_lost_between_two_trials(tmp_path: Path, url: str) -> None:
    """A server that ended its connections, or started again, is connected to again: the search goes on as without."""
    with connections() as live:

        def lose() -> None:
            assert live
            for connection in live:
                connection.close()

        with after_trials(2, lose):
            results = study(tmp_path, storage=url).run(5, quiet=True)
    assert outcomes(results) == outcomes(study(tmp_path / "journal").run(5, quiet=True))


@pytest.mark.slow
def test_a_study_is_looked_for_where_it_is_not(tmp_path: Path, url: str) -> None:
    """Who names no storage where there is one, or one where there is none, is told so."""
    study(tmp_path, "stored", storage=url).run(1, quiet=True)
    study(tmp_path, "journaled").run(1, quiet=True)
    with pytest.raises(NotFound, match=r"no study 'stored' under .*name the storage that has its trials"):
        load_results(Store(tmp_path, "stored"))
    with pytest.raises(NotFound, match=r"no study 'journaled' in its storage; .*leave the storage out"):
        load_results(Store(tmp_path, "journaled", url))
    with pytest.raises(NotFound, match="it was never started"):
        load_results(Store(tmp_path, "none", url))
    with pytest.raises(NotFound, match="`regsearch list` shows those that are"):
        load_results(Store(tmp_path, "none"))
