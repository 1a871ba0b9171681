"""Certificates: what they are bound to, who signed them, what they say of an alert, and why one does not apply."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from overt import __version__
from overt.cli.outputs import RunOutputs
from overt.evaluation.canonical import canonical, plain, sha256_of
from overt.evaluation.certifiable import of_images
from overt.evaluation.certificate import CertificateError, parse, read_certificate
from overt.evaluation.fit import SIZE_CLASSES, CertificateRequired, misfits, size_class
from overt.evaluation.odds import odds
from overt.evaluation.openset import identification
from overt.evaluation.recipe import Recipe
from overt.evaluation.results import as_json, document
from overt.evaluation.searches import MatedSearches, NonMatedSearches
from overt.governance.deployment import Deployment
from overt.runtime.certified import UNCERTIFIED, bound_to, certified, demand_certificate
from overt.runtime.loaded import LoadedModels
from overt.runtime.metrics import Metrics
from overt.runtime.quality_policy import quality_policy
from overt.runtime.settings import Settings
from overt.runtime.watchlist.enrolment import Enrolment
from overt.runtime.wiring import Wiring
from overt.runtime.world import memory_world
from tests.support import messages as make
from tests.support import runs

LISTED = 300
"""Subjects on the evaluation's list: of the class up to 1,000."""
THRESHOLD = 0.5
STRONG = 0.6


def deployment(folder: Path, **more: Any) -> dict[str, Any]:
    """What a deployment file says that alerts at `THRESHOLD`; `folder` is its watchlist and its recording."""
    said = runs.deployment([runs.camera("c", folder)], folder, models=runs.FAST, **more)
    said["watchlist"]["categories"][0] |= {"threshold": THRESHOLD, "strong_threshold": STRONG}
    return said


def models(said: dict[str, Any]) -> tuple[Deployment, LoadedModels]:
    whole = Deployment.model_validate(said)
    return whole, LoadedModels(whole, Settings(cache=Path("no-cache")), Metrics())


def result(listed: int = LISTED, strangers: int = 2000) -> dict[str, Any]:
    """A result.json as `overt evaluate identify` writes it, from made-up searches of which the highest similarities of
    strangers are 0.6 (one), 0.55 (one) and 0.5 (eight)."""
    _, loaded = models(deployment(Path("list")))
    rng = np.random.default_rng(0)
    person = np.array([f"p{number}" for number in range(listed)])
    mated = MatedSearches(person, rng.uniform(0.4, 0.9, listed), np.full(listed, 0.2))
    tops = np.concatenate([[0.6, 0.55], np.full(8, 0.5), rng.uniform(0.1, 0.4, strangers - 10)])
    non_mated = NonMatedSearches(np.array([f"n{number}" for number in range(strangers)]), tops)
    answers = identification(mated, non_mated, thresholds=[THRESHOLD])
    recipe = Recipe(
        detector=loaded.detector.name,
        detector_sha256=loaded.detector.onnx.sha256,
        embedder=loaded.embedder.name,
        embedder_sha256=loaded.embedder.onnx.sha256,
        space_id=loaded.embedder.space_id,
        dimension=loaded.embedder.dimension,
        mirror=loaded.embedder.mirror,
        face="central",
        min_face_px=32,
        detection_threshold=0.6,
    )
    parts = {
        "data": {"name": "made up", "images": listed + strangers, "people": listed + strangers, "sha256": "0" * 64},
        "certifiable": of_images(recipe, listed, answers, non_mated),
    }
    return document("identify", {"overt": __version__, "date": "2026-05-01T10:00:00+00:00"}, parts)  # type: ignore[arg-type]  # as written


class Certified:
    """A deployment with a certificate of its own, made by the command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for number in range(250):  # a list of its class: what is listed is counted, no picture is opened
            (folder / "list" / f"s{number}").mkdir(parents=True)
            (folder / "list" / f"s{number}" / "1.jpg").touch()
        self.file = runs.write(folder / "deployment.yaml", deployment(folder / "list"))
        (folder / "result.json").write_text(as_json(result()))
        self.run("key", folder / "key")
        self.made = self.create()
        self.path = folder / "certificate.json"

    def run(self, *arguments: str | Path) -> runs.Ended:
        return runs.here("evaluate", "certificate", *arguments, out=None, env=runs.environment())

    def create(self, *arguments: str | Path, result: str = "result.json", out: str = "certificate.json") -> runs.Ended:
        options = ("-d", self.file, "--key", self.folder / "key", "--out", self.folder / out)
        return self.run("create", self.folder / result, *options, *arguments)

    def named_by(self, change: Callable[[dict[str, Any]], None] = lambda _: None, **more: Any) -> dict[str, Any]:
        """The deployment's content, naming certificate and key, with a change."""
        said = deployment(
            self.folder / "list",
            certificate=str(self.path),
            certificate_key=str(self.folder / "key.pub"),
            **more,
        )
        change(said)
        return said


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certified:
    return Certified(tmp_path_factory.mktemp("certified"))


