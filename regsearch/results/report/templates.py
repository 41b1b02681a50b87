"""The templates of a page: regsearch's, and those of a user's folder in their place."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regsearch.cleaning import first_line, printable
from regsearch.errors import FOREIGN, InvalidInput, NotFound, RegsearchError
from regsearch.inputs import place

if TYPE_CHECKING:
    from jinja2 import BaseLoader, Environment

OURS = Path(__file__).parent / "template"
PAGE = "page.html"


def rendered(folder: str | os.PathLike[str] | None = None, **content: Any) -> str:
    """The page with this content.

    Parameters
    ----------
    folder
        Where templates are looked for first; ``regsearch/page.html`` is ours from there, to be extended.

    Raises
    ------
    NotFound
        When there is no such folder, or it has no template that the page takes.
    InvalidInput
        When a template of the folder is no text, is wrong, or asks for what a report does not have.
    """
    own = None if folder is None else _own(folder)
    try:
        return str(_environment(own).get_template(PAGE).render(content))
    except RegsearchError:
        raise
    except FOREIGN as error:  # a template is anyone's code
        if own is None:
            raise
        raise InvalidInput(
            f"A template of reports must be one of Jinja, {_place(error, own)}: {first_line(error)}"
        ) from error


def _place(error: BaseException, own: Path) -> str:
    """Where in a template an error is: Jinja puts its lines into the traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f"{one.filename}, line {one.lineno}" for one in frames if Path(one.filename).is_relative_to(own)]
    return lines[-1] if lines else str(own / PAGE)


def _environment(own: Path | None) -> Environment:
    from jinja2 import ChoiceLoader, FileSystemLoader, PrefixLoader, StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    ours = FileSystemLoader(OURS)
    loaders = [PrefixLoader({"regsearch": ours}), ours]
    return SandboxedEnvironment(
        loader=ChoiceLoader([_loader(own), *loaders] if own is not None else loaders),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=lambda value: value if hasattr(value, "__html__") else printable(value),
    )  # fmt: skip


def _loader(own: Path) -> BaseLoader:
    """What reads the templates of a user's folder."""
    from jinja2 import FileSystemLoader

    class TextLoader(FileSystemLoader):  # type: ignore[misc]
        def get_source(self, environment: Environment, template: str) -> Any:
            try:
                return super().get_source(environment, template)
            except UnicodeDecodeError as error:
                raise InvalidInput(
                    f"A template of reports must be UTF-8, {own / template} is not: {first_line(error)}; save it so."
                ) from error

    return TextLoader(own)


def _own(folder: str | os.PathLike[str]) -> Path:
    """A user's folder, which has a file that takes the place of one of ours."""
    own = place(folder, "The templates")
    names = sorted(file.name for file in OURS.iterdir() if file.name.startswith("page."))
    if not own.is_dir():
        raise NotFound(f"Templates of reports lie in a folder, and there is none at {own}; make it, with a {PAGE}.")
    if not any((own / name).is_file() for name in names):
        raise NotFound(f"The folder {own} has none of {', '.join(names)}, which the report is made of; add one.")
    return own
