"""Changing a watchlist while matchers run: published, applied by every replica, acknowledged, accounted for."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from overt.messages import AuditAction, AuditEvent, WatchlistEntry
from overt.ports import Clock, KeyGone, NotAuthentic, Record, Sink, Undecodable
from overt.runtime.avro import Schema
from overt.runtime.keys.keyring import Keyring, entry_owner
from overt.runtime.watchlist.following import CHANGE
from overt.runtime.watchlist.replicas import RedisReplicas
from overt.runtime.world import World

PUBLISHED = "list:published"
"""Owner of a mark in the keyring: the deployment's list is on Kafka, where matchers have taken it from."""
_FLUSH_S = 30.0
_LOOK_AGAIN_S = 0.005
_MEMBERS_AGAIN_S = 1.0
_FEW = 8
"""Subjects that are looked for in the bytes of every record of the list."""


class NotListed(ValueError):
    """Entries that never were on the deployment's list."""


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
    """Empty where it is about the whole list."""
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
        every matcher. Once more is no error. Raises NotListed for what never had a key, and then nothing has changed:
        nobody must believe that somebody is gone because of a slip of the pen."""
        never = [e for e in entry_ids if not self._had_a_key(entry_owner(e))]
        if never:
            raise NotListed(f"not on the list: {', '.join(sorted(never))}")
        self.keyring.destroy(*(entry_owner(entry_id) for entry_id in entry_ids))
        changes = [
            self._publish(entry_id, subject_of(entry_id), None, AuditAction.ENTRY_REMOVED) for entry_id in entry_ids
        ]
        self._flush()
        return changes

    def destroy(self, entry_ids: Sequence[str]) -> list[Change]:
        """Removes all of these as one change of the list; none, where there are none."""
        self.keyring.destroy(*(entry_owner(entry_id) for entry_id in entry_ids))
        change = Change(str(uuid.uuid4()), AuditAction.LIST_DESTROYED, "", None, time.monotonic())
        for number, entry_id in enumerate(entry_ids, start=1):
            headers = {CHANGE: change.change_id} if number == len(entry_ids) else {}  # it has one partition
            self._open().produce(self.world.topic("watchlist"), key=entry_id, value=None, headers=headers)
        self._audit(AuditAction.LIST_DESTROYED, None, None)
        self._flush()
        return [change] if entry_ids else []

    def audited(self) -> Iterator[dict[str, Any]]:
        """What was done to the deployment's list, the oldest first: fields of audit events."""
        assert self.world.peek is not None
        for record in self.world.log.read(self.world.topic("audit")):
            event = self.world.peek(record)
            if event["deployment_id"] == self.world.deployment.deployment_id:
                yield event

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

    def listed(self, entry_ids: Collection[str], subjects: Collection[str]) -> dict[str, Record]:
        """By entry, the last record of these entries and of those of these subjects. One whose key has gone is among
        them until a tombstone follows: a removal that was interrupted can be done again."""
        entries, people = frozenset(entry_ids), frozenset(subjects)
        # Most records of a long list are about nobody who was asked for, and need not be read to know it.
        names = [subject.encode() for subject in people] if len(people) <= _FEW else [b""]

        def perhaps(record: Record) -> bool:
            return record.key in entries or any(name in record.value for name in names)

        return self._listed(perhaps, lambda plain: plain["entry_id"] in entries or plain["subject_id"] in people)

    def everybody(self) -> dict[str, Record]:
        """By entry, the last record of every entry; see `listed`."""
        return self._listed(lambda _: True, lambda _: True)

    def subject_of(self, record: Record) -> str:
        """Whom a record of `listed` is about."""
        assert self.world.peek is not None
        return str(self.world.peek(record)["subject_id"])

    def _listed(self, perhaps: Callable[[Record], bool], wanted: Callable[[Schema], bool]) -> dict[str, Record]:
        assert self.world.peek is not None
        deployment_id = self.world.deployment.deployment_id
        found: dict[str, tuple[int, Record]] = {}
        for record in self.world.log.read(self.world.topic("watchlist")):
            if record.value is None or not perhaps(record):
                found.pop(record.key, None)
                continue
            try:
                plain = self.world.peek(record)
            except Undecodable:
                plain = {}
            if not _about(plain, record.key, deployment_id) or not wanted(plain):
                found.pop(record.key, None)
            elif plain["revision"] >= found.get(record.key, (0, record))[0]:  # else late, and for matchers too
                found[record.key] = plain["revision"], record
        return {name: record for name, (_, record) in found.items()}

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

    def _had_a_key(self, owner: str) -> bool:
        return self.keyring.is_destroyed(owner) or self.keyring.get(owner) is not None

    def _make_keys(self, entries: Sequence[WatchlistEntry]) -> None:
        until: dict[int, list[str]] = defaultdict(list)
        for entry in entries:
            until[entry.valid_until_us].append(entry_owner(entry.entry_id))
        for until_us, owners in until.items():
            self.keyring.create_many(owners, until_us)
            self.keyring.prolong(owners, until_us)
        self.keyring.create(PUBLISHED)

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


def _about(plain: Schema, key: str, deployment_id: str) -> bool:
    """Whether a record is an entry of the deployment, written under its own key: no matcher takes in another."""
    return bool(plain) and (plain["entry_id"], plain["deployment_id"]) == (key, deployment_id)
