"""A bundle of a module's study: exported once, and copied for each test that asks for it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from regsearch import Study


@pytest.fixture(scope="module")
def exported(searched: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of the module's study, which no test writes to."""
    return searched.export(tmp_path_factory.mktemp("exported") / "bundle")


@pytest.fixture
def bundle(exported: Path, tmp_path: Path) -> Path:
    """A copy of the bundle, of the test's own: drawing its figures again would take longer than most tests."""
    return Path(shutil.copytree(exported, tmp_path / "bundle"))
