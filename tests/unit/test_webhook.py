"""What the webhook sends, how it is signed, when it tries again: without a network, on clocks that are handed in."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from overt.messages import Alert, Kind
from overt.output.alerts_jsonl import alert_to_dict
from overt.ports import Reason, Reject, Unavailable
from overt.runtime.metrics import Metrics
from overt.runtime.webhook.answers import Answer, Outcome, outcome_of, retry_after_s
from overt.runtime.webhook.delivery import Delivery, Patience
from overt.runtime.webhook.endpoint import AddressError, Endpoint, parse_address, tls_context
from overt.runtime.webhook.letter import SecretError, body_of, headers_of, parse_secret
from tests.support import messages as make
from tests.support.webhook_receiver import SECRET

TAKEN, NOT_NOW, REFUSED = (
    Answer(outcome, "h:1 answered") for outcome in (Outcome.TAKEN, Outcome.NOT_NOW, Outcome.REFUSED)
)


# The letter


@pytest.mark.parametrize(
    ("kind", "wording"),
    [(Kind.WANTED, "candidate: wanted, possible match"), (Kind.MISSING, "candidate: missing, possible match")],
)
def test_a_letter_calls_nobody_found(kind: Kind, wording: str) -> None:
    body = body_of(make.alert(kind=kind))
    assert json.loads(body)["wording"] == wording
    assert b"found" not in body


def test_a_letter_has_the_fields_of_alerts_jsonl_and_neither_picture_nor_vector() -> None:
    alert = make.alert()
    said = json.loads(body_of(alert))
    assert set(said) == {"type", "timestamp", "wording", "data"}
    assert said["data"] == json.loads(json.dumps(alert_to_dict(alert)))
    assert not {"probe_image", "context", "vector"} & set(said["data"])
    assert (said["type"], said["timestamp"]) == ("alert.candidate", "1970-01-01T00:00:01.200Z")


def test_the_same_alert_is_the_same_bytes() -> None:
    assert body_of(make.alert(zone="Süd ")) == body_of(make.alert(zone="Süd "))


def test_the_signature_is_that_of_the_standard() -> None:
    """The example that Standard Webhooks' libraries are tested with."""
    made = headers_of("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', 1614265330, parse_secret(SECRET))
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert made["webhook-timestamp"] == "1614265330"
    assert made["webhook-id"] == "msg_p5jXN8AQM9LWM0D4loKWxJek"


@pytest.mark.parametrize(
    "text", ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_no base64!"]
)
def test_a_secret_that_is_none_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(SecretError, match=r"^expected whsec_ and 24 to 64 bytes in base64$"):
        parse_secret(text)


def test_a_secret_is_not_shown_when_printed() -> None:
    assert str(parse_secret(SECRET)) == "Secret()"


# The address


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.org/hook", "only on the loopback address may it be http"),
        ("http://127.0.0.1.example.org/hook", "only on the loopback address may it be http"),
        ("ftp://example.org/", "expected https://host"),
        ("example.org/hook", "expected https://host"),
        ("https:///hook", "expected https://host"),
        ("https://user:secret@example.org/", "it names a user or a password"),
        ("https://example.org/#part", "fragment"),
        ("https://example.org/a\r\nX-Header: 1", "expected https://host"),
        ("https://example.org:70000/", "expected https://host"),
    ],
)
def test_an_address_that_cannot_be_posted_to_is_refused_without_being_shown(url: str, why: str) -> None:
    with pytest.raises(AddressError, match=why) as caught:
        parse_address(url)
    assert "secret" not in str(caught.value)


def test_an_address_is_told_without_its_path_which_may_hold_a_token() -> None:
    address = parse_address("https://hooks.example.org/v1?token=abc")
    assert (address.tls, address.port, address.target) == (True, 443, "/v1?token=abc")
    assert address.told == "hooks.example.org:443"
    assert not parse_address("http://[::1]:8080").tls


