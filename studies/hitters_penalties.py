"""Every penalty side by side: what baseball players earn, by nineteen numbers and categories of their play.

The 263 players of ISLP's Hitters whose salary is known, and its logarithm. Prints the best trial of each penalty, with
its score, gap and how many columns it uses; the figure in the study's report folder has
the coefficients of each along lambda, on all players. Groups are those of a player's last season, career and fielding;
the best subset, which looks at every one, takes fewer columns than there are.

    pip install --no-deps islp                                # the data alone: what else it needs is not needed here
    python studies/hitters_penalties.py --trials 60
"""

from __future__ import annotations

from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path as File
from typing import Any

import numpy as np
import pandas as pd

from regsearch import BestSubset, Choice, Linear, NoPenalty, Path, Results, Study
from regsearch.models.linear import penalties
from regsearch.models.linear.lambdas import lambda_grid
from regsearch.models.linear.solvers import Solvers
from regsearch.results.choice import Chosen

SEASON = ["AtBat", "Hits", "HmRun", "Runs", "RBI", "Walks"]
CAREER = ["Years", "CAtBat", "CHits", "CHmRun", "CRuns", "CRBI", "CWalks"]
GROUPS = {"season": SEASON, "career": CAREER, "fielding": ["PutOuts", "Assists", "Errors"]}
POINTS = 60  # lambdas of the figure


def hitters() -> pd.DataFrame:
    """The table that comes with ISLP, which is not imported: it needs much that this does not."""
    found = find_spec("ISLP")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("This study needs the table that ISLP comes with: pip install --no-deps islp")
    table = pd.read_csv(File(found.submodule_search_locations[0]) / "data" / "Hitters.csv")
    table = table.dropna(subset=["Salary"]).reset_index(drop=True)
    return table.astype(dict.fromkeys(("League", "Division", "NewLeague"), "category"))


def every_penalty() -> list[Any]:
    """One of each kind of one target that lambda is the strength of."""
    kinds = [getattr(penalties, name) for name in penalties.__all__]
    grouped = [(kind, {"groups": GROUPS} if "groups" in {one.name for one in fields(kind)} else {}) for kind in kinds]
    return [kind(**more) for kind, more in grouped if kind not in (NoPenalty, BestSubset) and not kind.rowwise]


table = hitters()
X, y = table.drop(columns="Salary"), np.log(table["Salary"].to_numpy())
space = Linear(penalty=Choice(*every_penalty()))
study = Study("hitters-penalties", X, y, space=space, cv=5, scoring=["r2", "neg_root_mean_squared_error"], seed=0)


def best_of_each(results: Results) -> dict[str, Chosen]:
    """The best trial of each penalty that has one, the best first."""
    found: dict[str, Chosen] = {}
    for chosen in results.top(len(results.complete)):
        if chosen.trial.role != "reference":
            found.setdefault(chosen.config.penalty.kind, chosen)
    return found


def told(results: Results, found: dict[str, Chosen]) -> str:
    lines = [f"{'penalty':22}{results.metric:>10}{'gap':>10}{'columns':>10}"]
    for kind, chosen in found.items():
        used = np.count_nonzero(chosen.config.refit(study.problem, study.seed)[-1].coef_)
        lines.append(f"{kind:22}{chosen.score:10.4f}{chosen.gap:10.4f}{used:10}")
    return "\n".join(lines)


def along_lambda(config: Any) -> tuple[np.ndarray, np.ndarray]:
    """Lambdas, and the coefficients ``[lambdas, columns]`` of columns of one unit, on all players."""
    every = np.arange(study.problem.rows)
    solvers = Solvers(study.problem, (every,), (every[:0],))
    solver, terms, design = solvers.of(None), solvers.terms(config), solvers.design
    lambdas = lambda_grid(config.replace(lambda_=Path(POINTS)), solver, terms, design)
    pieces = list(solver.path(terms, config.scale, lambdas))
    return lambdas, np.concatenate([piece.coef[0, :, :, 0] for piece in pieces]) * design.scales("standard")[0]


def draw(found: dict[str, Chosen], path: File) -> None:
    """A panel for each penalty: coefficients against lambda, and the lambda that was chosen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(found) // 4)
    figure = Figure(figsize=(13, 2.6 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels: Any = figure.subplots(rows, 4, sharey=True, squeeze=False)
    for axes, (kind, chosen) in zip(panels.flat, found.items(), strict=False):
        lambdas, coef = along_lambda(chosen.config)
        axes.plot(lambdas, coef, lw=1.2)
        axes.axvline(chosen.config.lambda_, color="0.4", lw=1, ls=":")
        axes.set(xscale="log", title=f"{kind}, {chosen.score:.3f}")
        axes.invert_xaxis()
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels.flat[len(found) :]:
        axes.set_axis_off()
    for axes in panels[-1]:
        axes.set_xlabel("lambda")
    for axes in panels[:, 0]:
        axes.set_ylabel("coefficient")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def shown(results: Results) -> None:
    """Each penalty, in a table and as a picture in the study's report folder."""
    found = best_of_each(results)
    print(told(results, found))
    path = results.store.folder / "report" / "hitters_penalties.png"
    draw(found, path)
    print(f"Figure: {path}")


if __name__ == "__main__":
    raise SystemExit(study.main(then=shown))
