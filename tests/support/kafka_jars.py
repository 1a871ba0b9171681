"""Obtains Apache Kafka, and MirrorMaker 2, once, through the machine's own Maven; says why where they cannot be had."""

from __future__ import annotations

import fcntl
import functools
import os
import re
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

_INFRA = Path(__file__).resolve().parents[2] / "infra"
POM = _INFRA / "kafka" / "pom.xml"
MIRROR_POM = _INFRA / "many-sites" / "pom.xml"
MINIMUM_JAVA = 17
_FETCH_TIMEOUT_S = 240


class KafkaUnavailable(RuntimeError):
    """Why no Kafka can run on this machine, and what to do about it."""


@functools.cache
def kafka_version(pom: Path = POM) -> str:
    """The pinned version, read from infra/kafka/pom.xml or another."""
    node = ElementTree.parse(pom).find(".//{http://maven.apache.org/POM/4.0.0}kafka.version")
    if node is None or not node.text:
        raise RuntimeError(f"{pom}: expected a property kafka.version")
    return node.text.strip()


def cache_folder(name: str = "kafka", pom: Path = POM) -> Path:
    """Where the jars lie or will lie: $XDG_CACHE_HOME/overt/NAME-VERSION, by default under ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "overt" / f"{name}-{kafka_version(pom)}"


@functools.cache
def java_missing() -> str | None:
    """None when `java` is new enough for the broker, else the reason."""
    java = shutil.which("java")
    if java is None:
        return f"java is missing: install a JRE {MINIMUM_JAVA} or newer (infra/test-deps.sh does on Debian)"
    said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    if found is None or int(found[1]) < MINIMUM_JAVA:
        return (
            f"java is too old for Kafka {kafka_version()}: need {MINIMUM_JAVA} or newer, `java -version` says {said!r}"
        )
    return None


@functools.cache
def jars() -> Path:
    """The folder of the broker's jars, fetched with Maven on first use; KafkaUnavailable says why not.

    May block for minutes on the first call on a machine. Two test runs at once fetch once.
    """
    return _obtained(POM, cache_folder())


@functools.cache
def mirror_jars() -> Path:
    """The same for MirrorMaker 2, which has other versions of what both use: never on one class path."""
    return _obtained(MIRROR_POM, cache_folder("mirror-maker", MIRROR_POM))


def _obtained(pom: Path, target: Path) -> Path:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with (target.parent / f"{target.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.is_dir():
                _fetch(pom, target)
    except OSError as error:
        raise KafkaUnavailable(f"the cache folder {target} cannot be written: {error}") from error
    return target


def _fetch(pom: Path, target: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailable(
            "mvn is missing: install Maven (infra/test-deps.sh does on Debian), or Docker with its daemon"
        )
    # Into a folder beside it and then renamed, so that a broken download is never taken for a whole one.
    partial = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        command = [
            maven,
            "-B",
            "-q",
            "-C",
            "-f",
            str(pom),
            "dependency:copy-dependencies",
            f"-DoutputDirectory={partial}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_TIMEOUT_S, check=False)
        if done.returncode != 0:
            errors = [line.partition("[ERROR] ")[2] for line in done.stdout.splitlines() if "[ERROR] " in line]
            said = errors[0] if errors else f"it ended with {done.returncode}"
            raise KafkaUnavailable(f"mvn could not obtain {target.name} (is its repository reachable?): {said}")
        partial.rename(target)
    except subprocess.TimeoutExpired:
        raise KafkaUnavailable(f"mvn did not obtain {target.name} within {_FETCH_TIMEOUT_S} s") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@functools.cache
def docker_missing() -> str | None:
    """None when a Docker daemon answers, else the reason."""
    docker = shutil.which("docker")
    if docker is None:
        return "docker is missing"
    try:
        done = subprocess.run(
            [docker, "version", "--format", "{{.Server.Version}}"], capture_output=True, timeout=20, check=False
        )
    except subprocess.TimeoutExpired:
        return "the Docker daemon does not answer"
    return None if done.returncode == 0 else "no Docker daemon answers"
