"""Whatever happens to a watchlist and its matchers: a dictionary searched by brute force gives the same answers.

The list is changed as `overt watchlist` does it, with a keyring of files and sealed records, on a topic that is
compacted as Kafka does: of each key the last record stays, of a tombstone in the end nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from overt.governance.loading import load_deployment
from overt.matcher.exact import ExactGallery
from overt.messages import AuditAction, WatchlistEntry
from overt.ports import KeyGone, Record
from overt.runtime.avro import AvroFormat, LocalRegistry, Schemas
from overt.runtime.codec import SealingCodec
from overt.runtime.keys.keyring import Keyring, create_deployment_key, load_deployment_key
from overt.runtime.keys.transient import MemoryTransientKeys
from overt.runtime.metrics import Metrics
from overt.runtime.redis_client import connect
from overt.runtime.resources import schemas_dir
from overt.runtime.vault import SealingVault
from overt.runtime.watchlist.changes import By, NotListed, WatchlistChanges
from overt.runtime.watchlist.following import WatchlistView
from overt.runtime.watchlist.replicas import RedisReplicas
from overt.runtime.world import memory_world
from tests.support.messages import DIMENSION, SPACE, entry, picture, unit
from tests.support.typed import DEPLOYMENT

NOW_US = 1_778_752_800_000_000
"""Within the deployment file's window."""
NUMBERS = st.integers(0, 5)
PROBES = tuple(unit(seed) for seed in range(12))


