"""Pydantic's findings in the words of the person who wrote the file: what was expected, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from overt.governance.cameras import redacted
from overt.governance.deployment import Deployment
from overt.governance.fields import MODEL_NAME, TEXT, Loc

_EXPECTED = {
    "string_type": "expected text, in quotes where it looks like a number",
    "int_type": "expected a whole number",
    "float_type": "expected a number",
    "bool_type": "expected true or false",
    "tuple_type": "expected a list: one item a line, each after a hyphen, or [a, b]",
    "model_type": "expected keys with values below it",
    "finite_number": "expected a finite number",
    "greater_than": "expected a number greater than {gt:g}",
    "greater_than_equal": "expected a number of at least {ge:g}",
    "less_than": "expected a number smaller than {lt:g}",
    "less_than_equal": "expected a number of at most {le:g}",
    "string_too_short": "expected at least {min_length} characters",
    "string_too_long": "expected at most {max_length} characters",
}


def message_of(error: ErrorDetails, value: Any) -> str | None:
    """The text for one finding, or None for one that only follows from others.

    `value` is what stands in the file; addresses are shown without their passwords.
    """
    loc, kind, context = error["loc"], error["type"], error.get("ctx") or {}
    if kind == "overt":
        return str(context["text"])
    if kind == "missing":
        return "expected two numbers, [x, y]" if isinstance(loc[-1], int) else f"is missing{meaning(loc)}"
    if kind == "extra_forbidden":
        return _unknown_key(loc)
    if kind in ("too_short", "too_long") and not isinstance(loc[-1], int):
        return _wrong_count(value, context, loc)
    said = _expected(kind, loc, context)
    return f"{said or error['msg']}{_given(value)}{meaning(loc)}"


def _wrong_count(value: Any, context: Mapping[str, Any], loc: Loc) -> str | None:
    least, most, found = context.get("min_length"), context.get("max_length"), len(value)
    if least is not None and found >= least:
        return None  # pydantic counts the items that are right; those that are wrong have their own messages
    return (
        f"expected {f'at least {least}' if least is not None else f'at most {most}'} items, found {found}{meaning(loc)}"
    )


def _expected(kind: str, loc: Loc, context: Mapping[str, Any]) -> str | None:
    if kind in ("tuple_type", "too_short", "too_long") and isinstance(loc[-1], int):
        return "expected two numbers, [x, y]"
    if kind == "enum":
        return f"expected {context['expected']}"
    if kind == "string_pattern_mismatch":
        if context["pattern"] == TEXT:
            return "expected text and not only spaces"
        also = " or dots" if context["pattern"] == MODEL_NAME else ""
        return f"expected small letters, digits and inner hyphens{also}, at most 63 characters"
    template = _EXPECTED.get(kind)
    return template.format(**context) if template is not None else None


def _given(value: Any) -> str:
    if isinstance(value, bool):
        return f", found {str(value).lower()}"
    if value is None:
        return ", found nothing"
    if isinstance(value, int | float):
        return f", found {value:g}" if isinstance(value, float) else f", found {value}"
    if isinstance(value, str):
        value = redacted(value)
        return f", found '{value}'" if len(value) <= 40 else f", found '{value[:37]}...'"
    return ", found a list" if isinstance(value, list) else ", found keys with values"


def meaning(loc: Loc) -> str:
    """What the field is for, and an example of it, both from its model."""
    field = field_at(loc)
    if field is None or field.description is None:
        return ""
    what = field.description.rstrip(".")
    key = next((part for part in reversed(loc) if isinstance(part, str)), "")
    example = f"; for example {key}: {field.examples[0]}" if field.examples else ""
    return f" ({what}{example})"


def _unknown_key(loc: Loc) -> str:
    key = str(loc[-1])
    known = _keys_at(loc[:-1])
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if near:
        return f"is not a key here; did you mean '{near[0]}'?"
    homes = [home for home, keys in _all_keys(Deployment, "") if key in keys]
    if homes:
        where = " or ".join(f"'{home}'" if home else "the top level" for home in homes)
        return f"is not a key here; it belongs under {where}"
    return f"is not a key here; the keys are {', '.join(known)}: remove it, or put a # before it to keep it as a remark"


def field_at(loc: Loc) -> FieldInfo | None:
    """The field of the models that a place in the file belongs to."""
    model: type[BaseModel] | None = Deployment
    found = None
    for part in loc:
        if isinstance(part, int):
            continue
        field = _by_key(model).get(part) if model is not None else None
        if field is None:
            return found
        found, model = field, model_of(field.annotation)
    return found


def _keys_at(loc: Loc) -> list[str]:
    model: type[BaseModel] | None = Deployment
    for part in loc:
        if isinstance(part, str) and model is not None:
            field = _by_key(model).get(part)
            model = model_of(field.annotation) if field is not None else None
    return list(_by_key(model)) if model is not None else []


def _by_key(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _all_keys(model: type[BaseModel], home: str) -> Iterator[tuple[str, list[str]]]:
    yield home, list(_by_key(model))
    for key, field in _by_key(model).items():
        inner = model_of(field.annotation)
        if inner is not None:
            yield from _all_keys(inner, f"{home}.{key}" if home else key)


def model_of(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as `Zone`, `Zone | None` or `tuple[Camera, ...]`; None without one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and not issubclass(annotation, Enum):
        return annotation
    return next((found for inner in get_args(annotation) if (found := model_of(inner)) is not None), None)
