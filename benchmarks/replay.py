"""Replays of recorded searches: which trials to give up, when, and what should propose the next.

    python benchmarks/replay.py record [SET ...]
    python benchmarks/replay.py rungs [SET ...] [--write]
    python benchmarks/replay.py samplers [SET ...] [--write]

Recording trains random configs without pruning, once; it can be killed and goes on. The rest is computed from that.
"""

from __future__ import annotations

from harness import one_thread

one_thread()

import argparse  # noqa: E402
import sys  # noqa: E402

from replays.recording import SETS  # noqa: E402


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["record"])
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(SETS)} (default all)")
    arguments = parser.parse_args()
    chosen = [SETS[name] for name in arguments.sets or SETS]
    for one in chosen:
        one.record()
    return 0


if __name__ == "__main__":
    sys.exit(main())
