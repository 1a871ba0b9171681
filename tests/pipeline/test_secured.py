"""Kafka and Redis as they should run: TLS, a password for each service, and rights that stop at what it needs."""

from __future__ import annotations

import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from confluent_kafka import Consumer, KafkaError, Message, Producer

from overt.ports import Unavailable
from overt.runtime.access import kafka_properties
from overt.runtime.cluster import TopicsAdmin, connect_redis
from overt.runtime.grants import Grant, Resource
from overt.runtime.kafka import apply_grants
from overt.runtime.kafka.client import KafkaSettings
from overt.runtime.redis_client import connect
from overt.runtime.settings import Settings
from tests.support.cluster import SERVICES, deployment
from tests.support.kafka_broker import kafka_unavailable
from tests.support.redis_server import redis_unavailable
from tests.support.requirements import require
from tests.support.scenes import PEOPLE, Scenes, subject
from tests.support.secured import Secrets, SecuredBroker, SecuredCluster, SecuredRedis, openssl_missing
from tests.support.webhook_receiver import SECRET, Receiver, Reply

pytestmark = [pytest.mark.kafka, pytest.mark.redis, pytest.mark.slow]

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Secrets:
    require(openssl_missing())
    return Secrets(tmp_path_factory.mktemp("secrets"))


@pytest.fixture(scope="module")
def cluster(
    secrets: Secrets, scenes: Scenes, test_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecuredCluster]:
    """All services, each as its own user, have worked off one camera's file; they run on."""
    for missing in (kafka_unavailable(), redis_unavailable()):
        require(missing)
    folder = tmp_path_factory.mktemp("secured")
    watchlist = scenes.watchlist(PEOPLE[1:2], folder / "list")
    content = deployment({"c1": scenes.walk(PEOPLE[:2], seed=1)}, watchlist)
    with (
        SecuredBroker(folder / "kafka", secrets) as broker,
        SecuredRedis(folder / "redis", secrets) as redis_server,
        SecuredCluster(folder, broker, redis_server, content, test_data / "models") as running,
    ):
        running.prepare()
        running.start()
        running.wait_done()
        yield running


def test_an_alert_comes_out_through_five_services_with_users_of_their_own(cluster: SecuredCluster) -> None:
    assert [alert["subject_id"] for alert in cluster.alerts()] == [subject(PEOPLE[1])]
    assert not cluster.deadletters()
    assert len(cluster.passes()) == 2


def test_no_service_has_asked_for_what_it_may_not(cluster: SecuredCluster) -> None:
    """Rights are complete: a refusal that a service lives with would hide one that matters."""
    assert not {user for user, _ in _refused_by_kafka(cluster)} & set(SERVICES)
    assert not {user for user, _ in _refused_by_redis(cluster)} & set(SERVICES)


def test_statistics_count_with_rights_of_their_own(cluster: SecuredCluster) -> None:
    """Faust speaks to Kafka through another client; it has no user of Redis. Two workers: the second is known by its
    certificate."""
    service = cluster.add("statistics", wait=False)
    certified = cluster.add("statistics", settings=_certified(cluster, "statistics"))
    service.wait_ready(60)
    cluster.wait_until(lambda: len(cluster.records("site-stats")) > 0, 60, "counts")
    assert "statistics" not in {user for user, _ in _refused_by_kafka(cluster)}
    assert "statistics" not in {user for user, _ in _refused_by_redis(cluster)}
    assert service.child.running
    assert certified.child.running


def test_the_webhook_reads_alerts_and_leaves_dead_letters_with_rights_of_its_own(
    cluster: SecuredCluster, tmp_path: Path
) -> None:
    """It has no user of Redis. Its receiver refuses the alert, so that both rights are needed."""
    secret = tmp_path / "webhook.secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    with Receiver(lambda *_: Reply(422)) as receiver:
        settings: dict[str, str | Path] = {"webhook_url": receiver.url, "webhook_secret_file": secret}
        webhook = cluster.add("webhook", settings=settings)
        webhook.wait_for("overt_records_total", 1, service="webhook")
    assert receiver.ids() == [alert["alert_id"] for alert in cluster.alerts()]
    assert [(dead["stage"], dead["reason"]) for dead in cluster.deadletters()] == [("webhook", "refused")]
    assert "webhook" not in {user for user, _ in _refused_by_kafka(cluster) | _refused_by_redis(cluster)}


