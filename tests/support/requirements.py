"""What a test does when a real part is not to be had: skip by name and reason, or fail where CI must have run it."""

from __future__ import annotations

import os

import pytest


def require(reason: str | None) -> None:
    """Return when `reason` is None (the part is there); else skip the test, or fail it where the variable CI is set."""
    if reason is None:
        return
    if os.environ.get("CI"):
        pytest.fail(f"CI is set, so this may not be skipped: {reason}", pytrace=False)
    pytest.skip(reason)