class CompactedTopic:
    """A topic of one partition in memory; its sink, its log."""

    def __init__(self) -> None:
        self.records: list[Record | None] = []

    def produce(
        self,
        topic: str,
        *,
        key: str,
        value: Any,
        partition: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        del partition
        if topic == "watchlist":
            self.records.append(Record(topic, 0, len(self.records), key, value, 0, headers or {}))

    def flush(self, timeout_s: float) -> None:
        del timeout_s

    def close(self) -> None: ...

    def read(self, topic: str, *, since_us: int | None = None) -> Iterator[Record]:
        del topic, since_us
        return (record for record in list(self.records) if record is not None)

    def follow(self, topic: str) -> CompactedFollower:
        del topic
        return CompactedFollower(self)

    def compact(self, *, tombstones_too: bool) -> None:
        last = {record.key: record for record in self.records if record is not None}
        for place, record in enumerate(self.records):
            if record is not None and (last[record.key] is not record or (tombstones_too and record.value is None)):
                self.records[place] = None


class CompactedFollower:
    def __init__(self, topic: CompactedTopic) -> None:
        self._topic, self._next, self._end = topic, 0, len(topic.records)

    def poll(self, most: int, timeout_s: float) -> Sequence[Record]:
        del timeout_s
        found: list[Record] = []
        while self._next < len(self._topic.records) and len(found) < most:
            record = self._topic.records[self._next]
            found += [] if record is None else [record]
            self._next += 1
        return found

    def caught_up(self) -> bool:
        return self._next >= self._end

    def close(self) -> None: ...


class History(RuleBasedStateMachine):
    """Two matchers on one topic. `listed` is what should be on the list."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        folder = Path(self.folder.name)
        create_deployment_key(folder / "key")
        (folder / "deployment.yaml").write_text(DEPLOYMENT)
        deployment = load_deployment(folder / "deployment.yaml")
        self.keyring = Keyring(folder / "ring", load_deployment_key(folder / "key"), "d1", clock=lambda: NOW_US)
        self.keyring.create_file()
        schemas = Schemas(schemas_dir())
        avro = AvroFormat(schemas, LocalRegistry(schemas), lambda record: record)
        vault = SealingVault("d1", MemoryTransientKeys(), self.keyring, clock=lambda: NOW_US)
        self.codec = SealingCodec(avro, vault, prefix="", frame_form="jpeg")
        self.topic = CompactedTopic()
        world = replace(
            memory_world(deployment)[0],
            sink=lambda: self.topic,
            log=self.topic,
            codec=self.codec,
            peek=self.codec.peek,
        )
        nobody = RedisReplicas(connect("redis://127.0.0.1:1/0"), "d1")  # it is never asked
        self.changes = WatchlistChanges(world, self.keyring, nobody, self.clock, By("somebody", "a reason"))
        self.now_us = NOW_US
        self.listed: dict[str, WatchlistEntry] = {}
        self.removed: set[str] = set()
        self.views = [self.view(), self.view()]

    def clock(self) -> int:
        self.now_us += 1
        return self.now_us

    def view(self) -> WatchlistView:
        return WatchlistView(
            lambda: self.topic.follow("watchlist"),
            self.codec,
            deployment_id="d1",
            space_id=SPACE,
            dimension=DIMENSION,
            categories=["suspects"],
            metrics=Metrics(),
        )

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    # What may happen

    @rule(number=NUMBERS, seed=st.integers(0, 11), subject=st.integers(0, 3))
    def put(self, number: int, seed: int, subject: int) -> None:
        """Somebody is added, or an entry is replaced; a removed one cannot be."""
        made = entry(
            entry_id=f"e{number}",
            subject_id=f"s-{subject}",
            deployment_id="d1",
            category="suspects",
            vector=unit(seed),
            reference_image=picture(0),
            valid_from_us=0,
            valid_until_us=NOW_US + 3_600_000_000,
        )
        if made.entry_id in self.removed:
            with pytest.raises(KeyGone):
                self.changes.put([made], AuditAction.ENTRY_ADDED)
        else:
            self.changes.put([made], AuditAction.ENTRY_ADDED)
            self.listed[made.entry_id] = made

    @rule(subject=st.integers(0, 3))
    def remove_subject(self, subject: int) -> None:
        self._remove(list(self.changes.listed([], [f"s-{subject}"])), {f"s-{subject}"})

    @rule(number=NUMBERS)
    def remove_entry(self, number: int) -> None:
        """Once more is no error; who never was on the list is not said to be gone."""
        name = f"e{number}"
        if name in self.listed or name in self.removed:
            self._remove([name], set())
        else:
            with pytest.raises(NotListed, match=name):
                self.changes.remove([name], lambda _: None)

    def _remove(self, entry_ids: list[str], subjects: set[str]) -> None:
        theirs = {name for name, e in self.listed.items() if e.subject_id in subjects}
        assert theirs <= set(entry_ids)
        self.changes.remove(entry_ids, lambda _: None)
        self.removed |= set(entry_ids)
        for name in entry_ids:
            self.listed.pop(name, None)

    @precondition(lambda self: self.topic.records)
    @rule(place=st.integers(0, 1000))
    def replay(self, place: int) -> None:
        """An old record comes once more: the last of somebody's, or any of somebody who was removed."""
        record = self.topic.records[place % len(self.topic.records)]
        if record is not None and record.value is not None:
            last = [r for r in self.topic.read("watchlist") if r.key == record.key][-1]
            if record is last or record.key in self.removed:
                self.topic.produce("watchlist", key=record.key, value=record.value)

    @rule(tombstones_too=st.booleans())
    def compact(self, tombstones_too: bool) -> None:
        """A tombstone stays for a day (delete.retention.ms): who runs has read it until then."""
        if tombstones_too:
            for view in self.views:
                view.follow()
        self.topic.compact(tombstones_too=tombstones_too)

    @rule(which=st.integers(0, 1))
    def restart(self, which: int) -> None:
        self.views[which].close()
        self.views[which] = self.view()

    @rule(which=st.integers(0, 1), turns=st.integers(1, 3))
    def turn(self, which: int, turns: int) -> None:
        for _ in range(turns):
            self.views[which].follow()

    @rule()
    def destroy(self) -> None:
        gone = list(self.changes.everybody())
        self.changes.destroy(gone)
        assert self.listed.keys() <= set(gone)
        self.removed |= set(gone)
        self.listed.clear()

    # What must hold

    @invariant()
    def who_is_removed_is_found_by_no_matcher_that_is_up_to_date(self) -> None:
        if not hasattr(self, "views"):
            return
        if all(view.ready() for view in self.views):
            self.settle()

    def settle(self) -> None:
        brute = ExactGallery(SPACE, list(self.listed.values()))
        wanted = [[(c.entry_id, c.similarity) for c in found] for found in search(brute)]
        for view in self.views:
            view.follow()
            assert len(view.gallery()) == len(self.listed)
            assert [[(c.entry_id, c.similarity) for c in found] for found in search(view.gallery())] == wanted


def search(gallery: Any) -> Any:
    return gallery.search(np.stack(PROBES), 10, [NOW_US] * len(PROBES))


TestHistory = History.TestCase
TestHistory.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
