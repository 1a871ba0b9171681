"""Who may do what on the cluster, as it follows from `schemas/topics.yaml` and from nothing else.

A service's principal bears the service's name. It writes the topics that name it as a producer and reads those that
name it as a consumer; so the contract and the rights cannot disagree. Everything here is values:
`overt.runtime.kafka.acls` brings a cluster to them.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from overt.runtime.topics import READERS_GROUP, Topics, TopicsError
from overt.runtime.world import SEALED_ON_THE_WAY, group_name

DOWNSTREAM = "downstream"
"""The role of systems that take alerts; any number of principals may have it."""
CENTRE = "centre"
"""Where the alerts and statistics of several sites come together (docs/many-sites.md)."""
ADMINISTRATOR = "topics"
"""The principal of `overt topics plan` and `apply`."""
_IN_A_GROUP = frozenset({"detector", "embedder", "matcher", "alerter", "statistics", "webhook"})
_WITHOUT = frozenset({"frame", "watchlist", "console", "erasure"})
"""These read a topic as a whole, or from now on, and are members of no group."""
ROLES = _IN_A_GROUP | _WITHOUT | {DOWNSTREAM, CENTRE}


class Resource(StrEnum):
    """What a right is about."""

    TOPIC = "topic"
    GROUP = "group"


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One right. `operation` as kafka-acls.sh spells it. prefixed: of all names that begin so."""

    principal: str
    resource: Resource
    name: str
    operation: str
    prefixed: bool = False


def grants(
    topics: Topics, *, prefix: str, deployment_id: str, downstream: Sequence[str] = (DOWNSTREAM,)
) -> list[Grant]:
    """All rights that a deployment's principals need, in order.

    downstream: names of the systems that take alerts. Each is a principal, and its groups' names begin with its own.
    Raises TopicsError for a producer or consumer that is no role, and for a downstream system named like a service.
    """
    taken = sorted(set(downstream) & (ROLES - {DOWNSTREAM} | {ADMINISTRATOR}))
    if taken:
        raise TopicsError(f"{taken[0]!r} is the name of a service: a downstream system needs another")
    found: set[Grant] = set()
    for name, spec in topics.items():
        unknown = sorted({*spec.producers, *spec.consumers} - ROLES)
        if unknown:
            raise TopicsError(f"topics.{name}: {unknown[0]!r} is no role; expected of {', '.join(sorted(ROLES))}")
        for role in spec.producers:
            found |= {Grant(who, Resource.TOPIC, prefix + name, "Write") for who in _principals(role, downstream)}
        for role in spec.consumers:
            found |= {Grant(who, Resource.TOPIC, prefix + name, "Read") for who in _principals(role, downstream)}
            if role in _IN_A_GROUP:
                found.add(Grant(role, Resource.GROUP, group_name(prefix, deployment_id, role), "Read"))
            if role == CENTRE:  # it keeps a topic no longer than the site does
                found.add(Grant(role, Resource.TOPIC, prefix + name, "DescribeConfigs"))
            elif role != DOWNSTREAM:
                found.add(Grant(role, Resource.GROUP, READERS_GROUP, "Describe"))
    found |= {Grant(who, Resource.GROUP, who, "Read", prefixed=True) for who in downstream}
    return sorted(found | set(_backlogs(prefix, deployment_id)) | set(_administration(prefix)))


def _principals(role: str, downstream: Sequence[str]) -> Sequence[str]:
    return downstream if role == DOWNSTREAM else (role,)


def _backlogs(prefix: str, deployment_id: str) -> Iterable[Grant]:
    """The frame service asks how far the others have come; it reads nothing of theirs."""
    for topic, service in SEALED_ON_THE_WAY:
        yield Grant("frame", Resource.TOPIC, prefix + topic, "Describe")
        yield Grant("frame", Resource.GROUP, group_name(prefix, deployment_id, service), "Describe")


def _administration(prefix: str) -> Iterable[Grant]:
    for operation in ("Create", "Alter", "AlterConfigs", "Describe", "DescribeConfigs"):
        yield Grant(ADMINISTRATOR, Resource.TOPIC, prefix, operation, prefixed=True)


def ours(grant: Grant, wanted: Iterable[Grant], *, prefix: str, deployment_id: str) -> bool:
    """Whether a right on the cluster is for this deployment to give and to take away: one of its principals', on its
    topics or its groups."""
    if grant.principal not in {other.principal for other in wanted}:
        return False
    own = prefix if grant.resource is Resource.TOPIC else f"{prefix}{deployment_id}."
    return grant.name.startswith(own)


def as_text(rights: Sequence[Grant]) -> list[str]:
    """For people: one line for each principal and resource."""
    told: dict[tuple[str, str, str], list[str]] = {}
    for grant in rights:
        name = f"{grant.name}*" if grant.prefixed else grant.name
        told.setdefault((grant.principal, grant.resource, name), []).append(grant.operation)
    rows = [("PRINCIPAL", "", "NAME", "MAY"), *((*key, ", ".join(may)) for key, may in told.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return [
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[3]]).rstrip() for row in rows
    ]


def as_kafka(rights: Sequence[Grant]) -> list[str]:
    """Commands for Kafka's own tool; $BOOTSTRAP and $CLIENT_CONFIG are the administrator's."""
    tool = 'kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --command-config "$CLIENT_CONFIG" --add'
    return [f"{tool} {shlex.join(_arguments(grant))}" for grant in rights]


def _arguments(grant: Grant) -> list[str]:
    who = ["--allow-principal", f"User:{grant.principal}", "--operation", grant.operation]
    pattern = "prefixed" if grant.prefixed else "literal"
    return [*who, f"--{grant.resource}", grant.name, "--resource-pattern-type", pattern]


def as_json(rights: Sequence[Grant]) -> list[str]:
    """An object a line, with the fields of `Grant`."""
    return [json.dumps(asdict(grant)) for grant in rights]
