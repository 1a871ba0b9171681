"""What `overt serve statistics` tells equals a recount of the topics, whatever happened to its workers or its broker;
and its guard pauses the site."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from overt.messages import Adjudication, AuditAction, AuditEvent, GuardState, StatsWindow, Verdict
from tests.support import messages as make
from tests.support.counting import CountedSite
from tests.support.kafka_broker import KafkaBroker


@pytest.mark.slow
def test_two_workers_count_what_is_there_through_a_kill_a_restart_and_repeats(
    tmp_path: Path, kafka: KafkaBroker
) -> None:
    with CountedSite(tmp_path, kafka, "count-1.") as site:
        day = site.day(seed=1, passes=300)
        site.put(day[:150])
        site.start(2)
        site.put(day[150:])
        site.put(day[50:200])  # told twice
        site.wait_counted()
        site.workers[0].kill()
        site.put(site.day(seed=2, passes=100))
        site.start(1)
        site.wait_counted()
        assert site.workers[1].terminate() < 10
        site.put(site.day(seed=3, passes=100))
        site.wait_counted()
        whole = [s for s in site.told().values() if s.camera_id is None and s.window is StatsWindow.DEPLOYMENT]
        assert [s.passes for s in whole] == [500]


@pytest.mark.slow
def test_after_the_broker_was_killed_the_counts_are_right_again(
    tmp_path: Path, kafka_factory: Callable[..., KafkaBroker]
) -> None:
    """Faust goes on by itself, or stands still and ends, which the watchdog sees to; whichever happens, nothing is lost
    and nothing doubled."""
    broker = kafka_factory()
    with CountedSite(tmp_path, broker, "count-2.") as site:
        site.put(site.day(seed=1, passes=150))
        site.start(1)
        site.wait_counted()
        site.put(site.day(seed=2, passes=150))
        broker.kill()
        time.sleep(3)
        broker.start()
        site.put(site.day(seed=3, passes=50))
        site.wait_counted(120.0)


@pytest.mark.slow
def test_a_site_with_too_many_false_alerts_is_paused_until_a_person_says_otherwise(
    tmp_path: Path, kafka: KafkaBroker
) -> None:
    with CountedSite(tmp_path, kafka, "count-3.") as site:
        at_us = site.start_us
        site.put([make.passing(track_id=f"p{n}", camera_id="c1", first_seen_us=at_us) for n in range(100)])
        for n in range(6):
            site.put([make.alert(alert_id=f"a{n}", deployment_id="trial", camera_id="c1", captured_at_us=at_us)])
        site.start(1)
        site.wait_counted()
        assert site.guard() is None
        assert json.loads(site.command("guard", "status", "--json").stdout)["state"] == "open"
        site.put([_false(f"a{n}") for n in range(6)])
        site.wait_until(lambda: site.guard() is not None, "a pause")
        paused = site.guard()
        assert paused is not None
        assert (paused.state, paused.passes, paused.false_alerts) == (GuardState.PAUSED, 100, 6)
        shown = site.command("guard", "status")
        assert shown.returncode == 7
        assert "6 false alerts among 100 passes" in shown.stdout
        # It survives the service; and a person ends it, with a reason, which is in the audit.
        site.workers[0].kill()
        site.start(1)
        site.wait_until(lambda: site.workers[1].scrape().total("overt_guard_paused") == 1, "it knows of the pause")
        assert site.command("guard", "resume", "--reason", " ").returncode == 2
        resumed = site.command("guard", "resume", "--reason", "threshold raised", "--by", "somebody")
        assert resumed.returncode == 0, resumed.stderr
        site.wait_until(lambda: site.workers[1].scrape().total("overt_guard_paused") == 0, "it is resumed")
        last = site.guard()
        assert last is not None
        assert last.state is GuardState.OPEN
        audit = {(e.action, e.actor, e.reason) for e in site.read(AuditEvent)}
        assert audit == {
            (AuditAction.SITE_PAUSED, "guard", paused.reason),
            (AuditAction.SITE_RESUMED, "somebody", "threshold raised"),
        }
        assert site.command("guard", "resume", "--reason", "once more").returncode == 2


def _false(alert_id: str) -> Adjudication:
    return make.adjudication(
        adjudication_id=f"j-{alert_id}", alert_id=alert_id, deployment_id="trial", verdict=Verdict.FALSE
    )
