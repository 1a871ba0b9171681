"""A report as a browser sees it: what it would fetch, and what it says."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

_FETCHING = {"src", "href", "srcset", "poster", "data", "action", "background", "xlink:href", "formaction", "ping"}


class Page(HTMLParser):
    """The addresses in attributes that make a browser fetch something, the style sheets' text, and all other text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.styles = ""
        self.text = ""
        self.tags: set[str] = set()
        self._inside = ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        self.tags.add(tag)
        for name, value in attrs:
            if name in _FETCHING:
                self.addresses.append(value or "")
            elif name == "style":
                self.styles += value or ""

    def handle_data(self, data: str) -> None:
        if self._inside == "style":
            self.styles += data
        else:
            self.text += data
