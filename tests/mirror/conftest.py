"""Fixtures of the mirror's tests."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.store.tracking.dbmodels.models import SqlRun
from mlflow_stores import Store


@pytest.fixture(scope="session", autouse=True)
def configured_mappers() -> None:
    """Let MLflow's tables be mapped before a test turns MLflow's own deprecation warnings into errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        SqlRun.registry.configure()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated database without runs, as migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def store(tmp_path: Path, empty_database: Path) -> Store:
    """Return a SQLite store of the test's own."""
    return Store.copied(empty_database, tmp_path)
