"""Which words give a part of SciPy away: tf-idf fitted inside the folds, and a sparse multinomial regression.

The text is what is installed with SciPy: what docstrings of the public functions and classes of eight of its modules
say before their lists of parameters, and the module is what is predicted. What names a module outright is taken out.
Functions of one module are written by the same few people, so a good score is partly their style. Rows are never made
dense. The answer is that of `one_se`: the most regularized model that is as good as the best within an error.

Prints each module's words and how many are in use; the figure in the study's report folder has
them with their coefficients. Takes a minute.

    python studies/text_sparse.py --trials 6
"""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path as File
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer

from regsearch import Choice, Float, Int, Linear, Path, Prepare, Results, Study
from regsearch.models.linear.penalties import ElasticNet
from regsearch.results.choice import Chosen

MODULES = (
    "cluster.hierarchy",
    "integrate",
    "interpolate",
    "linalg",
    "ndimage",
    "optimize",
    "signal",
    "spatial.distance",
)
GIVEN_AWAY = re.compile(r"\b(scipy|" + "|".join(part for one in MODULES for part in one.split(".")) + r")\b", re.I)
TOP = 8  # words of a module that are shown


def docstrings() -> pd.DataFrame:
    """A row for each public function and class: its text, and the module that it is of."""
    rows = []
    for module in MODULES:
        home = import_module(f"scipy.{module}")
        found = {name: getattr(home, name) for name in home.__all__}
        texts = {
            name: re.split(r"\n\w+\n---", inspect.getdoc(one) or "")[0]
            for name, one in found.items()
            if inspect.isroutine(one) or inspect.isclass(one)
        }
        rows += [(GIVEN_AWAY.sub(" ", text), module) for text in texts.values() if text]
    return pd.DataFrame(rows, columns=["text", "module"]).drop_duplicates("text", ignore_index=True)


table = docstrings()
words = make_column_transformer(
    (TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b[a-z]{3,}\b"), "text"),
    verbose_feature_names_out=False, sparse_threshold=1.0,
)  # fmt: skip
study = Study(
    "text-sparse",
    table[["text"]],
    table["module"],
    space=Linear(
        Choice("l1", ElasticNet(l1_ratio=Float(0.5, 0.95))),
        lambda_=Path(30),
        scale="none",
        prepare=Prepare(words, {"tfidfvectorizer__min_df": Int(2, 6)}, name="tf-idf"),
    ),
    scoring=["neg_log_loss", "accuracy"],
    cv=3,
    seed=0,
)


def giveaways(chosen: Chosen) -> tuple[dict[str, list[tuple[str, float]]], int, int]:
    """Each module's words with the largest coefficients, how many words are in use at all, and of how many."""
    fitted = chosen.config.refit(study.problem, study.seed)
    names, model = fitted[0].get_feature_names_out(), fitted[-1]
    found = {}
    for module, coef in zip(model.classes_, model.coef_, strict=True):
        largest = [j for j in np.argsort(-coef)[:TOP] if coef[j] > 0]
        found[str(module)] = [(str(names[j]), float(coef[j])) for j in largest]
    return found, int(np.any(model.coef_ != 0, axis=0).sum()), len(names)


def draw(found: dict[str, list[tuple[str, float]]], title: str, path: File) -> None:
    """A panel for each module: its words, and their coefficients."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    panels: Any = figure.subplots(2, -(-len(found) // 2), squeeze=False)
    for axes, (module, pairs) in zip(panels.flat, found.items(), strict=False):
        axes.barh([word for word, _ in pairs], [coef for _, coef in pairs], color="#0b6e75")
        axes.invert_yaxis()
        axes.set_title(module, fontsize=10)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[-1]:
        axes.set_xlabel("coefficient")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def shown(results: Results) -> None:
    """Each module's words, and a picture of them in the study's report folder."""
    chosen = results.choose("one_se")
    found, used, every = giveaways(chosen)
    for module, pairs in found.items():
        print(f"{module:18}{', '.join(word for word, _ in pairs)}")
    accuracy = chosen.trial.points["accuracy"].val
    said = f"{used} of {every} words tell {len(found)} modules apart, with an accuracy of {accuracy:.3f}"
    path = results.store.folder / "report" / "text_sparse.png"
    draw(found, said, path)
    print(f"{said}\nFigure: {path}")


if __name__ == "__main__":
    raise SystemExit(study.main(then=shown))