def reasons(said: dict[str, Any], subjects: int | None = 250) -> list[str]:
    """The names of what keeps the certificate that a deployment names from applying to it."""
    found = certified(*models(said), subjects)
    assert (found.certificate is None) == bool(found.misfits)
    return [misfit.name for misfit in found.misfits]


def test_a_result_is_certified_and_applies(made: Certified) -> None:
    assert made.made.code == 0, made.made.err
    assert "lists of up to 1,000 subjects, measured with 300" in made.made.out
    assert "FPIR 0.50 % (0.24 to 0.92 %), 10 of 2,000" in made.made.out
    assert reasons(made.named_by()) == []


def test_it_says_what_was_not_measured(made: Certified) -> None:
    body = read_certificate(made.path).body
    assert any("Single images were searched for" in limit for limit in body.limits)
    assert any("with 1,000 it may reach" in limit for limit in body.limits)
    assert "Errors by group were not measured." in body.limits
    assert body.operating[0].fpir_in_class == pytest.approx(1 - (1 - body.operating[0].fpir.high) ** (1000 / 300))


def _recognition(**options: Any) -> Callable[[dict[str, Any]], None]:
    return lambda said: said.update(recognition=options)


def _category(**options: Any) -> Callable[[dict[str, Any]], None]:
    return lambda said: said["watchlist"]["categories"][0].update(options)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_category(threshold=THRESHOLD + 1e-9), ["threshold"]),
        (_category(threshold=0.49), ["threshold"]),
        (_category(strong_threshold=0.7), ["threshold"]),
        (_category(confirmations=3), ["threshold"]),
        (_category(within_s=4.0), ["threshold"]),
        (_recognition(min_face_px=24), ["quality_policy"]),
        (_recognition(crops_per_track=5), ["quality_policy"]),
        (_recognition(detection_threshold=0.59), ["quality_policy"]),
        (_recognition(cooldown_s=5.0), []),
        (lambda said: said.update(models=runs.FAST | {"detector": "yunet-n"}), ["detector"]),
        (
            lambda said: said.update(models=runs.FAST | {"embedder": "dlib-resnet-v1"}),
            ["embedder", "space"],
        ),
        (lambda said: said.update(certificate="elsewhere.json"), ["certificate"]),
        (lambda said: said.update(certificate=None), ["certificate"]),
        (lambda said: said.update(certificate_key="sha256:" + "0" * 64), ["signer"]),
        (lambda said: said.update(certificate_key="elsewhere.pub"), ["certificate_key"]),
        (lambda said: said.update(certificate_key=None), []),
    ],
)
def test_what_it_is_bound_to_keeps_it_from_applying_when_it_changes(
    made: Certified, change: Callable[[dict[str, Any]], None], expected: list[str]
) -> None:
    assert reasons(made.named_by(change)) == expected


@pytest.mark.parametrize(
    ("subjects", "expected"), [(100, ["list_size"]), (101, []), (1000, []), (1001, ["list_size"]), (None, [])]
)
def test_a_list_of_another_size_class_is_another_thing(
    made: Certified, subjects: int | None, expected: list[str]
) -> None:
    assert reasons(made.named_by(), subjects) == expected


@pytest.mark.parametrize("role", ["detector", "embedder"])
def test_one_changed_byte_of_a_model_is_another_model(made: Certified, role: str) -> None:
    """By the hash, whatever the name: here of a card that pins the changed file."""
    whole, loaded = models(made.named_by())
    card = getattr(loaded, role)
    changed = "f" if card.onnx.sha256[0] != "f" else "e"
    other = card.model_copy(update={"onnx": card.onnx.model_copy(update={"sha256": changed + card.onnx.sha256[1:]})})
    setattr(loaded, role, other)
    assert [misfit.name for misfit in certified(whole, loaded, 250).misfits] == [role]


