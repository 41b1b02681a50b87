"""The study that the files of this folder run: what it needs of the platform comes from the environment.

The storage comes from REGSEARCH_STORAGE, which every command reads by itself.
"""

import os

from sklearn.datasets import load_diabetes

from regsearch import Study, spaces

X, y = load_diabetes(return_X_y=True, as_frame=True)
study = Study(
    "platform", X, y, space=spaces.linear(), cv=10, root=os.environ.get("STUDIES_ROOT", "mlruns"),
    tracking=os.environ.get("MLFLOW_TRACKING_URI"),
)  # fmt: skip

if __name__ == "__main__":
    raise SystemExit(study.main())
