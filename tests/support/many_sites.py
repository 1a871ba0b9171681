"""Two sites and a centre, each with a broker of its own that speaks TLS and knows its users, and MirrorMaker 2 between
them, configured by the files of infra/many-sites.

with ManySites(folder, redis_server) as many:
    many.send()
    many.link("site1").cut()
    ...
    many.stop_sending()
    many.wait_arrived(60)
    many.judge()
"""

from __future__ import annotations

import itertools
import re
import shlex
import subprocess
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public names, only not marked as such
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from overt.governance.loading import load_deployment
from overt.messages import Message
from overt.picture import Picture
from overt.ports import Follower, Record
from overt.runtime.cluster import TopicsAdmin, cluster_world, wire_format
from overt.runtime.kafka import KafkaLog, KafkaSettings
from overt.runtime.keys.deployment_key import create_deployment_key, load_deployment_key
from overt.runtime.keys.deployment_keyring import open_keyring
from overt.runtime.keys.keyring import Keyring
from overt.runtime.settings import Settings
from overt.runtime.world import World
from tests.support import messages as samples
from tests.support.cluster import deployment
from tests.support.link import Link
from tests.support.mirror_maker import MirrorMaker
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.scenes import TestScene
from tests.support.secured import INFRA, Secrets, SecuredBroker

SITES = ("site1", "site2")
TOPICS = ("alerts", "site-stats")
FOLDER = INFRA / "many-sites"
_PROPERTY = re.compile(r"^([^#=\s]+)\s*=\s*(.*)$", re.MULTILINE)
_PICTURE_PX = 64


class Site:
    """One site: its broker with the listener for the centre, the line that leads there, and what it sends."""

    def __init__(self, folder: Path, name: str, redis: RedisServer) -> None:
        self.name = name
        self.folder = folder
        self.secrets = Secrets(folder / "secrets")
        self.broker = SecuredBroker(folder / "kafka", self.secrets)
        self._add_listener()
        file = folder / "deployment.yaml"
        (folder / "nothing.avi").touch()
        cameras = {"c1": TestScene(folder / "nothing.avi", 0, 10.0, ())}
        place = {"id": name, "place": "Here and there", "reason": "A test"}
        file.write_text(yaml.safe_dump(deployment(cameras, folder, name=f"{name}-trial", site=place), sort_keys=False))
        self.deployment: Any = load_deployment(file, check_files=True)
        self.settings = Settings(
            kafka_bootstrap=self.broker.bootstrap,
            kafka_ca_file=self.secrets.ca_file,
            kafka_username="admin",
            kafka_password_file=self.secrets.folder / "kafka-admin.password",
            redis_url=redis.url,
            deployment_key_file=folder / "deployment.key",
            keyring_file=folder / "keyring",
        )
        self.alerts: list[str] = []
        self.statistics: list[tuple[str, int]] = []
        """Window and revision."""
        self.pictures: dict[str, bytes] = {}
        self._sending: threading.Thread | None = None
        self._stop = threading.Event()

    def _add_listener(self) -> None:
        port = free_port()
        self.link = Link(port)
        here, advertised = f"CENTRE://127.0.0.1:{port}", f"CENTRE://127.0.0.1:{self.link.port}"
        settings = self.broker.settings
        self.broker.settings = {
            **settings,
            **dict(_PROPERTY.findall((FOLDER / "site-listener.properties").read_text())),
            "listener.security.protocol.map": settings["listener.security.protocol.map"] + ",CENTRE:SASL_SSL",
            "listeners": f"{settings['listeners']},{here}",
            "advertised.listeners": f"{settings['advertised.listeners']},{advertised}",
        }

    @cached_property
    def world(self) -> World:
        return cluster_world(self.deployment, self.settings, realtime=True, client="test")

    @cached_property
    def keyring(self) -> Keyring:
        return open_keyring(self.deployment, self.settings)

    def prepare(self) -> None:
        """Topics and rights as the commands make them; and one record of everything that must stay here."""
        assert self.settings.deployment_key_file is not None
        create_deployment_key(self.settings.deployment_key_file)
        admin = TopicsAdmin(self.deployment, self.settings)
        admin.apply_grants(admin.grants())
        admin.apply()
        self.keyring.create_entry_keys(["A/1"])
        mine = self.deployment.deployment_id
        self._produce(
            [
                samples.frame(),
                samples.face(),
                samples.embedding(),
                samples.match(),
                samples.passing(),
                samples.entry(entry_id="A/1", deployment_id=mine),
                samples.adjudication(deployment_id=mine),
            ]
        )

    def send(self, alerts_per_s: float) -> None:
        """From now on, on a thread of its own."""
        self._sending = threading.Thread(target=self._send, args=(alerts_per_s,), daemon=True)
        self._sending.start()

    def _send(self, alerts_per_s: float) -> None:
        while not self._stop.wait(1 / alerts_per_s):
            number = len(self.alerts)
            made = self._alert(number)
            window, revision = f"{self.name}-{number // 20}", number % 20
            counted = samples.site_stats(
                window_id=window,
                deployment_id=self.deployment.deployment_id,
                site_id=self.name,
                revision=revision,
            )
            self._produce([made, counted])
            self.alerts.append(made.alert_id)
            self.statistics.append((window, revision))

    def _alert(self, number: int) -> Any:
        seed = sum(self.name.encode()) * 100_000 + number
        picture = Picture(bgr=samples.pixels(seed, _PICTURE_PX, _PICTURE_PX))
        self.pictures[f"{self.name}, alert {number}"] = picture.encoded("jpeg")[640:]
        return samples.alert(
            alert_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.name}/{number}")),
            deployment_id=self.deployment.deployment_id,
            site_id=self.name,
            captured_at_us=time.time_ns() // 1000,
            alerted_at_us=time.time_ns() // 1000,
            probe_image=picture,
            context=None,
        )

    def _produce(self, messages: Sequence[Message]) -> None:
        for message in messages:
            topic, partition = self.world.route(message)
            value = self.world.codec.encode(message)
            self._sink.produce(topic, key=message.key, value=value, partition=partition)
        self._sink.flush(30.0)

    @cached_property
    def _sink(self) -> Any:
        return self.world.sink()

    def as_user(self, user: str) -> KafkaSettings:
        """For a client that is this user here."""
        return _settings_of(self.broker, self.secrets, user)

    def stop_sending(self) -> None:
        self._stop.set()
        if self._sending is not None:
            self._sending.join(60)
            assert not self._sending.is_alive()
            self._sending = None

    def secrets_of_keys(self) -> dict[str, bytes]:
        """Every key of this site that lives for longer than seconds, by name."""
        assert self.settings.deployment_key_file is not None
        keys = {f"{self.name}: key of {key.owner}": key.key.reveal() for key in self.keyring.every_key()}
        return keys | {f"{self.name}: deployment key": load_deployment_key(self.settings.deployment_key_file).reveal()}


