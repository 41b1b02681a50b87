"""``python -m regsearch.export.bundle DIR [TRUSTED ...]``: what a bundle says of its example, as JSON.

In a process of its own, that is.
`regsearch verify` compares it with what is stored.
"""

from __future__ import annotations

import json
import sys

from regsearch.cleaning import say
from regsearch.errors import RegsearchError
from regsearch.export.bundle.example import predictions
from regsearch.export.bundle.files import open_bundle
from regsearch.export.bundle.loading import load, stored_example


def main(*arguments: str) -> int:
    """Load, predict, print; an error of regsearch's is one line and exit status 2."""
    if not arguments:
        say("usage: python -m regsearch.export.bundle DIR [TRUSTED ...]", error=True)
        return 2
    folder, *trusted = arguments
    try:
        model = load(folder, trusted)
        rows, _ = stored_example(open_bundle(folder), model.form)
        said = predictions(model, rows)
    except RegsearchError as error:
        say(error, error=True)
        return 2
    print(json.dumps({"said": said, "loaded": sorted({"optuna", "mlflow"} & set(sys.modules))}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
