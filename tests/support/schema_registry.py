"""A real schema registry: Apicurio Registry from Maven Central, with its Confluent-compatible API."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.child import Child
from tests.support.kafka_jars import cache_folder, java_missing
from tests.support.ports import free_port

VERSION = "2.6.13.Final"
_ARTIFACT = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"


class RegistryUnavailable(RuntimeError):
    """Why no registry can run on this machine."""


def runner() -> Path:
    """The registry's jar, fetched with Maven on first use. Raises RegistryUnavailable."""
    reason = java_missing()
    if reason:
        raise RegistryUnavailable(reason)
    folder = cache_folder().parent / f"apicurio-{VERSION}"
    if not folder.is_dir():
        _fetch(folder)
    return folder / f"apicurio-registry-app-{VERSION}-runner.jar"


def _fetch(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise RegistryUnavailable("mvn is missing: install Maven (infra/test-deps.sh does on Debian)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        command = [maven, "-q", "-B", _COPY, f"-Dartifact={_ARTIFACT}", f"-DoutputDirectory={work}"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        archives = list(Path(work).glob("*.tar.gz"))
        if said.returncode or not archives:
            raise RegistryUnavailable(f"Maven could not get {_ARTIFACT}: {said.stdout.strip()[-200:]}")
        with tarfile.open(archives[0]) as archive:
            archive.extractall(Path(work) / "unpacked", filter="data")
        (Path(work) / "unpacked").rename(folder)


class SchemaRegistry:
    """`with SchemaRegistry(folder) as registry: registry.url`. It keeps everything in memory."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        options = ["-Xmx300m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        quarkus = [f"-Dquarkus.http.port={self._port}", "-Dquarkus.http.host=127.0.0.1"]
        argv = ["java", *options, *quarkus, "-jar", str(runner())]
        self._child = Child(argv, log_path=folder / "schema-registry.log")
        self.url = f"http://127.0.0.1:{self._port}/apis/ccompat/v7"

    def _answers(self) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.url}/subjects", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        """SIGKILL."""
        self._child.kill()

    def __enter__(self) -> Self:
        self._child.spawn()
        self._child.wait_until(self._answers, 90)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
