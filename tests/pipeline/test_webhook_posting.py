"""The webhook against a real HTTP server: taken, refused, hanging, away and back, killed in the middle, over TLS."""

from __future__ import annotations

import base64
import json
import logging
import re
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from overt.demo.deployments import own_deployment
from overt.messages import Alert, Kind
from overt.runtime.metrics import Metrics
from overt.runtime.settings import Settings, SettingsError
from overt.runtime.webhook.answers import Outcome
from overt.runtime.webhook.delivery import Patience
from overt.runtime.webhook.service import WebhookService, endpoint_of
from overt.runtime.world import memory_world
from tests.support import messages as make
from tests.support.bus import until
from tests.support.webhook_receiver import SECRET, Letter, Receiver, Reply, receivers_code

MAKE_CERTS = Path(__file__).resolve().parents[2] / "infra" / "security" / "make-dev-certs"
QUICK = Patience(give_up_s=3600.0, first_s=0.05, longest_s=0.2)


class Site:
    """A deployment on the memory bus whose alerts are to be posted to a receiver."""

    def __init__(self, folder: Path, receiver: Receiver, **settings: Any) -> None:
        self.world, self.bus = memory_world(own_deployment("usb:0", folder))
        self.metrics = Metrics()
        secret = folder / "secret"
        secret.write_text(SECRET + "\n")
        secret.chmod(0o600)
        values = {"webhook_url": receiver.url, "webhook_secret_file": secret, "webhook_timeout_s": 8.0, **settings}
        self.settings = Settings.model_validate(values)

    def alert(self, alert_id: str, **changes: Any) -> Alert:
        now_us = time.time_ns() // 1000
        changes = {"deployment_id": self.world.deployment.deployment_id, "alerted_at_us": now_us, **changes}
        return make.alert(alert_id=alert_id, **changes)

    def raise_alerts(self, *alerts: str | Alert) -> None:
        for alert in alerts:
            value = self.alert(alert) if isinstance(alert, str) else alert
            self.bus.sink().produce("alerts", key=value.key, value=value)

    @contextmanager
    def posting(self, patience: Patience = QUICK) -> Iterator[WebhookService]:
        service = WebhookService(self.world, self.settings, self.metrics, patience)
        stop = threading.Event()
        thread = threading.Thread(target=service.run, args=(stop,))
        thread.start()
        try:
            yield service
        finally:
            stop.set()
            thread.join(20)
        assert not thread.is_alive()

    def waiting(self) -> int:
        """Alerts that are not committed."""
        return self.bus.unconsumed("alerts", 0, self.world.group("webhook"))

    def dead(self) -> list[tuple[str, str]]:
        return [(r.headers["reason"], r.headers["offset"]) for r in self.bus.log().read("deadletters")]

    def attempts(self, outcome: Outcome) -> float:
        return self.metrics.total("overt_webhook_attempts_total", outcome=outcome.value)


def test_each_alert_arrives_signed_in_order_and_only_then_is_committed(tmp_path: Path) -> None:
    held = threading.Event()

    def answers(number: int, _: Letter) -> Reply:
        if number == 1:
            held.wait(20)
        return Reply(200)

    with Receiver(answers) as receiver:
        site = Site(tmp_path, receiver)
        site.raise_alerts("a", site.alert("b", kind=Kind.MISSING), "c")
        with site.posting() as service:
            until("the second letter", lambda: len(receiver.letters) == 2)
            until("the first to be committed", lambda: site.waiting() == 2)
            held.set()
            until("all to be committed", lambda: site.waiting() == 0)
            until("it to be ready", service.ready)
    assert receiver.ids() == ["a", "b", "c"]
    assert site.dead() == []
    letter = receiver.letters[1]
    assert letter.target == "/alerts?token=for-the-gateway"
    assert letter.headers["content-type"] == "application/json"
    assert letter.headers["idempotency-key"] == '"b"'
    assert json.loads(letter.body)["wording"] == "candidate: missing, possible match"
    assert json.loads(letter.body)["data"]["alert_id"] == "b"
    assert signed_by_openssl(letter) == letter.headers["webhook-signature"]
    assert_verified_as_the_page_shows(letter)
    assert abs(int(letter.headers["webhook-timestamp"]) - time.time()) < 60


def assert_verified_as_the_page_shows(letter: Letter) -> None:
    """By the receiver's code of docs/webhook.md, as printed."""
    names = receivers_code()
    is_ours = names["is_ours"]
    assert is_ours(letter.headers, letter.body, SECRET)
    assert not is_ours(letter.headers, letter.body + b" ", SECRET), "changed"
    assert not is_ours({**letter.headers, "webhook-id": "other"}, letter.body, SECRET), "given another id"
    assert not is_ours(letter.headers, letter.body, SECRET.replace("M", "N")), "another secret"
    names["time"] = SimpleNamespace(time=lambda: time.time() + 600)
    assert not is_ours(letter.headers, letter.body, SECRET), "recorded, and sent again later"


