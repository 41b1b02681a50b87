"""What a report says in sentences: how much the winner overfits, what fixed it, and how far it can be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from regsearch.metrics.scorer import POOLED
from regsearch.models.path import Point
from regsearch.numeric import format_number
from regsearch.results.ablation import summarize
from regsearch.results.advice.evidence import CLEAR, has_gap
from regsearch.results.bias.reference import gap_closed, lead_on_reference
from regsearch.results.by_target import scores_by_target
from regsearch.results.choice import Chosen, without_score
from regsearch.results.formatting import format_items, format_value
from regsearch.results.plots.kinds import kinds_record
from regsearch.results.plots.style import model_label
from regsearch.results.results import Results
from regsearch.results.rules import NAMED
from regsearch.results.stored_study import comparable, is_winner, leading_reference, reference_name, unscored
from regsearch.storage.trial import DIVERGES, ENDED

SINGLE = 1e-4  # share by which scores of predictions in single precision may differ from those of the search


def about(results: Results) -> str:
    """What was searched, and what came of the trials."""
    identity, counts = results.identity, results.counts
    pooled = " of all rows outside training together" if identity["scoring"][0].endswith(POOLED) else ""
    ended = ", ".join(f"{counts[state]} {state}" for state in ENDED if counts[state])
    rare = unscored(identity)["rare"]
    fitted = f", fitted to target={identity['target_transform']}" if "target_transform" in identity else ""
    return (
        f"{identity['rows']} rows, {identity['columns']} columns, {identity['task']}{fitted}, {identity['cv']}, "
        f"scored by {results.metric_label}{pooled} (larger is better); trials: {ended or 'none finished'}."
    ) + (f" {rare}" if rare else "")


def verdict(results: Results) -> list[tuple[str, str]]:
    """Questions that a reader has, each with its answer."""
    return [
        ("How much does it overfit?", _overfitting(results)),
        ("What fixed it?", _remedy(results)),
        ("How far can the score be trusted?", _trust(results)),
        *_targets(results),
    ]


def _targets(results: Results) -> list[tuple[str, str]]:
    """What it scores on each of several targets, where that is known."""
    chosen = winner_of(results)
    found = scores_by_target(results, chosen)
    if not found:
        return []
    said = "; ".join(f"{name}: {format_number(score, 5)}" for name, score in found.items())
    alike = math.isclose(sum(found.values()) / len(found), chosen.score, rel_tol=SINGLE)
    return [("How good is it on each target?", f"{said}.{' The mean of these is the score.' * alike}")]


def interpretation(results: Results) -> list[str]:
    """What the winner's numbers mean, in short sentences; none after a run that was killed before it could say."""
    found = results.finding("interpretation")
    return [str(line) for line in found["lines"]] if found and is_winner(results, found) else []


def winner_of(results: Results) -> Chosen:
    """What the report is about."""
    return results.best if results.subject is None else results.subject


def _called(results: Results) -> str:
    """What the report calls that."""
    chosen = winner_of(results)
    label, best = model_label(chosen.params), results.best
    if (chosen.number, chosen.step) == (best.number, best.step):
        return f"The winner, trial {chosen.number} ({label}),"
    at = f" at step {chosen.step} of its path" if chosen.trial.steps > 1 else ""
    return f"Trial {chosen.number} ({label}){at}, chosen by {chosen.rule},".replace("chosen by trial", "named as trial")


def _overfitting(results: Results) -> str:
    best = winner_of(results)
    if nothing := without_score(best.trial):
        return f"{_called(results)} has no score: {nothing}."
    said = (
        f"{_called(results)} scores {format_number(best.point.val, 5)} on rows it was not trained on and "
        f"{format_number(best.point.train, 5)} on those it was: a gap of {_gap(best.point)}."
    )
    return f"{said} {_without(results)}".rstrip()


def _gap(point: Point) -> str:
    return format_value(point.gap, point.gap_se)


def _without(results: Results) -> str:
    if results.reference is None:
        return "The unregularized reference is not complete, so there is nothing to compare it with."
    point, name = results.point(results.reference), reference_name(results, results.reference)
    if len(results.complete) == 1:
        return f"That is the reference itself ({name}): nothing else was tried yet."
    if comparable(results) is None:
        return f"The reference ({name}) diverges, and is nothing to compare with: {DIVERGES}."
    if leading_reference(results, results.reference.family) is not None:
        tried = f"no regularization of {results.reference.family}" if results.reference.family else "no regularization"
        return (
            f"The reference ({name}) scores better, {format_number(point.val, 5)} with a gap of {_gap(point)}: "
            f"{tried} that was tried helps, and no rule chooses the reference.{_other_family(results)}"
        )
    return f"The reference ({name}) has a gap of {_gap(point)}{_shrunk(results, point)}.{_other_family(results)}"


