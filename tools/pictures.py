"""Pictures of the pages that people read of a study: its report, and what a notebook shows.

Each is taken whole, at the width of a desk and of a phone, on light and on dark paper, with every figure drawn.

```console
$ python tools/pictures.py                    # of a study of 20 trials, into build/pictures
$ python tools/pictures.py --trials 300 2000  # of longer ones: half a minute, and several
$ python tools/pictures.py --root mlruns --study diabetes-linear  # of one that there is
$ python tools/pictures.py --docs  # docs/report.png anew: the top of the report of studies/diabetes_linear.py
```
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from browser import launched  # noqa: E402
from playwright.sync_api import Browser, Page  # noqa: E402
from sklearn.datasets import load_diabetes  # noqa: E402

from regsearch import Study, spaces  # noqa: E402
from regsearch.results.presented import Presented  # noqa: E402
from regsearch.results.report import write_report  # noqa: E402
from regsearch.results.results import Results, load_results  # noqa: E402
from regsearch.storage.store import Store  # noqa: E402

PICTURES = ROOT / "build" / "pictures"
WIDTHS = (1440, 390)
SCHEMES = ("light", "dark")


def searched(root: Path, trials: int) -> Results:
    """A real search of so many trials."""
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    name = f"diabetes-{trials}"
    study = Study(name, X, y, space=spaces.linear(), cv=5, scoring="neg_root_mean_squared_error", root=root, seed=0,
                  tracking=False)  # fmt: skip
    return study.run(trials, quiet=True)


def pages(results: Results, folder: Path) -> Iterator[Path]:
    """The pages of a study, as files."""
    yield write_report(results, folder / f"{results.name}-report.html")
    shown: list[Presented] = [results, results.best, results.families, results.ensemble(), results.plots]
    notebook = folder / f"{results.name}-notebook.html"
    text = "<hr>".join(one._repr_html_() for one in shown)
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" '
    notebook.write_text(f'<!doctype html>{head}content="light dark">{text}', encoding="utf-8")
    yield notebook


def take(browser: Browser, file: Path) -> Iterator[Path]:
    """The pictures of a page."""
    for width in WIDTHS:
        for scheme in SCHEMES:
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
            tab = context.new_page()
            tab.goto(file.as_uri())
            _draw(tab)
            picture = PICTURES / f"{file.stem}-{width}-{scheme}.png"
            tab.screenshot(path=picture, full_page=True)
            context.close()
            yield picture


def _draw(tab: Page) -> None:
    """Look at every figure once: none is drawn before."""
    for figure in tab.locator("figure.plot").all():
        figure.scroll_into_view_if_needed()
        figure.locator(".main-svg").first.wait_for()
    tab.evaluate("scrollTo(0, 0)")


def take_for_docs(browser: Browser, folder: Path) -> Path:
    """The top of the report of the ten lines that the README shows, after an ablation."""
    script = runpy.run_path(str(ROOT / "studies" / "diabetes_linear.py"))
    study = script["study"].replace(root=folder, tracking=False)
    study.run(50, quiet=True)
    study.ablate(quiet=True)
    file = write_report(study.results(), folder / "report.html")
    tab = browser.new_page(viewport={"width": 980, "height": 1720}, color_scheme="light")
    tab.goto(file.as_uri())
    tab.locator(".main-svg").first.wait_for()
    picture = ROOT / "docs" / "report.png"
    tab.screenshot(path=picture)
    return picture


def main() -> None:
    """Take the pictures that the command line asks for, and name them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[20], help="of a search of so many trials")
    parser.add_argument("--study", nargs="+", default=[], metavar="NAME", help="of studies that there are, instead")
    parser.add_argument("--root", type=Path, default=Path("mlruns"), help="where those are (default: mlruns)")
    parser.add_argument("--docs", action="store_true", help="only the picture of a report that the docs show")
    asked = parser.parse_args()
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, launched() as browser:
        folder = Path(name)
        if asked.docs:
            print(take_for_docs(browser, folder).relative_to(ROOT))
            return
        stored = (load_results(Store(asked.root, study, None)) for study in asked.study)
        for results in stored if asked.study else (searched(folder, trials) for trials in asked.trials):
            for file in pages(results, folder):
                for picture in take(browser, file):
                    print(picture.relative_to(ROOT))


if __name__ == "__main__":
    main()
