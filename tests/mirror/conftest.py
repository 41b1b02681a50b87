"""Fixtures of the mirror's tests."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from mlflow.store.tracking.dbmodels.models import SqlRun
from mlflow_stores import Store
from samples import database


@pytest.fixture(scope="session", autouse=True)
def configured_mappers() -> None:
    """Let MLflow's tables be mapped before a test turns MLflow's own deprecation warnings into errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        SqlRun.registry.configure()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated database without runs, as migrating takes longer than most tests."""
    folder = tmp_path_factory.mktemp("empty")
    database(folder)
    return folder / "mlflow.db"


@pytest.fixture
def store(tmp_path: Path, empty_database: Path) -> Store:
    """Return a SQLite store of the test's own."""
    return Store.copied(empty_database, tmp_path)
