"""What an ordeal's topics say afterwards: promised and made, missing and doubled, and who passed unseen in peace."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from overt.demo.scene import read
from overt.messages import Alert
from tests.support.ordeal import COOLDOWN_S, KEY_LIFE_S, Ordeal, S
from tests.support.scenes import TestScene

WHOLE = 0.9
"""The share of a pass's frames that must have come onto the bus for the pass to be judged."""
_READING = re.compile(r"camera (\S+): reading .* \(epoch (\d+), from image (\d+)\)")


@dataclass
class Passes:
    """Passes of people who can be recognised, with no frame inside an outage and no cool-down over them."""

    due: int = 0
    thinned: int = 0
    """So many more lost frames to a machine that was too slow; they are not judged."""
    unseen: list[str] = field(default_factory=list)


@dataclass
class Judgement:
    """All that was promised, and what came of it. Alerts by id."""

    promised: dict[str, Alert]
    made: dict[str, dict[str, Any]]
    repeated: int
    doubled: list[tuple[dict[str, Any], dict[str, Any]]]
    """Pairs of different alerts for one subject and camera within a cool-down."""
    expired_us: list[int]
    """When records were given up since their key was gone."""
    late: list[int]
    """Those of them that no outage explains."""
    other: list[Mapping[str, str]]
    """Headers of all other dead letters."""
    passes: Passes
    unopened: int

    @property
    def missing(self) -> list[str]:
        return sorted(self.promised.keys() - self.made.keys())

    def __str__(self) -> str:
        return (
            f"promised {len(self.promised)}, made {len(self.made)}, missing {len(self.missing)}, doubled "
            f"{len(self.doubled)}, repeated records {self.repeated}; listed passes outside any outage "
            f"{self.passes.due}, of them not alerted on {len(self.passes.unseen)}, thinned by load "
            f"{self.passes.thinned}; expired {len(self.expired_us)}, outside an outage {len(self.late)}; not opened by "
            f"the witness {self.unopened}"
        )


def judge(ordeal: Ordeal, cameras: Mapping[str, TestScene], recognised: Collection[tuple[str, str]]) -> Judgement:
    """After everything has stopped and been worked off, the witness too."""
    cluster, witness = ordeal.cluster, ordeal.witness
    on_topic = cluster.alerts()
    made = {alert["alert_id"]: alert for alert in reversed(on_topic)}  # the first of each
    letters = cluster.records("deadletters")
    gone = [letter for letter in letters if letter.headers["reason"] == "key_gone"]
    expired = [(letter.headers["topic"].removeprefix(cluster.world.prefix), *_place(letter.headers)) for letter in gone]
    expired_us = [letter.timestamp_us for letter in gone]
    return Judgement(
        promised=witness.promised(cluster._settings, expired),
        made=made,
        repeated=len(on_topic) - len(made),
        doubled=_doubled(list(made.values())),
        expired_us=expired_us,
        late=[at for at in expired_us if not ordeal.inside(at, at, KEY_LIFE_S * S)],
        other=[letter.headers for letter in letters if letter.headers["reason"] != "key_gone"],
        passes=_calm_passes(ordeal, cameras, recognised, list(made.values())),
        unopened=witness.unopened,
    )


def _place(headers: Mapping[str, str]) -> tuple[int, int]:
    return int(headers["partition"]), int(headers["offset"])


def _doubled(alerts: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    found = []
    for one in alerts:
        for other in alerts:
            apart = int(other["captured_at_us"]) - int(one["captured_at_us"])
            same = (one["subject_id"], one["camera_id"]) == (other["subject_id"], other["camera_id"])
            if same and one["alert_id"] != other["alert_id"] and 0 <= apart < COOLDOWN_S * S:
                found.append((one, other))
    return found


def _calm_passes(
    ordeal: Ordeal,
    cameras: Mapping[str, TestScene],
    recognised: Collection[tuple[str, str]],
    alerts: Sequence[dict[str, Any]],
) -> Passes:
    """Where a file was begun in an epoch, and with it who passes when, stands in the frame service's log."""
    begun = {(camera, int(epoch)): int(image) for camera, epoch, image in _READING.findall(ordeal.frame_log())}
    found = Passes()
    for (camera, number), epoch in ordeal.witness.epochs.items():
        if camera not in cameras:
            continue
        scene = cameras[camera]
        zero_us = epoch.first_us - round(begun[camera, number] / scene.fps * S)
        for turn in range(int((epoch.last_us - zero_us) / S / scene.seconds) + 1):
            for walker in read(scene.video).walkers:
                began, ended = (
                    zero_us + round((turn * scene.seconds + frame / scene.fps) * S)
                    for frame in (walker.first_frame, walker.last_frame)
                )
                whole = max(epoch.first_us, ordeal.settled_us) <= began and ended <= epoch.last_us
                if (camera, walker.label) not in recognised or not whole or ordeal.inside(began, ended, S):
                    continue
                own = [
                    int(a["captured_at_us"])
                    for a in alerts
                    if (a["camera_id"], a["subject_id"]) == (camera, walker.label)
                ]
                if any(began - (COOLDOWN_S + 1) * S < at < began - S for at in own):
                    continue
                filmed = round((ended - began) / S * scene.fps)
                shed = any(began <= at <= ended + 3 * S for at in ordeal.shed_us)
                if shed or epoch.frames_within(began, ended) < WHOLE * filmed:
                    found.thinned += 1
                    continue
                found.due += 1
                if not any(began - S <= at <= ended + S for at in own):
                    found.unseen.append(f"{walker.label} at {camera}, epoch {number}, {(began - zero_us) / S:.1f} s")
    return found