def test_verify_hashes_the_files_anew(made: Certified, test_data: Path, tmp_path: Path) -> None:
    for name in ("yunet_s_dynamic.onnx", "mobilefacenet192.onnx"):
        shutil.copyfile(test_data / "models" / name, tmp_path / name)
    env = runs.environment(models_dir=tmp_path, cache=tmp_path / "cache")
    verify = ("evaluate", "certificate", "verify", made.path, "-d", made.file, "--key", made.folder / "key.pub")
    sound = runs.here(*verify, out=None, env=env)
    assert sound.code == 0, sound.err
    assert sound.out.endswith("it applies to street-test\n")
    with (tmp_path / "yunet_s_dynamic.onnx").open("r+b") as file:
        file.seek(1000)
        byte = file.read(1)
        file.seek(1000)
        file.write(bytes([byte[0] ^ 1]))
    changed = runs.here(*verify, out=None, env=env)
    assert changed.code == 7
    assert "it does not apply" in changed.err
    assert "  detector: " in changed.err
    assert "  embedder: " not in changed.err


def test_all_that_decides_on_crops_is_in_the_policy(made: Certified) -> None:
    """Each value of the policy changed alone gives another hash, and the reason names it."""
    whole, loaded = models(made.named_by())
    bound = bound_to(whole, loaded, 250)
    policy = quality_policy(whole.recognition, loaded.detector)
    assert bound.quality_policy_sha256 == sha256_of(policy)
    assert {"quality", "gate", "shots", "tracking", "fusion", "calibration", "detection_threshold"} == set(policy)
    assert "detector.quality" in policy["calibration"]
    assert policy["calibration"]["detector.quality"], "its calibration is read off the module"
    signed = read_certificate(made.path)
    for part in ("gate", "shots", "tracking"):
        for name in policy[part]:
            changed = {**policy, part: {**policy[part], name: "another"}}
            other = replace(bound, quality_policy=changed, quality_policy_sha256=sha256_of(changed))
            (misfit,) = misfits(signed, other, None)
            assert misfit.name == "quality_policy"
            assert f"{part}.{name} " in misfit.text


def test_another_minor_version_may_compare_other_crops(made: Certified) -> None:
    signed = read_certificate(made.path)
    bound = bound_to(*models(made.named_by()), 250)
    major, minor, patch = __version__.split(".")
    assert [m.name for m in misfits(signed, replace(bound, overt=f"{major}.{int(minor) + 1}.0"), None)] == ["software"]
    assert not misfits(signed, replace(bound, overt=f"{major}.{minor}.{patch}9"), None)


def _edited(text: str, change: Callable[[dict[str, Any]], None]) -> bytes:
    said = json.loads(text)
    change(said)
    return json.dumps(said).encode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c["body"]["list_size"].update(up_to=10_000), "changed after it was signed"),
        (lambda c: c["body"]["operating"][0]["rule"].update(match="0.4"), "changed after it was signed"),
        (lambda c: c["body"]["operating"][0]["fpir"].update(count=0), "changed after it was signed"),
        (lambda c: c["body"].update(more=1), "changed after it was signed"),
        (lambda c: c["body"].update(more=0.5), "no canonical text"),
        (lambda c: c["signature"].update(value="AAAA"), "changed after it was signed"),
        (lambda c: c["signature"].update(value="ä"), "value in base64"),
        (lambda c: c["signature"].update(key="sha256:" + "0" * 64), "fingerprint"),
        (lambda c: c["signature"].update(algorithm="none"), "expected algorithm Ed25519"),
        (lambda c: c.update(version=2), "no certificate of version 1"),
        (lambda c: c.update(note=""), "other fields"),
    ],
)
def test_a_changed_certificate_is_none(made: Certified, change: Callable[[dict[str, Any]], None], words: str) -> None:
    with pytest.raises(CertificateError, match=words):
        parse(_edited(made.path.read_text(), change))