def test_tls_goes_with_https_and_with_nothing_else() -> None:
    for url, tls in (("https://h/", None), ("http://localhost/", tls_context(None))):
        with pytest.raises(ValueError, match="belongs to an address with https"):
            Endpoint(parse_address(url), parse_secret(SECRET), timeout_s=1, clock=lambda: 0, tls=tls)


# Answers


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, Outcome.TAKEN), (204, Outcome.TAKEN), (101, Outcome.NOT_NOW), (301, Outcome.NOT_NOW), (400, Outcome.REFUSED)]
    + [(status, Outcome.NOT_NOW) for status in (401, 403, 404, 408, 409, 410, 429, 500, 502, 503, 599)]
    + [(status, Outcome.REFUSED) for status in (413, 415, 422)],
)
def test_only_what_will_never_be_taken_is_refused_for_good(status: int, outcome: Outcome) -> None:
    """A wrong secret (401) or path (404) can be mended while the alert waits."""
    assert outcome_of(status) is outcome


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120),
        (" 7 ", 7),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 40),
        ("Thu, 01 Jan 1970 00:00:10 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("٣", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, now_s=60) == seconds


# Trying again


class Bench:
    """A delivery whose clocks stand still until they are moved, and an endpoint that answers as it is told."""

    def __init__(self, answers: Callable[[str], Answer], **patience: float) -> None:
        self.now_s = 1000.0
        self.posted: list[tuple[float, str]] = []
        self.metrics = Metrics()
        self._answers = answers
        self.delivery = Delivery(
            self._post,
            Patience(**{"give_up_s": 300.0, **patience}),
            deployment_id="d1",
            metrics=self.metrics,
            clock=lambda: int(self.now_s * 1e6),
            elapsed=lambda: self.now_s,
            spread=lambda: 1.0,
        )

    def _post(self, alert: Alert) -> Answer:
        self.posted.append((self.now_s - 1000.0, alert.alert_id))
        return self._answers(alert.alert_id)

    def work_off(self, batch: Sequence[Alert], until_s: float = 10_000.0) -> list[Reject] | None:
        """As the loop does: asks when the delivery is ready, and hands the same batch over until it is settled."""
        while self.now_s - 1000.0 < until_s:
            if self.delivery.ready():
                try:
                    return list(self.delivery(batch))
                except Unavailable:
                    assert not self.delivery.flows()
            self.now_s += 1.0
        return None


def alerts(*ids: str) -> list[Alert]:
    return [make.alert(alert_id=i, alerted_at_us=1_000_000_000) for i in ids]


def test_what_is_taken_is_posted_once_however_often_it_comes() -> None:
    bench = Bench(lambda _: TAKEN)
    assert bench.work_off(alerts("a", "a", "b")) == []
    assert bench.work_off(alerts("a", "b")) == []
    assert [i for _, i in bench.posted] == ["a", "b"]
    assert bench.metrics.total("overt_webhook_attempts_total", outcome="taken") == 2


def test_pauses_double_up_to_a_minute_and_the_last_attempt_is_made_when_it_is_given_up() -> None:
    bench = Bench(lambda _: NOT_NOW)
    assert bench.work_off(alerts("a")) == [Reject(0, Reason.UNDELIVERED)]
    assert [at for at, _ in bench.posted] == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 300]


def test_half_of_a_pause_is_chance() -> None:
    for chance, pause_s in ((0.0, 4.0), (1.0, 8.0)):
        delivery = Delivery(
            lambda _: NOT_NOW,
            Patience(),
            deployment_id="d1",
            metrics=Metrics(),
            clock=lambda: 0,
            elapsed=lambda: 0.0,
            spread=lambda chance=chance: chance,  # type: ignore[misc]
        )
        assert delivery._pause_s(4, NOT_NOW) == pause_s


