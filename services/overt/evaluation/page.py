"""One HTML page with everything inside: tables, plots, and what was evaluated with what. It fetches nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import jinja2

from overt.evaluation.plots import Plot
from overt.evaluation.results import Data, Made
from overt.evaluation.tables import Table


@dataclass(frozen=True, slots=True)
class Tile:
    """A number that stands out, and what it is."""

    number: str
    words: str


@dataclass(frozen=True, slots=True)
class Page:
    """What a page shows, in its order."""

    title: str
    summary: str
    tiles: Sequence[Tile]
    plots: Sequence[Plot]
    tables: Sequence[Table]
    settings: Table
    """Models, protocol, command: what is needed to make it again."""
    made: Made
    data: Data
    warnings: Sequence[str] = ()


def render(page: Page) -> str:
    """The page as HTML. All text from outside is escaped; plots are SVG that this program drew."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(files("overt.evaluation").joinpath("page.html.j2").read_text("utf-8"))
    return template.render(page=page)
