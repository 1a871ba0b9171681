"""A table of words: printed on a terminal and on a page from one source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """`title` says what one sees; `notes` are sentences below it."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """In columns of equal width."""
        lines = [row for row in (self.header, *self.rows) if any(row)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.header))]
        body = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines]
        return "\n".join([self.title, *(f"  {line}" for line in body), *(f"  {note}" for note in self.notes)])


def texts(tables: Sequence[Table]) -> str:
    """Several tables with a line between them."""
    return "\n\n".join(table.text() for table in tables)
