"""The documentation is executed: what its pages show must run as it stands, and the site is built as it is read."""

from __future__ import annotations

import dataclasses
import re
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import PATIENCE_MS, shoot
from playwright.sync_api import Page, expect

import regsearch
from regsearch import nn_techniques
from regsearch.models.linear import Penalty
from regsearch.space.registry import kinds

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools" / "docs"))

import api  # noqa: E402
import blocks  # noqa: E402
import excerpts  # noqa: E402
import regularizers  # noqa: E402

DOCS = ROOT / "docs"
PAGES = sorted(file.relative_to(DOCS).as_posix() for file in DOCS.rglob("*.md"))
CONSOLE = re.compile(r"^```console\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
BUILD_S = 300.0


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


# --- what pages say --------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PAGES if blocks.blocks(text(name))])
def test_python_blocks_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Python block of a page runs, in order, in one namespace and an empty folder, and shows something."""
    monkeypatch.chdir(tmp_path)
    shown = [*blocks.run(text(name), name)]  # all of them: `any` alone would stop at the first that shows something
    assert any(shown)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_console_blocks_name_what_exists(name: str) -> None:
    """Every command of a console block exists, with the options and the files that it names."""
    for block in CONSOLE.findall(excerpts.expanded(text(name))):
        for line in block.splitlines():
            assert line.startswith("$ "), line
            words = shlex.split(line.removeprefix("$ "), comments=True)
            CHECKS[words[0]](words[1:])


def regsearch_exists(words: list[str]) -> None:
    said = excerpts.help_of(words[0])
    assert words[0] in excerpts.command_names()
    assert options(words) <= set(re.findall(r"--[\w-]+", said)), words


def make_exists(words: list[str]) -> None:
    assert all(re.search(rf"^{word}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE) for word in words), words


def pip_exists(words: list[str]) -> None:
    assert words[0] == "install"
    extras = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), flags=re.MULTILINE)
    assert set(re.findall(r"\w+", words[1].removeprefix("regsearch"))) <= set(extras), words


def python_exists(words: list[str]) -> None:
    """A script of the repository, or pytest with a file of its tests."""
    if words[:2] == ["-m", "pytest"]:
        assert (ROOT / words[2]).is_file(), words
        return
    script = ROOT / words[0]
    shared = {"benchmarks": "benchmarks/harness.py", "studies": "regsearch/study/arguments.py", "tools": words[0]}
    said = script.read_text() + (ROOT / shared[script.parent.name]).read_text()
    assert all(f'"{option}"' in said for option in options(words)), words


def mlflow_exists(words: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's own tables
        from mlflow.cli import cli

    command: Any = cli.commands[words[0]]
    command = command.commands[words[1]] if hasattr(command, "commands") else command
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= known, words


def deployed_exists(words: list[str]) -> None:
    """The files of ``deploy/`` that a command names, and the service that it runs."""
    assert words[0] in ("build", "compose", "apply", "create"), words
    named = [found for word in words for found in re.findall(r"\bdeploy/\S+", word)]
    assert all((ROOT / file).is_file() for file in named), words
    if "run" in words:
        assert re.search(rf"^  {words[-1]}:$", (ROOT / named[0]).read_text(), flags=re.MULTILINE), words


def variable_is_set(words: list[str]) -> None:
    assert all(re.match(r"[A-Z_]+=", word) for word in words), words


def options(words: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in words if word.startswith("--")}


CHECKS = {
    "regsearch": regsearch_exists, "make": make_exists, "pip": pip_exists, "python": python_exists,
    "mlflow": mlflow_exists, "docker": deployed_exists, "kubectl": deployed_exists, "export": variable_is_set,
}  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_no_figure_is_typed_by_hand(name: str) -> None:
    """Measured figures stand where a block or a benchmark put them: prose has no decimals, percentages or ratios."""
    written = r"<!-- (\w+) -->.*?<!-- /\1 -->|<!-- include: .*?<!-- /include -->"  # by a benchmark, or made of classes
    prose = re.sub(rf"{written}|```.*?```|`[^`\n]*`|\]\([^)]*\)|<!--.*?-->", "", text(name), flags=re.DOTALL)
    assert not re.findall(r"\d*\.\d+|\d+ ?%|\b1/\d+", prose)


def test_reference_has_every_public_name() -> None:
    """The reference names every public name once; those of modules of classes are the catalogue's."""
    pages = [excerpts.expanded(text(name)) for name in PAGES if name.startswith("reference/")]
    line = r"^\*`from regsearch import (\w+)`\*$"
    named = [word for page in pages for word in re.findall(line, page, flags=re.MULTILINE)]
    assert len(named) == len(set(named))
    assert set(regsearch.__all__) - {"nn_techniques"} <= set(named)


def test_catalogue_has_everything_that_regularizes() -> None:
    """Each penalty and each technique has one entry, with every field that it declares."""
    made = excerpts.expanded(text("catalogue.md"))
    own = [cls for cls in kinds(Penalty).values() if cls.__module__.startswith("regsearch.")]
    entries = [(f"penalty-{cls.kind}", cls) for cls in own]
    entries += [(f"technique-{cls.kind}", cls) for cls in nn_techniques.SHIPPED]
    for anchor, cls in entries:
        (entry,) = re.findall(rf"^### {cls.__name__} {{ #{anchor} }}$(.*?)(?=^##|\Z)", made, re.DOTALL | re.MULTILINE)
        assert all(f"| `{field.name}` |" in entry for field in dataclasses.fields(cls))
    assert all(f"| `{slot}` |" in made for slot in nn_techniques.slots(nn_techniques.SHIPPED))


@pytest.mark.parametrize("name", excerpts.WRITTEN)
def test_a_page_that_is_read_in_the_repository_is_current(name: str) -> None:
    """It has what its includes stand for; `tools/docs/excerpts.py` writes it anew."""
    assert text(name) == excerpts.written(text(name))
    assert "<!-- include" not in excerpts.expanded(text(name))


def test_a_docstring_reads_as_markdown() -> None:
    """Signatures have no annotations, sections become lists of names, and nothing is taken for a tag."""
    made = api.entry("regsearch.Float")
    assert "```text\nFloat(low, high, log=False, start=None)\n```" in made
    assert "\n- `start`: The value that a search takes for the usual one; by default" in made
    text = "Is <so>, ``a<b``.\n\nReturns\n-------\nx, y\n    One\n    line.\n\n    Two."
    assert api.said(text) == "Is &lt;so>, `a<b`.\n\n**Returns**\n\n- `x`, `y`: One line.\n\n    Two."
    assert "#### Results.choose" in api.entry("regsearch.Results")
    with pytest.raises(ValueError, match=r"There is no regsearch\.Nobody"):
        api.entry("regsearch.Nobody")


def test_docstring_is_read() -> None:
    """A numpydoc docstring falls into its text and the meaning of each parameter, several on one line too."""
    parameters = "Parameters\n----------\na, b\n    Both of\n    them.\nc\n    Last."
    said, meanings = regularizers.parsed(f"A ``thing``.\n\n{parameters}\n\nRaises\n------\nE\n    No.")
    assert said == "A `thing`."
    assert meanings == {"a": "Both of them.", "b": "Both of them.", "c": "Last."}


def test_benchmarks_have_pages() -> None:
    """Every file in ``benchmarks/`` that measures something has a place in the site."""
    files = {file.name for file in (ROOT / "benchmarks").glob("*.py")} - {"harness.py"}
    pages = "".join(text(name) for name in PAGES if name.startswith("benchmarks/"))
    assert set(re.findall(r"include: benchmark (\S+)", pages)) == files


@pytest.mark.parametrize("line", ["nothing", "source regsearch/study/study.py Nobody"])
def test_an_include_that_names_nothing_is_refused(line: str) -> None:
    """What is included must exist: a page that names something else is not built."""
    with pytest.raises(ValueError, match=r"one of|no class"):
        excerpts.expanded(f"<!-- include: {line} -->")


# --- what a reader sees ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly; of all pages only the first runs its blocks."""
    out = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("REGSEARCH_DOCS_RUN", "index.md")
        patched.setenv("NO_MKDOCS_2_WARNING", "1")
        command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=BUILD_S, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


def loaded(html: str) -> Iterator[str]:
    """The addresses from which a page takes something by itself."""
    yield from re.findall(r"<(?:script|img|iframe)[^>]* src=\"?([^\s\">]+)", html)
    for link in re.findall(r"<link[^>]*>", html):
        if not re.search(r"rel=\"?(?:next|prev|canonical)\b", link):
            yield from re.findall(r" href=\"?([^\s\">]+)", link)


def test_site_is_built_and_needs_nothing_from_elsewhere(site: Path) -> None:
    """`mkdocs build --strict` is clean, makes every page, and what pages load lies beside them."""
    for name in PAGES:
        file = site / Path(name).with_suffix(".html")
        for address in loaded(file.read_text(encoding="utf-8")):
            assert not re.match(r"\w+:|//", address), address
            assert (file.parent / address).exists(), address


@pytest.mark.slow
def test_site_opens_as_a_folder(site: Path, page: Page) -> None:
    """Opened as files, without a network, figures are drawn in the colours of the paper, and the search finds."""
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.append(request.url) if request.url.startswith("http") else None)
    page.emulate_media(color_scheme="light")
    page.goto((site / "index.html").as_uri())
    words = page.locator("figure.drawn .main-svg text").first
    expect(words).to_be_visible(timeout=PATIENCE_MS)
    light = words.evaluate("text => getComputedStyle(text).fill")
    page.get_by_title("Dark paper").locator("visible=true").click()
    expect(page.locator("body")).to_have_attribute("data-md-color-scheme", "slate")
    page.wait_for_function(
        "light => getComputedStyle(document.querySelector('figure.drawn .main-svg text')).fill !== light", arg=light
    )
    shoot(page, "docs")
    page.get_by_placeholder("Search").press_sequentially("LabelSmoothing")  # the page reads it as keys come up
    page.locator(".md-search-result__link").first.click()
    page.wait_for_url("**/catalogue.html*")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert not wrong
