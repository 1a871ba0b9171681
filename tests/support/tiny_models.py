"""Packages with a tiny "model" made on the spot, the cards that pin them, and an index folder for a real pip."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

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


def make_arcface(
    path: Path,
    *,
    layout: str = "NCHW",
    batch: int | str = "N",
    side: int | str = 112,
    dimension: int = 16,
    rank: int = 2,
    input_name: str = "input.1",
    output_name: str = "embedding.1",
) -> Path:
    """A network of the ArcFace kind with one layer of random numbers: chips of 112 px to vectors."""
    cells = 7 * 7 * 4 if side == 112 else 10 * 10 * 4
    numbers = np.random.default_rng(5)
    weights = {"conv": numbers.normal(size=(4, 3, 16, 16)) / 16, "bias": np.array([1, -1, 2, 0.5])}
    weights["matrix"] = numbers.normal(size=(cells, dimension))
    nodes = [
        helper.make_node("Transpose", [input_name], ["chips"], perm=[0, 3, 1, 2] if layout == "NHWC" else [0, 1, 2, 3]),
        helper.make_node("Conv", ["chips", "conv", "bias"], ["c"], strides=[16, 16]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("MatMul", ["f", "matrix"], ["v"]),
        helper.make_node("Unsqueeze", ["v", "axis"], [output_name])
        if rank == 3
        else helper.make_node("Identity", ["v"], [output_name]),
    ]
    shape = [batch, side, side, 3] if layout == "NHWC" else [batch, 3, side, side]
    given = [batch, 1, dimension] if rank == 3 else [batch, dimension]
    stored = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    stored += [numpy_helper.from_array(np.array([1], np.int64), "axis")] * (rank == 3)
    body = helper.make_graph(
        nodes,
        "arcface",
        [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output_name, TensorProto.FLOAT, given)],
        stored,
    )
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


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
