"""Alerts where several sites come together: on the topics that MirrorMaker 2 keeps at a centre (docs/many-sites.md).

A centre has no deployment file, no Redis and no key: it reads what an alert says and can open none of its pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from overt.messages import TOPIC_OF, Alert
from overt.ports import Log, Record
from overt.runtime.avro import AvroFormat
from overt.runtime.cluster import kafka_settings, wire_format
from overt.runtime.codec import without_sealed
from overt.runtime.kafka import KafkaLog
from overt.runtime.settings import Settings

_SEPARATOR = "."
"""Between a site's name and its topic's, as MirrorMaker's default replication policy has it."""


class Centre:
    """The alerts of `sites`, by the names under which MirrorMaker knows them: those of their deployment files."""

    def __init__(self, log: Log, avro: AvroFormat, prefix: str, sites: Sequence[str]) -> None:
        self.log = log
        self.topics = {f"{site}{_SEPARATOR}{prefix}{TOPIC_OF[Alert]}": site for site in sites}
        """Sites by topic."""
        self._avro = avro
        self._site_of: dict[str, str] = {}
        self._told: set[tuple[str, str]] = set()

    def peek(self, record: Record) -> dict[str, Any]:
        """What an alert says, without what is sealed. Raises Undecodable."""
        return without_sealed(self._avro, Alert.__name__, record.value)

    def collision(self, record: Record, fields: dict[str, Any]) -> str | None:
        """What is wrong with an alert's origin, said once for each: two sites have one name, or one deployment's. Their
        alerts are shown all the same."""
        site, said, deployment = self.topics[record.topic], str(fields["site_id"]), str(fields["deployment_id"])
        first = self._site_of.setdefault(deployment, site)
        if said != site:
            problem = ("site", f"{record.topic} has alerts of a site that calls itself {said!r}: is that {site!r}?")
        elif first != site:
            problem = ("deployment", f"{first} and {site} both have a deployment {deployment!r}: give one another name")
        else:
            return None
        if (site, problem[0]) in self._told:
            return None
        self._told.add((site, problem[0]))
        return problem[1]


def open_centre(settings: Settings, sites: Sequence[str]) -> Centre:
    """The centre that the settings name (OVERT_KAFKA_*, OVERT_TOPIC_PREFIX as at the sites). Connects to nothing yet.
    Raises SettingsError."""
    log = KafkaLog(kafka_settings(settings, "tail"))
    return Centre(log, wire_format(settings), settings.topic_prefix, sites)
