"""Watchlists' sources for tests: CSV and JSON manifests, archives with what no honest tool packs."""

from __future__ import annotations

import csv
import io
import json
import stat
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from overt.governance.watchlists import Category, SubjectsBy, Watchlist
from overt.messages import Kind

WANTED = Category(id="wanted-robbery", kind=Kind.WANTED, basis="Warrants issued by the court", folder="wanted")
MISSING = Category(id="missing-at-risk", kind=Kind.MISSING, basis="The family has agreed", folder="missing")


def watchlist(source: Path, *categories: Category, by: SubjectsBy = SubjectsBy.SUBFOLDER) -> Watchlist:
    """A deployment's watchlist, of one category unless others are given."""
    return Watchlist(source=str(source), subjects=by, categories=categories or (WANTED,))


def csv_text(rows: Sequence[Mapping[str, Any]], *, delimiter: str = ",", columns: Iterable[str] | None = None) -> str:
    """Rows as a spreadsheet writes them."""
    names = list(columns or dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, names, delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def json_text(subjects: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps({"subjects": list(subjects)}, ensure_ascii=False)


def packed(path: Path, members: Mapping[str, bytes], *, links: Mapping[str, str] | None = None) -> Path:
    """An archive with these members, and with links as Unix tools pack them."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        for name, target in (links or {}).items():
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, target)
    return path