def signed_by_openssl(letter: Letter) -> str:
    """The signature that somebody else's HMAC makes of what came."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing: nobody else can check the signature")
    key = base64.b64decode(SECRET.removeprefix("whsec_")).hex()
    content = f"{letter.headers['webhook-id']}.{letter.headers['webhook-timestamp']}.".encode() + letter.body
    argv = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key}", "-binary"]
    done = subprocess.run(argv, input=content, capture_output=True, check=True, timeout=60)
    return f"v1,{base64.b64encode(done.stdout).decode()}"


def test_what_is_not_taken_comes_again_the_same_and_nothing_overtakes_it(tmp_path: Path) -> None:
    """A wrong status, a redirection, an answer that hangs, one that drips: each is tried again."""
    replies = {
        0: Reply(500),
        1: Reply(302, {"Location": "http://localhost:1/elsewhere"}),
        2: Reply(401),
        3: Reply(hangs_s=10),
        4: Reply(drips=True),
    }
    with Receiver(lambda number, _: replies.get(number, Reply())) as receiver:
        site = Site(tmp_path, receiver, webhook_timeout_s=3.0)
        site.raise_alerts("a", "b")
        with site.posting():
            until("all to be taken", lambda: site.waiting() == 0)
    assert receiver.ids() == ["a"] * 6 + ["b"]
    assert len({letter.body for letter in receiver.letters[:6]}) == 1
    assert len({letter.target for letter in receiver.letters}) == 1, "no redirection was followed"
    assert site.attempts(Outcome.NOT_NOW) == 3
    assert site.attempts(Outcome.NO_ANSWER) == 2
    assert site.dead() == []


def test_an_endpoint_that_is_away_loses_nothing_and_gets_all_when_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each outage is told once, and its end, however many attempts were made."""
    caplog.set_level(logging.INFO, "overt")
    receiver = Receiver()
    site = Site(tmp_path, receiver)
    site.raise_alerts("a", "b", "c")
    with site.posting() as service:
        until("three attempts", lambda: site.attempts(Outcome.NO_ANSWER) >= 3)
        assert not service.ready()
        assert site.waiting() == 3
        receiver.start()
        until("all to be taken", lambda: site.waiting() == 0)
        until("it to be ready", service.ready)
        receiver.stop()
        site.raise_alerts("d")
        until("it to be not ready", lambda: not service.ready())
        receiver.start()
        until("the last to be taken", lambda: site.waiting() == 0)
    receiver.stop()
    assert receiver.ids() == ["a", "b", "c", "d"]
    assert site.dead() == []
    told = [record.getMessage() for record in caplog.records if record.name == "overt.runtime.worker"]
    assert [re.sub(":.*", "", line.removeprefix("webhook: ")) for line in told] == ["waiting", "goes on"] * 2
    assert not [line for line in told if "token" in line]


def test_what_is_refused_or_given_up_is_a_dead_letter_that_says_where_it_lies(tmp_path: Path) -> None:
    def answers(_: int, letter: Letter) -> Reply:
        return Reply({"b": 422, "c": 503}.get(letter.headers["webhook-id"], 200))

    with Receiver(answers) as receiver:
        site = Site(tmp_path, receiver)
        site.raise_alerts("a", "b", site.alert("c", alerted_at_us=0), "d")
        with site.posting(Patience(least_s=0.3, first_s=0.05, longest_s=0.1)):
            until("all to be settled", lambda: site.waiting() == 0)
    assert site.dead() == [("refused", "1"), ("undelivered", "2")]
    assert list(dict.fromkeys(receiver.ids())) == ["a", "b", "c", "d"]
    assert receiver.ids().count("b") == 1
    assert receiver.ids().count("c") > 1
    assert site.metrics.total("overt_rejects_total", service="webhook") == 2


def test_retry_after_is_kept(tmp_path: Path) -> None:
    came: list[float] = []

    def answers(number: int, _: Letter) -> Reply:
        came.append(time.monotonic())
        return Reply(429, {"Retry-After": "2"}) if number == 0 else Reply()

    with Receiver(answers) as receiver:
        site = Site(tmp_path, receiver)
        site.raise_alerts("a")
        with site.posting():
            until("it to be taken", lambda: site.waiting() == 0)
    assert came[1] - came[0] >= 1.99


