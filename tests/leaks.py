"""Where secrets stand that should stand nowhere."""

from __future__ import annotations

import base64
import io
import sqlite3
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

AROUND = 300  # bytes that are shown on either side


def spellings(secrets: Sequence[str]) -> Iterator[str]:
    """Secrets as files and addresses have them."""
    for secret in secrets:
        yield from {secret, quote(secret), quote(secret, safe=""), base64.b64encode(f"me:{secret}".encode()).decode()}


def contents(file: Path) -> Iterator[bytes]:
    """What a file holds, and what lies in it: members of an archive, cells of a database."""
    data = file.read_bytes()
    yield data
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(file) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    if data.startswith(b"SQLite format"):
        with closing(sqlite3.connect(file)) as database:
            yield "\n".join(database.iterdump()).encode()


def told(folder: Path, secrets: Sequence[str], but: str = "") -> list[str]:
    """Where a secret stands in any file below a folder, but one of that name."""
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != but and file.suffix != ".pyc"]
    assert files
    return [
        f"{file}: {secret} in {content[max(0, at - AROUND) : at + AROUND]!r}"
        for file in files for content in contents(file) for secret in spellings(secrets)
        if (at := content.find(secret.encode())) >= 0
    ]  # fmt: skip
