"""A site whose passers-by, matches, alerts and judgements are made up and put on real topics, and a recount of these.

with CountedSite(tmp_path, kafka) as site:
    site.start(2)
    site.put(site.day(seed=1, passes=300))
    site.wait_counted()
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from overt.governance.deployment import Deployment
from overt.governance.loading import load_deployment
from overt.messages import (
    TOPIC_OF,
    AcquisitionFailure,
    Adjudication,
    Alert,
    Kind,
    Match,
    Message,
    Pass,
    SiteGuard,
    SiteStats,
    StatsWindow,
    Verdict,
)
from overt.ports import Record
from overt.runtime.avro import from_plain, to_plain
from overt.runtime.cluster import kafka_settings, wire_format
from overt.runtime.kafka import KafkaLog, KafkaSink
from overt.runtime.settings import Settings
from tests.support import messages as make
from tests.support.kafka_broker import KafkaBroker
from tests.support.process import Service, overt
from tests.support.typed import Done, typed

CAMERAS = ("c1", "c2", "c3")
_COUNTED = (Pass, Match, Alert, Adjudication)
_MINUTE_US = 60_000_000
EXIT_CODE = 4
"""Of a worker that stood still, or of Kafka that is away: start it again."""


class CountedSite:
    """A deployment on a broker, and workers of `overt serve statistics`."""

    def __init__(self, folder: Path, broker: KafkaBroker, prefix: str, **settings: str | Path) -> None:
        self.folder = folder
        self.file = folder / "deployment.yaml"
        self._start = datetime.now(UTC).replace(microsecond=0, second=0) - timedelta(hours=1)
        self.file.write_text(yaml.safe_dump(self._content(), sort_keys=False))
        self.settings: dict[str, str | Path] = {
            "kafka_bootstrap": broker.bootstrap,
            "topic_prefix": prefix,
            "statistics_stall_s": "15",
            **settings,
        }
        self.workers: list[Service] = []
        self.restarted = 0
        applied = self.command("topics", "apply")
        assert applied.returncode == 0, applied.stderr

    def _content(self) -> dict[str, Any]:
        corners = ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9))
        return {
            "deployment": "trial",
            "purpose": "A trial of counting",
            "site": {"id": "somewhere", "place": "Here and there", "reason": "A trial"},
            "authority": {"officer": "Nobody at all", "reason": "A trial"},
            "window": {"start": self._start.isoformat(), "end": (self._start + timedelta(hours=2)).isoformat()},
            "cameras": [
                {
                    "id": name,
                    "source": "walk.avi",
                    "partition": number,
                    "zone": {"id": "z", "polygon": [list(corner) for corner in corners]},
                }
                for number, name in enumerate(CAMERAS)
            ],
            "watchlist": {
                "source": "people",
                "categories": [
                    {"id": "suspects", "kind": "wanted", "basis": "A trial", "folder": "suspects"},
                    {"id": "children", "kind": "missing", "basis": "A trial", "folder": "children"},
                ],
            },
        }

    def command(self, *arguments: str) -> Done:
        """What a command does with this site's settings."""
        return typed(*arguments, "-d", str(self.file), **self.settings)

    # What happens at the site

    def day(self, seed: int, passes: int) -> list[Message]:
        """So many passers-by within half an hour, and what comes of them: every tenth is matched, half of these raise
        an alert, most alerts are judged and some judged again."""
        chance = random.Random(seed)
        first_us = self.start_us
        found: list[Message] = []
        for number in range(passes):
            camera, at_us = chance.choice(CAMERAS), first_us + chance.randrange(30 * _MINUTE_US)
            track = f"track-{seed}-{number}"
            failure = chance.choice([None, None, None, AcquisitionFailure.TOO_SMALL])
            found.append(make.passing(track_id=track, camera_id=camera, first_seen_us=at_us, failure=failure))
            if number % 10 == 0:
                found += self._matched(chance, seed, number, camera, at_us)
        return found

    def _matched(self, chance: random.Random, seed: int, number: int, camera: str, at_us: int) -> Iterable[Message]:
        category, kind = chance.choice([("suspects", Kind.WANTED), ("children", Kind.MISSING)])
        more: dict[str, Any] = {"camera_id": camera, "captured_at_us": at_us, "category": category, "kind": kind}
        yield make.match(source_epoch=seed, frame_seq=number, **more)
        if number % 20:
            return
        alert_id = f"alert-{seed}-{number}"
        yield make.alert(alert_id=alert_id, deployment_id="trial", **more)
        for again in range(chance.choice([0, 1, 1, 2])):
            yield make.adjudication(
                adjudication_id=f"judged-{seed}-{number}-{again}",
                alert_id=alert_id,
                deployment_id="trial",
                verdict=chance.choice([Verdict.TRUE, Verdict.TRUE, Verdict.FALSE, Verdict.UNSURE]),
                adjudicated_at_us=at_us + 1_000_000 + again,
            )

    def put(self, messages: Sequence[Message]) -> None:
        """Puts messages on their topics, each camera's in its partition, and waits until the broker has them."""
        # A broker that was just started, on a busy machine, takes its time; that is not what is tested.
        sink = KafkaSink(replace(self._kafka, extra={**self._kafka.extra, "message.timeout.ms": "90000"}))
        for message in messages:
            camera = None if isinstance(message, Alert) else getattr(message, "camera_id", None)
            partition = 0 if camera is None else CAMERAS.index(camera)
            topic = self.topic(TOPIC_OF[type(message)])
            sink.produce(topic, key=message.key, value=self.encode(message), partition=partition)
        sink.flush(90.0)
        sink.close()

    def encode(self, message: Message) -> bytes:
        """Wire bytes; noise stands where something would be sealed, since nobody here has a key."""
        schema = make.SCHEMAS[type(message).__name__]
        sealed = {field["name"] for field in schema["fields"] if "overt.sealed" in field}
        plain = {name: b"noise" if name in sealed and value else value for name, value in to_plain(message).items()}
        encoded: bytes = self._avro.dumps(type(message).__name__, plain)
        return encoded

    # Workers

    def start(self, count: int = 1) -> None:
        """So many more workers, all at once, and waits until they are ready."""
        spawned = [self.add() for _ in range(count)]
        for worker in spawned:
            worker.wait_ready(60.0)

    def add(self) -> Service:
        """One more worker, which is not waited for."""
        argv = overt("serve", "statistics", "-d", self.file)
        worker = Service(argv, self.folder, settings=self.settings, name=f"statistics-{len(self.workers)}")
        worker.spawn()
        self.workers.append(worker)
        return worker

    def supervise(self) -> None:
        """Starts every worker again that ended with the code that asks for it."""
        for worker in self.workers:
            if not worker.child.running and worker.child.exit_code == EXIT_CODE:
                worker.spawn()
                self.restarted += 1

    # What was counted

    def topic(self, name: str) -> str:
        return f"{self.settings['topic_prefix']}{name}"

    def records(self, name: str) -> list[Record]:
        return list(KafkaLog(self._kafka).read(self.topic(name)))

    def read(self, cls: type[Any]) -> list[Any]:
        """All records of a topic that nobody seals."""
        return [from_plain(cls, self._avro.loads(cls.__name__, r.value)) for r in self.records(TOPIC_OF[cls])]

    def told(self) -> dict[tuple[str | None, StatsWindow, int], SiteStats]:
        """By camera (None: the site), window and start: the counts that hold."""
        last: dict[str, SiteStats] = {}
        for stats in self.read(SiteStats):
            if stats.window_id not in last or stats.revision >= last[stats.window_id].revision:
                last[stats.window_id] = stats
        return {(s.camera_id, s.window, s.start_us): s for s in last.values()}

    def guard(self) -> SiteGuard | None:
        """What was said last of the site."""
        said = self.read(SiteGuard)
        return said[-1] if said else None

    def wait_until(self, reached: Callable[[], bool], what: str, timeout_s: float = 60.0) -> None:
        """AssertionError with the workers' logs when it takes longer."""
        began = time.monotonic()
        while not reached():
            self.supervise()
            assert time.monotonic() - began < timeout_s, "\n".join([f"not in time: {what}", *self._tails()])
            time.sleep(0.2)

    @property
    def start_us(self) -> int:
        """First moment of the deployment's window."""
        return round(self._start.timestamp() * 1e6)

    def recount(self) -> Mapping[tuple[str | None, StatsWindow, int], Counter[str]]:
        """The same from the topics of the pipeline, counted in the plainest way: sets of ids."""
        deployment: Deployment = load_deployment(self.file)
        ids: dict[tuple[str | None, StatsWindow, int], dict[str, set[str]]] = {}
        alerts = {a["alert_id"]: a for a in self._plain(Alert)}
        judged = sorted(self._plain(Adjudication), key=lambda j: (j["adjudicated_at_us"], j["adjudication_id"]))
        last = {j["alert_id"]: j["verdict"] for j in judged}

        def count(camera: str, at_us: int, what: str, which: str) -> None:
            for one in (camera, None):
                for window, start in (
                    (StatsWindow.MINUTE, at_us - at_us % _MINUTE_US),
                    (StatsWindow.QUARTER_HOUR, at_us - at_us % (15 * _MINUTE_US)),
                    (StatsWindow.DEPLOYMENT, deployment.window.start_us),
                ):
                    ids.setdefault((one, window, start), {}).setdefault(what, set()).add(which)

        for p in self._plain(Pass):
            count(p["camera_id"], p["first_seen_us"], "passes", p["track_id"])
            if p["failure"] is not None:
                count(p["camera_id"], p["first_seen_us"], "failures_to_acquire", p["track_id"])
        for m in self._plain(Match):
            count(m["camera_id"], m["captured_at_us"], "matches", f"{m['source_epoch']} {m['frame_seq']}")
        for alert_id, a in alerts.items():
            count(a["camera_id"], a["captured_at_us"], "alerts", alert_id)
            if alert_id in last:
                count(a["camera_id"], a["captured_at_us"], f"judged_{last[alert_id]}", alert_id)
        return {key: Counter({what: len(which) for what, which in found.items()}) for key, found in ids.items()}

    def differences(self) -> list[str]:
        """Where what was told and the recount do not agree."""
        told, recounted = self.told(), self.recount()
        found = [f"{key}: not told" for key in recounted.keys() - told.keys()]
        found += [f"{key}: nothing was there" for key in told.keys() - recounted.keys()]
        for key in told.keys() & recounted.keys():
            for what in ("passes", "failures_to_acquire", "matches", "alerts", *(f"judged_{v}" for v in Verdict)):
                if getattr(told[key], what) != recounted[key][what]:
                    found.append(f"{key}: {what} {getattr(told[key], what)}, recounted {recounted[key][what]}")
        return found

    def wait_counted(self, timeout_s: float = 60.0) -> float:
        """Until what was told equals the recount; the seconds. AssertionError with the differences.

        As a supervisor would, it starts a worker again that has ended because it stood still (`restarted` counts).
        """
        began = time.monotonic()
        while found := self.differences():
            self.supervise()
            assert time.monotonic() - began < timeout_s, "\n".join([*found[:10], *self._tails()])
            time.sleep(0.3)
        return time.monotonic() - began

    def _tails(self) -> list[str]:
        return [f"--- {w.name} exit={w.child.exit_code}\n{w.child.tail(25)}" for w in self.workers]

    def _plain(self, cls: type[Message]) -> list[dict[str, Any]]:
        assert cls in _COUNTED
        return [self._avro.loads(cls.__name__, record.value) for record in self.records(TOPIC_OF[cls])]

    @cached_property
    def _avro(self) -> Any:
        return wire_format(self._settings)

    @cached_property
    def _kafka(self) -> Any:
        return kafka_settings(self._settings, "test")

    @cached_property
    def _settings(self) -> Settings:
        return Settings.model_validate({name: str(value) for name, value in self.settings.items()})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.workers:
            worker.kill()
