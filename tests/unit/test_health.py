"""What a scraper and an orchestrator see over HTTP."""

from __future__ import annotations

import http.client
import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from overt.ports import Unavailable
from overt.runtime import health
from overt.runtime.health import HealthServer
from overt.runtime.metrics import Metrics


class Service:
    """A service whose answers a test decides."""

    def __init__(self) -> None:
        self.healthy = True
        self.ready = True
        self.broken: Exception | None = None
        self.metrics = Metrics()

    def refresh(self) -> None:
        if self.broken is not None:
            raise self.broken
        self.metrics.keys_alive.inc()

    def is_ready(self) -> bool:
        if isinstance(self.broken, KeyError):
            raise self.broken
        return self.ready


@contextmanager
def served(service: Service) -> Iterator[int]:
    server = HealthServer(
        service.metrics.registry,
        healthy=lambda: service.healthy,
        ready=service.is_ready,
        refresh=service.refresh,
    )
    try:
        yield server.open("127.0.0.1", 0)
    finally:
        server.close()


def ask(port: int, path: str, method: str = "GET") -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", ""), answer.read().decode()
    finally:
        connection.close()


def test_metrics_are_what_prometheus_reads() -> None:
    service = Service()
    service.metrics.faces.labels("c1").inc(3)
    with served(service) as port:
        status, kind, body = ask(port, "/metrics")
    assert status == 200
    assert kind.startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(body)}
    (faces,) = [s for s in families["overt_faces"].samples if s.name == "overt_faces_total"]
    assert (faces.labels, faces.value) == ({"camera": "c1"}, 3)
    assert families["overt_faces"].documentation.endswith(".")


def test_gauges_are_brought_up_to_date_by_the_scrape_itself() -> None:
    with served(Service()) as port:
        values = [
            family.samples[0].value
            for _ in range(2)
            for family in text_string_to_metric_families(ask(port, "/metrics")[2])
            if family.name == "overt_transient_keys_alive"
        ]
    assert values == [1, 2]


def test_metrics_are_told_while_redis_is_away() -> None:
    """That is when somebody looks at them."""
    service = Service()
    service.broken = Unavailable("redis://secret@host")
    with served(service) as port:
        status, _, body = ask(port, "/metrics")
    assert status == 200
    assert "overt_gallery_entries" in body
    assert "secret" not in body


def test_health_and_readiness_are_two_questions() -> None:
    service = Service()
    with served(service) as port:
        assert ask(port, "/healthz") == (200, "text/plain", "ok\n")
        assert ask(port, "/readyz") == (200, "text/plain", "ok\n")
        service.ready = False
        assert ask(port, "/readyz")[0] == 503
        assert ask(port, "/healthz")[0] == 200
        service.healthy, service.ready = False, True
        assert ask(port, "/healthz")[0] == 503
        assert "stood still" in ask(port, "/healthz")[2]
        assert ask(port, "/readyz")[0] == 200


def test_nothing_else_is_there_and_nothing_can_be_sent() -> None:
    with served(Service()) as port:
        for path in ("/", "/metric", "/metrics/", "/readyz/../metrics", "/healthz%00", "/?/metrics"):
            assert ask(port, path)[0] == 404, path
        for method in ("POST", "PUT", "DELETE"):
            assert ask(port, "/metrics", method)[0] == 501, method


def test_a_query_behind_a_path_is_ignored() -> None:
    with served(Service()) as port:
        assert ask(port, "/readyz?verbose=1")[0] == 200


def test_an_answer_that_fails_is_a_500_whose_text_stays_in_the_house(caplog: pytest.LogCaptureFixture) -> None:
    service = Service()
    service.broken = KeyError("a value that nobody may see")
    with served(service) as port, caplog.at_level(logging.ERROR):
        for path in ("/readyz", "/metrics"):
            status, _, body = ask(port, path)
            assert status == 500
            assert "nobody may see" not in body
        assert ask(port, "/healthz")[0] == 200, "the others go on"
    assert [r.getMessage() for r in caplog.records] == [
        "/readyz cannot be answered: KeyError",
        "/metrics cannot be answered: KeyError",
    ]


def test_a_scrape_is_not_logged(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    with caplog.at_level(logging.DEBUG), served(Service()) as port:
        caplog.clear()
        ask(port, "/metrics")
    assert caplog.records == []
    assert capfd.readouterr().err == ""


def test_a_port_that_is_taken_is_an_error_of_the_system() -> None:
    with served(Service()) as port, pytest.raises(OSError, match="in use"):
        HealthServer(Metrics().registry, healthy=bool, ready=bool).open("127.0.0.1", port)


def test_after_closing_nobody_answers_and_closing_twice_is_fine() -> None:
    server = HealthServer(Metrics().registry, healthy=bool, ready=bool)
    server.close()
    port = server.open("127.0.0.1", 0)
    server.close()
    server.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_who_asks_and_goes_away_leaves_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    """A scraper that times out does so again and again; a service's log is for what its operator can mend."""
    service, asked, answering = Service(), threading.Event(), threading.Event()

    def slow() -> None:
        asked.set()
        assert answering.wait(30)

    service.refresh = slow  # type: ignore[method-assign]
    with served(service) as port:
        scraper = socket.create_connection(("127.0.0.1", port))
        scraper.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing resets
        scraper.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert asked.wait(30)
        scraper.close()
        answering.set()
        service.refresh = lambda: None  # type: ignore[method-assign]
        assert ask(port, "/healthz")[0] == 200
        until = time.monotonic() + 30
        while any("process_request" in thread.name for thread in threading.enumerate()):
            assert time.monotonic() < until
            time.sleep(0.01)
    assert "Traceback" not in capfd.readouterr().err


def test_who_connects_and_says_nothing_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_ASKING_S", 0.2)
    with served(Service()) as port, socket.create_connection(("127.0.0.1", port), timeout=30) as silent:
        assert silent.recv(1) == b""
