"""The regularization cocktail of Kadra et al. 2021 on a table: which of its techniques a net needs, and which mattered.

569 tumours by 30 measures of cells. Any of a dozen techniques may be on together, each with its own strength; every
trial is scored in five folds. Then the winner is trained again without each of its techniques, on the same folds.

    python studies/cocktail_tabular.py --trials 60
    python studies/cocktail_tabular.py --trials 60 --without swa skip      # what is to be left out of the space
"""

from __future__ import annotations

import argparse

from sklearn.datasets import load_breast_cancer

from regsearch import Study, spaces

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
study = Study(
    "cocktail-tabular", X, y, space=spaces.cocktail(hidden=(64, 64, 64), first=7), cv=5,
    scoring=["neg_log_loss", "balanced_accuracy"], seed=0,
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--without", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--root", default="mlruns", metavar="DIR")
    own, others = parser.parse_known_args()
    chosen = study
    if own.without:
        space = spaces.cocktail(hidden=(64, 64, 64), first=7, without=own.without)
        chosen = study.replace(name=f"cocktail-tabular-without-{'-'.join(sorted(own.without))}", space=space)
    status = chosen.main([*others, "--root", own.root])
    if status:
        return status
    print(chosen.replace(root=own.root).ablate())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
