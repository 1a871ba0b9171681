"""What an embedded run leaves: alerts on the screen and in alerts.jsonl, a report, a video when it was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from overt.cli import progress
from overt.messages import Alert, Authority, Sightings
from overt.output.alerts_jsonl import AlertLog
from overt.output.annotate import Annotator
from overt.output.report import MOST_SHOWN, write_report
from overt.output.webm import VideoError
from overt.output.wording import KIND, clock
from overt.picture import Picture
from overt.runtime.frame.rules import CameraSummary
from overt.runtime.report_facts import damaged, gather, unread
from overt.runtime.watchlist.enrolment import Enrolment
from overt.runtime.wiring import Wiring
from overt.runtime.world import now_us

_NO_PICTURE = Picture(encoded=b"")


class RunOutputs:
    """Begins with `begin`, is told of alerts and sightings, and finishes its files with `end`.

    images: whether the report shows alerted people beside their reference images; nobody else's picture is written.
    No more pictures are held than it shows, however long the run.
    remarks: sentences that the report's reader must know.
    rarity: how rare a similarity is among strangers, in words, where a certificate tells.
    """

    def __init__(
        self,
        out: Path,
        wiring: Wiring,
        enrolment: Enrolment,
        *,
        annotate: bool,
        images: bool,
        realtime: bool,
        remarks: Sequence[str] = (),
        rarity: Callable[[float], str | None] = lambda _: None,
    ) -> None:
        self._rarity = rarity
        self._out = out
        self._wiring = wiring
        self._enrolment = enrolment
        self._images = images
        self._realtime = realtime
        self._remarks = remarks
        self._log = AlertLog(out / "alerts.jsonl")
        deployment = wiring.deployment
        title = f"{deployment.deployment_id} {deployment.signature.value}"
        self._annotator = _annotator(out, title, realtime=realtime) if annotate else None
        self._alerts: dict[str, Alert] = {}
        """All, without their pictures."""
        self._pictured: dict[str, Alert] = {}
        """The first that the report shows, by capture time."""
        self._began_us = 0
        self._unread = False

    def begin(self) -> None:
        """Makes the folder and says what runs."""
        self._out.mkdir(parents=True, exist_ok=True)
        self._began_us = now_us()
        if not self._realtime:  # the same recording gives the same alerts: a second run replaces the first
            (self._out / "alerts.jsonl").unlink(missing_ok=True)
        self._log.open()
        if self._annotator:
            self._annotator.begin()
        deployment = self._wiring.deployment
        if deployment.signature is Authority.UNSIGNED:
            progress.say(f"{deployment.deployment_id} is UNSIGNED: for trials, not for operational use")

    def observe(self, sightings: Sightings) -> None:
        """Called by the detector for every frame."""
        if self._annotator:
            self._annotator.observe(sightings)

    def alert(self, alert: Alert) -> None:
        """Prints an alert and appends it to alerts.jsonl; a repeated one is passed over."""
        if alert.alert_id in self._alerts:
            return
        bare = replace(alert, probe_image=_NO_PICTURE, context=None)
        self._alerts[alert.alert_id] = bare
        if self._images:
            self._hold(alert)
        if self._annotator:
            self._annotator.alert(bare)
        margin = "" if alert.margin is None else f", margin {alert.margin:.3f}"
        rarity = self._rarity(alert.similarity)
        self._show(
            f"{clock(alert.captured_at_us)}Z  {alert.camera_id}  {alert.subject_id}  {alert.category}"
            f"  {KIND[alert.kind]}  similarity {alert.similarity:.3f} (threshold {alert.threshold:.3f}{margin})"
            f"{'' if rarity is None else f'  {rarity}'}  {alert.authority.value}"
        )
        self._log.append(alert)  # last, so that an alert that no disk takes has at least been shown

    def end(self, cameras: Mapping[str, CameraSummary]) -> None:
        """Finishes the files and says where they are. cameras: what became of each.

        Raises OSError for files that cannot be written; VideoError for a video, when the report is written.
        """
        self._log.close()
        videos, failure = self._videos()
        damages = [*damaged(self._wiring.metrics, cameras), *self._left_out()]
        facts = gather(
            self._wiring,
            self._enrolment,
            [self._pictured.get(alert_id, bare) for alert_id, bare in self._alerts.items()],
            began_us=self._began_us,
            realtime=self._realtime,
            images=self._images,
            videos=[video.name for video in videos],
            remarks=[*self._remarks, *unread(cameras), *damages],
            rarity=self._rarity,
        )
        report = self._out / "report.html"
        write_report(report, facts)
        for damage in damages:
            progress.say(damage)
        many = "alert" if len(self._alerts) == 1 else "alerts"
        progress.say(f"{len(self._alerts)} {many}: {self._out / 'alerts.jsonl'}")
        for video in videos:
            progress.say(f"video: {video}")
        progress.say(f"report: {report}")
        if failure is not None:
            raise failure

    def _hold(self, alert: Alert) -> None:
        self._pictured[alert.alert_id] = alert
        if len(self._pictured) > MOST_SHOWN:
            last = max(self._pictured.values(), key=lambda held: (held.captured_at_us, held.alert_id))
            del self._pictured[last.alert_id]

    def _left_out(self) -> list[str]:
        """A sentence on what is not in the videos."""
        left_out = self._annotator.skipped if self._annotator else 0
        if not left_out:
            return []
        many = "1 picture is" if left_out == 1 else f"{left_out} pictures are"
        return [f"{many} not in the videos: this machine could not write them fast enough. Alerts are not affected."]

    def _show(self, line: str) -> None:
        """A run whose reader has gone goes on: alerts stand in the file."""
        if self._unread:
            return
        try:
            progress.tell(line)
        except OSError as error:
            self._unread = True
            progress.say(f"standard output cannot be written ({error.strerror}): alerts go on to alerts.jsonl only")

    def _videos(self) -> tuple[list[Path], VideoError | None]:
        annotator = self._annotator
        if annotator is None:
            return [], None
        try:
            with progress.during(lambda: f"writing the video: {annotator.waiting} pictures to go"):
                return annotator.close(), None
        except VideoError as error:
            return [], error


def _annotator(out: Path, title: str, *, realtime: bool) -> Annotator:
    """A recording waits for its video, and shows in each frame what the whole run has decided."""
    return Annotator(out, title=title) if realtime else Annotator(out, title=title, wait=True, delay_s=None)
