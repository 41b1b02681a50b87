"""Times to an event, by Cox's proportional hazards: which columns matter is known, as the patients are simulated.

Thirty measurements of 400 patients, of which eight change the hazard, and their age and stage; some of the patients
leave before the event. No survival data come with the packages that regsearch needs, and a simulated truth tells what
real data do not: how many of the eight columns the search finds, and how many others. The figure in the study's
report folder has the coefficients, and how the patients fare by the hazards that are predicted for them where they are
held out. Takes half a minute.

    python studies/survival_cox.py --trials 12
"""

from __future__ import annotations

from pathlib import Path as File

import numpy as np
import pandas as pd

from regsearch import Choice, Cox, ElasticNet, Float, Linear, Path, Results, Study

N, P, TRUE = 400, 30, 8
KNOWN = ("age", "stage")
TRULY = {f"gene{j}" for j in range(TRUE)}

rng = np.random.default_rng(0)
shared = rng.normal(size=(N, 1))
measured = 0.5 * shared + rng.normal(size=(N, P))
X = pd.DataFrame(measured, columns=[f"gene{j}" for j in range(P)])
X["age"], X["stage"] = rng.normal(60, 10, N), rng.integers(1, 4, N)
hazard = measured[:, :TRUE] @ np.tile([0.6, -0.6], TRUE // 2) + 0.03 * (X["age"] - 60) + 0.4 * X["stage"]
event_at = rng.exponential(24 * np.exp(-hazard))
left_at = rng.exponential(12, N)
y = pd.DataFrame({"event": event_at <= left_at, "time": np.ceil(np.minimum(event_at, left_at) * 4) / 4})

study = Study(
    "survival-cox",
    X,
    y,
    space=Linear(penalty=Choice("l1", ElasticNet(l1_ratio=Float(0.3, 1.0))), lambda_=Path(40), loss=Cox("efron")),
    scoring=["d2_cox", "concordance_index"],
    cv=5,
    seed=0,
)


def coefficients(results: Results) -> pd.Series:
    """Those of the best config on all patients, of columns that are standardised before."""
    return pd.Series(np.ravel(results.best.config.refit(study.problem, study.seed)[-1].coef_), index=X.columns)


def told(coef: pd.Series) -> str:
    """How many of the columns that matter are found."""
    kept = set(coef.index[coef != 0]) - set(KNOWN)
    found = len(kept & TRULY)
    return f"Of the {TRUE} columns that matter {found} are kept, of the {P - TRUE} others {len(kept) - found}."


def surviving(time: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times, and the share without an event up to each (Kaplan & Meier 1958)."""
    at = np.unique(time[event])
    left = [1 - (event & (time == one)).sum() / (time >= one).sum() for one in at]
    return np.append([0.0], at), np.append([1.0], np.cumprod(left))


def draw(coef: pd.Series, hazards: np.ndarray, path: File) -> None:
    """What is found of the truth, and how patients fare by thirds of what folds that did not see them predict."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    figure = Figure(figsize=(12, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes, beside = figure.subplots(1, 2)
    used = coef[coef != 0].sort_values(key=abs)
    kinds = {"matters": "#0b6e75", "age and stage": "#7a8f91", "has no part in it": "#d1603d"}
    colours = [list(kinds.values())[0 if name in TRULY else 1 if name in KNOWN else 2] for name in used.index]
    axes.barh(used.index, used, color=colours)
    axes.legend(handles=[Patch(color=colour, label=kind) for kind, colour in kinds.items()], frameon=False)
    axes.set(title=told(coef), xlabel="coefficient (log hazard per deviation)")
    thirds = np.digitize(hazards, np.quantile(hazards, [1 / 3, 2 / 3]))
    for third, (name, colour) in enumerate({"least": "#0b6e75", "middle": "#c9a227", "most": "#d1603d"}.items()):
        some = y[thirds == third]
        times, share = surviving(some["time"].to_numpy(), some["event"].to_numpy())
        beside.step(times, share, where="post", color=colour, label=f"{name} hazard: {len(some)} patients")
    beside.set(
        title="Patients by the hazard that is predicted for them where they are held out",
        xlabel="time",
        ylabel="share without an event",
    )
    beside.set_ylim(0, 1.02)
    beside.legend(frameon=False)
    for one in (axes, beside):
        one.title.set_fontsize(10)
        one.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def shown(results: Results) -> None:
    """What is found, in words and as a picture in the study's report folder."""
    coef, hazards = coefficients(results), results.predictions(results.best.number)
    path = results.store.folder / "report" / "survival_cox.png"
    draw(coef, np.ravel(hazards), path)
    print(f"{told(coef)}\nFigure: {path}")


if __name__ == "__main__":
    raise SystemExit(study.main(then=shown))