def test_a_bridge_that_ends_in_the_middle_is_followed_by_one_that_repeats_at_most_one(tmp_path: Path) -> None:
    """It ends after the answer and before the commit: the same letter, with the same id, comes again."""
    with Receiver() as receiver:
        site = Site(tmp_path, receiver)
        site.raise_alerts("a", "b", "c")
        dying = WebhookService(site.world, site.settings, site.metrics, QUICK)
        broken = site.bus.source(site.world.group("webhook"))
        dying._worker._source = _DiesAtCommit(broken, 2)
        with pytest.raises(KeyboardInterrupt):
            dying.run(threading.Event())
        assert receiver.ids() == ["a", "b"]
        with site.posting():
            until("all to be taken", lambda: site.waiting() == 0)
    assert receiver.ids() == ["a", "b", "b", "c"]
    assert receiver.letters[1].body == receiver.letters[2].body


class _DiesAtCommit:
    def __init__(self, part: Any, at: int) -> None:
        self._part, self._left = part, at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)

    def commit(self, records: Any) -> None:
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt
        self._part.commit(records)


def test_an_alert_that_comes_twice_is_posted_once_by_one_bridge(tmp_path: Path) -> None:
    with Receiver() as receiver:
        site = Site(tmp_path, receiver)
        site.raise_alerts("a", "b", "a")
        with site.posting():
            until("all to be taken", lambda: site.waiting() == 0)
    assert receiver.ids() == ["a", "b"]


def test_stopping_does_not_wait_for_an_endpoint_that_is_away(tmp_path: Path) -> None:
    site = Site(tmp_path, Receiver())
    site.raise_alerts("a")
    with site.posting(Patience(first_s=60.0)):
        until("an attempt", lambda: site.attempts(Outcome.NO_ANSWER) == 1)
        began = time.monotonic()
    assert time.monotonic() - began < 9
    assert site.waiting() == 1


# TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and a server's certificate for localhost in kafka.pem."""
    folder = tmp_path_factory.mktemp("certificates")
    subprocess.run([MAKE_CERTS, folder], check=True, capture_output=True, timeout=120)
    return folder


@pytest.fixture
def over_tls(certificates: Path) -> Iterator[Receiver]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "kafka.pem")
    with Receiver(tls=context) as receiver:
        yield receiver


def test_it_posts_over_tls_to_whom_the_authority_has_certified(
    over_tls: Receiver, certificates: Path, tmp_path: Path
) -> None:
    site = Site(tmp_path, over_tls, webhook_ca_file=certificates / "ca.crt")
    answer = endpoint_of(site.settings).post(make.alert())
    assert answer.outcome is Outcome.TAKEN
    assert over_tls.ids() == ["a1"]


@pytest.mark.parametrize(
    ("trusted", "host"),
    [(False, "localhost"), (True, "127.0.0.2")],
    ids=["another authority", "another name"],
)
def test_nothing_is_sent_to_whom_the_authority_has_not_certified(
    trusted: bool, host: str, over_tls: Receiver, certificates: Path, tmp_path: Path
) -> None:
    given = {"webhook_ca_file": certificates / "ca.crt"} if trusted else {}
    url = over_tls.url.replace("localhost", host)
    site = Site(tmp_path, over_tls, webhook_url=url, **given)
    answer = endpoint_of(site.settings).post(make.alert())
    assert answer.outcome is Outcome.NO_ANSWER
    assert over_tls.letters == []
    assert "token" not in answer.said


def test_a_peer_that_never_shakes_hands_is_left_in_time(tmp_path: Path) -> None:
    with Receiver() as plain:  # it waits for a request that is no TLS
        url = plain.url.replace("http://", "https://")
        site = Site(tmp_path, plain, webhook_url=url, webhook_timeout_s=0.5)
        answer = endpoint_of(site.settings).post(make.alert())
    assert answer.outcome is Outcome.NO_ANSWER
    assert plain.letters == []


# Settings


def _open_to_all(folder: Path) -> Path:
    (folder / "open").write_text(SECRET)
    (folder / "open").chmod(0o644)
    return folder / "open"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("webhook_url", lambda _: None, "OVERT_WEBHOOK_URL: is not set"),
        ("webhook_url", lambda _: "http://example.org/", "OVERT_WEBHOOK_URL: expected https://"),
        ("webhook_secret_file", lambda _: None, "OVERT_WEBHOOK_SECRET_FILE: is not set"),
        ("webhook_secret_file", lambda folder: folder / "none", "OVERT_WEBHOOK_SECRET_FILE: .* is missing"),
        ("webhook_secret_file", _open_to_all, "OVERT_WEBHOOK_SECRET_FILE: .* is open to others"),
    ],
)
def test_a_setting_that_cannot_be_is_named(name: str, value: Callable[[Path], Any], said: str, tmp_path: Path) -> None:
    site = Site(tmp_path, Receiver())
    wrong = site.settings.model_copy(update={name: value(tmp_path)})
    with pytest.raises(SettingsError, match=said) as caught:
        WebhookService(site.world, wrong, Metrics())
    assert SECRET not in str(caught.value)