def test_pages_and_logs_of_a_service_hold_no_secret_and_pages_no_address(
    cluster: SecuredCluster, secrets: Secrets
) -> None:
    addresses = [cluster.broker.bootstrap, f"127.0.0.1:{cluster.redis.port}", str(secrets.folder)]
    for service in cluster.services.values():
        pages = [_page(service.metrics_port, path) for path in ("/metrics", "/healthz", "/readyz", "/")]
        assert "overt_" in pages[0]
        for text in (*pages, service.log_text()):
            assert not [word for word in secrets.all_passwords if word in text]
        for text in pages:
            assert not [word for word in addresses if word in text]


def test_who_reads_what_it_may_not_is_told_and_ends_with_4(cluster: SecuredCluster) -> None:
    done = cluster.typed_as("detector", "alerts", "tail", "-d", cluster.file, "--until-end")
    assert done.returncode == 4
    assert re.search(r"alerts: .*authorization failed.*overt topics acls", done.stderr), done.stderr
    assert not done.stdout
    assert ("detector", f"{cluster.world.prefix}alerts") in _refused_by_kafka(cluster)


def test_a_console_reads_alerts_and_judges_them(cluster: SecuredCluster) -> None:
    """It has no user of Redis."""
    alert_id = cluster.alerts()[0]["alert_id"]
    shown = cluster.typed_as("console", "alerts", "tail", "-d", cluster.file, "--until-end")
    assert (shown.returncode, shown.stdout.count(alert_id)) == (0, 1), shown.stderr
    judged = cluster.typed_as("console", "alerts", "adjudicate", alert_id, "true", "-d", cluster.file)
    assert judged.returncode == 0, judged.stderr


def test_where_kafka_demands_a_certificate_it_says_who_one_is(cluster: SecuredCluster, tmp_path: Path) -> None:
    """The key may be encrypted. Who has none, or one of another authority, does not get in."""
    shown = cluster.typed_as("console", *_tail(cluster), **_certified(cluster, "console"))
    assert (shown.returncode, shown.stdout.count("alert_id")) == (0, 1), shown.stderr
    other = cluster.typed_as("console", *_tail(cluster), **_certified(cluster, "frame"))
    assert (other.returncode, "authorization failed" in other.stderr) == (4, True), other.stderr

    encrypted, password = tmp_path / "encrypted.key", tmp_path / "password"
    password.write_text("geheim\n")
    words = f"openssl pkcs8 -topk8 -v2 aes256 -in {cluster.secrets.folder}/client-console.key -passout file:{password}"
    subprocess.run([*words.split(), "-out", encrypted], check=True, capture_output=True, timeout=60)
    for path in (encrypted, password):
        path.chmod(0o600)
    mine = {**_certified(cluster, "console"), "kafka_key_file": encrypted, "kafka_key_password_file": password}
    assert cluster.typed_as("console", *_tail(cluster), **mine).returncode == 0

    strange = Secrets(tmp_path / "other").certificate("kafka", "console")
    for wrong in (dict.fromkeys(strange, ""), strange):
        own = {**_certified(cluster, "console"), **wrong, "kafka_ca_file": cluster.ca_file}
        done = cluster.typed_as("console", *_tail(cluster), **own)
        assert (done.returncode, done.stdout) == (4, ""), done.stderr


def test_where_redis_demands_a_certificate_a_user_shows_it(secrets: Secrets, tmp_path: Path) -> None:
    require(redis_unavailable())
    with SecuredRedis(tmp_path, secrets, certified=True) as server:
        user = {name: value for name, value in secrets.settings("frame").items() if name.startswith("redis_")}
        mine = {**user, **secrets.certificate("redis", "frame"), "redis_url": server.url}
        assert connect_redis(Settings.model_validate(mine)).call("TIME")
        with pytest.raises(Unavailable, match="set OVERT_REDIS_CERTIFICATE_FILE"):
            connect_redis(Settings.model_validate({**user, "redis_url": server.url})).call("TIME")


def test_a_downstream_group_reads_alerts_and_nothing_else(cluster: SecuredCluster) -> None:
    alerts = cluster.world.topic("alerts")
    everything = {cluster.world.topic(name) for name in TopicsAdmin(cluster.deployment, Settings()).topics()}
    consumer = _consumer(cluster, "downstream", "downstream.case-system")
    try:
        assert set(consumer.list_topics(timeout=10).topics) == {alerts}
        consumer.subscribe([alerts])
        assert _first(consumer).value()
        consumer.subscribe(sorted(everything - {alerts}))
        refused = _refusals(consumer, len(everything) - 1)
        assert refused == everything - {alerts}
    finally:
        consumer.close()
    assert _producing(cluster, "downstream", alerts) == "TOPIC_AUTHORIZATION_FAILED"


