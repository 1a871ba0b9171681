"""Real Prometheus asks real runs: every panel and every rule meets series that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.grafana.questions import ALL
from tests.support import runs
from tests.support.cluster import ONE_OF_EACH, Cluster, deployment, distinct
from tests.support.kafka_broker import KafkaBroker
from tests.support.models import CACHE
from tests.support.process import Service, overt
from tests.support.prometheus import PrometheusServer, Rule, alerts, prometheus_unavailable
from tests.support.redis_server import RedisServer
from tests.support.requirements import require
from tests.support.scenes import Scenes

PERSON = "Ray_Romano"
EXPRESSIONS = [
    pytest.param(line.expression, id=f"{dashboard.uid}: {panel.question} {number}")
    for dashboard in ALL
    for panel in dashboard.panels
    for number, line in enumerate(panel.lines)
]
_SELECTOR = re.compile(r"\b(?:overt_\w+|overt:\w+|process_\w+|up)\b(?:\{[^}]*\})?")
_OF_A_SITE = ("overt_guard_paused", 'up{job="overt",part="statistics"}')
"""Series that only `overt serve statistics` has; one process counts nothing in windows."""


@pytest.fixture(scope="module")
def watched(scenes: Scenes, test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """`overt run` over a scene again and again, with one listed person, asked every second; it has alerted."""
    require(prometheus_unavailable())
    folder = tmp_path_factory.mktemp("watched")
    scene = scenes.walk([PERSON])
    people = scenes.watchlist([PERSON], folder / "people")
    camera = runs.camera("c1", scene.video, scene.zone, loop=True)
    content = runs.deployment([camera], people, models=runs.FAST, recognition={"cooldown_s": 1})
    file = runs.write(folder / "deployment.yaml", content)
    settings: dict[str, str | Path] = {"cache": CACHE, "models_dir": test_data / "models"}
    run = Service(overt("run", file, "--out", folder / "out"), folder, settings=settings, name="run")
    with run, PrometheusServer(folder / "prometheus", {"van": run.metrics_port}) as prometheus:
        prometheus.wait_for("increase(overt_alerts_total[1m]) > 0", 120)
        prometheus.wait_for("increase(overt_passes_total[1m]) > 0", 60)
        prometheus.wait_evaluated()
        yield prometheus


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_each_panel_has_an_answer(watched: PrometheusServer, expression: str) -> None:
    """Also where nothing has gone wrong: then it is 0, and not nothing."""
    assert watched.query(expression.replace("$__rate_interval", "1m")), expression


def test_each_rule_was_evaluated_without_an_error(watched: PrometheusServer) -> None:
    rules = {rule["name"]: rule for rule in watched.rules()}
    assert {rule.name for rule in alerts()} | {"overt:window_open"} == set(rules)
    assert {name: rule["lastError"] for name, rule in rules.items() if rule.get("lastError")} == {}
    assert {rule["health"] for rule in rules.values()} == {"ok"}


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule.name)
def test_what_a_rule_looks_at_is_there(watched: PrometheusServer, rule: Rule) -> None:
    """A rule over series that do not exist could never fire."""
    selectors = set(_SELECTOR.findall(rule.expression))
    assert selectors
    for selector in selectors:
        if not selector.startswith(_OF_A_SITE):
            assert watched.query(f"count({selector})"), selector


def test_a_run_that_goes_well_raises_no_alarm_of_its_cameras_keys_or_watchlist(watched: PrometheusServer) -> None:
    """What depends on the machine's speed and disk is left out."""
    quiet = "Overt(Camera.*|NoFrames|Service.*|Bus.*|Dead.*|Partition.*|Galler.*|Watchlist.*|.*Key.*|Guard.*|Stat.*)"
    assert watched.query(f'ALERTS{{alertname=~"{quiet}",alertstate="firing"}}') == []
    assert watched.value("overt:window_open") == 1
    assert watched.value("max(overt_camera_up)") == 1


def test_no_person_is_in_any_series(watched: PrometheusServer) -> None:
    found = watched.query('{__name__=~"overt.*"}')
    assert len(found) > 200
    assert not [series for series in found if "romano" in str(series).lower()]