def test_it_verifies_with_nothing_of_overt(made: Certified) -> None:
    """As docs/certificates.md says it is signed."""
    said = json.loads(made.path.read_text())
    text = json.dumps(said["body"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    key = serialization.load_pem_public_key(said["signature"]["public_key"].encode())
    assert isinstance(key, Ed25519PublicKey)
    key.verify(base64.b64decode(said["signature"]["value"]), b"overt-certificate/1\n" + text.encode())
    assert said["signature"]["public_key"] == (made.folder / "key.pub").read_text()


def test_every_changed_byte_of_the_body_is_seen(made: Certified) -> None:
    """A character of a value, at a hundred places of the body; layout is nobody's business."""
    text = made.path.read_text()
    start, end = text.index('"body"') + 10, text.index('"signature"')
    seen = 0
    for place in np.linspace(start, end - 1, 100).astype(int).tolist():
        if text[place].isalnum():
            other = "1" if text[place] != "1" else "2"
            with pytest.raises(CertificateError):
                parse((text[:place] + other + text[place + 1 :]).encode())
            seen += 1
    assert seen > 40
    parse(json.dumps(json.loads(text), indent=4).encode())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not valid JSON"),
        (b"[]", "no JSON object"),
        (b'{"format": NaN}', "NaN"),
        (b'{"body": 1, "body": 2}', "twice"),
        (b"[" * 100_000, "not valid JSON"),
        (b" " * (5 << 20), "larger than 4 MiB"),
    ],
)
def test_what_is_no_certificate_is_refused_in_words(data: bytes, words: str) -> None:
    with pytest.raises(CertificateError, match=words):
        parse(data)


def test_another_key_signs_something_else(made: Certified, tmp_path: Path) -> None:
    made.run("key", tmp_path / "other")
    ended = made.run("verify", made.path, "-d", made.file, "--key", tmp_path / "other.pub")
    assert ended.code == 7
    assert "  signer: sha256:" in ended.err


def test_keys_are_secret_and_never_overwritten_and_openssl_agrees_on_their_name(
    made: Certified, tmp_path: Path
) -> None:
    first = made.run("key", tmp_path / "key")
    assert first.code == 0
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    before = (tmp_path / "key").read_bytes()
    again = made.run("key", tmp_path / "key")
    assert again.code == 2
    assert "not overwritten" in again.err
    assert (tmp_path / "key").read_bytes() == before
    (tmp_path / "key").chmod(0o644)
    ended = made.create("--key", tmp_path / "key", out="never.json")
    assert ended.code == 2
    assert "chmod 600" in ended.err
    if shutil.which("openssl"):
        command = ["openssl", "pkey", "-pubin", "-in", str(tmp_path / "key.pub"), "-outform", "DER"]
        der = subprocess.run(command, capture_output=True, check=True).stdout
        assert f"sha256:{hashlib.sha256(der).hexdigest()}" in first.out


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda r: r.pop("certifiable"), 2, "a certificate is made from a result of"),
        (lambda r: r.update(format="other"), 2, "no result.json of `overt evaluate`"),
        (
            lambda r: r["certifiable"].update(points=r["certifiable"]["points"][1:]),
            2,
            "threshold: the deployment alerts",
        ),
        (
            lambda r: r["certifiable"]["points"][0].update(fpir={"not_measurable": "nobody passed"}),
            2,
            "FPIR was not measurable: nobody passed",
        ),
        (
            lambda r: r["certifiable"].update(quality_policy_sha256="0" * 64),
            2,
            "quality_policy: the evaluation was made",
        ),
        (lambda r: r["certifiable"]["detector"].update(sha256="0" * 64), 7, "  detector: it is of yunet-s"),
        (lambda r: r["certifiable"].update(list_size=20), 7, "  list_size: it is of lists of up to 100"),
        (lambda r: r["certifiable"].update(list_size=2_000_000), 2, "more than any class"),
    ],
)
def test_what_a_result_does_not_carry_is_not_certified(
    made: Certified, change: Callable[[dict[str, Any]], None], code: int, words: str
) -> None:
    said = json.loads((made.folder / "result.json").read_text())
    change(said)
    (made.folder / "other.json").write_text(json.dumps(said))
    ended = made.create(result="other.json", out="never.json")
    assert (ended.code, words in ended.err) == (code, True), ended.err
    assert not (made.folder / "never.json").exists()


