"""A real Apache Kafka broker: one KRaft node on 127.0.0.1 as a child process, to be stopped, killed and restarted."""

from __future__ import annotations

import functools
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.support.child import Child, ChildFailed, Started
from tests.support.kafka_jars import KafkaUnavailable, docker_missing, jars, java_missing, kafka_version
from tests.support.ports import free_port

_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # The default is 128 MB of heap, taken at the start.
    "log.cleaner.dedupe.buffer.size": "4194304",
    # A killed broker is admitted again only when its old session has run out; the default is 9 s.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}
_LOG4J = """status=warn
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=[%d] %p %m (%c)%n
rootLogger.level=INFO
rootLogger.appenderRef.out.ref=out
"""


@functools.cache
def kafka_unavailable() -> str | None:
    """None when a broker can be started here, else why not. The first call on a machine may fetch Kafka (a minute)."""
    try:
        _java_command("unused", Path.cwd())
    except KafkaUnavailable as error:
        return str(error)
    return None


def _java_command(container: str, folder: Path) -> list[str]:
    """The words before the JVM's options and main class: java with the jars, or a container that has both."""
    reason = java_missing()
    if reason is None:
        try:
            return ["java", "-cp", f"{jars()}/*"]
        except KafkaUnavailable as error:
            reason = str(error)
    no_docker = docker_missing()
    if no_docker is not None:
        raise KafkaUnavailable(f"{reason}; and instead of it: {no_docker}")
    user = f"{os.getuid()}:{os.getgid()}"
    words = f"docker run --rm --name {container} --network host --user {user} --entrypoint java".split()
    return [*words, "-v", f"{folder}:{folder}", f"apache/kafka:{kafka_version()}", "-cp", "/opt/kafka/libs/*"]


class KafkaBroker(Started):
    """One broker with its folder (`data/`, `server.properties`, `broker.log`) and two ports that stay its own.

    `start` after `stop` or `kill` finds the same ports and data. `settings` are broker settings over the defaults
    above. To see retention and compaction at work in a second or two: "log.retention.check.interval.ms": "300",
    "log.cleaner.backoff.ms": "200" and "log.initial.task.delay.ms": "500", without which nothing is deleted in the
    first 30 s after a start; and on the topic segment.ms, retention.ms, file.delete.delay.ms and
    min.cleanable.dirty.ratio.
    In a container (see `_java_command`) a broker outlives a test run that is killed with SIGKILL.
    Nothing runs, and no file is written, before `start`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        heap_mb: int = 256,
        host: str = "127.0.0.1",
    ) -> None:
        self.folder = folder.resolve()
        self.host = host
        self.data_dir = self.folder / "data"
        self.log_path = self.folder / "broker.log"
        self.port = port or free_port()
        self.controller_port = free_port()
        self.settings = dict(settings or {})
        self.heap_mb = heap_mb
        self.format_words: list[str] = []
        """More arguments of the storage's formatting, such as users."""
        self.words_before: list[str] = []
        """What is run with the broker's command, such as what enters a network namespace."""
        self.cluster_id = secrets.token_urlsafe(16)
        self.client: dict[str, str] = {}
        """librdkafka's properties by which an administrator gets in, where not everybody does."""
        self._container = ""
        self._child: Child | None = None

    @property
    def bootstrap(self) -> str:
        """For `bootstrap.servers`."""
        return f"{self.host}:{self.port}"

    @property
    def child(self) -> Child:
        """The process of the current or last run; RuntimeError before the first."""
        if self._child is None:
            raise RuntimeError("the broker was never started")
        return self._child

    def start(self, timeout_s: float = 60.0) -> float:
        """Start and wait until every partition has a leader; returns the seconds.

        1 write the configuration, 2 format the storage if it is new, 3 start, 4 wait.
        Raises KafkaUnavailable (nothing to run) or ChildFailed (it did not get ready; its text ends with the log).
        """
        self.spawn()
        return self.wait_ready(timeout_s)

    def spawn(self) -> None:
        """`start` without its last step: one of several answers only when most of them run."""
        self._write_configuration()
        if not (self.data_dir / "meta.properties").exists():
            self._format()
        self._container = f"overt-kafka-{secrets.token_hex(6)}"
        command = [*self.words_before, *self._java(self._container), "kafka.Kafka", self._properties]
        self._child = Child(command, log_path=self.log_path)
        self._child.spawn()

    def wait_ready(self, timeout_s: float = 60.0) -> float:
        """The last step of `start`."""
        try:
            return self.child.wait_until(self._answers, timeout_s)
        except ChildFailed:
            self.kill()
            raise

    def stop(self, timeout_s: float = 60.0) -> float:
        """SIGTERM: an orderly shutdown; returns the seconds."""
        return 0.0 if self._child is None else self._child.terminate(timeout_s)

    def kill(self) -> None:
        """SIGKILL: what was not on the disk yet is lost. Harmless when it does not run."""
        if self._child is None:
            return
        if self._child.running and self._child.argv[0] == "docker":
            # The group that gets the signal holds only the client; the daemon has the container.
            subprocess.run(["docker", "kill", self._container], capture_output=True, timeout=60, check=False)
        self._child.kill()

    def restart(self) -> float:
        """`stop` and `start`; returns the seconds of the start."""
        self.stop()
        return self.start()

    def resident_mb(self) -> float:
        """The process's resident memory in MiB."""
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return next(float(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))

    @property
    def _properties(self) -> str:
        return str(self.folder / "server.properties")

    def _write_configuration(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        (self.folder / "log4j2.properties").write_text(_LOG4J)
        listener = f"PLAINTEXT://{self.host}:{self.port}"
        settings = {
            **_SETTINGS,
            "controller.quorum.voters": f"1@{self.host}:{self.controller_port}",
            "listeners": f"{listener},CONTROLLER://{self.host}:{self.controller_port}",
            "advertised.listeners": listener,
            "log.dirs": str(self.data_dir),
            **self.settings,
        }
        Path(self._properties).write_text("".join(f"{name}={value}\n" for name, value in settings.items()))

    def _java(self, container: str) -> list[str]:
        quick = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Xmx{self.heap_mb}m"]
        log4j = f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}"
        return [*_java_command(container, self.folder), *quick, log4j]

    def _format(self) -> None:
        name = f"overt-kafka-{secrets.token_hex(6)}"
        storage = [*self._java(name), "kafka.tools.StorageTool"]
        # With "=": one id in 64 begins with a hyphen.
        command = [*storage, "format", f"--cluster-id={self.cluster_id}", "-c", self._properties]
        command += self.format_words
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0:
            raise ChildFailed(f"formatting {self.data_dir} ended with {done.returncode}:\n{done.stdout}{done.stderr}")

    def _answers(self) -> bool:
        # A new client each time: one that met a closed port waits before it tries again.
        client = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0, **self.client})
        try:
            cluster = client.list_topics(timeout=0.5)
        except KafkaException:
            return False
        partitions = [part for topic in cluster.topics.values() for part in topic.partitions.values()]
        return bool(cluster.brokers) and all(part.leader >= 0 for part in partitions)


if __name__ == "__main__":
    # For infra/test-deps.sh: obtain Kafka, or say why not.
    sys.exit(kafka_unavailable())
