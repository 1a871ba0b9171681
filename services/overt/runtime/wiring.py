"""The composition root: which stage runs with which model, rules and bus. Nothing else puts parts together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from overt.alerter.stage import AlerterStage, ConfirmationRule, Scene
from overt.alerter.state import AlerterState
from overt.detector.align import Aligner
from overt.detector.bestshot import ShotPolicy
from overt.detector.calibration import shipped_calibration
from overt.detector.families import make_detector
from overt.detector.locate import Locator
from overt.detector.quality import Gate
from overt.detector.stage import DetectorStage
from overt.detector.state import DetectorState
from overt.embedder.fusion import Memory
from overt.embedder.model import EmbeddingModel
from overt.embedder.stage import EmbedderStage
from overt.embedder.state import EmbedderState
from overt.frame.readers import OpenReader, open_reader
from overt.frame.stillness import still_rule
from overt.governance.watchlists import Category
from overt.matcher.live import Options
from overt.matcher.stage import CategoryRule, MatcherStage
from overt.messages import Alert, Message, Sightings
from overt.picture import Bgr, use_threads
from overt.ports import Gallery
from overt.runtime.cooldowns import CooldownHistory
from overt.runtime.frame.plans import plans_of
from overt.runtime.frame.rules import FrameRules
from overt.runtime.frame.service import FrameService
from overt.runtime.loaded import LoadedModels
from overt.runtime.metrics import Metrics
from overt.runtime.runners import Runner, StatefulRunner, StatelessRunner
from overt.runtime.series import begin_at_zero
from overt.runtime.settings import Settings
from overt.runtime.watchlist.following import WatchlistView
from overt.runtime.watchlist.removed import WithoutRemoved
from overt.runtime.worker import Companion, Plan, Worker
from overt.runtime.world import World, now_us
from overt.watchlist.enrol import Extractor, FoundFaces

STAGES = ("detector", "embedder", "matcher", "alerter")
_READS = {"detector": "frames", "embedder": "faces", "matcher": "embeddings", "alerter": "matches"}
_MATCHES_AT_ONCE = 64
_HISTORY_MARGIN_US = 600_000_000  # ten minutes: capture may be that much older than the alert on its topic


class Wiring:
    """Builds the workers of one process from a deployment, a world and settings. `opens` opens a camera's source."""

    def __init__(
        self,
        world: World,
        settings: Settings,
        metrics: Metrics,
        *,
        realtime: bool,
        opens: OpenReader = open_reader,
    ) -> None:
        self.world = world
        self.opens = opens
        self.deployment = world.deployment
        self.settings = settings
        self.metrics = metrics
        self.realtime = realtime
        use_threads(settings.threads or 1)
        self.models = LoadedModels(world.deployment, settings, metrics)

    def worker(self, service: str, observe: Callable[[Sightings], None] | None = None) -> Worker:
        """The worker of a service, one of `STAGES`. `observe` is told what a detector sees in each frame."""
        build: dict[str, Callable[[], tuple[Runner[Any, Any], int, Companion | None]]] = {
            "detector": lambda: self._detector(observing=observe is not None),
            "embedder": self._embedder,
            "matcher": self._matcher,
            "alerter": self._alerter,
        }
        begin_at_zero(self.metrics, service, self.deployment)
        runner, most, companion = build[service]()
        world = self.world

        def chores() -> None:
            world.chores()
            runner.tidy()

        plan = Plan(
            service=service,
            reads=world.topic(_READS[service]),
            most=most,
            route=world.route,
            deadletters=world.topic("deadletters"),
            realtime=self.realtime,
        )
        return Worker(
            plan,
            runner,
            source=world.source(world.group(service)),
            sink=world.sink(),
            codec=world.codec,
            metrics=self.metrics,
            clock=now_us,
            stamp=_stamp,
            observe=observe,
            companion=companion,
            chores=chores,
            tracing=world.tracing,
        )

    def frame_service(self, *, serving: bool = False) -> FrameService:
        """Reads the deployment's cameras. serving: it stays when its files have ended, since others' may come to it.

        Raises overt.frame.source.CameraError for a source that cannot be one, or whose file cannot be read.
        """
        deployment, world = self.deployment, self.world
        begin_at_zero(self.metrics, "frame", deployment)
        rules = FrameRules(
            realtime=self.realtime,
            serving=serving,
            max_delay_s=deployment.realtime.max_delay_s,
            unconsumed_most=self.settings.unconsumed_frames,
            window_us=(deployment.window.start_us, deployment.window.end_us),
            still=still_rule(deployment.recognition.min_face_px) if deployment.realtime.skip_unchanged else None,
        )
        return FrameService(
            plans_of(deployment),
            rules,
            leases=world.leases,
            sink=world.sink(),
            codec=world.codec,
            frames_waiting=world.frames_waiting,
            metrics=self.metrics,
            clock=now_us,
            topic=world.topic("frames"),
            may_capture=world.may_capture,
            opens=self.opens,
            tracing=world.tracing,
        )

    def locator(self) -> Locator:
        """The deployment's detector, opened."""
        card, options = self.models.detector, self.deployment.recognition
        detector = make_detector(card, self.models.detector_session.run)
        return Locator(detector, min_face_px=options.min_face_px, sure_score=options.detection_threshold)

    def aligner(self) -> Aligner:
        """Cuts chips as the embedder's card wants them."""
        alignment = self.models.embedder.alignment
        return Aligner(np.asarray(alignment.points_xy, np.float64), alignment.chip_px)

    def extractor(self) -> Extractor:
        """From a reference image to a template, with the models that also see the passers-by."""
        locator, aligner, model = self.locator(), self.aligner(), self.embedding_model()

        def find(bgr: Bgr) -> FoundFaces:
            found = locator.locate_precisely(bgr)
            return FoundFaces(found.xyxy, found.landmarks, found.scores)

        return Extractor(find, aligner.chip, model.embed, self.models.embedder.space_id)

    def embedding_model(self) -> EmbeddingModel:
        """The deployment's embedding model, opened."""
        session = self.models.embedder_session
        return EmbeddingModel(self.models.embedder, lambda tensor: np.asarray(session.run(tensor)["embedding"]))

    def _detector(self, *, observing: bool) -> tuple[Runner[Any, Any], int, Companion | None]:
        options = self.deployment.recognition
        stage = DetectorStage(
            self.locator(),
            self.aligner(),
            calibration=shipped_calibration(self.models.detector.decoder),
            gate=Gate(min_face_px=options.min_face_px),
            shots=ShotPolicy(budget=options.crops_per_track),
            context=self.deployment.context,
            observe=observing,
        )
        runner = StatefulRunner(
            "detector",
            stage,
            state_type=DetectorState,
            store=self.world.store,
            codec=self.world.state_codec,
            tell=self._tell_tracks,
        )
        return runner, self.settings.detector_batch, None

    def _tell_tracks(self, camera: str, state: DetectorState | None) -> None:
        in_view = sum(track.confirmed for track in state.tracks) if state else 0
        self.metrics.tracks.labels(camera).set(in_view)

    def embedder_stage(self) -> EmbedderStage:
        """Faces to probes."""
        options = self.deployment.recognition
        memory = Memory(faces=options.crops_per_track) if options.fuse_tracks else None
        return EmbedderStage(self.embedding_model(), memory)

    def matcher_stage(self, gallery: Callable[[], Gallery]) -> MatcherStage:
        """Probes to matches, with each category's threshold."""
        categories = self.deployment.watchlist.categories
        rules = {c.category_id: CategoryRule(c.kind, self.models.thresholds(c).match) for c in categories}
        return MatcherStage(gallery, rules, self.models.embedder.dimension)

    def alerter_stage(self) -> AlerterStage:
        """Matches to alerts, with each category's confirmation."""
        deployment = self.deployment
        return AlerterStage(
            deployment.deployment_id,
            {c.camera_id: Scene(deployment.site.site_id, c.zone.zone_id) for c in deployment.cameras},
            {c.category_id: self._confirmation(c) for c in deployment.watchlist.categories},
            cooldown_us=self._cooldown_us,
            authority=deployment.signature,
        )

    @property
    def _cooldown_us(self) -> int:
        return round(self.deployment.recognition.cooldown_s * 1e6)

    def _confirmation(self, category: Category) -> ConfirmationRule:
        strong = self.models.thresholds(category).strong
        return ConfirmationRule(strong, category.confirmations, round(category.within_s * 1e6))

    def _embedder(self) -> tuple[Runner[Any, Any], int, Companion | None]:
        runner = StatefulRunner(
            "embedder",
            self.embedder_stage(),
            state_type=EmbedderState,
            store=self.world.store,
            codec=self.world.state_codec,
            life_s=self.settings.transient_key_life_s,
        )
        return runner, self.settings.embedder_batch, None

    def _matcher(self) -> tuple[Runner[Any, Any], int, Companion | None]:
        world, categories = self.world, self.deployment.watchlist.categories
        view = WatchlistView(
            lambda: world.log.follow(world.topic("watchlist")),
            world.codec,
            deployment_id=self.deployment.deployment_id,
            space_id=self.models.embedder.space_id,
            dimension=self.models.embedder.dimension,
            categories=[category.category_id for category in categories],
            metrics=self.metrics,
            attendance=world.attendance,
            spend=world.spend,
            lookup=Options(threshold=min(self.models.thresholds(c).match for c in categories)),
        )
        return StatelessRunner("matcher", self.matcher_stage(view.gallery)), _MATCHES_AT_ONCE, view

    def _alerter(self) -> tuple[Runner[Any, Any], int, Companion | None]:
        world = self.world
        stage = self.alerter_stage()
        history = None
        if world.peek is not None:
            history = CooldownHistory(
                world.log,
                world.peek,
                world.topic("alerts"),
                deployment_id=self.deployment.deployment_id,
                span_us=self._cooldown_us + _HISTORY_MARGIN_US if self.realtime else None,
                track_us=stage.track_us,
                clock=now_us,
            )
        runner = StatefulRunner(
            "alerter",
            stage,
            state_type=AlerterState,
            store=world.store,
            codec=world.state_codec,
            restore=history.restore if history else None,
        )
        return WithoutRemoved(runner, world.entry_removed), _MATCHES_AT_ONCE, None


def _stamp(message: Message, at_us: int) -> Message:
    """Stages have no clock: an alert gets its time here."""
    return replace(message, alerted_at_us=at_us) if isinstance(message, Alert) else message
