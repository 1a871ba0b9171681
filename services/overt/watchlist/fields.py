"""The fields of a manifest: what each may hold, and what is said of one that holds something else."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime
from typing import Any

from overt.governance.fields import microseconds
from overt.governance.listing import Particulars
from overt.messages import Box

LONGEST_ID = 128
_DAY = re.compile(r"^\d{4}-\d\d-\d\d$")
_YES = frozenset(("yes", "true", "1"))
_NO = frozenset(("no", "false", "0"))
_BETWEEN_NUMBERS = re.compile(r"[\s,;]+")


class BadField(ValueError):
    """A field that does not hold what it should. The text says what was expected."""


def text(longest: int) -> Callable[[Any], str]:
    """One line of text of at most so many characters."""

    def parse(value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise BadField("expected text")
        said = unicodedata.normalize("NFC", str(value).strip())
        if len(said) > longest:
            raise BadField(f"has {len(said)} characters, {longest} at most")
        if hidden := hidden_letter(said):
            raise BadField(f"has the invisible character {hidden}; write it on one line, without it")
        return said

    return parse


def hidden_letter(said: str) -> str | None:
    """The first character that no reader sees: a control, a line's end, a change of direction, half a code point."""
    for letter in said:
        if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(letter) in (
            *("LRE", "RLE", "LRO", "RLO", "PDF"),
            *("LRI", "RLI", "FSI", "PDI"),
        ):
            return f"U+{ord(letter):04X}"
    return None


def day(value: Any) -> date:
    """A calendar day."""
    if isinstance(value, str) and _DAY.match(value.strip()):
        with suppress(ValueError):  # the thirtieth of February
            return date.fromisoformat(value.strip())
    raise BadField("expected a day as 2024-05-31")


def instant(value: Any) -> int:
    """Microseconds since the Unix epoch of a moment that names its offset from UTC."""
    with suppress(ValueError):
        when = datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
        if when is not None and when.utcoffset() is not None:
            return microseconds(when)
    raise BadField("expected a time with its offset from UTC, as 2026-05-14T10:00:00+01:00")


def flag(value: Any) -> bool:
    """Yes or no."""
    word = value if isinstance(value, bool) else str(value).strip().lower()
    if word is True or word in _YES:
        return True
    if word is False or word in _NO:
        return False
    raise BadField("expected yes or no")


def box(value: Any) -> Box:
    """A rectangle as x1,y1,x2,y2."""
    parts = _BETWEEN_NUMBERS.split(value.strip()) if isinstance(value, str) else value
    wrong = BadField("expected x1,y1,x2,y2 in pixels of the upright image: left, top, right, bottom")
    if not isinstance(parts, list) or len(parts) != 4:
        raise wrong
    try:
        corners = [float(part) for part in parts if not isinstance(part, bool)]
    except (TypeError, ValueError, OverflowError):
        raise wrong from None
    if len(corners) != 4 or not all(math.isfinite(c) and 0 <= c <= 1e6 for c in corners):
        raise wrong
    made = Box(*corners)
    if made.width <= 0 or made.height <= 0:
        raise wrong
    return made


FIELDS: Mapping[str, Callable[[Any], Any]] = {
    "basis": text(2000),
    "image_source": text(500),
    "image_date": day,
    "reviewer": text(200),
    "valid_from": instant,
    "valid_until": instant,
    "under_18": flag,
    "decision_id": text(200),
    "notes": text(2000),
    "box": box,
}
"""What a manifest may say of an image beside its subject, its file and its category; all may be left out."""
COLUMNS = ("subject_id", "image", "category", *FIELDS)
_NAMED_OTHERWISE = {"valid_from": "valid_from_us", "valid_until": "valid_until_us"}


def particulars_of(row: Mapping[str, Any], wrong: list[str]) -> Particulars:
    """What a row says; what is wrong with a field is added to `wrong`."""
    found: dict[str, Any] = {}
    for name, parse in FIELDS.items():
        value = row.get(name)
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        try:
            found[_NAMED_OTHERWISE.get(name, name)] = parse(value)
        except BadField as error:
            wrong.append(f"{name}: {error}")
    return Particulars(**found)
