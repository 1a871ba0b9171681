"""Identities that come from causes: the same input gives the same ids, on any machine, however often it is replayed.

All are UUIDv5 (RFC 9562, name-based, SHA-1) under one namespace of Overt's own.
"""

from __future__ import annotations

import uuid

from overt.messages import Box

NAMESPACE = uuid.UUID("7d4f2f0c-5a53-5c3b-9a53-3f6c0d7b1c9e")


def track_id(camera_id: str, source_epoch: int, frame_seq: int, first_box: Box) -> str:
    """The id of a passer-by's track: where and when its first face was seen. Boxes are compared to 1/8 pixel."""
    corners = ",".join(str(round(c * 8)) for c in (first_box.x1, first_box.y1, first_box.x2, first_box.y2))
    return _uuid5("track", camera_id, str(source_epoch), str(frame_seq), corners)


def alert_id(deployment_id: str, camera_id: str, subject_id: str, track: str) -> str:
    """The id of the one alert that a track can raise for a subject."""
    return _uuid5("alert", deployment_id, camera_id, subject_id, track)


def entry_id(deployment_id: str, subject_id: str, file_name: str) -> str:
    """The id of the watchlist entry that one reference image becomes: enrolling it again replaces that entry."""
    return _uuid5("entry", deployment_id, subject_id, file_name)


def pause_id(deployment_id: str, weighed_until_us: int) -> str:
    """The id of the audit event that a site was paused by its guard."""
    return _uuid5("pause", deployment_id, str(weighed_until_us))


def _uuid5(*parts: str) -> str:
    # The unit separator keeps ("a", "bc") and ("ab", "c") apart. A part that holds one itself (a file's name may) is
    # escaped, which changes no other id.
    escaped = (part.replace("\x1e", "\x1e0").replace("\x1f", "\x1e1") for part in parts)
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(escaped)))
