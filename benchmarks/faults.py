"""What damage costs: processes that are killed, storage and MLflow that fail, bad inputs, bundles that were edited.

    python benchmarks/faults.py
    python benchmarks/faults.py kills --n 20
    python benchmarks/faults.py --write

A section's name chooses it, ``--n`` says how many attempts are made, ``--seed`` which, and ``--write`` puts the
figures into the page of the docs. What did not end as it must is listed, and the exit status is 1 then.
"""

from __future__ import annotations

from harness import one_thread

one_thread()

import argparse  # noqa: E402
import re  # noqa: E402
import sys  # noqa: E402
from collections.abc import Mapping  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from pathlib import Path  # noqa: E402

from damage.section import Section, sections  # noqa: E402

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks" / "faults.md"
HEAD = ("| section | tried | did not hold | what must hold |", "| --- | --- | --- | --- |")
ROW = re.compile(r"^\| `(\w+)` \|.*\|$", flags=re.MULTILINE)


@dataclass(frozen=True)
class Figures:
    """How the attempts of one section ended."""

    section: Section
    tried: int
    failed: int

    @property
    def row(self) -> str:
        """The line of the docs' table."""
        return f"| `{self.section.name}` | {self.tried:,} | {self.failed:,} | {self.section.promise} |"


def measured(section: Section, count: int, seed: int) -> Figures:
    """Make the attempts of one section; each that fails is a line."""
    tried = failed = 0
    for attempt in section.attempts(count, seed):
        tried += 1
        failed += bool(attempt.problem)
        if attempt.problem:
            print(f"{section.name}: {attempt.name}: {attempt.problem}", flush=True)
    return Figures(section, tried, failed)


def rewritten(page: str, figures: Mapping[str, Figures]) -> str:
    """A page with new figures of the sections that were measured; the rows of the others stay."""
    rows = {found[1]: found[0] for found in ROW.finditer(page)} | {name: one.row for name, one in figures.items()}
    table = "\n".join([*HEAD, *(rows[name] for name in sorted(rows))])
    return page[: page.index(HEAD[0])] + table + "\n"


def main() -> int:
    """Run what the command line names."""
    every = sections()
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("only", nargs="*", metavar="SECTION", help=f"of {', '.join(sorted(every))} (default all)")
    parser.add_argument("--n", type=int, help="attempts of each section (default: as many as the docs have)")
    parser.add_argument("--seed", type=int, default=0, help="which attempts (default 0)")
    parser.add_argument("--write", action="store_true", help="put the figures into the page of the docs")
    arguments = parser.parse_args()
    unknown = set(arguments.only) - set(every)
    if unknown:
        parser.error(f"there is no section {', '.join(sorted(unknown))}; there are {', '.join(sorted(every))}")
    figures = {}
    print("\n".join(HEAD))
    for name in arguments.only or sorted(every):
        figures[name] = measured(every[name], arguments.n or every[name].count, arguments.seed)
        print(figures[name].row, flush=True)
    if arguments.write:
        PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8"), figures), encoding="utf-8")
    return int(any(one.failed for one in figures.values()))


if __name__ == "__main__":
    sys.exit(main())