def _shrunk(results: Results, reference: Point) -> str:
    """How much of the reference's gap the winner has not, where that is one; a share of noise is none."""
    gap = winner_of(results).gap
    if not has_gap(reference) or gap >= reference.gap:
        return ""
    whose = "the winner" if results.subject is None else f"trial {results.subject.number}"
    return f": {whose} has {f'{1 - gap / reference.gap:.0%} less' if gap > 0 else 'none'}"


def _other_family(results: Results) -> str:
    """That the reference of another family than the winner's scores best."""
    leading = leading_reference(results)
    if leading is None or leading.family == winner_of(results).trial.family:
        return ""
    point = results.point(leading)
    return (
        f" The reference of another family ({reference_name(results, leading)}) scores better than all that was tried, "
        f"{format_number(point.val, 5)} with a gap of {_gap(point)}; no rule chooses it."
    )


def _remedy(results: Results) -> str:
    best = winner_of(results)
    if without_score(best.trial):
        return "That is not known without its score."
    helpless = leading_reference(results, best.trial.family) is not None
    if helpless or best.unpenalized or best.trial.role == "reference":
        closest = ": look at the figure of scores by kind for what came closest"
        return f"Nothing did{closest if kinds_record(results) else ''}."
    changed = _changed(best.settings, results.reference.params if results.reference else {})
    said = f"What it has and the reference has not: {format_items(changed)}. {results.against_reference(best)}"
    return " ".join(filter(None, [_closed(results), _unclear(results), said, _ablated(results)]))


def _closed(results: Results) -> str:
    """Whether the gap is smaller than the reference's: yes, no, or that the folds cannot tell."""
    if comparable(results) is None:
        return ""
    less = gap_closed(results, winner_of(results))
    low, high = less.interval
    if max(abs(less.mean), 0.0 if math.isnan(less.se) else less.se) <= less.rounding:
        return "No: the gap is as large as without regularization."
    smaller = "smaller" if less.mean > 0 else "larger"
    if not math.isfinite(low):
        change = format_number(abs(less.mean), 3)
        who = "a single fold says" if math.isnan(less.se) else f"{less.folds} folds that agree to the digit say"
        return f"Cannot tell: {who} nothing of the error of a gap that is {change} {smaller}."
    amount, least, most = (format_number(value, 3) for value in (abs(less.mean), low, high))
    by = f"by {amount} (95 %: {least} to {most} less, paired over {less.folds} folds)"
    if low > less.rounding:
        return f"Yes: the gap is smaller than without regularization {by}."
    if high < -less.rounding:
        return f"No: the gap is larger than without regularization {by}."
    return f"Cannot tell: the gap is {smaller} {by}, and that may be luck of the folds."


def _unclear(results: Results) -> str:
    """That the score is as good without any regularization, where the folds cannot tell."""
    if comparable(results) is None:
        return ""
    lead = lead_on_reference(results, winner_of(results))
    return "" if math.isnan(lead.se) or lead.beyond(CLEAR) else "Nothing clearly changes the score."


def _changed(settings: Mapping[str, Any], reference: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that the reference has not."""
    return {name: value for name, value in settings.items() if reference.get(name) != value} or dict(settings)


def _ablated(results: Results) -> str:
    found = results.finding("ablation")
    return summarize(found) if found and found["rows"] and is_winner(results, found) else ""


def _trust(results: Results) -> str:
    chosen = winner_of(results)
    said = [_sentence(_luck(results, chosen))]
    if nested := results.finding("nested"):
        by = "" if nested["rule"] == "best" else f" by the rule {nested['rule']}"
        said.append(
            f"Nested cross-validation, which chooses anew{by} in each of {len(nested['scores'])} outer folds, gives "
            f"{format_value(nested['mean'], math.nan if nested['se'] is None else nested['se'], digits=5)}."
        )
    if results.overtuning is not None:
        said.append(_sentence(str(results.overtuning)))
    return " ".join(said)


def _luck(results: Results, chosen: Chosen) -> str:
    """What the score is worth without what it owes to having been chosen, by the rule that chose it."""
    if results.is_chosen_by_name(chosen):
        return str(results.correct(chosen.rule))
    if chosen.why.startswith(NAMED):
        return str(results.correct(chosen.number, chosen.step))
    return f"How much of its score is luck is not known: {chosen.rule}, which chose it, cannot be asked by that name."


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
