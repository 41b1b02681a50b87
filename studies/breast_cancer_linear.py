"""How much an unregularized classifier overfits thirty correlated measurements, and which penalty cures it.

python studies/breast_cancer_linear.py --trials 40
"""

from sklearn.datasets import load_breast_cancer

from regsearch import Study, spaces

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
scoring = ["neg_log_loss", "accuracy", "roc_auc"]
study = Study("breast-cancer-linear", X, y, space=spaces.linear(), cv=5, scoring=scoring, test=0.2, seed=0)

if __name__ == "__main__":
    raise SystemExit(study.main())
