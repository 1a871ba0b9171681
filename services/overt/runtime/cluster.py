"""The world of a cluster's service: Kafka, Redis, sealed payloads, and the keyring where a service needs it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from overt.governance.deployment import Deployment
from overt.messages import TOPIC_OF
from overt.ports import Custody, Unavailable
from overt.runtime.access import Access, kafka_properties, redis_access, registry_access
from overt.runtime.avro import AvroFormat, LocalRegistry, Registry, Schemas
from overt.runtime.codec import SealingCodec
from overt.runtime.disks import Disks
from overt.runtime.frame.lease import RedisLeases
from overt.runtime.grants import DOWNSTREAM, Grant, grants, ours
from overt.runtime.guard import guard_watch
from overt.runtime.kafka import (
    KafkaBacklog,
    KafkaLog,
    KafkaSettings,
    KafkaSink,
    KafkaSource,
    apply_changes,
    apply_grants,
    existing_topics,
)
from overt.runtime.keys.deployment_keyring import open_keyring, open_missing_keyring
from overt.runtime.keys.transient import RedisTransientKeys
from overt.runtime.metrics import Metrics
from overt.runtime.redis_client import Client, connect
from overt.runtime.resources import schemas_dir
from overt.runtime.settings import Settings, SettingsError
from overt.runtime.state import RedisState
from overt.runtime.state_codec import StateCodec
from overt.runtime.topics import Action, Change, Topics, load_topics, plan
from overt.runtime.tracing import NO_TRACING, Tracing
from overt.runtime.vault import SealingVault
from overt.runtime.watchlist.replicas import RedisAttendance, RedisReplicas
from overt.runtime.wipe import wipe
from overt.runtime.world import SEALED_ON_THE_WAY, Slowest, World, group_name, now_us, partition_count

_HOUR_MS = 3_600_000
_UNOPENED = {"matcher": frozenset({"reference_image"}), "webhook": frozenset({"probe_image", "context"})}
_RECORD_TOPIC = {cls.__name__: topic for cls, topic in TOPIC_OF.items()}


def cluster_world(
    deployment: Deployment,
    settings: Settings,
    *,
    realtime: bool,
    client: str,
    metrics: Metrics | None = None,
    tracing: Tracing = NO_TRACING,
) -> World:
    """Everything a service needs to speak to the cluster. Nothing connects before it is first used.

    client: what the cluster's logs call this process. Raises SettingsError.
    """
    kafka = kafka_settings(settings, client)
    redis = connect_redis(settings)
    vault = _vault(deployment, settings, redis, metrics)
    if metrics is not None:
        metrics.key_life_seconds.set(settings.transient_key_life_s)
    keys = _Keys(vault, metrics, Disks.of(settings, metrics))
    prefix = settings.topic_prefix
    avro = wire_format(settings)
    # A matcher compares vectors and shows nobody: it never opens the picture of somebody who is listed.
    # The webhook holds no key at all.
    unopened = _UNOPENED.get(client, frozenset())
    codec = SealingCodec(avro, vault, prefix=prefix, frame_form="jpeg" if realtime else "png", unopened=unopened)
    replicas = RedisReplicas(redis, deployment.deployment_id, run=prefix)
    # In real time only frames are shed, so only the detector's backlog is a reason to drop one.
    backlogs = [
        KafkaBacklog(kafka, f"{prefix}{topic}", group_name(prefix, deployment.deployment_id, service))
        for topic, service in SEALED_ON_THE_WAY[: 1 if realtime else None]
    ]
    told = metrics.guard_paused.labels(client).set if metrics is not None and client == "frame" else None
    guard = guard_watch(deployment, prefix, avro, KafkaLog(kafka), told or (lambda _paused: None))
    return World(
        deployment=deployment,
        prefix=prefix,
        source=lambda group: KafkaSource(kafka, group),
        sink=lambda: KafkaSink(kafka),
        log=KafkaLog(kafka),
        frames_waiting=Slowest(backlogs),
        codec=codec,
        leases=RedisLeases(redis, deployment.deployment_id, str(uuid.uuid4()), run=prefix),
        store=RedisState(redis, deployment.deployment_id, run=prefix),
        state_codec=StateCodec(avro, vault, expired=keys.expired),
        peek=codec.peek,
        refresh=keys.refresh,
        attendance=RedisAttendance(replicas, str(uuid.uuid4()), now_us),
        entry_removed=vault.entry_removed,
        spend=wipe,
        may_capture=guard.may_capture,
        chores=keys.chores,
        tracing=tracing,
    )


def _vault(deployment: Deployment, settings: Settings, redis: Client, metrics: Metrics | None) -> SealingVault:
    told = metrics.keys_destroyed.labels(Custody.TRANSIENT.value).inc if metrics is not None else lambda: None
    transient = RedisTransientKeys(
        redis,
        deployment.deployment_id,
        deployment.site.site_id,
        slot_s=settings.transient_key_slot_s,
        life_s=settings.transient_key_life_s,
        given_up=told,
    )
    keyring = open_keyring(deployment, settings) if settings.keyring_file else None
    missing = open_missing_keyring(deployment, settings)
    retention_us = round(deployment.retention.alerts_hours * _HOUR_MS) * 1000
    return SealingVault(deployment.deployment_id, transient, keyring, alert_retention_us=retention_us, missing=missing)


@dataclass(frozen=True, slots=True)
class _Keys:
    """What is told of keys and done about them while a service runs."""

    vault: SealingVault
    metrics: Metrics | None
    disks: Disks

    def refresh(self) -> None:
        """Brings the gauges of keys up to date, when they are asked for."""
        if self.metrics is not None:
            self.metrics.keys_alive.set(self.vault.keys_alive())
            self.metrics.oldest_key_age_seconds.set(self.vault.oldest_key_age_s() or 0.0)
            self.disks.tell()
            with suppress(Unavailable):
                self.metrics.overdue_keys.set(self.vault.overdue_keys())
            with suppress(Unavailable):
                self.metrics.durable_keys.set(self.vault.durable_keys())
                self._tell_alert_keys(self.metrics)

    def _tell_alert_keys(self, metrics: Metrics) -> None:
        oldest, at_us = self.vault.oldest_alert_key_us(), now_us()
        made_us, ends_us = oldest or (at_us, at_us)
        metrics.oldest_alert_key_age_seconds.set(max(0, at_us - made_us) / 1e6)
        metrics.alert_key_overdue_seconds.set(max(0, at_us - ends_us) / 1e6)

    def expired(self, tracks: int) -> None:
        """Counts tracks of a saved state whose vectors nobody can read any more."""
        if self.metrics is not None:
            self.metrics.fusions_expired.inc(tracks)

    def chores(self) -> None:
        """Gives up transient keys whose life is over, and destroys those of alert images whose retention is."""
        self.vault.keys_alive()
        with suppress(Unavailable):  # an unusable keyring shows where it is needed
            swept = self.vault.sweep()
            if self.metrics is not None:
                self.metrics.keys_destroyed.labels(Custody.ALERT.value).inc(swept)


def wire_format(settings: Settings) -> AvroFormat:
    """Records as the bus carries them, with ids from the registry that is configured. Raises SettingsError."""
    schemas = Schemas(schemas_dir())
    registry: Registry = LocalRegistry(schemas)
    if settings.schema_registry_url:
        registry = _registry(settings.schema_registry_url, registry_access(settings))
    return AvroFormat(
        schemas, registry, lambda record: f"{settings.topic_prefix}{_RECORD_TOPIC.get(record, record)}-value"
    )


def _registry(url: str, access: Access) -> Registry:
    try:
        from overt.runtime.registry import ServerRegistry  # an extra, needed only here
    except ImportError as error:
        raise SettingsError(
            f"OVERT_SCHEMA_REGISTRY_URL: the registry's client is not whole here ({error.name} is missing); "
            "install the extra: overt[registry]"
        ) from error
    try:
        return ServerRegistry(url, access)
    except ValueError as error:
        raise SettingsError(f"OVERT_SCHEMA_REGISTRY_URL: {error}") from None


def connect_redis(settings: Settings) -> Client:
    """Redis as the environment names it, without connecting yet. Raises SettingsError."""
    access = redis_access(settings)
    try:
        return connect(
            settings.redis_url,
            username=access.username,
            password=access.password,
            ca_file=access.ca_file,
            certificate_file=access.certificate_file,
            key_file=access.key_file,
            key_password=access.key_password,
        )
    except ValueError as error:
        raise SettingsError(f"OVERT_REDIS_URL: {error}") from None


def open_replicas(deployment: Deployment, settings: Settings) -> RedisReplicas:
    """The deployment's matchers, as whoever changes the watchlist sees them. Raises SettingsError."""
    return RedisReplicas(connect_redis(settings), deployment.deployment_id, run=settings.topic_prefix)


