"""Somebody who watches a cluster's topics while it runs, and afterwards says what it had promised.

What DESIGN promises is checked against what was on the bus: every face that was acknowledged on `faces` and whose key
lived long enough is embedded, compared and confirmed again here, by the product's own stages in one thread without a
fault. The alerts that come out are the promised ones; their ids follow from causes, so they can be compared.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from overt.matcher.exact import ExactGallery
from overt.messages import Alert, Embedding, Face, Match, WatchlistEntry
from overt.ports import Follower, KeyGone, NotAuthentic, Record, Unavailable, Undecodable
from overt.runtime.metrics import Metrics
from overt.runtime.settings import Settings
from overt.runtime.wiring import Wiring
from overt.runtime.world import World


@dataclass
class Epoch:
    """One reading of a camera: when its frames on the bus were captured."""

    frames_us: list[int] = field(default_factory=list)

    @property
    def first_us(self) -> int:
        return min(self.frames_us)

    @property
    def last_us(self) -> int:
        return max(self.frames_us)

    def frames_within(self, from_us: int, until_us: int) -> int:
        """How many of its frames came onto the bus that were captured in this span."""
        return sum(from_us <= at <= until_us for at in self.frames_us)


@dataclass
class Witness:
    """Follows `frames` and `faces` on a thread of its own; `stop` before asking."""

    world: World
    epochs: dict[tuple[str, int], Epoch] = field(default_factory=dict)
    faces: dict[int, dict[int, Face]] = field(default_factory=lambda: defaultdict(dict))
    """By partition and offset."""
    unopened: int = 0
    """Faces whose key was gone before they could be looked at here: nothing is known of them."""
    newest_us: int = 0
    """When the frame that came last was captured, by the frame service's clock."""
    frames: int = 0
    """That came onto the bus."""
    planted: set[bytes] = field(default_factory=set)
    """Records that a test has put on the topics itself."""

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)

    def _watch(self) -> None:
        frames, faces = (self.world.log.follow(self.world.topic(name)) for name in ("frames", "faces"))
        while not self._stop.is_set():
            for record in self._poll(frames):
                self._frame(record)
            for record in self._poll(faces):
                self._face(record)
        frames.close()
        faces.close()

    def _frame(self, record: Record) -> None:
        assert self.world.peek is not None
        frame = self.world.peek(record)
        if frame["end"]:
            return
        at = frame["captured_at_us"]
        self.epochs.setdefault((frame["camera_id"], frame["source_epoch"]), Epoch()).frames_us.append(at)
        self.newest_us = at
        self.frames += 1

    def _face(self, record: Record) -> None:
        for _ in range(20):
            try:
                face = self.world.codec.decode(record)
            except Unavailable:
                self._stop.wait(0.1)
                continue
            except (KeyGone, NotAuthentic, Undecodable):
                self.unopened += 1
                return
            assert isinstance(face, Face)
            face.crop.bgr()
            self.faces[record.partition][record.offset] = face
            return
        self.unopened += 1

    def promised(self, settings: Settings, expired: Iterable[tuple[str, int, int]]) -> dict[str, Alert]:
        """Alerts by id that the faces seen here must have raised. `expired`: topic name without prefix, partition and
        offset of records that the pipeline rejected since their key was gone; the promise does not cover them."""
        gone = {(partition, offset) for topic, partition, offset in expired if topic == "faces"}
        lost = self._causes(expired)
        wiring = Wiring(self.world, settings, Metrics(), realtime=True)
        embed, confirm = wiring.embedder_stage(), wiring.alerter_stage()
        gallery = ExactGallery(wiring.models.embedder.space_id, self._entries())
        match = wiring.matcher_stage(lambda: gallery)
        found: dict[str, Alert] = {}
        for partition, faces in self.faces.items():
            kept = [face for offset, face in sorted(faces.items()) if (partition, offset) not in gone]
            states: dict[str, tuple[Any, Any]] = {}
            seen: dict[str, tuple[int, int, int]] = {}
            for face in kept:
                if face.cause <= seen.get(face.key, (-1, -1, -1)) or (face.key, face.cause) in lost:
                    continue
                seen[face.key] = face.cause
                for alert in _through(face, embed, match, confirm, states):
                    found[alert.alert_id] = alert
        return found

    def _causes(self, expired: Iterable[tuple[str, int, int]]) -> set[tuple[str, tuple[int, int, int]]]:
        """Cameras and causes of the embeddings that were rejected."""
        wanted = {(partition, offset) for topic, partition, offset in expired if topic == "embeddings"}
        if not wanted:
            return set()
        assert self.world.peek is not None
        causes = set()
        for record in self.world.log.read(self.world.topic("embeddings")):
            if (record.partition, record.offset) in wanted:
                plain = self.world.peek(record)
                causes.add((plain["camera_id"], (plain["source_epoch"], plain["frame_seq"], plain["face_index"])))
        return causes

    def _entries(self) -> list[WatchlistEntry]:
        entries = []
        for record in self.world.log.read(self.world.topic("watchlist")):
            if record.value in self.planted:
                continue
            entry = self.world.codec.decode(record)
            assert isinstance(entry, WatchlistEntry)
            entries.append(entry)
        return entries

    def _poll(self, follower: Follower) -> list[Record]:
        try:
            return [record for record in follower.poll(50, 0.05) if record.value not in self.planted]
        except Unavailable:
            return []


def _through(face: Face, embed: Any, match: Any, confirm: Any, states: dict[str, tuple[Any, Any]]) -> list[Alert]:
    tracks, evidence = states.get(face.key) or (embed.fresh(face.key), confirm.fresh(face.key))
    tracks, embedded = embed.step(tracks, [face])
    probes = [p for p in embedded if isinstance(p, Embedding)]
    matches = [m for m in match(probes) if isinstance(m, Match)] if probes else []
    evidence, alerts = confirm.step(evidence, matches)
    states[face.key] = tracks, evidence
    return [a for a in alerts if isinstance(a, Alert)]
