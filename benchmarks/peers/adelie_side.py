"""adelie's cross-validation of one task, run by a Python of its own: ``adelie_side.py TASK.npz OUT.npz``.

The processor's seconds are those of `cv_grpnet` alone. The coefficients are those of all rows, which are not timed.
"""

import sys
import time

import adelie
import numpy as np

GLM = {"gaussian": adelie.glm.gaussian, "binomial": adelie.glm.binomial, "poisson": adelie.glm.poisson}


def main(task_file: str, out_file: str) -> None:
    """Time one task."""
    with np.load(task_file) as task:
        X, y, lambdas = np.asfortranarray(task["X"]), task["y"], task["lambdas"]
        family, alpha, size, seed = str(task["family"]), float(task["alpha"]), int(task["group"]), int(task["seed"])
    options = {"alpha": alpha, "groups": np.arange(0, X.shape[1], size), "progress_bar": False}
    ratio = {"min_ratio": float(lambdas[-1] / lambdas[0]), "lmda_path_size": len(lambdas), "n_folds": 5, "seed": seed}
    glm = GLM[family](y)
    started = time.process_time()
    adelie.cv.cv_grpnet(X, glm, n_threads=1, **ratio, **options)
    seconds = time.process_time() - started
    found = adelie.solver.grpnet(X, glm, lmda_path=lambdas, early_exit=False, n_threads=1, **options)
    np.savez(out_file, seconds=seconds, coef=found.betas.toarray(), intercept=found.intercepts, lambdas=found.lmdas)


if __name__ == "__main__":
    main(*sys.argv[1:])
