"""Changing a watchlist while matchers run: published, applied by every replica, acknowledged, accounted for."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

from overt.messages import AuditAction, AuditEvent, WatchlistEntry
from overt.ports import Clock, KeyGone, NotAuthentic, Record, Sink, Undecodable
from overt.runtime.keyring import Keyring, entry_owner
from overt.runtime.replicas import RedisReplicas
from overt.runtime.watchlist import CHANGE
from overt.runtime.world import World

_FLUSH_S = 30.0
_LOOK_AGAIN_S = 0.005
_MEMBERS_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class By:
    """Who changes the list, and why: for the audit."""

    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Change:
    """One change that was published."""

    change_id: str
    action: AuditAction
    entry_id: str
    subject_id: str | None
    began_s: float
    """Monotonic seconds at which its publishing began."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a change."""

    change: Change
    replicas: int
    """Matchers that have applied it."""
    missing: Collection[str]
    """Matchers that are there and have not said so in time."""
    took_s: float | None
    """From its publishing until the last of them had said so; None where one is missing, or none is there."""


@dataclass(slots=True)
class WatchlistChanges:
    """Changes of one deployment's watchlist on Kafka. Every method raises Unavailable; `close` it at the end."""

    world: World
    keyring: Keyring
    replicas: RedisReplicas
    clock: Clock
    by: By
    _sink: Sink | None = field(default=None, init=False)

    def publish(self, entries: Sequence[WatchlistEntry]) -> None:
        """Publishes a whole list, which nobody waits for. Raises KeyGone where an id was removed."""
        self._make_keys(entries)
        for entry in entries:
            topic, partition = self.world.route(entry)
            value = self.world.codec.encode(replace(entry, revision=self.clock()))
            self._open().produce(topic, key=entry.key, value=value, partition=partition)
        self._audit(AuditAction.LIST_PUBLISHED, None, None)
        self._flush()

    def put(self, entries: Sequence[WatchlistEntry], action: AuditAction) -> list[Change]:
        """Publishes entries, new or changed, each with a revision of now. Raises KeyGone where an id was removed."""
        self._make_keys(entries)
        changes = []
        for entry in entries:
            entry = replace(entry, revision=self.clock())
            changes.append(self._publish(entry.entry_id, entry.subject_id, self.world.codec.encode(entry), action))
        self._flush()
        return changes

    def remove(self, entry_ids: Sequence[str], subject_of: Callable[[str], str | None]) -> list[Change]:
        """Removes entries: first their keys, so that nothing of them can be opened or alerted on any more, then from
        every matcher."""
        self.keyring.destroy(*(entry_owner(entry_id) for entry_id in entry_ids))
        changes = [
            self._publish(entry_id, subject_of(entry_id), None, AuditAction.ENTRY_REMOVED) for entry_id in entry_ids
        ]
        self._flush()
        return changes

    def wait(self, changes: Sequence[Change], timeout_s: float) -> Iterator[Applied]:
        """What became of each change, in their order, as soon as it is known; all together wait for `timeout_s`."""
        deadline_s = time.monotonic() + timeout_s
        members, asked_s = self.replicas.members(), time.monotonic()
        for change in changes:
            while True:
                done = self.replicas.acknowledged(change.change_id)
                missing = members - done.keys()
                now_s = time.monotonic()
                if not missing or now_s > deadline_s:
                    took_s = None if missing or not done else now_s - change.began_s
                    yield Applied(change, len(done), sorted(missing), took_s)
                    break
                if now_s - asked_s > _MEMBERS_AGAIN_S:  # one that has ended meanwhile is not waited for
                    members, asked_s = self.replicas.members(), now_s
                time.sleep(_LOOK_AGAIN_S)

    def listed(self, wanted: Callable[[str, str], bool]) -> dict[str, Record]:
        """By entry, the last record of those on the topic that are wanted, by their entry's and subject's ids."""
        assert self.world.peek is not None
        found: dict[str, Record] = {}
        for record in self.world.log.read(self.world.topic("watchlist")):
            if record.value is None:
                found.pop(record.key, None)
                continue
            try:
                plain = self.world.peek(record)
            except Undecodable:
                continue
            if wanted(plain["entry_id"], plain["subject_id"]) and not self.keyring.is_destroyed(
                entry_owner(plain["entry_id"])
            ):
                found[record.key] = record
        return found

    def opened(self, record: Record) -> WatchlistEntry | None:
        """The entry of a record; None where it cannot be opened any more."""
        try:
            entry = self.world.codec.decode(record)
        except (KeyGone, NotAuthentic):
            return None
        assert isinstance(entry, WatchlistEntry)
        return entry

    def close(self) -> None:
        if self._sink is not None:
            self._sink.close()

    def _make_keys(self, entries: Sequence[WatchlistEntry]) -> None:
        until: dict[int, list[str]] = defaultdict(list)
        for entry in entries:
            until[entry.valid_until_us].append(entry_owner(entry.entry_id))
        for until_us, owners in until.items():
            self.keyring.create_many(owners, until_us)

    def _publish(self, entry_id: str, subject_id: str | None, value: object, action: AuditAction) -> Change:
        change = Change(str(uuid.uuid4()), action, entry_id, subject_id, time.monotonic())
        self._open().produce(
            self.world.topic("watchlist"), key=entry_id, value=value, headers={CHANGE: change.change_id}
        )
        self._audit(action, subject_id, entry_id)
        return change

    def _audit(self, action: AuditAction, subject_id: str | None, entry_id: str | None) -> None:
        event = AuditEvent(
            event_id=str(uuid.uuid4()),
            deployment_id=self.world.deployment.deployment_id,
            at_us=self.clock(),
            actor=self.by.actor,
            action=action,
            reason=self.by.reason,
            subject_id=subject_id,
            entry_id=entry_id,
        )
        topic, partition = self.world.route(event)
        self._open().produce(topic, key=event.key, value=self.world.codec.encode(event), partition=partition)

    def _flush(self) -> None:
        self._open().flush(_FLUSH_S)

    def _open(self) -> Sink:
        if self._sink is None:
            self._sink = self.world.sink()
        return self._sink