def test_an_endpoint_that_asks_for_time_gets_it_but_not_beyond_the_end() -> None:
    asking = replace(NOT_NOW, retry_after_s=200.0)
    bench = Bench(lambda _: asking)
    assert bench.work_off(alerts("a")) == [Reject(0, Reason.UNDELIVERED)]
    assert [at for at, _ in bench.posted] == [0, 200, 300]


def test_the_bus_is_asked_once_a_minute_however_long_the_pause() -> None:
    """It would take the member for dead."""
    bench = Bench(lambda _: replace(NOT_NOW, retry_after_s=250.0))
    with pytest.raises(Unavailable, match="answered; attempt 2 follows in 250 s"):
        bench.delivery(alerts("a"))
    bench.now_s += 59
    assert not bench.delivery.ready()
    bench.now_s += 1
    assert bench.delivery.ready()
    with pytest.raises(Unavailable, match="not due"):
        bench.delivery(alerts("a"))
    assert not bench.delivery.ready()
    assert len(bench.posted) == 1


def test_what_waits_holds_up_what_comes_after_it() -> None:
    answers = iter([NOT_NOW, NOT_NOW, TAKEN, TAKEN])
    bench = Bench(lambda _: next(answers))
    assert bench.work_off(alerts("a", "b")) == []
    assert [i for _, i in bench.posted] == ["a", "a", "a", "b"]
    assert bench.delivery.flows()


def test_what_is_refused_is_a_dead_letter_at_once_and_the_others_go_on() -> None:
    bench = Bench(lambda i: REFUSED if i == "b" else TAKEN)
    assert bench.work_off(alerts("a", "b", "c")) == [Reject(1, Reason.REFUSED)]
    assert [i for _, i in bench.posted] == ["a", "b", "c"]


def test_what_was_settled_before_another_was_not_taken_is_not_posted_again() -> None:
    answers = iter([TAKEN, REFUSED, NOT_NOW, TAKEN])
    bench = Bench(lambda _: next(answers))
    assert bench.work_off(alerts("a", "b", "c")) == [Reject(1, Reason.REFUSED)]
    assert [i for _, i in bench.posted] == ["a", "b", "c", "c"]


def test_an_old_alert_is_tried_for_a_minute_all_the_same() -> None:
    """After an outage of the bridge. So a day's backlog of an endpoint that is away does not wait an hour for each."""
    bench = Bench(lambda _: NOT_NOW)
    old = [replace(alert, alerted_at_us=0) for alert in alerts("a", "b")]
    assert bench.work_off(old) == [Reject(0, Reason.UNDELIVERED), Reject(1, Reason.UNDELIVERED)]
    assert [at for at, i in bench.posted if i == "a"] == [0, 1, 3, 7, 15, 31, 60]
    assert bench.posted[-1] == (120, "b")


def test_alerts_of_another_deployment_on_the_topic_are_passed_over() -> None:
    bench = Bench(lambda _: TAKEN)
    assert bench.work_off([make.alert(deployment_id="d2", alert_id="x"), *alerts("a")]) == []
    assert [i for _, i in bench.posted] == ["a"]


def test_the_gauge_says_how_long_an_alert_waits_and_forgets_one_that_went_to_another_member() -> None:
    bench = Bench(lambda _: NOT_NOW)
    assert bench.work_off(alerts("a"), until_s=20) is None
    bench.delivery.tell()
    assert bench.metrics.total("overt_webhook_waiting_seconds") == 20
    bench.now_s += 200
    bench.delivery.tell()
    assert bench.metrics.total("overt_webhook_waiting_seconds") == 0
    assert bench.delivery.flows()


def test_how_long_an_alert_took_is_told() -> None:
    answers = iter([NOT_NOW, NOT_NOW, TAKEN])
    bench = Bench(lambda _: next(answers))
    bench.work_off(alerts("a"))
    assert bench.metrics.total("overt_alert_to_webhook_seconds_sum") == pytest.approx(3)