def test_groups_are_stated_with_what_could_not_be_measured(made: Certified) -> None:
    said = json.loads((made.folder / "result.json").read_text())
    fpir = said["certifiable"]["points"][0]["fpir"]
    none = {"not_measurable": "too few"}
    group = {"group": "f", "people": 10, "fnir": none, "fpir": fpir, "fmr": none, "fta": fpir}
    pairs = {"label": "sex", "threshold": THRESHOLD, "groups": [group | {"fnir": none, "fpir": none, "fmr": fpir}]}
    groups = {
        "format": "overt-evaluation",
        "kind": "groups",
        "models": {f"{role}_sha256": said["certifiable"][role]["sha256"] for role in ("detector", "embedder")},
        "measures": {
            "labels": [{"searches": {"label": "sex", "threshold": THRESHOLD, "groups": [group]}, "pairs": pairs}]
        },
    }
    (made.folder / "groups.json").write_text(json.dumps(groups))
    ended = made.create("--groups", made.folder / "groups.json", out="grouped.json")
    assert ended.code == 0, ended.err
    assert "sex, f: FPIR 0.50 %" in ended.out
    assert "sex, f: FNIR not measurable here: too few" in ended.out
    assert "sex, f: FMR 0.50 % (0.24 to 0.92 %), 10 of 2,000\n" in ended.out, "what searches cannot tell, pairs may"
    assert ended.out.count("sex, f: ") == 4
    assert "Errors by group were not measured." not in read_certificate(made.folder / "grouped.json").body.limits
    groups["measures"]["labels"][0]["searches"]["threshold"] = 0.3  # type: ignore[index]  # plain JSON
    (made.folder / "groups.json").write_text(json.dumps(groups))
    assert "has no threshold" in made.create("--groups", made.folder / "groups.json", out="never.json").err


def test_odds_are_counted_and_never_extrapolated(made: Certified) -> None:
    body = read_certificate(made.path).body
    low = odds(body, 0.5)
    assert low is not None
    assert low.share == pytest.approx(10 / 2000)
    between = odds(body, 0.549)
    assert between is not None
    assert between.share == pytest.approx(10 / 2000), "between two points the more frequent one counts"
    assert str(odds(body, 0.6)) == "1 in 2,000 strangers' images would score this high (at worst 1 in 350)"
    beyond = odds(body, 0.99)
    assert beyond is not None
    assert beyond.share is None
    assert str(beyond) == "fewer than 1 in 540 strangers' images would score this high"
    assert odds(body, 0.05) is None
    assert odds(body, float("nan")) is None
    larger = odds(body, 0.6, subjects=900)
    assert larger is not None
    assert larger.share == pytest.approx(3 / 2000, rel=1e-3), "three times as many on the list, three times as often"


@given(st.floats(-1, 1), st.floats(-1, 1))
@budget(max_examples=50, deadline=None)
def test_a_higher_similarity_is_never_more_usual(made: Certified, one: float, other: float) -> None:
    body = read_certificate(made.path).body
    low, high = (odds(body, similarity) for similarity in sorted((one, other)))
    if low is not None:
        assert high is not None
        assert high.at_most <= low.at_most
        assert (high.share or 0) <= (low.share or 0)