class CentreBroker(SecuredBroker):
    """The centre's, with a user for MirrorMaker beside those that a site knows."""

    def __init__(self, folder: Path, secrets: Secrets) -> None:
        super().__init__(folder, secrets)
        (secrets.folder / "kafka-mirror.password").write_text("of-the-tests-alone\n")
        self.format_words = [
            *self.format_words,
            "--add-scram",
            "SCRAM-SHA-512=[name=mirror,password=of-the-tests-alone]",
        ]


@dataclass(frozen=True, slots=True)
class Arrived:
    """What the centre's topics hold of one site."""

    alerts: Counter[str] = field(default_factory=Counter)
    statistics: Counter[tuple[str, int]] = field(default_factory=Counter)

    @property
    def repeated(self) -> int:
        """Records beyond the first of each alert and revision."""
        return sum(n - 1 for n in (*self.alerts.values(), *self.statistics.values()))


@dataclass
class ManySites:
    """All of it as child processes; nothing runs before it is entered. `again`: other properties of MirrorMaker."""

    folder: Path
    redis: RedisServer
    again: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sites = {name: Site(_made(self.folder / name), name, self.redis) for name in SITES}
        self.secrets = Secrets(_made(self.folder / "centre") / "secrets")
        self.broker = CentreBroker(self.folder / "centre" / "kafka", self.secrets)
        self._stack = ExitStack()
        self._avro = wire_format(Settings())
        self._followers: dict[str, Follower] = {}
        self._arrived = {name: Arrived() for name in SITES}

    @cached_property
    def mirror(self) -> MirrorMaker:
        return MirrorMaker(self.folder / "mirror-maker", self._properties() | self.again)

    def _properties(self) -> dict[str, str]:
        """Those of the template, with addresses, files and passwords of here."""
        folder = _made(self.folder / "mirror-maker")
        owners = {**{name: (site.secrets, "centre") for name, site in self.sites.items()}}
        owners["centre"] = (self.secrets, "mirror")
        passwords = [f"{name}={of.password('kafka', user)}\n" for name, (of, user) in owners.items()]
        (folder / "passwords.properties").write_text("".join(passwords))
        text = (FOLDER / "mm2.properties").read_text()
        found = dict(_PROPERTY.findall(text.replace("/etc/overt/many-sites/passwords", f"{folder}/passwords")))
        for name, (of, _) in owners.items():
            found[f"{name}.ssl.truststore.location"] = str(of.ca_file)
        for name, site in self.sites.items():
            found[f"{name}.bootstrap.servers"] = f"127.0.0.1:{site.link.port}"
        found["centre.bootstrap.servers"] = self.broker.bootstrap
        found["config.providers.file.param.allowed.paths"] = str(folder)
        return found

    def __enter__(self) -> Self:
        brokers = [self.broker, *(site.broker for site in self.sites.values())]
        for site in self.sites.values():
            self._stack.enter_context(site.link)
        for broker in brokers:
            self._stack.callback(broker.kill)
            broker.spawn()
        for broker in brokers:
            broker.wait_ready()
        for site in self.sites.values():
            site.prepare()
        self._give_rights()
        self._stack.enter_context(self.mirror)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for site in self.sites.values():
            site.stop_sending()
        self._stack.close()

    def _give_rights(self) -> None:
        """Those that infra/many-sites/centre-acls prints."""
        printed = subprocess.run([FOLDER / "centre-acls", *SITES], check=True, capture_output=True, text=True)
        bindings = [binding for line in printed.stdout.splitlines() for binding in _bindings(line)]
        for future in self._admin.create_acls(bindings).values():
            future.result(20)

    def send(self, alerts_per_s: float = 5.0) -> None:
        """Every site sends alerts and statistics from now on."""
        for site in self.sites.values():
            site.send(alerts_per_s)

    def stop_sending(self) -> None:
        for site in self.sites.values():
            site.stop_sending()

    def as_user(self, user: str) -> KafkaSettings:
        """For a client that is this user at the centre."""
        return _settings_of(self.broker, self.secrets, user)

    def arrived(self, site: str) -> Arrived:
        """What the centre holds of a site by now, as its console's user reads it."""
        for topic in TOPICS:
            name = f"{site}.overt.{topic}"
            if name not in self._followers and self._there(name):
                log = KafkaLog(self.as_user("console"))
                self._followers[name] = log.follow(name)
                self._stack.callback(self._followers[name].close)
            while name in self._followers and (records := self._followers[name].poll(500, 0.1)):
                for record in records:
                    self._take(self._arrived[site], topic, record)
        return self._arrived[site]

    def _there(self, topic: str) -> bool:
        return topic in self._admin.list_topics(timeout=10.0).topics

    @cached_property
    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.broker.bootstrap, **self.broker.client})

    def _take(self, arrived: Arrived, topic: str, record: Record) -> None:
        if topic == "alerts":
            arrived.alerts[str(self._avro.loads("Alert", record.value)["alert_id"])] += 1
        else:
            counted = self._avro.loads("SiteStats", record.value)
            arrived.statistics[str(counted["window_id"]), int(counted["revision"])] += 1

    def wait_arrived(self, timeout_s: float, *names: str) -> float:
        """Until everything that these sites (all) had sent by now is at the centre; the seconds."""
        wanted = {name: (set(self.sites[name].alerts), set(self.sites[name].statistics)) for name in names or SITES}
        began = time.monotonic()
        while any(self._missing(name, *wanted[name]) for name in wanted):
            assert self.mirror.child.running, self.mirror.child.tail(40)
            waited = time.monotonic() - began
            assert waited < timeout_s, f"not within {timeout_s} s: {wanted.keys()}\n{self.mirror.child.tail(40)}"
            time.sleep(0.2)
        return time.monotonic() - began

    def missing(self) -> int:
        """Alerts and revisions that were sent and are not at the centre yet."""
        found = {name: (self.arrived(name), site) for name, site in self.sites.items()}
        return sum(
            len(set(site.alerts) - arrived.alerts.keys()) + len(set(site.statistics) - arrived.statistics.keys())
            for arrived, site in found.values()
        )

    def _missing(self, name: str, alerts: set[str], statistics: set[tuple[str, int]]) -> bool:
        found = self.arrived(name)
        return bool(alerts - found.alerts.keys() or statistics - found.statistics.keys())


def _settings_of(broker: SecuredBroker, secrets: Secrets, user: str) -> KafkaSettings:
    who = {"sasl.username": user, "sasl.password": secrets.password("kafka", user)}
    return KafkaSettings(broker.bootstrap, f"test-{user}", {**broker.client, **who})


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _bindings(command: str) -> list[AclBinding]:
    words = shlex.split(command)
    options = dict(itertools.pairwise(words))
    (kind,) = {"--topic", "--group", "--transactional-id"} & set(options)
    resource = {"--topic": ResourceType.TOPIC, "--group": ResourceType.GROUP}.get(kind, ResourceType.TRANSACTIONAL_ID)
    pattern = ResourcePatternType[options["--resource-pattern-type"].upper()]
    operations = [
        re.sub(r"(?<=[a-z])(?=[A-Z])", "_", b).upper() for a, b in itertools.pairwise(words) if a == "--operation"
    ]
    return [
        AclBinding(
            resource,
            options[kind],
            pattern,
            options["--allow-principal"],
            "*",
            AclOperation[operation],
            AclPermissionType.ALLOW,
        )
        for operation in operations
    ]
