"""RealMLP with its tuned defaults, run by a Python of its own: ``realmlp_side.py TASK.npz OUT.npy``."""

import sys

import numpy as np
from pytabkit import RealMLP_TD_Classifier


def main(task_file: str, out_file: str) -> None:
    """Probabilities of the other half, the mean of a net for each of five folds."""
    with np.load(task_file) as task:
        X, y, other, seed = task["X"], task["y"], task["other"], int(task["seed"])
    net = RealMLP_TD_Classifier(
        device="cpu", random_state=seed, n_cv=5, n_threads=2, val_metric_name="cross_entropy", use_ls=False
    )
    net.fit(X, y)
    np.save(out_file, net.predict_proba(other))


if __name__ == "__main__":
    main(*sys.argv[1:])
