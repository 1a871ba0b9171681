"""Packages with a tiny "model" made on the spot, the cards that pin them, and an index folder for a real pip."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import yaml

from overt.models.origins import Origins
from overt.models.registry import CARDS, Registry
from overt.models.sources import PypiSource

MODEL = b"a model of no weight" * 50
SDIST_MEMBER = "tiny_models-1.0/tiny_models/model.dat"
WHEEL_MEMBER = "tiny_wheel/model.onnx"
NPM_MEMBER = "package/model.onnx"
ADDRESS = "https://models.example/v1/theirs.onnx"


def digest(data: bytes) -> dict[str, str | int]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}


def make_sdist(path: Path, marker: Path, model: bytes = MODEL) -> None:
    """A source package whose setup.py leaves a mark where it is executed."""
    files = {
        "setup.py": f"open({str(marker)!r}, 'w').close()\nimport setuptools\nsetuptools.setup()\n".encode(),
        "PKG-INFO": b"Metadata-Version: 1.0\nName: tiny-models\nVersion: 1.0\n",
        "tiny_models/model.dat": model,
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(f"tiny_models-1.0/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def make_wheel(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(WHEEL_MEMBER, MODEL)
        info = "tiny_wheel-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-wheel\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def make_npm_archive(model: bytes = MODEL) -> bytes:
    """The archive of an npm package."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in {"package/package.json": b"{}", NPM_MEMBER: model}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def npm_source(package: str, archive: bytes) -> dict[str, object]:
    pinned: dict[str, object] = {"archive_bytes": digest(archive), "member_bytes": digest(MODEL)}
    return {"kind": "npm", "package": package, "version": "1.0.0", "member": NPM_MEMBER} | pinned


class World:
    """An index folder with two packages, the cards of their models, and an empty cache."""

    def __init__(self, folder: Path) -> None:
        self.marker = folder / "executed"
        self.index = folder / "index"
        self.cards = folder / "cards"
        self.cache = folder / "deep" / "cache"
        self.index.mkdir()
        self.cards.mkdir()
        self.sdist = self.index / "tiny_models-1.0.tar.gz"
        self.wheel = self.index / "tiny_wheel-1.0-py3-none-any.whl"
        make_sdist(self.sdist, self.marker)
        make_wheel(self.wheel)
        self.card("from-sdist", self._pypi("tiny-models", "sdist", self.sdist, SDIST_MEMBER))
        self.card("from-wheel", self._pypi("tiny-wheel", "wheel", self.wheel, WHEEL_MEMBER))
        self.card("own", {"kind": "file", "file_name": "theirs.onnx", "obtain": "ask", "member_bytes": digest(MODEL)})

    def _pypi(self, package: str, archive: str, path: Path, member: str) -> dict[str, object]:
        pinned: dict[str, object] = {"archive_bytes": digest(path.read_bytes()), "member_bytes": digest(MODEL)}
        return {"kind": "pypi", "package": package, "version": "1.0", "archive": archive, "member": member} | pinned

    def card(self, name: str, source: dict[str, object], **fields: object) -> None:
        content = yaml.safe_load((CARDS / "centerface.yaml").read_text())
        content |= {"name": name, "source": source, "converter": "none", "onnx": digest(MODEL), "default": False}
        (self.cards / f"{name}.yaml").write_text(yaml.safe_dump(content | fields))

    def source(self, name: str) -> PypiSource:
        source = self.registry().card(name).source
        assert isinstance(source, PypiSource)
        return source

    def registry(self, *search: Path, origins: Origins | None = None) -> Registry:
        return Registry(self.cache, search, self.cards, origins)
