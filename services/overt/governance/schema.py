"""The JSON Schema of the deployment file, for editors: `python -m overt.governance.schema` writes it out."""

from __future__ import annotations

import json
import sys
from typing import Any

from overt.governance.deployment import Deployment

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema, JSON Schema draft 2020-12. It holds everything but what parts of a file owe each other."""
    schema = _tidy(Deployment.model_json_schema(by_alias=True, mode="validation"))
    return {"$schema": DIALECT, "title": "Overt deployment", **schema}


def _tidy(part: Any) -> Any:
    """Without the titles that repeat the keys, and with descriptions on one line."""
    if isinstance(part, dict):
        return {
            key: " ".join(value.split()) if key == "description" and isinstance(value, str) else _tidy(value)
            for key, value in part.items()
            if not (key == "title" and isinstance(value, str))
        }
    return [_tidy(value) for value in part] if isinstance(part, list) else part


def as_text() -> str:
    """The schema as it is committed."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(as_text())
