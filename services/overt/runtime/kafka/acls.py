"""Bringing a cluster's access control lists to what `overt.runtime.grants` says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public names, only not marked as such
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from overt.runtime.grants import Grant, Resource
from overt.runtime.kafka.admin import answering, wait
from overt.runtime.kafka.client import REQUEST_TIMEOUT_S, KafkaSettings, Trouble, make

_KIND = {Resource.TOPIC: ResourceType.TOPIC, Resource.GROUP: ResourceType.GROUP}
_RESOURCE: dict[object, Resource] = {kind: resource for resource, kind in _KIND.items()}
_PATTERN = {False: ResourcePatternType.LITERAL, True: ResourcePatternType.PREFIXED}
_OPERATION = {
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
    "Create": AclOperation.CREATE,
    "Alter": AclOperation.ALTER,
    "AlterConfigs": AclOperation.ALTER_CONFIGS,
    "Describe": AclOperation.DESCRIBE,
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
}
_NAME: dict[object, str] = {operation: name for name, operation in _OPERATION.items()}
_USER = "User:"


def apply_grants(
    settings: KafkaSettings, wanted: Iterable[Grant], stale: Callable[[Grant], bool]
) -> tuple[list[Grant], list[Grant]]:
    """Creates what is missing, then takes away what exists, is not wanted and is `stale`; returns both.

    Rights that others gave stay. Raises Unavailable when the cluster is away or refuses this principal, TopicsError
    when it has no authorizer.
    """
    trouble = Trouble("admin")
    admin = make(AdminClient, settings, trouble, {})
    asked = set(wanted)
    with answering(settings, trouble):
        # Its answer is waited for while `admin` lives: see overt.runtime.kafka.admin.
        existing = {
            grant
            for binding in admin.describe_acls(_everything()).result(REQUEST_TIMEOUT_S)
            if (grant := _grant(binding)) is not None
        }
        missing, over = sorted(asked - existing), sorted(filter(stale, existing - asked))
        if missing:
            wait(admin.create_acls([_binding(grant) for grant in missing]))
        if over:
            wait(admin.delete_acls([_exactly(grant) for grant in over]))
    return missing, over


def _everything() -> AclBindingFilter:
    whatever: Any = None  # a filter takes it, though its types do not say so
    return AclBindingFilter(
        ResourceType.ANY, whatever, ResourcePatternType.ANY, whatever, whatever, AclOperation.ANY, AclPermissionType.ANY
    )


def _words(grant: Grant) -> tuple[Any, ...]:
    return (
        _KIND[grant.resource],
        grant.name,
        _PATTERN[grant.prefixed],
        _USER + grant.principal,
        "*",
        _OPERATION[grant.operation],
        AclPermissionType.ALLOW,
    )


def _binding(grant: Grant) -> AclBinding:
    return AclBinding(*_words(grant))


def _exactly(grant: Grant) -> AclBindingFilter:
    return AclBindingFilter(*_words(grant))


def _grant(binding: AclBinding) -> Grant | None:
    """None for what is none of ours: another kind of resource or operation, a refusal, one host's."""
    known = (
        binding.restype in _RESOURCE
        and binding.operation in _NAME
        and binding.permission_type == AclPermissionType.ALLOW
        and binding.host == "*"
        and binding.principal.startswith(_USER)
        and binding.resource_pattern_type in _PATTERN.values()
    )
    if not known:
        return None
    return Grant(
        binding.principal.removeprefix(_USER),
        _RESOURCE[binding.restype],
        binding.name,
        _NAME[binding.operation],
        binding.resource_pattern_type == ResourcePatternType.PREFIXED,
    )
