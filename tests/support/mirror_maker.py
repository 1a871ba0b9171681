"""A real MirrorMaker 2 as a child process, with the properties of infra/many-sites."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.child import Child, Started
from tests.support.kafka_jars import KafkaUnavailable, java_missing, mirror_jars

_LOG4J = """status=warn
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=[%d] %p %m (%c)%n
rootLogger.level=WARN
rootLogger.appenderRef.out.ref=out
logger.mirror.name=org.apache.kafka.connect.mirror
logger.mirror.level=INFO
"""


@functools.cache
def mirror_maker_unavailable() -> str | None:
    """None when MirrorMaker can be started here, else why not. The first call on a machine may fetch it (10 s)."""
    try:
        mirror_jars()
    except KafkaUnavailable as error:
        return str(error)
    return java_missing()


class MirrorMaker(Started):
    """`properties` in `folder/mm2.properties`; `start` after `kill` goes on where the centre knows it was."""

    def __init__(self, folder: Path, properties: Mapping[str, str], *, heap_mb: int = 192) -> None:
        self.folder = folder
        self.log_path = folder / "mirror-maker.log"
        folder.mkdir(parents=True, exist_ok=True)
        file, log4j = folder / "mm2.properties", folder / "log4j2.properties"
        file.write_text("".join(f"{name} = {value}\n" for name, value in properties.items()))
        log4j.write_text(_LOG4J)
        quick = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Xmx{heap_mb}m"]
        words = ["java", *quick, f"-Dlog4j2.configurationFile={log4j}", "-cp", f"{mirror_jars()}/*"]
        self.child = Child([*words, "org.apache.kafka.connect.mirror.MirrorMaker", str(file)], log_path=self.log_path)

    def start(self) -> None:
        """Returns at once: that it is ready shows at the centre only."""
        self.child.spawn()

    def kill(self) -> None:
        """SIGKILL."""
        self.child.kill()


if __name__ == "__main__":
    # For infra/test-deps.sh: obtain MirrorMaker, or say why not.
    sys.exit(mirror_maker_unavailable())
