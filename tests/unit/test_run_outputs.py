"""What a run holds until its report is written: no picture that the report will not show, however long it lasts."""

from __future__ import annotations

import gc
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from overt.cli.alerts import is_on
from overt.cli.outputs import RunOutputs
from overt.demo.deployments import own_deployment
from overt.messages import Sightings
from overt.output.report import MOST_SHOWN
from overt.picture import Picture
from overt.ports import Record, Undecodable
from overt.runtime.metrics import Metrics
from overt.runtime.settings import Settings
from overt.runtime.watchlist.enrolment import Enrolment
from overt.runtime.wiring import Wiring
from overt.runtime.world import memory_world
from tests.support import messages as make
from tests.support.output_scenes import START_US, alert_for, frame_of, scene

SIDE = 37
"""Of the faces here, and of no other picture in the tests."""


def outputs(folder: Path, *, images: bool, annotate: bool = False) -> RunOutputs:
    world, _ = memory_world(own_deployment("usb:0", folder))
    wiring = Wiring(world, Settings(cache=folder / "cache"), Metrics(), realtime=True)
    return RunOutputs(folder / "out", wiring, Enrolment(), annotate=annotate, images=images, realtime=True)


def faces_in_memory() -> int:
    gc.collect()
    pictures = [thing for thing in gc.get_objects() if isinstance(thing, Picture)]
    return sum(picture._bgr is not None and picture._bgr.shape[0] == SIDE for picture in pictures)


@pytest.mark.parametrize(("images", "held"), [(False, 0), (True, MOST_SHOWN)])
def test_no_more_pictures_are_held_than_the_report_shows(tmp_path: Path, images: bool, held: int) -> None:
    run = outputs(tmp_path, images=images)
    run.begin()
    order = np.random.default_rng(1).permutation(2 * MOST_SHOWN).tolist()  # cameras are not equally far
    for number in order:
        face = Picture(bgr=np.full((SIDE, SIDE, 3), 7, np.uint8))
        context = Picture(bgr=np.full((SIDE, SIDE, 3), 8, np.uint8))
        run.alert(make.alert(alert_id=f"a{number:04d}", captured_at_us=number, probe_image=face, context=context))
        del face, context
    assert faces_in_memory() == 2 * held  # face and scene
    run.end({})
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert page.count('alt="Face seen by the camera"') == held
    assert "cannot be shown" not in page, "those that are shown are those that are held"
    assert len((tmp_path / "out" / "alerts.jsonl").read_text().splitlines()) == 2 * MOST_SHOWN


@pytest.mark.parametrize(("umask", "mode"), [(0o000, 0o640), (0o022, 0o640), (0o077, 0o600)])
def test_what_a_run_leaves_can_be_read_by_its_owner_and_a_group_at_most(tmp_path: Path, umask: int, mode: int) -> None:
    """Also where a file of before, or of a run that was killed, could be read by everybody."""
    out = tmp_path / "out"
    out.mkdir()
    for before in ("report.html", ".report.html.unfinished", "north.webm"):
        (out / before).touch()
        (out / before).chmod(0o666)
    kept = os.umask(umask)
    try:
        run = outputs(tmp_path, images=True, annotate=True)
        run.begin()
        run.observe(Sightings(frame_of(scene({}), START_US), ()))
        run.alert(alert_for("a"))
        run.end({})
    finally:
        os.umask(kept)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()}
    assert modes == dict.fromkeys(("alerts.jsonl", "report.html", "north.webm"), mode)


def test_what_is_no_alert_on_the_topic_keeps_nobody_from_judging_one() -> None:
    def peek(record: Record) -> dict[str, Any]:
        if record.value is None:
            raise Undecodable("no value")
        return {"alert_id": record.value}

    topic = [Record("alerts", 0, n, "d", value, 0) for n, value in enumerate(["a1", None, "a2"])]
    assert is_on(topic, peek, "a2")
    assert not is_on(topic, peek, "a3")
