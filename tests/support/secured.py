"""Kafka and Redis as they should run: TLS only, a user and rights for each service. Configured by the files of infra/,
with secrets that infra/security/make-dev-certs made."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import redis

from tests.support.child import Child
from tests.support.cluster import Cluster
from tests.support.kafka_broker import KafkaBroker
from tests.support.ports import free_port
from tests.support.process import Service
from tests.support.redis_server import RedisServer
from tests.support.typed import Done, typed

_TESTS = "tests"
INFRA = Path(__file__).resolve().parents[2] / "infra"


def openssl_missing() -> str | None:
    """None when secrets can be made here, else why not."""
    return None if shutil.which("openssl") else "openssl is missing: install it"


class Secrets:
    """A folder that make-dev-certs has filled, with certificates for some users too."""

    CERTIFIED = ("console", "frame", "statistics")

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca_file = folder / "ca.crt"
        clients = [word for name in self.CERTIFIED for word in ("--client", name)]
        command: list[str | Path] = [INFRA / "security" / "make-dev-certs", folder, *clients]
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    def settings(self, user: str) -> dict[str, str | Path]:
        """Settings of a process that is this user of Kafka, and of Redis where it has one there."""
        found: dict[str, str | Path] = {}
        for server in ("kafka", "redis"):
            password_file = self.folder / f"{server}-{user}.password"
            there = password_file.exists()
            found[f"{server}_ca_file"] = self.ca_file
            found |= {
                f"{server}_username": user if there else "",
                f"{server}_password_file": password_file if there else "",
            }
        return found

    def certificate(self, server: str, user: str) -> dict[str, str | Path]:
        """Settings by which a process shows this user's certificate to a server."""
        mine = self.folder / f"client-{user}"
        return {
            f"{server}_ca_file": self.ca_file,
            f"{server}_certificate_file": mine.with_suffix(".crt"),
            f"{server}_key_file": mine.with_suffix(".key"),
        }

    def password(self, server: str, user: str) -> str:
        return (self.folder / f"{server}-{user}.password").read_text().strip()

    @cached_property
    def all_passwords(self) -> list[str]:
        return [path.read_text().strip() for path in sorted(self.folder.glob("*.password"))]


class SecuredBroker(KafkaBroker):
    """infra/kafka/secured.properties on ports of 127.0.0.1. `bootstrap` is that of the clients; at `certified` a
    client's certificate says who it is, as the file's comment describes."""

    def __init__(self, folder: Path, secrets: Secrets) -> None:
        super().__init__(folder)
        internal, certified = free_port(), free_port()
        self.certified = f"127.0.0.1:{certified}"
        text = (INFRA / "kafka" / "secured.properties").read_text()
        text = text.replace("/etc/kafka/secrets", str(secrets.folder))
        ports = {"CLIENTS": self.port, "INTERNAL": internal, "CERTIFIED": certified}
        listeners = ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items())
        commented = re.findall(r"^#   (listener\.name\.NAME\.\S+?)=(\S+)$", text, re.MULTILINE)
        written: dict[str, str] = dict(re.findall(r"^([^#=\s]+)=(.*)$", text, re.MULTILINE))
        protocols = "listener.security.protocol.map"
        self.settings = {
            **written,
            **{name.replace("NAME", "certified"): value for name, value in commented},
            protocols: f"{written[protocols]},CERTIFIED:SSL",
            "listeners": f"{listeners},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": listeners,
        }
        self.format_words = (secrets.folder / "scram").read_text().splitlines()
        self.client = {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": "admin",
            "sasl.password": secrets.password("kafka", "admin"),
            "ssl.ca.location": str(secrets.ca_file),
        }


class SecuredRedis(RedisServer):
    """infra/redis/redis.conf on a port of 127.0.0.1, with a user of the tests' own beside, who may do everything.
    `certified`: it demands a certificate of its clients too."""

    def __init__(self, folder: Path, secrets: Secrets, *, certified: bool = False) -> None:
        super().__init__(folder)
        self.secrets = secrets
        folder.mkdir(parents=True, exist_ok=True)
        configuration = folder / "redis.conf"
        users = folder / "users.acl"
        users.write_text((secrets.folder / "users.acl").read_text() + f"user {_TESTS} on nopass ~* &* +@all\n")
        text = (INFRA / "redis" / "redis.conf").read_text().replace("/etc/redis/secrets/users.acl", str(users))
        configuration.write_text(text.replace("/etc/redis/secrets", str(secrets.folder)))
        words = f"redis-server {configuration} --bind 127.0.0.1 --tls-port {self.port} --dir {folder}"
        words += " --tls-auth-clients yes" if certified else ""
        self.child = Child(words.split(), log_path=self.log_path)

    @property
    def url(self) -> str:
        return f"rediss://127.0.0.1:{self.port}/0"

    def client(self, user: str = _TESTS) -> redis.Redis:
        """As one of its users; the caller closes it."""
        return redis.Redis.from_url(
            self.url,
            username=user,
            password="any" if user in (_TESTS, "health") else self.secrets.password("redis", user),
            ssl_ca_certs=str(self.secrets.ca_file),
            ssl_certfile=str(self.secrets.folder / "client-frame.crt"),
            ssl_keyfile=str(self.secrets.folder / "client-frame.key"),
        )

    def _answers(self) -> bool:
        with self.client("health") as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False


class SecuredCluster(Cluster):
    """A cluster whose services, and commands, are each their own user. In this process the world is an administrator's
    on Kafka and an auditor's on Redis."""

    def __init__(
        self,
        folder: Path,
        broker: SecuredBroker,
        redis_server: SecuredRedis,
        content: Mapping[str, Any],
        models_dir: Path,
    ) -> None:
        self.secrets = redis_server.secrets
        self.ca_file = self.secrets.ca_file
        self.secured_redis = redis_server
        everything = {**self.secrets.settings("erasure"), **self._kafka_admin()}
        super().__init__(folder, broker, redis_server, content, settings=everything, models_dir=models_dir)

    def _kafka_admin(self) -> dict[str, str | Path]:
        return {name: value for name, value in self.secrets.settings("admin").items() if name.startswith("kafka_")}

    def prepare(self) -> Self:
        """As an administrator does it once, and the owner of the watchlist then."""
        for user, words in (
            ("admin", ("keys", "create", self.settings["deployment_key_file"])),
            ("admin", ("topics", "acls", "-d", self.file, "--apply")),
            ("topics", ("topics", "apply", "-d", self.file)),
            ("watchlist", ("watchlist", "publish", "-d", self.file)),
        ):
            done = self.typed_as(user, *words)
            assert done.returncode == 0, f"{user}: overt {' '.join(map(str, words))}: {done.returncode}\n{done.stderr}"
        return self

    def typed_as(self, user: str, *arguments: str | Path, **settings: str | Path) -> Done:
        """What `overt ARGUMENTS` does as this user."""
        own = {**self.settings, **self.secrets.settings(user), **settings}
        return typed(*arguments, **{"cache": os.environ.get("OVERT_CACHE", ""), **own})

    def add(
        self,
        service: str,
        *,
        wait: bool = True,
        timeout_s: float = 120.0,
        settings: Mapping[str, str | Path] | None = None,
    ) -> Service:
        own = {**self.secrets.settings(service), **(settings or {})}
        return super().add(service, wait=wait, timeout_s=timeout_s, settings=own)
