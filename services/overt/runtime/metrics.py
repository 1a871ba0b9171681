"""Every metric, declared once, with what an operator should conclude from it. No label holds a person.

Names follow Prometheus: base units, `_total` for counters. `camera`, `service` and `reason` come from closed sets.
"""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from overt import __version__
from overt.messages import Alert, Embedding, Face, Frame, Match, Message, Pass

_LATENCY_S = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30)
_WORK_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_SIMILARITY = tuple(round(0.30 + 0.02 * i, 2) for i in range(36))
_QUALITY = tuple(round(0.05 * i, 2) for i in range(1, 21))


class Metrics:
    """One process's metrics, on a registry of their own so that two pipelines in one process never mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, reading: str, *labels: str) -> Counter:
            return Counter(f"overt_{name}", reading, labels, registry=self.registry)

        def gauge(name: str, reading: str, *labels: str) -> Gauge:
            return Gauge(f"overt_{name}", reading, labels, registry=self.registry)

        def histogram(name: str, reading: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(f"overt_{name}", reading, labels, registry=self.registry, buckets=buckets)

        def info(name: str, reading: str) -> Info:
            return Info(f"overt_{name}", reading, registry=self.registry)

        # Cameras
        self.frames_read = counter(
            "frames_read", "Frames read from a camera. A rate of 0 while the camera is up: it is frozen.", "camera"
        )
        self.frames_dropped = counter(
            "frames_dropped", "Frames read and not sent on. Rising: this machine cannot keep up.", "camera", "reason"
        )
        self.frames_unchanged = counter(
            "frames_unchanged", "Frames like the one sent before, so not sent. Work saved; people move.", "camera"
        )
        self.frames_shed = counter(
            "frames_shed", "Frames that arrived past their deadline. Rising: add replicas of detector.", "camera"
        )
        self.camera_up = gauge("camera_up", "1 while frames arrive. 0: look at the camera and its network.", "camera")
        self.camera_frozen = gauge(
            "camera_frozen", "1 while a camera sends the same picture over and over: restart its encoder.", "camera"
        )
        self.camera_reconnects = counter(
            "camera_reconnects", "Times a camera was opened anew. Rising: its network or encoder is failing.", "camera"
        )
        self.camera_faults = counter(
            "camera_faults", "Pictures of a camera that could not be read, by reason.", "camera", "reason"
        )
        self.clock_skew_seconds = gauge(
            "clock_skew_seconds",
            "Broker's clock at arrival minus capture time. Negative or over 1 s: mend NTP on the frame host.",
            "camera",
        )

        # Recognition
        self.faces = counter("faces", "Crops sent on for an embedding. Far above passes: tracks are torn.", "camera")
        self.face_quality = histogram(
            "face_quality",
            "Quality of the faces sent on, 0 to 1. A heap at the low end: mend light, angle or distance of the camera.",
            _QUALITY,
            "camera",
        )
        self.embeddings = counter("embeddings", "Probes made. Below faces for long: the embedder is behind.", "camera")
        self.fusions_expired = counter(
            "fusions_expired",
            "Tracks that an embedder which took over began anew: their key had gone. Rising: takeovers are slow.",
        )
        self.tracks = gauge(
            "tracks", "Passers-by in view now. More than one can see: noise is taken for faces.", "camera"
        )
        self.passes = counter("passes", "Passers-by whose track ended: the denominator of every rate.", "camera")
        self.failures_to_acquire = counter(
            "failures_to_acquire",
            "Passes without a usable face. Rising: mend light, angle or distance of the camera.",
            "camera",
            "reason",
        )
        self.matches = counter("matches", "Probes at or above a threshold.", "camera", "category", "kind")
        self.alerts = counter("alerts", "Alerts made, repeats included.", "camera", "category", "kind")
        self.match_similarity = histogram(
            "match_similarity",
            "Cosine similarity of matches. A heap just above the threshold: expect false alerts.",
            _SIMILARITY,
            "category",
        )

        # The loop
        self.records = counter(
            "records", "Records a service has finished. Flat while lag grows: it is stuck.", "service"
        )
        self.repeats = counter(
            "repeated_records",
            "Records skipped since their cause was covered. Some after a restart are right.",
            "service",
        )
        self.rejects = counter(
            "rejects",
            "Records that could not be processed, a dead letter each. key_gone: they came after their key's life.",
            "service",
            "reason",
        )
        self.unavailable = counter(
            "unavailable", "Batches put back since broker or Redis was away. Rising: look at those first.", "service"
        )
        self.fenced = counter(
            "fenced", "States refused because another replica had gone on. Expected after a pause.", "service"
        )
        self.partition_paused = gauge(
            "partition_paused",
            "1 while a partition rests because too many of its records are rejects: look at its camera.",
            "service",
            "topic",
            "partition",
        )
        self.batch_seconds = histogram("batch_seconds", "Time a stage works on a batch.", _WORK_S, "service")
        self.batch_size = histogram(
            "batch_size", "Records in a batch. Always full: behind.", (1, 2, 4, 8, 16, 32), "service"
        )
        self.capture_to_stage_seconds = histogram(
            "capture_to_stage_seconds", "From capture until a service had finished.", _LATENCY_S, "service"
        )
        self.capture_to_alert_seconds = histogram(
            "capture_to_alert_seconds",
            "From capture to the alert on its topic. p95 above 1 s: find the lag.",
            _LATENCY_S,
        )
        self.consumer_lag = gauge(
            "consumer_lag",
            "Records waiting for a service; in one process its queue. Growing: add replicas.",
            "service",
            "topic",
            "partition",
        )
        self.ready = gauge("ready", "1 when the service has its partitions and its view of the watchlist.", "service")

        # Keys and what is loaded
        self.keys_alive = gauge(
            "transient_keys_alive", "Keys that open passers-by's payloads. Above 4 a site: not expiring."
        )
        self.oldest_key_age_seconds = gauge(
            "oldest_transient_key_age_seconds", "Age of the oldest such key. Above 30 s: passers-by stay readable."
        )
        self.key_life_seconds = gauge(
            "transient_key_life_seconds", "How long a transient key may live. Over a minute: passers-by stay readable."
        )
        self.overdue_keys = gauge(
            "overdue_transient_keys", "Transient keys that Redis holds past their life. Any: they do not expire."
        )
        self.keys_destroyed = counter(
            "keys_destroyed",
            "Keys given up: transient by each process, alert in the keyring. Flat while people pass: none is erased.",
            "custody",
        )
        self.oldest_alert_key_age_seconds = gauge(
            "oldest_alert_key_age_seconds",
            "Age of the oldest key that opens pictures of alerts. Over the retention and an hour: none is destroyed.",
        )
        self.alert_key_overdue_seconds = gauge(
            "alert_key_overdue_seconds",
            "How long a key of alert pictures has outlived its retention. Over 3 min: no matcher or alerter runs.",
        )
        self.durable_keys = gauge("durable_keys", "Keys in the keyring: watchlist entries and hours of alert images.")
        self.gallery_entries = gauge("gallery_entries", "Entries that can match. 0: nobody will be found.")
        self.watchlist_changed_seconds = gauge(
            "watchlist_changed_timestamp_seconds", "When this matcher last took a change of the watchlist in; 0: never."
        )
        self.watchlist_oldest_enrolment_seconds = gauge(
            "watchlist_oldest_enrolment_timestamp_seconds",
            "When the oldest entry was enrolled, a removed one until a restart. Over a day ago: build the list anew.",
        )
        self.watchlist_removals = counter(
            "watchlist_removals", "Entries that left the gallery since their removal, their keys destroyed."
        )
        self.watchlist_refused = counter(
            "watchlist_refused", "Watchlist records that could not enter the gallery, by reason.", "reason"
        )
        self.model = gauge("model_info", "The models in use; always 1.", "role", "model", "sha256", "space")
        self.gallery = info("gallery", "How look-ups are answered, and in which model space.")
        self.gallery_recall = gauge(
            "gallery_recall",
            "Share of degraded entries that the gallery finds; lower95 is its bound: below 0.999 no index serves.",
            "bound",
        )
        self.gallery_ef = gauge("gallery_ef", "Breadth of the index's search. 0: everybody is compared.")
        self.gallery_lookup_seconds = gauge(
            "gallery_lookup_seconds", "Cost of a look-up as measured when the answer was chosen.", "kind"
        )
        self.gallery_building = gauge(
            "gallery_building", "Share of a new index that is built; 0 while none is. Everybody is compared meanwhile."
        )

        # Statistics, and the guard over false alerts
        self.statistics_lag = gauge(
            "statistics_lag", "Records that are not counted yet, asked from outside. Growing: see its log.", "topic"
        )
        self.statistics_stalled = gauge(
            "statistics_stalled", "1 while records wait and none is counted. Again after a restart: look at the broker."
        )
        self.statistics_facts = counter(
            "statistics_facts", "Different passes, matches, alerts and adjudications that this process counted.", "kind"
        )
        self.statistics_late = counter(
            "statistics_late_facts", "Facts counted a minute or more after their window. Rising: a service is behind."
        )
        self.statistics_events = counter(
            "statistics_events", "Events that Faust's agents finished. Flat while the lag grows: it has stalled."
        )
        self.statistics_event_seconds = gauge(
            "statistics_event_seconds", "Mean time an agent takes for an event. Above 0.01 s: the broker is slow."
        )
        self.statistics_commit_seconds = gauge(
            "statistics_commit_seconds", "Mean time of Faust's latest commits. Above 1 s: the broker is slow."
        )
        self.statistics_rebalances = counter(
            "statistics_rebalances", "Times the group's partitions moved. Rising by itself: members come and go."
        )
        self.statistics_send_errors = counter(
            "statistics_send_errors", "Records that Faust could not send. Any: it ends and is restarted."
        )
        self.guard_paused = gauge(
            "guard_paused",
            "1 while the site is paused for false alerts: find out why, then overt guard resume.",
            "service",
        )
        self.guard_evidence = gauge(
            "guard_evidence", "Evidence of too many false alerts, as a share of what pauses the site. Near 1: look now."
        )
        self.guard_passes = gauge("guard_passes", "Passes that the guard has weighed since it began or was resumed.")
        self.guard_false_alerts = gauge(
            "guard_false_alerts", "False alerts that the guard has weighed since it began or was resumed."
        )
        self.guard_unjudged_alerts = gauge(
            "guard_unjudged_alerts", "Alerts nobody has judged. Growing: the guard weighs no pass after the oldest."
        )

        # The webhook
        self.webhook_attempts = counter(
            "webhook_attempts", "Attempts to post an alert. Many not_now or no_answer: look at the endpoint.", "outcome"
        )
        self.webhook_waiting_seconds = gauge(
            "webhook_waiting_seconds",
            "How long the alert at hand has been tried. Over 60 s: the endpoint is away, and all behind it waits.",
        )
        self.alert_to_webhook_seconds = histogram(
            "alert_to_webhook_seconds",
            "From the alert until the webhook's endpoint had taken it. Long: it was away, or it is slow.",
            _LATENCY_S,
        )

        # The deployment, and the machine
        self.deployment_start_seconds = gauge(
            "deployment_start_timestamp_seconds", "When the deployment's window begins. Ahead: nothing is captured yet."
        )
        self.deployment_end_seconds = gauge(
            "deployment_end_timestamp_seconds", "When the deployment's window ends. Past: nothing may be captured."
        )
        self.disk_free_bytes = gauge(
            "disk_free_bytes", "Free where the place's files lie. Falling to a tenth of its size: make room.", "place"
        )
        self.disk_size_bytes = gauge("disk_size_bytes", "Size of the disk where the place's files lie.", "place")
        self.build = info("build", "The version that runs.")
        self.build.info({"version": __version__})

    def total(self, name: str, **labels: str) -> float:
        """Sum of the samples of that name, as Prometheus sees it, that have these labels."""
        return sum(
            sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def produced(self, message: Message, now_us: int | None) -> None:
        """Counts one message that a stage has made and the bus has taken. now_us: None where capture times are a
        recording's and say nothing of latency."""
        match message:
            case Face():
                self.faces.labels(message.camera_id).inc()
                self.face_quality.labels(message.camera_id).observe(message.quality)
            case Embedding():
                self.embeddings.labels(message.camera_id).inc()
            case Pass():
                self.passes.labels(message.camera_id).inc()
                if message.failure is not None:
                    self.failures_to_acquire.labels(message.camera_id, message.failure.value).inc()
            case Match():
                self.matches.labels(message.camera_id, message.category, message.kind.value).inc()
                self.match_similarity.labels(message.category).observe(message.similarity)
            case Alert():
                self.alerts.labels(message.camera_id, message.category, message.kind.value).inc()
                if now_us is not None:
                    self.capture_to_alert_seconds.observe(max(0.0, (now_us - message.captured_at_us) / 1e6))
            case _:
                pass

    def arrived(self, frame: Frame, at_us: int) -> None:
        """Notes the difference between a frame's clock and the bus's."""
        self.clock_skew_seconds.labels(frame.camera_id).set((at_us - frame.captured_at_us) / 1e6)
