"""Where a site obtains model files: its npm registry, and mirrors that stand in for addresses on the cards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Origins:
    """A site's own places. pip has settings of its own for the Python package index."""

    npm_registry: str | None = field(default=None, repr=False)
    """Its address; None: the one that npm is configured to use."""
    mirrors: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What an address begins with, and what to put there instead. The longest that fits is taken."""

    def mirrored(self, url: str) -> str:
        """The address to ask in place of `url`."""
        fitting = [prefix for prefix in self.mirrors if url.startswith(prefix)]
        if not fitting:
            return url
        prefix = max(fitting, key=len)
        return self.mirrors[prefix] + url.removeprefix(prefix)
