"""The README is executed: what it shows must run as it stands."""

import re
from pathlib import Path

import pytest

from regsearch import nn_techniques

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_python_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Python block of the README runs, in order, in one namespace and an empty folder."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "readme"}
    for block in BLOCKS:
        exec(compile(block, str(README), "exec"), names)
    assert (tmp_path / "model" / "config.toml").exists()


def test_picture_exists() -> None:
    """The pictures that the README shows are in the repository."""
    text = README.read_text(encoding="utf-8")
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert pictures
    assert all((README.parent / picture).exists() for picture in pictures)


def test_script_of_the_readme_is_the_study() -> None:
    """The ten lines that the README shows are those of the study that `make study` runs."""
    study = (README.parent / "studies" / "diabetes_linear.py").read_text(encoding="utf-8")
    lines = [line for line in BLOCKS[0].splitlines() if line and not line.startswith("#")]
    assert all(line in study for line in lines)


def test_techniques_of_the_readme_are_those_that_exist() -> None:
    """The table of slots names every slot and its techniques, and no other."""
    rows = re.findall(
        r"^\| (`[^|]+`) \| (`[^|]+`) \| [^|]+ \|$", README.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    shown = {
        slot: sorted(re.findall(r"`(\w+)`", names)) for slots, names in rows for slot in re.findall(r"`(\w+)`", slots)
    }
    assert shown == {
        slot: sorted(cls.__name__ for cls in kinds)
        for slot, kinds in nn_techniques.slots(nn_techniques.SHIPPED).items()
    }
