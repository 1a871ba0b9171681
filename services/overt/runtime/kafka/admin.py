"""Asking a cluster for its topics, and making them as planned."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public names, only not marked as such
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from overt.ports import Unavailable
from overt.runtime.kafka.client import REQUEST_TIMEOUT_S, KafkaSettings, Trouble, code, make, reason
from overt.runtime.topics import Action, Change, ExistingTopic, TopicsError

_TIMEOUT_S = 15.0


def existing_topics(settings: KafkaSettings, names: Collection[str]) -> Mapping[str, ExistingTopic]:
    """Those of the named topics (with prefix) that the cluster has. Raises Unavailable."""
    trouble = Trouble("admin")
    admin = make(AdminClient, settings, trouble, {})
    with answering(settings, trouble):
        return _existing(admin, names)


def _existing(admin: AdminClient, names: Collection[str]) -> Mapping[str, ExistingTopic]:
    known = admin.list_topics(timeout=REQUEST_TIMEOUT_S).topics
    there = {name: known[name] for name in names if name in known and known[name].error is None}
    if not there:  # a question about nothing is an error
        return {}
    asked = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in there])
    # The futures are waited for while `admin` lives: one that is collected earlier takes them with it.
    configs = {resource.name: future.result(REQUEST_TIMEOUT_S) for resource, future in asked.items()}
    return {
        name: ExistingTopic(
            partitions=len(topic.partitions),
            config={entry.name: entry.value for entry in configs[name].values() if entry.value is not None},
        )
        for name, topic in there.items()
    }


def apply_changes(settings: KafkaSettings, changes: Iterable[Change], *, replication: int = -1) -> None:
    """Carries a plan out: creates, then adds partitions, then alters, and waits until all of it can be seen. Running it
    again is harmless.

    replication: replicas of each new topic; -1 takes the broker's default. Raises Unavailable when the cluster is away,
    TopicsError when it refuses; what was done before stays done, so a new plan is shorter.
    """
    steps = list(changes)
    trouble = Trouble("admin")
    admin = make(AdminClient, settings, trouble, {})
    create = [c for c in steps if c.action is Action.CREATE]
    grow = [c for c in steps if c.action is Action.GROW]
    alter = [c for c in steps if c.action is Action.ALTER]
    with answering(settings, trouble):
        if create:
            new = [NewTopic(c.topic, c.partitions, replication, config=dict(c.config)) for c in create]
            # Another `apply` at the same time may have been first.
            wait(admin.create_topics(new, operation_timeout=_TIMEOUT_S), harmless=KafkaError.TOPIC_ALREADY_EXISTS)
        if grow:
            more = [NewPartitions(c.topic, c.partitions) for c in grow]
            wait(admin.create_partitions(more, operation_timeout=_TIMEOUT_S))
        if alter:
            wait(admin.incremental_alter_configs([_alteration(c) for c in alter]))
        _wait_until_seen(admin, [c for c in steps if c.action is not Action.OK])


def _wait_until_seen(admin: AdminClient, steps: Sequence[Change]) -> None:
    """A broker answers from its own copy of the metadata, which follows the controller's after a moment."""
    deadline = time.monotonic() + _TIMEOUT_S
    while steps:
        existing = _existing(admin, [step.topic for step in steps])
        steps = [step for step in steps if not _seen(step, existing.get(step.topic))]
        if steps and time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05 if steps else 0.0)


def _seen(step: Change, topic: ExistingTopic | None) -> bool:
    if topic is None or topic.partitions < step.partitions:
        return False
    return step.action is not Action.ALTER or step.config.items() <= topic.config.items()


def _alteration(change: Change) -> ConfigResource:
    # Incremental: what somebody else has set on the topic stays.
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in change.config.items()
    ]
    return ConfigResource(ResourceType.TOPIC, change.topic, incremental_configs=entries)


def wait(futures: Mapping[Any, Future[Any]], *, harmless: int | None = None) -> None:
    """Waits for every topic or right, then raises for those that were refused: Unavailable where this user may not."""
    refused: list[str] = []
    forbidden: list[str] = []
    away: KafkaException | None = None
    for topic, future in futures.items():
        try:
            future.result(_TIMEOUT_S)
        except KafkaException as error:
            if code(error) == harmless:
                continue
            name = str(getattr(topic, "name", topic))
            if error.args[0].name().endswith("AUTHORIZATION_FAILED"):  # the broker's own text is a dump of the request
                forbidden.append(name)
            elif code(error) < 0 or error.args[0].retriable():  # the client's own: it got no answer
                away = error
            else:
                refused.append(f"{name}: {reason(error)}")
    if away is not None:
        raise away
    if forbidden:
        raise Unavailable(
            f"the cluster does not let this user do it: authorization failed for {forbidden[0]} and "
            f"{len(forbidden) - 1} more; it takes an administrator as OVERT_KAFKA_USERNAME"
        )
    if refused:
        raise TopicsError(f"the cluster refuses: {'; '.join(refused)}")


@contextmanager
def answering(settings: KafkaSettings, trouble: Trouble) -> Iterator[None]:
    """Raises Unavailable for what a client raises when the cluster is away or refuses."""
    try:
        yield
    except KafkaException as error:
        raise Unavailable(f"Kafka at {settings.bootstrap}: {reason(error)}{trouble.because()}") from error
    except TimeoutError as error:
        raise Unavailable(f"Kafka at {settings.bootstrap} did not answer in time{trouble.because()}") from error
