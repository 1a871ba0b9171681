"""What `overt serve statistics` tells equals a recount of the topics, whatever happened to its workers."""

from __future__ import annotations

from pathlib import Path

from overt.messages import StatsWindow
from tests.support.counting import CountedSite
from tests.support.kafka_broker import KafkaBroker


def test_two_workers_count_what_is_there_through_a_kill_a_restart_and_repeats(
    tmp_path: Path, kafka: KafkaBroker
) -> None:
    with CountedSite(tmp_path, kafka, "count-1.") as site:
        day = site.day(seed=1, passes=300)
        site.put(day[:150])
        site.start(2)
        site.put(day[150:])
        site.put(day[50:200])  # told twice
        print("first", site.wait_counted())
        site.workers[0].kill()
        site.put(site.day(seed=2, passes=100))
        site.start(1)
        print("second", site.wait_counted())
        site.workers[1].terminate()
        site.put(site.day(seed=3, passes=100))
        print("third", site.wait_counted())
        site_total = [s for s in site.told().values() if s.camera_id is None and s.window is StatsWindow.DEPLOYMENT]
        assert [s.passes for s in site_total] == [500]
