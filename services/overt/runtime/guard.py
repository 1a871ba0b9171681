"""Whether the site may capture: the last word on the `guard` topic, followed by a thread of its own.

Fail closed: until the topic was read to its end once, nothing may be captured. While Kafka is away the last word holds;
no frame could be sent then anyway.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from overt.governance.deployment import Deployment
from overt.messages import TOPIC_OF, AuditAction, AuditEvent, GuardState, SiteGuard
from overt.ports import Log, Record, Unavailable, Undecodable
from overt.runtime.avro import AvroFormat, from_plain

_log = logging.getLogger(__name__)

_POLL_S = 0.5
_AGAIN_S = 1.0


class GuardWatch:
    """Follows the guard of one deployment. Nothing is read before the first question. Questions never block. `tell` is
    told, from the thread, whether the site is paused, as often as something is said of it."""

    def __init__(
        self,
        log: Log,
        topic: str,
        decode: Callable[[Record], SiteGuard],
        deployment_id: str,
        tell: Callable[[bool], None] = lambda _paused: None,
    ) -> None:
        self._tell = tell
        self._topic_log = log
        self._topic = topic
        self._decode = decode
        self._deployment_id = deployment_id
        self._last: SiteGuard | None = None
        self._caught_up = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def known(self) -> bool:
        """Whether the topic was read to its end."""
        self._start()
        return self._caught_up.is_set()

    def last(self) -> SiteGuard | None:
        """What was said last of the deployment's site; None: nothing, or not read yet."""
        self._start()
        return self._last

    def may_capture(self) -> bool:
        """Whether the site is known not to be paused."""
        return self.known() and (self._last is None or self._last.state is GuardState.OPEN)

    def close(self) -> None:
        """Ends the thread, within about a second."""
        self._stop.set()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="guard", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except Unavailable as error:
                _log.warning("the guard's state cannot be read yet: %s", error)
                self._stop.wait(_AGAIN_S)

    def _follow(self) -> None:
        follower = self._topic_log.follow(self._topic)
        try:
            while not self._stop.is_set():
                for record in follower.poll(100, _POLL_S):
                    self._take(record)
                if follower.caught_up():
                    self._caught_up.set()
        finally:
            follower.close()

    def _take(self, record: Record) -> None:
        try:
            said = self._decode(record)
        except Undecodable as error:
            _log.warning("%s, offset %d: %s", record.topic, record.offset, error)
            return
        if said.deployment_id != self._deployment_id:
            return
        if self._last is None or self._last.state is not said.state:
            _log.warning("site %s is %s, by %s: %s", said.site_id, said.state.value, said.actor, said.reason)
        self._last = said
        self._tell(said.state is GuardState.PAUSED)


def guard_watch(
    deployment: Deployment,
    prefix: str,
    avro: AvroFormat,
    log: Log,
    tell: Callable[[bool], None] = lambda _paused: None,
) -> GuardWatch:
    """Who follows the guard of a deployment's site."""

    def decode(record: Record) -> SiteGuard:
        return from_plain(SiteGuard, avro.loads("SiteGuard", record.value))

    return GuardWatch(log, prefix + TOPIC_OF[SiteGuard], decode, deployment.deployment_id, tell)


def audit_of(said: SiteGuard, event_id: str) -> AuditEvent:
    """The entry in the audit that goes with a pause, or with a site's being resumed."""
    paused = said.state is GuardState.PAUSED
    return AuditEvent(
        event_id=event_id,
        deployment_id=said.deployment_id,
        at_us=said.at_us,
        actor=said.actor,
        action=AuditAction.SITE_PAUSED if paused else AuditAction.SITE_RESUMED,
        reason=said.reason,
    )
