"""``python -m regsearch.bundle DIR [TRUSTED ...]``: what a bundle says of its example in a process of its own, as JSON.

`regsearch verify` compares it with what is stored.
"""

from __future__ import annotations

import json
import sys

from regsearch.bundle.example import predictions, rows_of
from regsearch.bundle.files import EXAMPLE, open_bundle
from regsearch.bundle.loading import load
from regsearch.errors import RegsearchError


def main(folder: str, *trusted: str) -> int:
    """Load, predict, print; an error of regsearch's is one line and exit status 2."""
    try:
        model = load(folder, trusted)
        said = predictions(model, rows_of(open_bundle(folder).json(EXAMPLE)["rows"], model.form))
    except RegsearchError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps({"said": said, "loaded": sorted({"optuna", "mlflow"} & set(sys.modules))}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
