"""What a run on the command line says when it ends: what it found, where to browse it, how to export it."""

from __future__ import annotations

from collections.abc import Iterator

from regsearch.cleaning import HIDDEN, printable, public_address
from regsearch.mirror.pages import page_links
from regsearch.models.base import Model
from regsearch.results.choice import reasons
from regsearch.results.results import Results
from regsearch.results.stored_study import leading_reference, reference_name
from regsearch.study.arguments import STORAGE
from regsearch.study.commands import command, where


def summary(results: Results, tracking: str | bool | None) -> str:
    """The choice, the reference, the advice, and the commands that go on from there.

    Parameters
    ----------
    tracking
        As `regsearch.Study` was given it.
    """
    return "\n".join([*_found(results), "", *_next(results, tracking)])


def _found(results: Results) -> Iterator[str]:
    if not results.complete:
        return
    yield str(results.best)
    if results.reference is not None:
        shown = leading_reference(results) or results.reference
        point, name = results.point(shown), reference_name(results, shown)
        leads = " It scores best of all; no rule chooses it." if results.reference_leads else ""
        yield f"{name[0].upper()}{name[1:]}: {results.metric_label} {point.said}.{leads}"
        if shown.doubtful:
            yield reasons("", shown)
    if results.families.summary:
        yield printable(results.families.summary)
    for advice in results.advice:
        yield f"- {printable(advice)}"


def _next(results: Results, tracking: str | bool | None) -> Iterator[str]:
    store = results.store
    options = where(store)
    if tracking is not False:
        yield f"Browse:  {_browsed(tracking) or f'{command()} ui{options}'}"
        if links := page_links(store):
            yield f"         trials {links[0]}\n         charts {links[1]}"
    keeps = isinstance(results.space, Model) and results.space.keeps_its_model
    yield (
        f"Config:  {command()} show {results.name} --json{options}"
        if keeps
        else (f"Export:  {command()} export {results.name} --out DIR{options}")
    )
    if HIDDEN in options:
        yield f"         with the secrets of the storage in place of {HIDDEN}, or its whole URL in {STORAGE}"


def _browsed(tracking: str | bool | None) -> str:
    """How a store of the user's own is browsed; empty for the root's."""
    if not isinstance(tracking, str):
        return ""
    shown = public_address(tracking)
    return shown if shown.startswith("http") else f"mlflow ui --backend-store-uri {shown}"
