"""The real parts that other tests stand on do what those tests assume."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.support.child import Child, ChildFailed
from tests.support.kafka_broker import KafkaBroker
from tests.support.ports import accepts
from tests.support.process import Scrape, Service
from tests.support.redis_server import RedisServer
from tests.support.rtsp_server import RtspServer

REPOSITORY = Path(__file__).resolve().parents[2]

# A service in little: ready after a moment, one counter with a label and one without samples, a drain on SIGTERM.
_SERVICE = """
import os, signal, sys, threading, time
from http.server import BaseHTTPRequestHandler, HTTPServer
from prometheus_client import CollectorRegistry, Counter, generate_latest
registry = CollectorRegistry()
frames = Counter("frames_read", "Read.", ["camera"], registry=registry)
Counter("rejects", "None yet.", ["reason"], registry=registry)
began = time.monotonic()
class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass
    def do_GET(self):
        frames.labels("a").inc()
        frames.labels("b").inc(2)
        ready = self.path != "/readyz" or time.monotonic() - began > 0.3
        self.send_response(200 if ready else 503)
        self.end_headers()
        self.wfile.write(generate_latest(registry))
server = HTTPServer((os.environ["OVERT_METRICS_HOST"], int(os.environ["OVERT_METRICS_PORT"])), Handler)
def drain(*_):
    print("drained", os.environ["OVERT_TOPIC_PREFIX"], flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, drain)
server.serve_forever()
"""


def _create(broker: KafkaBroker, topic: str, config: dict[str, str] | None = None) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for future in admin.create_topics([NewTopic(topic, 2, 1, config=config or {})]).values():
        future.result(30)


def _produce(broker: KafkaBroker, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap, "acks": "all"})
    producer.produce(topic, value)
    assert producer.flush(30) == 0


def _first_value(broker: KafkaBroker, topic: str, group: str) -> bytes | None:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                return message.value()
        return None
    finally:
        consumer.close()


def test_a_record_outlives_a_restart_and_a_kill_of_the_broker(kafka_factory: Callable[..., KafkaBroker]) -> None:
    broker = kafka_factory(settings={"log.retention.check.interval.ms": "500"})
    _create(broker, "kept")
    _produce(broker, "kept", b"one")
    assert _first_value(broker, "kept", "before") == b"one"
    broker.restart()
    assert _first_value(broker, "kept", "after a restart") == b"one"
    broker.kill()
    assert not broker.child.running
    broker.start()
    assert _first_value(broker, "kept", "after a kill") == b"one"


def test_the_shared_broker_creates_no_topic_unasked(kafka: KafkaBroker) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.list_topics("never-created", timeout=10)
    assert "never-created" not in {
        name for name, topic in admin.list_topics(timeout=10).topics.items() if topic.partitions
    }


def test_redis_loses_its_keys_when_wiped_restarted_or_killed(redis_server: RedisServer) -> None:
    def kill_and_start() -> None:
        redis_server.kill()
        redis_server.start()

    for lose in (redis_server.wipe, redis_server.restart, kill_and_start):
        with redis_server.client() as client:
            client.set("key", "value")
            assert client.get("key") == b"value"
            lose()
            assert client.get("key") is None
    assert [path.name for path in redis_server.folder.iterdir()] == ["redis.log"]


def _open(camera: RtspServer) -> cv2.VideoCapture:
    patience = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 5000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 500]
    return cv2.VideoCapture(camera.url, cv2.CAP_FFMPEG, patience)


def _reads_until_failure(capture: cv2.VideoCapture) -> int:
    # What was under way when the camera failed still arrives; it is far less than this.
    return next(count for count in range(1000) if not capture.read()[0])


def test_a_camera_shows_pictures_until_it_is_killed_and_again_when_restarted(rtsp_server: RtspServer) -> None:
    capture = _open(rtsp_server)
    seen, bgr = capture.read()
    assert seen
    assert bgr.shape == (360, 640, 3)
    rtsp_server.kill()
    _reads_until_failure(capture)
    capture.release()
    assert not _open(rtsp_server).isOpened()
    rtsp_server.start()
    again = _open(rtsp_server)
    assert again.read()[0]
    again.release()


def test_a_frozen_camera_keeps_its_connection_and_sends_nothing(rtsp_server: RtspServer) -> None:
    capture = _open(rtsp_server)
    assert capture.read()[0]
    rtsp_server.freeze()
    began = time.monotonic()
    _reads_until_failure(capture)
    assert time.monotonic() - began >= 0.5, "the read waited for its time limit: nothing had closed the connection"
    assert accepts(rtsp_server.port)
    capture.release()
    rtsp_server.thaw()
    again = _open(rtsp_server)
    assert again.read()[0]
    again.release()


def test_a_service_is_ready_scraped_frozen_killed_and_drained(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", _SERVICE]
    with Service(argv, tmp_path, settings={"topic_prefix": "t."}) as service:
        assert service.status("/readyz") == 200
        scrape = service.scrape()
        assert scrape.total("frames_read_total", camera="b") == 2 * scrape.total("frames_read_total", camera="a") > 0
        assert scrape.total("frames_read_total") == 3 * scrape.total("frames_read_total", camera="a")
        assert scrape.total("rejects_total") == 0
        with pytest.raises(KeyError, match="no metric 'frames_red_total'"):
            scrape.total("frames_red_total")
        service.freeze()
        assert service.status("/healthz") is None
        service.thaw()
        assert service.status("/healthz") == 200
        service.kill()
        assert service.child.exit_code == -signal.SIGKILL
        service.start()
        assert service.terminate(10) < 10
        assert service.child.exit_code == 0
        assert service.log_text() == "drained t.\n"


def test_a_service_that_ends_before_it_is_ready_fails_with_its_log(tmp_path: Path) -> None:
    service = Service([sys.executable, "-c", "import sys; sys.exit('no watchlist')"], tmp_path)
    with pytest.raises(ChildFailed, match=r"ended with 1 before it was ready\nno watchlist"):
        service.start()


def test_scrape_reads_the_samples_of_histograms() -> None:
    scrape = Scrape('# TYPE wait_seconds histogram\nwait_seconds_bucket{le="+Inf"} 3\nwait_seconds_count 3\n')
    assert scrape.total("wait_seconds_count") == scrape.total("wait_seconds_bucket", le="+Inf") == 3


def test_no_child_outlives_a_test_run_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from tests.support.child import Child\n"
        "child = Child(['sh', '-c', 'sleep 600 & wait'], log_path=Path(sys.argv[1])); child.spawn()\n"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    argv = [sys.executable, "-c", script, str(tmp_path / "log")]
    with subprocess.Popen(argv, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        group = int(run.stdout.readline())
        assert _group_exists(group)
        run.kill()
    until = time.monotonic() + 20
    while _group_exists(group) and time.monotonic() < until:
        time.sleep(0.02)
    assert not _group_exists(group)


def test_terminate_kills_and_says_so_when_a_child_ignores_it(tmp_path: Path) -> None:
    stubborn = Child(["sh", "-c", "trap '' TERM; echo up; sleep 600 & wait; sleep 600"], log_path=tmp_path / "log")
    stubborn.spawn()
    stubborn.wait_until(lambda: "up" in stubborn.log_text(), 10)
    with pytest.raises(ChildFailed, match=r"did not end within 0\.3 s of SIGTERM"):
        stubborn.terminate(0.3)
    assert not stubborn.running
    assert not _group_exists(stubborn.pid)


def _group_exists(group: int) -> bool:
    """True while a process of the group runs; zombies that nobody collected do not count."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            return True
    return False
