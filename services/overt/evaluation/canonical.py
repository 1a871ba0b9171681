"""One text for one value: what is hashed and signed (after RFC 8785, JSON Canonicalization Scheme).

Keys are ASCII and sorted, there is no white space, text is UTF-8, and there are no numbers but whole ones: everything
else is written as decimal text (`"0.945"`), since JSON libraries disagree on how a float is spelt. Within these limits
the result is that of RFC 8785, so that any language's library for it verifies a certificate.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from enum import Enum
from typing import Any

_LARGEST = 2**53 - 1


def canonical(value: Any) -> bytes:
    """The bytes of a value made of mappings, lists, text, whole numbers, true, false and null.

    Raises ValueError for anything else, such as a float, a key that is not ASCII, or text that is not Unicode.
    """
    _look(value, "value")
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("a text is no valid Unicode") from None


def sha256_of(value: Any) -> str:
    """SHA-256 of the canonical bytes, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def decimal(number: float) -> str:
    """The shortest text that gives this very float again."""
    return repr(float(number))


def plain(value: Any) -> Any:
    """Settings as values that `canonical` takes: dataclasses as mappings, floats as decimal text."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return plain(value.value)
    return decimal(value) if isinstance(value, float) else value


def _look(value: Any, at: str) -> None:
    if value is None or isinstance(value, (str, bool)):
        return
    if isinstance(value, int):
        if abs(value) > _LARGEST:
            raise ValueError(f"{at}: {value} is too large for JSON's numbers")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise ValueError(f"{at}: a key is no ASCII text")
            _look(item, f"{at}.{key}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _look(item, f"{at}[{number}]")
    else:
        raise ValueError(f"{at}: a {type(value).__name__} has no canonical text; write it as decimal text")
