"""The gallery of a process: it says what answers and how well, and an index is made beside it while it answers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from overt.matcher.exact import ExactGallery
from overt.matcher.live import Kind, Options
from overt.runtime.metrics import Metrics
from overt.runtime.report_facts import look_ups
from overt.runtime.watchlist.gallery import ServedGallery, said
from tests.support.messages import DIMENSION, SPACE
from tests.unit.test_matcher_live import Clock, entry, found

INDEXED = Options(smallest=100 * DIMENSION, probes=3100, efs=(512,), threshold=0.9)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def gallery(metrics: Metrics) -> Iterator[ServedGallery]:
    """One whose index seems to cost half of what comparing everybody costs."""
    made = ServedGallery(SPACE, DIMENSION, metrics, INDEXED, Clock([2.0, 1.0]))
    yield made
    made.close()


def wait(until: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 120
    while not until():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def kind(metrics: Metrics) -> str:
    (sample,) = [s for family in metrics.gallery.collect() for s in family.samples]
    assert sample.labels["space"] == SPACE
    return sample.labels["kind"]


def test_a_short_list_is_compared_whole_without_a_thread(gallery: ServedGallery, metrics: Metrics) -> None:
    before = threading.active_count()
    gallery.apply([entry(n, n) for n in range(99)])
    gallery.loaded()
    assert threading.active_count() == before
    assert (kind(metrics), metrics.total("overt_gallery_entries")) == ("exact", 99)
    assert metrics.total("overt_gallery_recall", bound="lower95") == 1
    assert look_ups(metrics) == "every probe was compared with every entry"
    assert said(gallery.answer) == "everybody is compared: the list is short enough to compare everybody"


def test_no_index_is_begun_before_everything_that_was_there_is_in(gallery: ServedGallery) -> None:
    pytest.importorskip("hnswlib")
    gallery.apply([entry(n, n) for n in range(120)])
    assert not [thread for thread in threading.enumerate() if thread.name == "gallery"]


def test_a_long_list_says_how_far_it_is_while_it_comes_in_and_not_afterwards(
    gallery: ServedGallery, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("overt.runtime.watchlist.gallery._LOADING_TOLD_EVERY_S", 0.0)
    with caplog.at_level(logging.INFO):
        gallery.apply([entry(n, n) for n in range(50)])
        assert "gallery: 50 entries are in, 0 MB" in caplog.text
        gallery.loaded()
        gallery.apply([entry(50, 50)])
    assert "51 entries are in" not in caplog.text


def test_an_index_is_made_beside_it_and_told_and_kept_up(
    gallery: ServedGallery, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("hnswlib")
    with caplog.at_level(logging.INFO):
        gallery.apply([entry(n, n) for n in range(300)])
        gallery.loaded()
        wait(lambda: gallery.answer.kind is Kind.HNSW and kind(metrics) == "hnsw")
        wait(lambda: "gallery: an HNSW index answers" in caplog.text)
    assert (
        "building an index of 300 entries, 0 MB beside the list's 0 MB; everybody is compared meanwhile" in caplog.text
    )
    assert metrics.total("overt_gallery_recall", bound="measured") == 1
    assert 0.999 <= metrics.total("overt_gallery_recall", bound="lower95") < 1
    assert metrics.total("overt_gallery_ef") == 512
    assert metrics.total("overt_gallery_building") == 0
    assert metrics.total("overt_gallery_lookup_seconds", kind="hnsw") == pytest.approx(1 / 16)
    assert "finds 1.0000, at least 0.999" in look_ups(metrics)
    gallery.apply([entry(900, 900)], ["e001"])
    serving = gallery._live._serving
    assert serving is not None
    wait(lambda: not serving.behind)
    wanted = ExactGallery(SPACE, [entry(n, n) for n in (*range(300), 900) if n != 1])
    assert found(gallery._live, [1, 2, 900]) == found(wanted, [1, 2, 900])


def test_an_index_that_fails_is_let_go_and_everybody_is_compared(
    gallery: ServedGallery, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would keep who is removed from then on."""
    pytest.importorskip("hnswlib")
    failed = list[object]()
    monkeypatch.setattr(threading, "excepthook", failed.append)
    gallery.apply([entry(n, n) for n in range(300)])
    gallery.loaded()
    wait(lambda: kind(metrics) == "hnsw")

    def fail(row: int) -> None:
        raise OverflowError("a fault")

    monkeypatch.setattr(gallery._live._serving, "forget", fail)
    gallery.apply(removes=["e001"])
    wait(lambda: bool(failed))
    assert (gallery.answer.kind, kind(metrics)) == (Kind.EXACT, "exact")
    assert "e001" not in {c.entry_id for c in found(gallery._live, [1])[0]}
