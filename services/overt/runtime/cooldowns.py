"""Cool-downs that outlive Redis: rebuilt from the last span of the alerts topic when a camera's state is loaded."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from overt.alerter.state import AlerterState, Cooldown
from overt.ports import Clock, Log, Record, Undecodable

_FRESH_S = 2.0


class CooldownHistory:
    """Completes a camera's state with the cool-downs and settled tracks that its alerts on the topic prove.

    span_us: how far back the topic is read; None reads all of it, as is right when capture times are a recording's.
    track_us: how long the stage remembers a track. One that was forgotten since its alert and has begun anew is open.
    """

    def __init__(
        self,
        log: Log,
        peek: Callable[[Record], dict[str, Any]],
        topic: str,
        *,
        deployment_id: str,
        span_us: int | None,
        track_us: int,
        clock: Clock,
    ) -> None:
        self._log = log
        self._peek = peek
        self._topic = topic
        self._deployment_id = deployment_id
        self._span_us = span_us
        self._track_us = track_us
        self._clock = clock
        self._alerts: dict[str, list[dict[str, Any]]] = {}
        self._read_at_s = float("-inf")

    def restore(self, camera: str, state: AlerterState) -> AlerterState:
        """The state with what the topic tells about the camera. Raises Unavailable."""
        if time.monotonic() - self._read_at_s > _FRESH_S:
            self._read()
        for alert in self._alerts.get(camera, ()):
            at_us = alert["captured_at_us"]
            track = state.track(alert["track_id"])
            if track.last_us - at_us <= self._track_us:
                state = state.with_track(replace(track, settled=True, last_us=max(track.last_us, at_us)))
            known = state.cooldown(alert["subject_id"])
            if known is None or known.captured_at_us <= at_us:
                state = state.with_cooldown(Cooldown(alert["subject_id"], alert["alert_id"], at_us))
        return state

    def _read(self) -> None:
        since = None if self._span_us is None else self._clock() - self._span_us
        alerts: dict[str, list[dict[str, Any]]] = {}
        for record in self._log.read(self._topic, since_us=since):
            try:
                alert = self._peek(record)
            except Undecodable:
                continue  # its reader will reject it; a cool-down it is not
            if alert["deployment_id"] == self._deployment_id:
                alerts.setdefault(alert["camera_id"], []).append(alert)
        self._alerts = alerts
        self._read_at_s = time.monotonic()
