"""The contact sheet of a build: one HTML file that shows every accepted image, so that a person can review the list."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from importlib.resources import files

import jinja2

from overt.messages import WatchlistEntry
from overt.output.wording import moment
from overt.watchlist.report import advice, age, groups
from overt.watchlist.results import Built

MOST_PICTURES = 2000
"""Entries that are shown, those with a warning first: about 20 MB. The page says how many more there are."""
MOST_PAIRS = 100


def render(built: Built, delete_by_us: int) -> str:
    """The contact sheet. All text from outside is escaped; it fetches nothing from anywhere and runs no script.

    delete_by_us: when it must be gone at the latest, which the page says.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters.update(moment=moment, picture=_picture, age=age, advice=advice)
    template = environment.from_string(files("overt.watchlist").joinpath("sheet.html.j2").read_text(encoding="utf-8"))
    shown = _shown(built)
    return template.render(
        built=built,
        delete_by_us=delete_by_us,
        groups=[(*group, [e for e in shown if e.category == group[0]]) for group in groups(built.entries)],
        not_shown=len(built.entries) - len(shown),
        entries={entry.entry_id: entry for entry in built.entries},
        pairs=built.pairs[:MOST_PAIRS],
        warned=sum(1 for detail in built.details.values() if detail.warnings),
    )


def _shown(built: Built) -> Sequence[WatchlistEntry]:
    """In the list's order; where there are too many, those with a warning stay."""
    if len(built.entries) <= MOST_PICTURES:
        return built.entries
    warned = [entry.entry_id for entry in built.entries if built.details[entry.entry_id].warnings]
    others = [entry.entry_id for entry in built.entries if not built.details[entry.entry_id].warnings]
    kept = set([*warned, *others][:MOST_PICTURES])
    return [entry for entry in built.entries if entry.entry_id in kept]


def _picture(entry: WatchlistEntry) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(entry.reference_image.encoded("jpeg")).decode("ascii")
