"""A real headless Chromium for the tests of what a user looks at.

A test takes the fixture ``page``, opens an address or a file in it, waits on a condition with Playwright's own
``expect`` or ``wait_for``, and keeps a picture with `shoot`. Where there is no Chromium such tests are skipped; with
``REGSEARCH_BROWSER=required`` they fail, so that a check that is meant to look does look.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

SCREENSHOTS = Path(__file__).resolve().parents[1] / "build" / "screenshots"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # a page that needs the network must not pass here
]  # fmt: skip
WIDE = ViewportSize(width=1600, height=1000)
PATIENCE_MS = 30_000.0


def executable() -> str | None:
    """The installed Chromium, or `None`."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def launched() -> Iterator[Browser]:
    """A running Chromium, for as long as the block lasts.

    Raises
    ------
    FileNotFoundError
        None is installed.
    """
    found = executable()
    if found is None:
        raise FileNotFoundError(f"no Chromium on the path (looked for {', '.join(NAMES)}): apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser) -> Iterator[Page]:
    """A blank page with a profile of its own, patient enough for a busy machine."""
    context = browser.new_context(viewport=WIDE)
    context.set_default_timeout(PATIENCE_MS)
    try:
        yield context.new_page()
    finally:
        context.close()


def shoot(page: Page, name: str, *, whole: bool = False) -> Path:
    """Keep a picture of the page, or of its whole length, as ``build/screenshots/NAME.png``."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    file = SCREENSHOTS / f"{name}.png"
    page.screenshot(path=file, full_page=whole)
    return file


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of a module; closed with it, as Playwright's event loop runs for as long."""
    if executable() is None and os.environ.get("REGSEARCH_BROWSER") != "required":
        pytest.skip("no Chromium on the path: apt-get install chromium")
    with launched() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A blank page of the test's own."""
    with opened(browser) as blank:
        yield blank