def test_a_downstream_system_joins_no_group_of_a_service(cluster: SecuredCluster) -> None:
    consumer = _consumer(cluster, "downstream", cluster.world.group("alerter"))
    try:
        consumer.subscribe([cluster.world.topic("alerts")])
        error = _first(consumer, of_error=True).error()
        assert error is not None
        assert error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED
    finally:
        consumer.close()


@pytest.mark.parametrize(("user", "topic"), [("detector", "alerts"), ("frame", "faces"), ("console", "watchlist")])
def test_nobody_writes_what_is_another_services(cluster: SecuredCluster, user: str, topic: str) -> None:
    assert _producing(cluster, user, cluster.world.topic(topic)) == "TOPIC_AUTHORIZATION_FAILED"


def test_a_wrong_password_is_told_and_not_shown(cluster: SecuredCluster, tmp_path: Path) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("not-the-word\n")
    wrong.chmod(0o600)
    done = cluster.typed_as("console", *_tail(cluster), kafka_password_file=wrong)
    assert (done.returncode, "not-the-word" in done.stderr) == (4, False)
    assert "SASL authentication error" in done.stderr
    client = connect(cluster.redis.url, username="frame", password="not-the-word", ca_file=cluster.ca_file)
    with pytest.raises(Unavailable, match=r"(?i)invalid username-password") as caught:
        client.call("TIME")
    assert "not-the-word" not in str(caught.value)


def test_a_server_whose_certificate_another_authority_signed_is_not_believed(
    cluster: SecuredCluster, tmp_path: Path
) -> None:
    other = Secrets(tmp_path / "other").ca_file
    done = cluster.typed_as("console", *_tail(cluster), kafka_ca_file=other)
    assert done.returncode == 4
    assert "certificate verify failed" in done.stderr
    password = cluster.secrets.password("redis", "frame")
    client = connect(cluster.redis.url, username="frame", password=password, ca_file=other)
    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        client.call("TIME")


def test_who_comes_in_the_clear_or_without_a_name_is_turned_away(cluster: SecuredCluster) -> None:
    nobody = {"kafka_username": "", "kafka_password_file": ""}
    for left_out in (nobody, {**nobody, "kafka_ca_file": ""}):
        assert cluster.typed_as("console", *_tail(cluster), **left_out).returncode == 4
    with pytest.raises(Unavailable):
        connect(cluster.redis.url.replace("rediss:", "redis:")).call("TIME")
    with pytest.raises(Unavailable, match="set OVERT_REDIS_USERNAME"):
        connect(cluster.redis.url, ca_file=cluster.ca_file).call("TIME")


def test_a_user_of_redis_touches_its_services_values_only(cluster: SecuredCluster) -> None:
    """Values that the run has left, and a key of a passer-by; each tried as every user by the server's own rules."""
    own = "overt:trial:"
    run = cluster.world.prefix.replace("/", "%2F")
    values = {
        f"{own}key:somewhere:1": {"frame", "detector", "embedder", "matcher"},
        f"{own}lease:c1": {"frame"},
        f"{own}epoch:c1": {"frame"},
        f"{own}progress:{run}:c1": {"frame"},
        f"{own}state:{run}:detector:c1": {"detector"},
        f"{own}state:{run}:embedder:c1": {"embedder"},
        f"{own}state:{run}:alerter:c1": {"alerter"},
    }
    with cluster.secured_redis.client() as everybody:
        there = {name.decode() for name in everybody.scan_iter()}
        assert set(values) - there <= {f"{own}key:somewhere:1", f"{own}lease:c1"}, there
        for name, may in values.items():
            for user in (*SERVICES, "watchlist"):
                for command in (("GET", name), ("HGET", name, "payload"), ("HMGET", name, "cause")):
                    answer = everybody.execute_command("ACL", "DRYRUN", user, *command)
                    assert answer == b"OK" or user not in may or command[0] != _READS.get(name.split(":")[2], "GET")
                    assert answer != b"OK" or user in may, (user, command)
    for user, name in (("detector", f"{own}state:{run}:alerter:c1"), ("alerter", f"{own}key:somewhere:1")):
        with cluster.secured_redis.client(user) as client, pytest.raises(redis.exceptions.NoPermissionError):
            client.get(name)


_READS = {"state": "HMGET", "lease": "HGET"}


