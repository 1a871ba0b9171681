"""The table of docs/reliability.md, and the line through readings that `make soak` judges by."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.faults import FAULTS
from tests.support.growth import trend
from tests.support.reliability import PAGE, Row, write

NAMES = ("one", "another", "a third")


def _row(fault: str, promised: int) -> Row:
    return Row(fault, promised, promised, 0, 0, 0, 3, (100.4, 101.6), 2.2)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- faults -->\n<!-- /faults -->\nafter\n")
    return page


def test_a_fault_that_was_not_run_says_so_and_has_no_figures(page: Path) -> None:
    write([_row("one", 7)], NAMES, page)
    lines = page.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    [one] = [line for line in lines if line.startswith("| one |")]
    assert one.startswith("| one | 7 | 7 | 0 | 0 | 0 | 3 | 100, 102 | 2 s | ")
    [other] = [line for line in lines if line.startswith("| another |")]
    assert other.endswith("| not yet run |")
    assert not any(letter.isdigit() for letter in other)


def test_a_later_run_replaces_its_own_rows_and_keeps_the_others(page: Path) -> None:
    write([_row("one", 7), _row("another", 8)], NAMES, page)
    write([_row("one", 9)], NAMES, page)
    rows = [line for line in page.read_text().splitlines() if line.startswith("| ")][1:]
    assert [" | ".join(row.split(" | ")[:2]) for row in rows[:2]] == ["| one | 9", "| another | 8"]
    assert rows[2].endswith("not yet run |")


def test_the_page_names_every_fault() -> None:
    text = PAGE.read_text()
    assert [fault.name for fault in FAULTS if f"| {fault.name} |" not in text] == []


def test_the_trend_is_what_a_line_rises_after_the_warm_up() -> None:
    found = trend([(10.0 + s, 100.0 + (50.0 if s < 3 else 0.5 * s)) for s in range(11)], skip_s=3.0)
    assert found.seconds == 7.0
    assert found.grown == pytest.approx(3.5)
    assert found.share == pytest.approx(3.5 / found.mean)


def test_too_few_readings_are_no_trend() -> None:
    with pytest.raises(ValueError, match="no trend"):
        trend([(1.0, 5.0)])