@pytest.mark.kafka
def test_a_site_over_kafka_answers_every_panel_and_every_rule(
    kafka: KafkaBroker, redis_server: RedisServer, scenes: Scenes, test_data: Path, tmp_path: Path
) -> None:
    """Every service as its own process, the statistics too. Alerts that are judged false pause the site, and no other;
    a person's word resumes it. Keys are given up in time; when Redis is told to keep them, the alarm comes."""
    require(prometheus_unavailable())
    scene = scenes.walk([PERSON])
    people = scenes.watchlist([PERSON], tmp_path / "people")
    more: dict[str, Any] = {"loop": True, "recognition": {"cooldown_s": 1}, "guard": {"detectable": 5}}
    content = deployment({"c1": scene}, people, **more)
    elsewhere = deployment({"c2": scene}, people, name="elsewhere", **more)
    keys: dict[str, str | Path] = {"transient_key_slot_s": "2", "transient_key_life_s": "8"}
    models = test_data / "models"
    with (
        Cluster(tmp_path, kafka, redis_server, content, realtime=True, models_dir=models, settings=keys) as site,
        Cluster(tmp_path / "other", kafka, redis_server, elsewhere, realtime=True, settings=keys) as other,
    ):
        site.prepare()
        other.make_topics()
        site.start({**ONE_OF_EACH, "statistics": 1})
        other.start({"frame": 1})
        ports = {name: site.service(name).metrics_port for name in (*ONE_OF_EACH, "statistics")}
        with PrometheusServer(tmp_path / "prometheus", ports) as prometheus:
            for waited_for in (
                "increase(overt_alerts_total[1m]) > 0",
                "increase(overt_passes_total[1m]) > 0",
                'increase(overt_keys_destroyed_total{custody="transient"}[1m]) > 0',
                "overt_guard_paused",
                "overt_durable_keys > 1",
            ):
                prometheus.wait_for(waited_for, 120)
            prometheus.wait_evaluated()
            asked = [line.expression for dashboard in ALL for panel in dashboard.panels for line in panel.lines]
            asked += [f"count({selector})" for rule in alerts() for selector in set(_SELECTOR.findall(rule.expression))]
            unanswered = [e for e in asked if not prometheus.query(e.replace("$__rate_interval", "1m"))]
            assert set(unanswered) <= {f"count({selector})" for selector in ('up{job="overt",part="van"}',)}
            assert prometheus.value("max(overt_transient_key_life_seconds)") == 8
            assert 0 < (prometheus.value("max(overt_oldest_transient_key_age_seconds)") or 0) < 9
            assert prometheus.value("max(overt_overdue_transient_keys)") == 0
            assert 0 < (prometheus.value("max(overt_oldest_alert_key_age_seconds)") or 0) < 600
            assert prometheus.query('ALERTS{alertname=~"Overt(.*Key.*|Guard.*|Camera.*)"}') == []

            _is_paused_for_false_alerts(site, other, prometheus)
            _is_resumed_by_a_person(site, prometheus)

            redis = redis_server.client()
            assert sum(redis.persist(name) for name in redis.scan_iter("overt:*:key:*:*")) > 0
            redis.close()
            prometheus.wait_for('ALERTS{alertname="OvertKeysNotExpiring",alertstate="firing"}', 60)


def _is_paused_for_false_alerts(site: Cluster, other: Cluster, prometheus: PrometheusServer) -> None:
    """Two of its alerts are judged false. Its frame service captures nothing any more, nor does a new one; the other
    site's goes on."""
    for alert_id in sorted(distinct(site.alerts(), "alert_id"))[:2]:
        site.cli("alerts", "adjudicate", alert_id, "false", "-d", site.file)
    prometheus.wait_for('ALERTS{alertname="OvertGuardTripped",alertstate="firing"}', 60)
    frame = site.service("frame")
    site.wait_until(lambda: frame.scrape().total("overt_guard_paused") == 1, 30, "the frame service knows")
    with site.redis.client() as redis:
        site.wait_until(lambda: not redis.exists("overt:trial:lease:c1"), 30, "the camera is given back")
    assert _read_while_the_other_read_10(site, other) == 0
    frame.kill()
    frame.start()
    assert _read_while_the_other_read_10(site, other) == 0
    assert frame.scrape().total("overt_guard_paused") == 1
    assert frame.scrape().total("overt_ready", service="frame") == 1


def _is_resumed_by_a_person(site: Cluster, prometheus: PrometheusServer) -> None:
    """It captures and alerts again, and nothing of before is weighed."""
    before = len(site.alerts())
    site.cli("guard", "resume", "-d", site.file, "--reason", "a poor image was taken off the list")
    site.wait_until(lambda: len(site.alerts()) > before, 60, "an alert after the pause")
    prometheus.wait_for('absent(ALERTS{alertname="OvertGuardTripped"})', 30)
    assert site.service("statistics").scrape().total("overt_guard_false_alerts") == 0


def _read_while_the_other_read_10(site: Cluster, other: Cluster) -> float:
    """Images that a site has read while the other has read 10 more."""
    read, enough = site.total("overt_frames_read_total", "frame"), other.total("overt_frames_read_total", "frame") + 10
    other.wait_until(lambda: other.total("overt_frames_read_total", "frame") >= enough, 60, "10 images")
    return site.total("overt_frames_read_total", "frame") - read
