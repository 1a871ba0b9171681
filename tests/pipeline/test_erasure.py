"""Who raised no alert leaves nothing (policy rule P1): a run over real Kafka and Redis, and then a search of everything
that it has written, for everything that it has carried.

The search could be blind. So the same run is made with sealing off, and there the same search must find it all.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from overt.erasure.search import Findings, Searcher
from overt.messages import Embedding, Face, Frame, Message, WatchlistEntry
from overt.picture import encode
from overt.runtime.canary import Canary, plant
from overt.runtime.erasure import Verdict, examine, kept_bytes
from overt.runtime.keys.deployment_keyring import open_keyring
from overt.runtime.redis_client import connect
from overt.runtime.redis_contents import redis_values, stored_keys
from overt.runtime.settings import Settings
from overt.runtime.vault import MAGIC
from tests.support.cluster import Cluster, deployment, distinct
from tests.support.kafka_broker import KafkaBroker, kafka_unavailable
from tests.support.messages import pixels
from tests.support.process import Service, overt
from tests.support.redis_server import RedisServer, redis_unavailable
from tests.support.remains import contents, overheard, run_unsealed
from tests.support.requirements import require
from tests.support.scenes import PEOPLE, Scenes

pytestmark = [pytest.mark.kafka, pytest.mark.redis, pytest.mark.slow]

SHORT = {"transient_key_slot_s": "2", "transient_key_life_s": "4"}
"""For what only plants a canary."""

NOTHING_IS_DELETED = {"log.retention.check.interval.ms": "86400000", "log.index.size.max.bytes": "1048576"}
"""All ciphertext stays on the disk, as hard as it can be made. Small indices, since a search reads their zeros too."""


@dataclass
class Aftermath:
    """A run that is over: everybody has passed, the services have stopped."""

    cluster: Cluster
    folder: Path
    messages: Sequence[Message]
    canary: Canary
    """Planted while the services ran, when everybody had passed."""
    shed: float
    """Frames that the detector shed."""
    skipped: float
    """Faces that the embedder skipped."""
    alerts: Sequence[dict[str, Any]]
    passes: Sequence[dict[str, Any]]
    frames: int
    content: dict[str, Any]
    """Of the deployment file."""

    @property
    def places(self) -> list[Path]:
        """All that has been written: the broker's data and log, Redis's folder, logs, outputs, temporary files."""
        return [self.folder / name for name in ("kafka", "redis", "cluster", "out", "tmp")]

    def examine(self, places: Sequence[Path], known: dict[str, bytes], cluster: Cluster) -> Verdict:
        settings = Settings.model_validate({name: str(value) for name, value in self.cluster.settings.items()})
        return examine(
            connect(self.cluster.redis.url),
            open_keyring(self.cluster.deployment, settings),
            cluster.deployment.deployment_id,
            places,
            known,
            topic_prefix=cluster.world.prefix,
            slot_s=settings.transient_key_slot_s,
            life_s=settings.transient_key_life_s,
        )

    def verify(self, *places: Path, settings: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """`overt erasure verify` as a user types it, with keys of a short life."""
        options = [option for place in places for option in ("--search", place)]
        command = overt("erasure", "verify", "-d", self.cluster.file, *options, "--json")
        environment = Service(["none"], self.folder, settings=self.cluster.settings | SHORT | (settings or {})).env
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory, scenes: Scenes, test_data: Path) -> Iterator[Aftermath]:
    """Two cameras, three people each; the first of each is on the watchlist."""
    require(kafka_unavailable())
    require(redis_unavailable())
    folder = tmp_path_factory.mktemp("erasure")
    for name in ("out", "tmp"):
        (folder / name).mkdir()
    cameras = {f"c{i}": scenes.walk(PEOPLE[3 * i : 3 * i + 3], seed=i) for i in range(2)}
    watchlist = scenes.watchlist([PEOPLE[0], PEOPLE[3]], folder / "watchlist")
    content = deployment(cameras, watchlist, recognition={"cooldown_s": 60, "fuse_tracks": True})
    with (
        pytest.MonkeyPatch.context() as patch,
        KafkaBroker(folder / "kafka", settings=NOTHING_IS_DELETED) as broker,
        RedisServer(folder / "redis") as redis,
    ):
        patch.setenv("TMPDIR", str(folder / "tmp"))
        redis.client().config_set("slowlog-max-len", 0)
        models = test_data / "models"
        with Cluster(folder / "cluster", broker, redis, content, models_dir=models) as cluster:
            cluster.prepare()
            with overheard(cluster.world) as messages:
                cluster.start()
                cluster.wait_done()
            canary = plant(cluster.world, connect(redis.url))
            cluster.wait_quiet()
            shed = cluster.total("overt_frames_shed_total", "detector")
            skipped = cluster.total("overt_repeated_records_total", "embedder")
            (folder / "out" / "alerts.jsonl").write_text(
                cluster.cli("alerts", "tail", "-d", cluster.file, "--until-end")
            )
            cluster.stop()
            frames = sum(scene.frames for scene in cameras.values())
            yield Aftermath(
                cluster, folder, messages, canary, shed, skipped, cluster.alerts(), cluster.passes(), frames, content
            )


def test_the_run_has_seen_strangers_and_alerted_on_the_listed_only(aftermath: Aftermath) -> None:
    """Without which the rest of this file would prove nothing."""
    alerted = distinct(aftermath.alerts, "track_id")
    assert len(distinct(aftermath.alerts, "subject_id")) == 2
    strangers = distinct(aftermath.passes, "track_id") - alerted
    assert len(strangers) >= 4
    kinds = Counter(type(m) for m in aftermath.messages)
    assert sum(isinstance(m, Frame) and m.image is not None for m in aftermath.messages) == aftermath.frames
    assert kinds[WatchlistEntry] == 2
    assert kinds[Face] == kinds[Embedding]
    assert strangers <= {m.track_id for m in aftermath.messages if isinstance(m, Embedding)}
    assert all(
        alert["subject_id"] in (aftermath.folder / "out" / "alerts.jsonl").read_text() for alert in aftermath.alerts
    )


def test_a_canary_disturbs_nobody(aftermath: Aftermath) -> None:
    """On each of two partitions its frame is shed, its crop skipped and its vector refused: no model sees any of it."""
    reasons = Counter((letter["stage"], letter["reason"]) for letter in aftermath.cluster.deadletters())
    assert reasons == {("matcher", "wrong_space"): 2}
    assert aftermath.shed == 2
    assert aftermath.skipped == 2


def test_nothing_of_anybody_is_left_that_can_be_read(aftermath: Aftermath) -> None:
    """No picture and no piece of a crop, thumbnail, frame, vector or landmarks of anybody, in bytes or as text; and no
    key that still exists opens any payload of those who passed. Alerts can still be opened."""
    wait_until_keys_are_gone(aftermath)
    known = contents(aftermath.messages) | aftermath.canary.known()
    verdict = aftermath.examine(aftermath.places, known, aftermath.cluster)
    assert verdict.failures() == [], (verdict.clear[:5], verdict.opened[:5], verdict.unreadable[:5])
    print(f"{len(known)} contents looked for in {verdict.places} places, {verdict.bytes_searched / 1e6:.0f} MB")
    print(f"{verdict.transient_erased} payloads of passers-by on disk; {verdict.keys_tried} keys open none of them")
    assert verdict.transient_erased >= sum(map(payloads_in, aftermath.messages)), "the search does not see them all"
    assert verdict.transient_alive == 0
    assert verdict.durable_alive > 0
    assert verdict.keys_tried >= 3


def payloads_in(message: Message) -> int:
    """Sealed fields under transient keys: an image; landmarks, crop and thumbnail; vector and thumbnail."""
    return {Frame: int(getattr(message, "image", None) is not None), Face: 3, Embedding: 2}.get(type(message), 0)


def wait_until_keys_are_gone(aftermath: Aftermath) -> None:
    redis = connect(aftermath.cluster.redis.url)
    deadline = time.monotonic() + 10 + Settings().transient_key_life_s
    while stored_keys(redis_values(redis)):
        assert time.monotonic() < deadline, "transient keys do not go"
        time.sleep(0.2)


def test_with_sealing_off_the_same_search_finds_everybody(aftermath: Aftermath, kafka: KafkaBroker) -> None:
    """The control: same input, same stages, same compression, same search, same things looked for."""
    cluster = aftermath.cluster
    content = {**aftermath.content, "deployment": "control"}
    models = cluster.settings["models_dir"]
    with Cluster(
        aftermath.folder / "control", kafka, cluster.redis, content, settings=SHORT, models_dir=Path(models)
    ) as control:
        run_unsealed(control)
        known = contents(aftermath.messages)
        topics = [path for path in kafka.data_dir.iterdir() if path.name.startswith(control.world.prefix)]
        findings = Findings()
        searcher = Searcher(known, MAGIC, kept_bytes)
        searcher.look_into(topics, findings)
        in_redis = Findings()
        for value in redis_values(connect(cluster.redis.url)):
            searcher.look(value.name, value.data, in_redis)
    found = {sighted.what for sighted in findings.clear}
    assert {"a JPEG", "a PNG"} <= found
    raw = {name for name in known if not any(form in name for form in (" in ", " as ", "printed"))}
    missed = raw - found
    assert not missed, f"{len(missed)} of {len(raw)} not found: {sorted(missed)[:10]}"
    assert findings.sealed == []
    assert any(what.startswith("vector ") for what in (sighted.what for sighted in in_redis.clear)), "fused vectors"


def test_verify_succeeds_and_says_what_it_has_seen(aftermath: Aftermath) -> None:
    done = aftermath.verify(*aftermath.places)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["failures"] == []
    # frames, faces (landmarks, crop, thumbnail) and embeddings (vector, thumbnail) on two partitions
    assert said["control"] == {"planted": 12, "found": 12, "opened": 12}
    assert said["transient_erased"] >= 12
    assert said["durable_alive"] > 0


def test_verify_fails_on_a_picture_in_the_clear_and_on_a_key_of_a_past_slot(
    aftermath: Aftermath, tmp_path: Path
) -> None:
    """A core dump holds a picture; and somebody made a key persistent: what it sealed can be read for ever."""
    (tmp_path / "core.1234").write_bytes(b"something else" * 100 + encode(pixels(), "jpeg"))
    frame = next(m for m in aftermath.messages if isinstance(m, Frame))
    world = aftermath.cluster.world
    topic, partition = world.route(frame)
    sink = world.sink()
    sink.produce(topic, key=frame.key, value=world.codec.encode(frame), partition=partition)
    sink.flush(10.0)
    sink.close()
    with aftermath.cluster.redis.client() as redis:
        (name,) = (key.name for key in stored_keys(redis_values(connect(aftermath.cluster.redis.url))))
        redis.persist(name)
        done = aftermath.verify(aftermath.folder / "kafka", tmp_path)
        redis.delete(name)
    assert done.returncode == 7
    assert "erasure is NOT proven" in done.stderr
    said = json.loads(done.stdout)
    in_files = [seen for seen in said["clear"] if not seen[0].startswith("Redis: ")]  # where the key itself is seen
    assert in_files == [[str(tmp_path / "core.1234"), 1400, "a JPEG"]]
    assert said["outstaying"] == [name]
    assert [key for _, _, key in said["opened"]] == [f"the key {name} in Redis"]
