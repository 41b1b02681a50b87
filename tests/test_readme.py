"""The README is executed: what it shows must run as it stands."""

import re
from pathlib import Path

import pytest
from samples import database

README = Path(__file__).parents[1] / "README.md"
WORDS = 1050
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_python_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Python block of the README runs, in order, in one namespace and an empty folder."""
    monkeypatch.chdir(tmp_path)
    database(tmp_path / "mlruns")
    names: dict[str, object] = {"__name__": "readme"}
    for block in BLOCKS:
        exec(compile(block, str(README), "exec"), names)
    assert (tmp_path / "model" / "config.toml").exists()


def test_script_of_the_readme_is_the_study() -> None:
    """The ten lines that the README shows are those of the study that `make study` runs."""
    study = (README.parent / "studies" / "diabetes_linear.py").read_text(encoding="utf-8")
    lines = [line for line in BLOCKS[0].splitlines() if line and not line.startswith("#")]
    assert all(line in study for line in lines)


def test_it_is_read_in_one_sitting() -> None:
    """What is not for a first look stands in the docs."""
    assert len(README.read_text(encoding="utf-8").split()) <= WORDS


@pytest.mark.parametrize("link", re.findall(r"\]\((docs/[^)#]*)", README.read_text(encoding="utf-8")))
def test_links_lead_somewhere(link: str) -> None:
    """The pages and pictures that the README names are in the repository."""
    assert (README.parent / link).is_file()
