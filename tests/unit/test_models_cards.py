"""Model cards: what they must say, and that the shipped ones say it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from overt.models.card import EmbedderCard, read_card
from overt.models.errors import BadCard, UnknownModel
from overt.models.registry import CARDS, Registry

Raw = dict[str, Any]


def raw(name: str) -> Raw:
    loaded = yaml.safe_load((CARDS / f"{name}.yaml").read_text())
    assert isinstance(loaded, dict)
    return loaded


def written(folder: Path, content: Raw) -> Path:
    path = folder / f"{content.get('name', 'nameless')}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_defaults_are_one_of_each_role_usable_commercially_and_obtainable_by_anybody(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    assert [c.name for c in registry.cards() if c.default] == ["centerface", "dlib-resnet-v1"]
    for card in (registry.detector(), registry.embedder()):
        assert card.commercial_use
        assert card.source.kind == "pypi"
        assert card.licence in {"MIT", "CC0-1.0"}


def test_no_model_file_ships_with_the_package() -> None:
    package = CARDS.parents[1]
    assert [p for p in package.rglob("*") if p.suffix in {".onnx", ".dat", ".tflite", ".pt"}] == []


# What makes up a model space, and its id. A change of any part changes vectors: then give the space a new number in the
# card and a new line here, so that vectors of before and after never meet.
SPACES = {
    "dlib-resnet-v1/1": "7c005f2bb580f67d",
    "mobilefacenet-192/1": "cf8fb1b167718959",
    "sface/1": "f5421e89681382f4",
}


def test_a_space_id_changes_whenever_its_vectors_would(tmp_path: Path) -> None:
    found = {}
    for card in Registry(tmp_path).cards():
        if isinstance(card, EmbedderCard):
            parts = card.model_dump(mode="json", include={"onnx", "input", "outputs", "mirror", "alignment"})
            del parts["alignment"]["source"]
            found[card.space_id] = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
    assert found == SPACES


def _set(**fields: Any) -> Callable[[Raw], None]:
    return lambda content: content.update(fields)


def _input(**fields: Any) -> Callable[[Raw], None]:
    return lambda content: content["input"].update(fields)


def _alignment(points: list[list[float]]) -> Callable[[Raw], None]:
    return lambda content: content["alignment"].update(points_xy=points)


PINNED = {"sha256": "0" * 64, "size_bytes": 1}
HTTPS: Raw = {"kind": "https", "url": "https://models.example/a.onnx", "member_bytes": PINNED}
NPM: Raw = {"kind": "npm", "package": "@scope/x", "version": "1.0.0", "archive_bytes": PINNED, "member": "package/a"}
NPM |= {"member_bytes": PINNED}
POINTS = raw("dlib-resnet-v1")["alignment"]["points_xy"]


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (_set(color="RGB"), "color"),
        (_input(colour="GBR"), "input.colour"),
        (_input(scale=0), "input.scale"),
        (_input(mean=[0, 0]), "input.mean"),
        (_input(mean=[0, 0, float("nan")]), "input.mean"),
        (_input(stride_px=32), "exactly one of chip_px"),
        (_input(chip_px=112), "input.chip_px 112 differs"),
        (_set(licence="free for all"), "licence"),
        (_set(commercial_use=False), "commercially"),
        (_set(space_id="dlib"), "space_id"),
        (_set(role="matcher"), "role"),
        (_set(outputs={"vector": "embedding"}), "outputs"),
        (_set(converter="none"), "without a converter"),
        (lambda c: c["onnx"].update(sha256="abc"), "onnx.sha256"),
        (_set(golden=None), "must have been measured"),
        (_set(match=None), "must have been measured"),
        (_set(source=HTTPS | {"url": "http://models.example/a.onnx"}), "source.https.url"),
        (_set(source=HTTPS | {"url": "https://me:secret@models.example/a.onnx"}), "source.https.url"),
        (_set(source=HTTPS | {"url": "https://models.example/"}), "source.https.url"),
        (_set(source=NPM | {"package": "../x"}), "source.npm.package"),
        (_set(source=NPM | {"version": "latest"}), "source.npm.version"),
        (lambda c: c["session"].update(provider="cuda"), "session.provider"),
        (lambda c: c["source"].pop("member"), "source.pypi.member"),
        (lambda c: c["source"].update(package="x --index-url=y"), "source.pypi.package"),
        (lambda c: c["source"].update(version="1\nother==2"), "source.pypi.version"),
        (lambda c: c["match"].update(default_fmr=0.5), "default_fmr"),
        (lambda c: c["match"]["points"].reverse(), "highest false match rate"),
        (_alignment([POINTS[1], POINTS[0], *POINTS[2:]]), "left eye, right eye"),
        (_alignment([*POINTS[:3], POINTS[4], POINTS[3]]), "left eye, right eye"),
        (_alignment([*POINTS[:4], [97.3, 151.0]]), "inside the chip"),
        (_alignment(POINTS[:4]), "alignment.points_xy"),
    ],
)
def test_a_wrong_card_is_refused_and_the_error_names_file_and_field(
    tmp_path: Path, spoil: Callable[[Raw], None], field: str
) -> None:
    content = raw("dlib-resnet-v1")
    read_card(written(tmp_path, content))  # right before it is spoilt
    spoil(content)
    path = written(tmp_path, content)
    with pytest.raises(BadCard) as caught:
        read_card(path)
    assert str(path) in str(caught.value)
    assert field in str(caught.value)


@pytest.mark.parametrize("text", ["", "- a list", "name: [unclosed", "name: x\nrole: detector\n", "\x00"])
def test_a_file_that_is_no_card_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(BadCard, match=r"x\.yaml"):
        read_card(path)


def test_a_card_is_named_as_its_file(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text((CARDS / "centerface.yaml").read_text())
    with pytest.raises(BadCard, match=r"centerface\.yaml"):
        read_card(path)


def test_two_defaults_of_a_role_are_refused(tmp_path: Path) -> None:
    for name in ("centerface", "second"):
        written(tmp_path, raw("centerface") | {"name": name})
    with pytest.raises(BadCard, match=r"second\.yaml.*centerface"):
        Registry(tmp_path, cards_dir=tmp_path)


def test_an_unknown_name_and_a_wrong_role_list_what_there_is(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    with pytest.raises(UnknownModel, match=r"'arcface'.*centerface.*yunet-s"):
        registry.card("arcface")
    with pytest.raises(UnknownModel, match=r"centerface is a detector.*dlib-resnet-v1"):
        registry.embedder("centerface")
    with pytest.raises(UnknownModel, match=r"dlib-resnet-v1 is an embedder.*yunet-n"):
        registry.detector("dlib-resnet-v1")
    with pytest.raises(UnknownModel, match="No detector is the default"):
        Registry(tmp_path, cards_dir=tmp_path).detector()


def test_thresholds_are_looked_up_by_false_match_rate(tmp_path: Path) -> None:
    match = Registry(tmp_path).embedder("dlib-resnet-v1").match
    assert match is not None
    assert match.default == match.at(match.default_fmr)
    assert match.at(1e-3) < match.at(1e-4) < match.at(1e-5)
    with pytest.raises(KeyError):
        match.at(0.5)