def test_rights_are_brought_to_the_contract_and_others_are_left_alone(cluster: SecuredCluster) -> None:
    """Applying again changes nothing; a right that the contract does not know is taken away."""
    prefix = cluster.world.prefix
    stray = Grant("detector", Resource.TOPIC, f"{prefix}alerts", "Read")
    foreign = [
        Grant("detector", Resource.TOPIC, "not-overts", "Read"),
        Grant("mirror", Resource.TOPIC, f"{prefix}alerts", "Read"),
    ]
    apply_grants(_kafka(cluster, "admin"), [stray, *foreign], lambda _: False)
    again = ("topics", "acls", "-d", cluster.file, "--apply")
    assert "0 given now, 1 taken away" in cluster.typed_as("admin", *again).stderr
    assert "0 given now, 0 taken away" in cluster.typed_as("admin", *again).stderr
    assert apply_grants(_kafka(cluster, "admin"), foreign, lambda _: False) == ([], [])
    refused = cluster.typed_as("topics", *again)
    assert refused.returncode == 4
    assert "authorization failed" in refused.stderr


def test_the_watchlists_owner_changes_it_while_the_matcher_runs(cluster: SecuredCluster) -> None:
    """The matcher says through Redis that it has applied the change."""
    words = ("-d", cluster.file, "--reason", "a test")
    removed = cluster.typed_as("watchlist", "watchlist", "remove", "--subject", subject(PEOPLE[1]), *words)
    assert removed.returncode == 0, removed.stderr
    told = cluster.typed_as("watchlist", "watchlist", "log", "-d", cluster.file)
    assert told.stdout.count("a test") == 1, told.stderr
    assert not {user for user, _ in _refused_by_redis(cluster)} & {"matcher", "watchlist"}
    assert not {user for user, _ in _refused_by_kafka(cluster)} & {"matcher", "watchlist"}


def _tail(cluster: SecuredCluster) -> tuple[str | Path, ...]:
    return ("alerts", "tail", "-d", cluster.file, "--until-end")


def _certified(cluster: SecuredCluster, user: str) -> dict[str, str | Path]:
    """Settings of a process that a certificate alone makes known to Kafka."""
    assert isinstance(cluster.broker, SecuredBroker)
    nobody = {"kafka_username": "", "kafka_password_file": "", "kafka_bootstrap": cluster.broker.certified}
    return {**nobody, **cluster.secrets.certificate("kafka", user)}


def _page(port: int, path: str) -> str:
    try:
        with _OPENER.open(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return f"{answer.headers}{answer.read().decode()}"
    except urllib.error.HTTPError as error:
        return f"{error.headers}{error.read().decode()}"


def _refused_by_kafka(cluster: SecuredCluster) -> set[tuple[str, str]]:
    """User and resource of each refusal in the authorizer's log."""
    text = cluster.broker.log_path.read_text()
    return set(re.findall(r"Principal = User:(\S+) is Denied .* on resource = \w+:\w+:(\S+) for", text))


def _refused_by_redis(cluster: SecuredCluster) -> set[tuple[str, str]]:
    """User and object of each refusal; the client's own greeting is not the service's wish."""
    with cluster.secured_redis.client() as everybody:
        log: Any = everybody.acl_log()
    return {(e["username"], e["object"]) for e in log if e["object"] != "client|setinfo"}


def _kafka(cluster: SecuredCluster, user: str) -> KafkaSettings:
    found = {name: str(value) for name, value in cluster.secrets.settings(user).items() if value}
    return KafkaSettings(cluster.broker.bootstrap, "test", kafka_properties(Settings.model_validate(found)))


def _consumer(cluster: SecuredCluster, user: str, group: str) -> Consumer:
    kafka = _kafka(cluster, user)
    own = {"bootstrap.servers": kafka.bootstrap, "group.id": group, "auto.offset.reset": "earliest", "log_level": 0}
    return Consumer({**own, **kafka.extra})


def _first(consumer: Consumer, *, of_error: bool = False) -> Message:
    for _ in range(200):
        message = consumer.poll(0.1)
        if message is not None and (message.error() is not None) == of_error:
            return message
    raise AssertionError("nothing came within 20 s")


def _refusals(consumer: Consumer, count: int) -> set[str | None]:
    """Topics of the first errors that say so."""
    found: set[str | None] = set()
    for _ in range(count):
        message = _first(consumer, of_error=True)
        error = message.error()
        assert error is not None
        assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED, error
        found.add(message.topic())
    return found


def _producing(cluster: SecuredCluster, user: str, topic: str) -> str | None:
    """The name of the error that a record comes back with; None: it was taken."""
    kafka = _kafka(cluster, user)
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0, **kafka.extra})
    errors: list[KafkaError | None] = []
    producer.produce(topic, b"no message", on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(20) == 0
    return errors[0].name() if errors[0] is not None else None
