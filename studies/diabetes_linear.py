"""Which penalty, and how much of it, predicts diabetes progression best: a linear search in seconds.

python studies/diabetes_linear.py --trials 50      or      regsearch run studies/diabetes_linear.py --trials 50
"""

from sklearn.datasets import load_diabetes

from regsearch import Study, spaces

X, y = load_diabetes(return_X_y=True, as_frame=True)
study = Study("diabetes-linear", X, y, space=spaces.linear(), cv=10, scoring="neg_root_mean_squared_error", seed=0)

if __name__ == "__main__":
    raise SystemExit(study.main())