def kafka_settings(settings: Settings, client: str) -> KafkaSettings:
    """How to reach Kafka, as the environment says. Raises SettingsError."""
    return KafkaSettings(settings.kafka_bootstrap, f"overt-{client}", kafka_properties(settings))


def retention_ms(deployment: Deployment) -> dict[str, int]:
    """How long the deployment keeps each topic that outlives its moment, in milliseconds. Matches hold images of people
    who were alerted on, and stay as long as alerts."""
    retention = deployment.retention
    alerts = round(retention.alerts_hours * _HOUR_MS)
    return {
        "matches": alerts,
        "alerts": alerts,
        "passes": round(retention.passes_days * 24 * _HOUR_MS),
        "adjudications": round(retention.adjudications_days * 24 * _HOUR_MS),
        "audit": round(retention.adjudications_days * 24 * _HOUR_MS),
        "statistics-facts": round(retention.passes_days * 24 * _HOUR_MS),
        "site-stats": round(retention.passes_days * 24 * _HOUR_MS),
    }


def transient_retention_ms(topics: Topics, life_s: int) -> dict[str, int]:
    """How long each topic that is sealed under transient keys keeps its records, in milliseconds: what topics.yaml says
    or twice the life of a key, whichever is longer, so that no record is deleted while it could still be opened."""
    return {name: max(int(topics[name].config["retention.ms"]), 2 * life_s * 1000) for name, _ in SEALED_ON_THE_WAY}