def test_an_alert_says_how_rare_its_similarity_is(
    made: Certified, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, loaded = models(made.named_by())
    found = certified(whole, loaded, 250)
    world, _ = memory_world(whole)
    wiring = Wiring(world, Settings(cache=tmp_path), Metrics(), realtime=True)
    for rarity, expected in ((found.rarity(250), "1 in 1,000 strangers' images"), (UNCERTIFIED.rarity(250), None)):
        run = RunOutputs(
            tmp_path / str(expected), wiring, Enrolment(), annotate=False, images=False, realtime=True, rarity=rarity
        )
        run.begin()
        run.alert(make.alert(similarity=0.56))
        run.end({})
        line = capsys.readouterr().out
        page = (tmp_path / str(expected) / "report.html").read_text()
        assert ("strangers" in line, "Among strangers" in page) == (expected is not None,) * 2
        assert expected is None or (expected in line and expected in page.replace("&#39;", "'"))


def test_without_a_fitting_one_it_is_warned_of_or_refused(made: Certified) -> None:
    warnings: list[str] = []
    strict = made.named_by(_category(threshold=0.4), require_certificate=True)
    with pytest.raises(CertificateRequired, match=r"field certificate: none fits.*threshold: category wanted-test"):
        demand_certificate(*models(strict), 250, warnings.append)
    assert not warnings
    demand_certificate(*models(made.named_by(_category(threshold=0.4))), 250, warnings.append)
    assert len(warnings) == 1
    assert "its error rates are not known: threshold: " in warnings[0]
    warnings.clear()
    assert demand_certificate(*models(made.named_by(require_certificate=True)), 250, warnings.append).certificate
    assert all(warning.startswith("certificate: ") for warning in warnings), "what was not measured is said"


@pytest.mark.parametrize("service", ["frame", "detector", "embedder", "matcher", "alerter"])
def test_no_service_starts_where_the_deployment_demands_one_that_fits(
    made: Certified, tmp_path: Path, service: str
) -> None:
    """Before it connects to anything."""
    said = made.named_by(_category(threshold=0.4), require_certificate=True)
    file = runs.write(tmp_path / "deployment.yaml", said)
    env = runs.environment(kafka_bootstrap="127.0.0.1:9", redis_url="redis://127.0.0.1:9/0")
    ended = runs.here("serve", service, "-d", file, out=None, env=env)
    assert ended.code == 2
    assert "field certificate: none fits" in ended.err


def test_a_run_is_refused_where_the_deployment_demands_one_that_fits(
    made: Certified, test_data: Path, tmp_path: Path
) -> None:
    people = sorted((test_data / "lfw").rglob("*_0001.jpg"))[:2]
    for person in people:
        (tmp_path / "list" / person.stem).mkdir(parents=True)
        shutil.copyfile(person, tmp_path / "list" / person.stem / "1.jpg")
    said = made.named_by(require_certificate=True)
    said["watchlist"]["source"] = str(tmp_path / "list")
    said["cameras"][0]["source"] = str(tmp_path / "list" / people[0].stem)
    file = runs.write(tmp_path / "deployment.yaml", said)
    env = runs.environment(models_dir=test_data / "models")
    ended = runs.here("run", file, "--no-realtime", out=tmp_path / "out", env=env)
    assert ended.code == 2, ended.err
    assert "list_size: it is of lists of up to 1,000 subjects, the deployment's has" in ended.err
    assert not (tmp_path / "out").exists(), "nothing was captured"


def test_a_deployment_that_demands_a_certificate_names_it_and_its_key(tmp_path: Path) -> None:
    file = runs.write(tmp_path / "deployment.yaml", deployment(tmp_path, require_certificate=True))
    ended = runs.here("deployment", "check", file, out=None, env=runs.environment())
    assert ended.code == 2
    assert "certificate: is missing, and require_certificate asks for one" in ended.err
    assert "certificate_key: is missing; anybody can sign" in ended.err


def test_paths_are_relative_to_the_deployment_file_and_fingerprints_are_none(tmp_path: Path) -> None:
    said = deployment(tmp_path, certificate="c.json", certificate_key="sha256:" + "0" * 64)
    whole = Deployment.model_validate(said, context={"base": tmp_path})
    assert whole.certificate == str(tmp_path / "c.json")
    assert whole.certificate_key == "sha256:" + "0" * 64


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8")),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="ascii")), inner),
        max_leaves=10,
    )
)
@budget(max_examples=50, deadline=None)
def test_canonical_text_is_json_and_does_not_depend_on_the_order_of_keys(value: Any) -> None:
    text = canonical(value)
    assert json.loads(text) == value
    assert canonical(json.loads(text)) == text
    if isinstance(value, dict):
        assert canonical(dict(reversed(list(value.items())))) == text


def test_canonical_text_by_the_examples_of_rfc_8785() -> None:
    """Section 3.2.2 and 3.2.3, without what has no canonical text here."""
    assert canonical({"b": [None, True, False], "a": '€$\u000f\nA\'B"\\\\"/'}) == (
        b'{"a":"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/","b":[null,true,false]}'
    )
    for wrong in (0.1, {"é": 1}, 2**60, {"a": "\ud800"}, {1: 2}, object()):
        with pytest.raises(ValueError, match=r"."):
            canonical(wrong)
    assert plain({"a": 0.1, "b": (1, 2.0)}) == {"a": "0.1", "b": [1, "2.0"]}


def test_size_classes_hold_what_they_say() -> None:
    assert [size_class(n) for n in (1, 100, 101, 1_000_000)] == [100, 100, 1000, 1_000_000]
    assert all(size_class(limit) == limit for limit in SIZE_CLASSES)
    with pytest.raises(ValueError, match="larger than any class"):
        size_class(1_000_001)
