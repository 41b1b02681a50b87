"""The templates of a page: regsearch's, and those of a user's folder in their place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regsearch.cleaning import first_line, printable
from regsearch.errors import InvalidInput, NotFound
from regsearch.inputs import place

if TYPE_CHECKING:
    from jinja2 import Environment

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
        When a template of the folder is wrong, or asks for what a report does not have.
    """
    from jinja2 import TemplateError

    try:
        return str(_environment(folder).get_template(PAGE).render(content))
    except TemplateError as error:
        where = getattr(error, "name", None) or PAGE
        line = f", line {error.lineno}" if getattr(error, "lineno", None) else ""
        raise InvalidInput(f"A template of reports must be one of Jinja, {where}{line}: {first_line(error)}") from error


def _environment(folder: str | os.PathLike[str] | None) -> Environment:
    from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined

    ours = FileSystemLoader(OURS)
    loaders = [PrefixLoader({"regsearch": ours}), ours]
    return Environment(
        loader=ChoiceLoader([FileSystemLoader(_own(folder)), *loaders] if folder is not None else loaders),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=lambda value: value if hasattr(value, "__html__") else printable(value),
    )  # fmt: skip


def _own(folder: str | os.PathLike[str]) -> Path:
    """A user's folder, which has a file that takes the place of one of ours."""
    own = place(folder, "The templates")
    names = sorted(file.name for file in OURS.iterdir() if file.name.startswith("page."))
    if not own.is_dir():
        raise NotFound(f"Templates of reports lie in a folder, and there is none at {own}; make it, with a {PAGE}.")
    if not any((own / name).is_file() for name in names):
        raise NotFound(f"The folder {own} has none of {', '.join(names)}, which the report is made of; add one.")
    return own
