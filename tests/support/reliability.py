"""The table of docs/reliability.md: a row for each fault, of the last run that has judged it."""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "reliability.md"
_TABLE = re.compile(r"(<!-- faults -->\n).*?(<!-- /faults -->)", re.DOTALL)
_HEAD = (
    "| fault | promised | made | missing | doubled | expired | shed | MB before, after | recovered in | run |",
    "|---|---|---|---|---|---|---|---|---|---|",
)
_COLUMNS = 10


@dataclass(frozen=True)
class Row:
    """What came of one fault, between it and the next."""

    fault: str
    promised: int
    made: int
    missing: int
    doubled: int
    expired: int
    shed: int
    memory_mb: tuple[float, float]
    recovered_s: float

    def __str__(self) -> str:
        """As it stands in the table, but for when and of what it was run."""
        counts = (self.promised, self.made, self.missing, self.doubled, self.expired, self.shed)
        before, after = self.memory_mb
        recovered = "not in time" if math.isinf(self.recovered_s) else f"{self.recovered_s:.0f} s"
        cells = [self.fault, *map(str, counts), f"{before:.0f}, {after:.0f}", recovered]
        return "| " + " | ".join(cells)


def write(rows: Sequence[Row], faults: Sequence[str], page: Path = PAGE) -> None:
    """Puts the rows into the page's table. Those of other faults stay; one without is not yet run."""
    text = page.read_text(encoding="utf-8")
    kept = {cells[0]: "| " + " | ".join(cells) + " |" for cells in _cells(text)}
    stamp = f"{_commit()}, {datetime.now(UTC):%Y-%m-%d}"
    kept |= {row.fault: f"{row} | {stamp} |" for row in rows}
    table = [*_HEAD, *(kept.get(fault, _not_yet(fault)) for fault in faults)]
    page.write_text(_TABLE.sub(lambda found: found[1] + "\n".join(table) + "\n" + found[2], text), encoding="utf-8")


def _cells(text: str) -> list[list[str]]:
    found = _TABLE.search(text)
    if found is None:
        raise ValueError("the page has no place for the table: <!-- faults --> and <!-- /faults -->")
    lines = [line.strip("| ").split(" | ") for line in found[0].splitlines() if line.startswith("| ")]
    return [cells for cells in lines if len(cells) == _COLUMNS and cells[0] != "fault"]


def _not_yet(fault: str) -> str:
    return f"| {fault} |" + " |" * (_COLUMNS - 2) + " not yet run |"


def _commit() -> str:
    words = ["git", "-C", str(REPOSITORY), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "no commit"
