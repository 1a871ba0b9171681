"""The kinds of value that a deployment file is made of, each with the words that an error uses for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, WithJsonSchema
from pydantic_core import PydanticCustomError

SLUG = r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$"
MODEL_NAME = r"^[a-z0-9][a-z0-9._-]{0,62}$"
TEXT = r"\S"

Loc = tuple[str | int, ...]
"""A place in the file: the keys and the positions that lead to it."""


class Part(BaseModel):
    """A mapping of the deployment file: frozen, complete, and without keys that nobody reads."""

    # Inputs stay out of pydantic's own texts: a camera's address can hold a password.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=False)


def refuse(message: str) -> PydanticCustomError:
    """An error whose text is shown to the user as it stands."""
    # The text goes in as a value, since a template would read braces in it as fields.
    return PydanticCustomError("overt", "{text}", {"text": message})


def _instant(value: Any) -> datetime:
    when = value
    if isinstance(value, str):
        try:
            when = datetime.fromisoformat(value.strip())
        except ValueError:
            when = None
    if not isinstance(when, datetime):
        raise refuse(
            "expected a date and time in ISO 8601 with its offset from UTC; write it as 2026-05-14T10:00:00+01:00"
        )
    if when.utcoffset() is None:
        raise refuse(
            "the time has no offset from UTC, so nobody can tell which hour is meant;"
            f" write it as {when.isoformat(timespec='seconds')}+01:00, or with Z for UTC"
        )
    return when


Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A moment with its offset from UTC; text as in ISO 8601."""

Slug = Annotated[str, Strict(), Field(pattern=SLUG)]
"""An id: small letters, digits and inner hyphens, 63 characters at most. It is safe in a file name and in a label."""

ModelName = Annotated[str, Strict(), Field(pattern=MODEL_NAME)]
"""The name of a model in the registry."""

Text = Annotated[str, Strict(), Field(min_length=3, max_length=2000, pattern=TEXT)]
"""A sentence for people."""

Whole = Annotated[int, Strict()]
"""A whole number; neither text nor true or false."""

Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
"""A finite number; neither text nor true or false."""

Fraction = Annotated[Number, Field(ge=0.0, le=1.0)]
"""A part of a whole, from 0 to 1."""

Flag = Annotated[bool, Strict()]


def microseconds(when: datetime) -> int:
    """Microseconds since the Unix epoch, exact: no way through a float."""
    return (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
