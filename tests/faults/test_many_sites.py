"""Two sites, each with a broker of its own, and a centre to which MirrorMaker 2 brings alerts and statistics: once, all
of them, whatever happens to the line and to MirrorMaker; and nothing else, and nothing that the centre could open."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from overt.ports import Custody, Unavailable
from overt.runtime.kafka import KafkaLog, existing_topics
from tests.support.kafka_broker import kafka_unavailable
from tests.support.many_sites import SITES, TOPICS, ManySites
from tests.support.many_sites_search import contents, search, search_centre
from tests.support.mirror_maker import mirror_maker_unavailable
from tests.support.redis_server import RedisServer, redis_unavailable
from tests.support.requirements import require
from tests.support.secured import openssl_missing
from tests.support.typed import typed

pytestmark = [pytest.mark.kafka, pytest.mark.redis, pytest.mark.slow, pytest.mark.timeout(600)]

CUT, WHOLE = SITES
_CUT_S = 5.0
_HOURS = 24
_WAIT_S = 150.0


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManySites]:
    """The line to one site was cut for a while, and MirrorMaker killed and started again meanwhile; all that was sent
    has arrived."""
    for missing in (kafka_unavailable(), redis_unavailable(), openssl_missing(), mirror_maker_unavailable()):
        require(missing)
    folder = tmp_path_factory.mktemp("many-sites")
    with (
        RedisServer(folder / "redis") as redis,
        ManySites(folder, redis, again={"refresh.topics.interval.seconds": "3"}) as running,
    ):
        running.send()
        running.wait_arrived(_WAIT_S)
        running.sites[CUT].link.cut()
        time.sleep(1)
        running.mirror.kill()
        time.sleep(1)  # what was under way
        before = len(running.arrived(CUT).alerts)
        running.mirror.start()
        time.sleep(_CUT_S)
        running.wait_arrived(_WAIT_S, WHOLE)
        assert len(running.arrived(CUT).alerts) == before < len(running.sites[CUT].alerts), "the line was cut"
        running.sites[CUT].link.mend()
        running.stop_sending()
        running.wait_arrived(_WAIT_S)
        yield running


@pytest.mark.parametrize("site", SITES)
def test_alerts_and_statistics_of_each_site_are_at_the_centre_once(many: ManySites, site: str) -> None:
    arrived, sent = many.arrived(site), many.sites[site]
    assert len(sent.alerts) > 20
    assert set(arrived.alerts) == set(sent.alerts)
    assert set(arrived.statistics) == set(sent.statistics)
    assert arrived.repeated == 0


def test_nothing_else_is_at_the_centre_and_nothing_new_at_a_site(many: ManySites) -> None:
    def topics(bootstrap: str, properties: dict[str, str]) -> set[str]:
        found = AdminClient({"bootstrap.servers": bootstrap, **properties}).list_topics(timeout=20.0).topics
        return {name for name in found if not name.startswith("__")}

    ours = {f"{site}.overt.{topic}" for site in SITES for topic in TOPICS}
    mirrors = {f"mm2-{what}.{site}.internal" for site in SITES for what in ("configs", "offsets", "status")}
    assert topics(many.broker.bootstrap, many.broker.client) == ours | mirrors
    for site in many.sites.values():
        assert all(name.startswith("overt.") for name in topics(site.broker.bootstrap, site.broker.client))


@pytest.mark.parametrize("name", SITES)
def test_an_alert_leaves_the_centre_when_it_leaves_its_site(many: ManySites, name: str) -> None:
    """The topic is kept as long, and its records have the site's time."""
    centre, site = many.as_user("admin"), many.sites[name].as_user("admin")
    here, there = f"{name}.overt.alerts", "overt.alerts"
    kept = existing_topics(centre, [here])[here].config, existing_topics(site, [there])[there].config
    assert kept[0]["retention.ms"] == kept[1]["retention.ms"] == str(_HOURS * 3_600_000)
    times = [
        [record.timestamp_us for record in KafkaLog(of).read(topic)] for of, topic in ((centre, here), (site, there))
    ]
    assert times[0] == times[1]


def test_the_centre_finds_no_biometric_that_it_can_open(many: ManySites) -> None:
    """No picture in the clear and no key of any site, in whatever form; of what is sealed, pictures of alerts alone,
    which would all open with the sites' keys: the search sees them."""
    found = search_centre(many)
    assert (found.clear, found.unreadable) == ([], [])
    assert set(found.sealed) == {Custody.ALERT}
    assert found.opened == found.sealed.total() == sum(len(site.alerts) for site in many.sites.values())


def test_the_search_would_find_what_it_looks_for(many: ManySites) -> None:
    """A picture or a key that lay at the centre; and passers-by and entries, which a site's disk does hold."""
    known = contents(many)
    for name, content in known.items():
        place = many.folder / "planted"
        place.write_bytes(b"before" + content + b"after")
        assert name in {seen.what for seen in search([place], {name: content}, {}).clear}
    at_site = search([many.sites[CUT].broker.data_dir], {}, many.sites[CUT].secrets_of_keys())
    assert set(at_site.sealed) == set(Custody)


@pytest.mark.parametrize("topic", ["faces", "watchlist", "passes", "adjudications", "audit"])
def test_a_centre_that_was_taken_over_may_read_nothing_else_of_a_site(many: ManySites, topic: str) -> None:
    as_centre = KafkaLog(many.sites[CUT].as_user("centre"))
    assert list(as_centre.read("overt.alerts"))
    with pytest.raises(Unavailable, match=f"overt.{topic}"):
        list(as_centre.read(f"overt.{topic}"))


def test_overt_alerts_tail_shows_every_site_without_a_deployment_file(many: ManySites) -> None:
    done = typed(
        *("alerts", "tail", "--until-end", *(word for site in SITES for word in ("--site", site))),
        kafka_bootstrap=many.broker.bootstrap,
        kafka_ca_file=many.secrets.ca_file,
        kafka_username="console",
        kafka_password_file=many.secrets.folder / "kafka-console.password",
    )
    assert done.returncode == 0, done.stderr
    shown = [json.loads(line) for line in done.stdout.splitlines()]
    for name, site in many.sites.items():
        assert [alert["alert_id"] for alert in shown if alert["site_id"] == name] == site.alerts
    assert "probe_image" not in shown[0]


def test_a_system_of_ones_own_subscribes_to_all_sites_by_pattern(many: ManySites) -> None:
    """As the user `downstream`, who sees no statistics."""
    settings = many.as_user("downstream")
    group = {"group.id": "downstream-test", "auto.offset.reset": "earliest"}
    consumer = Consumer({"bootstrap.servers": settings.bootstrap, **group, **settings.extra})
    consumer.subscribe(["^[^.]+[.]overt[.].*"])
    seen: dict[str, int] = {}
    deadline = time.monotonic() + 60
    wanted = {f"{name}.overt.alerts": len(site.alerts) for name, site in many.sites.items()}
    while seen != wanted and time.monotonic() < deadline:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            topic = message.topic() or ""
            seen[topic] = seen.get(topic, 0) + 1
    consumer.close()
    assert seen == wanted