@dataclass(frozen=True, slots=True)
class TopicsAdmin:
    """Plans and applies the topics of a deployment."""

    deployment: Deployment
    settings: Settings

    def topics(self) -> Topics:
        """The contract, by topic without prefix. Raises TopicsError."""
        return load_topics(schemas_dir() / "topics.yaml")

    def plan(self) -> Sequence[Change]:
        """What would be done. Raises Unavailable, TopicsError."""
        topics = self.topics()
        prefix = self.settings.topic_prefix
        existing = existing_topics(kafka_settings(self.settings, "topics"), [prefix + name for name in topics])
        return plan(
            topics,
            cameras_partitions=partition_count(self.deployment),
            prefix=prefix,
            retention_ms=retention_ms(self.deployment)
            | transient_retention_ms(topics, self.settings.transient_key_life_s),
            existing=existing,
        )

    def apply(self) -> Sequence[Change]:
        """Does it; returns what was done. Raises Unavailable, TopicsError."""
        changes = self.plan()
        wanted = [change for change in changes if change.action is not Action.OK]
        apply_changes(kafka_settings(self.settings, "topics"), wanted, replication=self.settings.kafka_replication)
        return changes

    def grants(self, downstream: Sequence[str] = (DOWNSTREAM,)) -> list[Grant]:
        """Who may do what. Connects to nothing. Raises TopicsError."""
        return grants(
            self.topics(),
            prefix=self.settings.topic_prefix,
            deployment_id=self.deployment.deployment_id,
            downstream=downstream,
        )

    def apply_grants(self, rights: Sequence[Grant]) -> tuple[list[Grant], list[Grant]]:
        """Brings the cluster to these rights; returns those that were given and taken. Raises Unavailable."""
        prefix, deployment_id = self.settings.topic_prefix, self.deployment.deployment_id
        return apply_grants(
            kafka_settings(self.settings, "topics"),
            rights,
            lambda grant: ours(grant, rights, prefix=prefix, deployment_id=deployment_id),
        )
