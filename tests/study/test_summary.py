"""What a run on the command line says when it ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from samples import regression, study

from regsearch import spaces
from regsearch.cleaning import public_address
from regsearch.results.results import Results
from regsearch.study.summary import summary


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return study(tmp_path_factory.mktemp("parting"), data=regression(), space=spaces.linear()).run(3, quiet=True)


@pytest.mark.parametrize(
    ("tracking", "browse"),
    [
        (None, "regsearch ui --root {root}"),
        (True, "regsearch ui --root {root}"),
        (False, ""),
        ("https://me:secret@host/mlflow", "https://host/mlflow"),
        ("postgresql://me:secret@host/db", "mlflow ui --backend-store-uri postgresql://host/db"),
    ],
)
def test_browsing_leads_to_the_store(tracking: str | bool | None, browse: str, results: Results) -> None:
    """Where trials are browsed follows the store that they went to, without passwords; nowhere if they went to none."""
    said = summary(results, tracking)
    found = [line for line in said.splitlines() if line.startswith("Browse:")]
    assert [line.endswith(browse.format(root=results.store.root)) for line in found] == [True] * bool(browse)
    assert "secret" not in said
    assert f"export {results.name} --out DIR --root {results.store.root}" in said


def test_what_was_found(results: Results) -> None:
    """The choice comes first, then the reference's score and gap, then each piece of advice."""
    said = summary(results, False)
    assert results.reference is not None
    assert said.startswith(str(results.best))
    assert f"Without regularization: {results.metric} {results.point(results.reference).val:.5g}" in said
    assert all(f"- {advice}" in said for advice in results.advice)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://me:p@ss@host:5000/x@y", "https://host:5000/x@y"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("./mlruns@home", "./mlruns@home"),
    ],
)
def test_addresses_without_their_user(uri: str, shown: str) -> None:
    """User and password go, whatever signs they have; paths stay."""
    assert public_address(uri) == shown


def test_nothing_found(tmp_path: Path) -> None:
    """A run that completed nothing says where to go on all the same."""
    one = study(tmp_path, data=regression(), space=spaces.linear())
    none = one.run(1, timeout=1e-9, quiet=True)
    assert none.complete == ()
    assert summary(none, None).startswith("\nBrowse:")
