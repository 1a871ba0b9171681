"""Models over HTTP, from a real server: resumed, verified, redirected, by mirror, proxy and npm registry."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from overt.models import web
from overt.models.errors import NotObtained, WrongBytes
from overt.models.npm import archive_url
from overt.models.obtain import Progress, Step
from overt.models.origins import Origins
from overt.models.sources import Bytes, NpmSource
from tests.support.file_server import FileServer
from tests.support.tiny_models import ADDRESS, MODEL, World, digest, make_npm_archive, npm_source

DATA = b"".join(hashlib.sha256(bytes([i])).digest() for i in range(200))
PINNED = Bytes(sha256=hashlib.sha256(DATA).hexdigest(), size_bytes=len(DATA))
ARCHIVE = make_npm_archive()


@pytest.fixture(autouse=True)
def _quick_and_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_PAUSE_S", 0.0)
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.lower().startswith("npm_config_"):
            monkeypatch.delenv(name)


@pytest.fixture
def server() -> Iterator[FileServer]:
    files = {
        "/file": DATA,
        "/v1/theirs.onnx": MODEL,
        "/tiny/-/tiny-1.0.0.tgz": ARCHIVE,
        "/@scope/tiny/-/tiny-1.0.0.tgz": ARCHIVE,
    }
    with FileServer(files) as made:
        yield made


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.card("from-https", {"kind": "https", "url": ADDRESS, "member_bytes": digest(MODEL)})
    made.card("from-npm", npm_source("tiny", ARCHIVE))
    return made


def fetched(url: str, part: Path) -> bytes:
    web.download(url, PINNED, part, lambda _: None)
    return part.read_bytes()


@pytest.mark.parametrize("way", ["", "/plain", "/moved", "/cut/1000", "/plain/cut/7"])
def test_a_file_arrives_whole_whatever_the_way(server: FileServer, tmp_path: Path, way: str) -> None:
    assert fetched(f"{server.url}{way}/file", tmp_path / "part") == DATA


def test_what_arrived_before_a_cut_is_not_asked_for_again(server: FileServer, tmp_path: Path) -> None:
    seen: list[int] = []
    web.download(f"{server.url}/cut/1500/file", PINNED, tmp_path / "part", seen.append)
    steps = range(1500, len(DATA), 1500)
    assert server.ranges() == [None, *(f"bytes={n}-" for n in steps)]
    assert seen == sorted(seen)
    assert seen[-1] == len(DATA)


def test_a_later_attempt_goes_on_where_an_earlier_one_was_cut(server: FileServer, tmp_path: Path) -> None:
    url = f"{server.url}/dying/2000/file"
    with pytest.raises(NotObtained, match=rf"503.*2000 of {len(DATA)} bytes are kept.*OVERT_MIRRORS"):
        fetched(url, tmp_path / "part")
    server.healed = True
    server.requests.clear()
    assert fetched(url, tmp_path / "part") == DATA
    assert server.ranges() == ["bytes=2000-"]


@pytest.mark.parametrize("left", [b"of another version", DATA[:-1] + b"?", DATA + b"and more", DATA])
def test_what_lies_there_of_another_file_is_replaced(server: FileServer, tmp_path: Path, left: bytes) -> None:
    (tmp_path / "part").write_bytes(left)
    assert fetched(f"{server.url}/file", tmp_path / "part") == DATA
    assert bool(server.requests) == (left != DATA), "a whole file is not asked for"


def test_a_server_without_ranges_starts_again(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(DATA[:100])
    assert fetched(f"{server.url}/plain/file", tmp_path / "part") == DATA


@pytest.mark.parametrize(("way", "found"), [("wrong", "another sha256"), ("short", "it has 39 bytes")])
def test_another_file_than_the_pinned_one_is_refused_and_not_kept(
    server: FileServer, tmp_path: Path, way: str, found: str
) -> None:
    with pytest.raises(WrongBytes, match=rf"{PINNED.sha256}.*{found}"):
        fetched(f"{server.url}/{way}/file", tmp_path / "part")
    assert not (tmp_path / "part").exists()


def test_what_does_not_exist_is_asked_for_once(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(NotObtained, match="HTTP status 404"):
        fetched(f"{server.url}/nothing", tmp_path / "part")
    assert len(server.requests) == 1
    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_server_is_named_without_what_may_be_secret(tmp_path: Path) -> None:
    with pytest.raises(NotObtained, match=r"http://127\.0\.0\.1:9/file: could not") as caught:
        fetched("http://somebody:hunter2@127.0.0.1:9/file?token=hunter3", tmp_path / "part")
    assert "hunter" not in str(caught.value)


def test_only_http_is_spoken(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(DATA)
    with pytest.raises(NotObtained, match="no https address"):
        fetched(f"file://{tmp_path}/file", tmp_path / "part")


def test_a_redirect_never_leads_from_https_to_something_weaker(monkeypatch: pytest.MonkeyPatch) -> None:
    request = urllib.request.Request("https://models.example/file")
    handler = web._StaySecure()
    for weaker in ("http://models.example/file", "ftp://models.example/file"):
        with pytest.raises(urllib.error.HTTPError, match="redirects to"):
            handler.redirect_request(request, None, 302, "Found", None, weaker)  # type: ignore[arg-type]
    followed = handler.redirect_request(request, None, 302, "", {}, "https://b.example/f")  # type: ignore[arg-type]
    assert followed is not None


def test_a_password_goes_to_its_own_server_and_not_to_where_that_sends_on(tmp_path: Path) -> None:
    with FileServer({"/file": DATA}) as other, FileServer({"/file": DATA}) as server:
        server.elsewhere = other.url
        url = server.url.replace("//", "//somebody:hun%40ter@") + "/abroad/file"
        assert fetched(url, tmp_path / "part") == DATA
        token = server.requests[0][1]["Authorization"].removeprefix("Basic ")
        assert base64.b64decode(token) == b"somebody:hun@ter"
        assert "Authorization" not in other.requests[0][1]


def test_two_processes_do_not_write_one_file(server: FileServer, tmp_path: Path) -> None:
    with (tmp_path / "part").open("ab") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        with pytest.raises(NotObtained, match="another process"):
            fetched(f"{server.url}/file", tmp_path / "part")
    assert fetched(f"{server.url}/file", tmp_path / "part") == DATA


def test_a_proxy_of_the_environment_is_used_unless_the_host_is_excepted(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    assert fetched("http://models.invalid/file", tmp_path / "part") == DATA
    assert server.requests[0][0] == "http://models.invalid/file"
    monkeypatch.setenv("no_proxy", "models.invalid")
    with pytest.raises(NotObtained):
        fetched("http://models.invalid/file", tmp_path / "other")
    assert len(server.requests) == 1


def test_pull_takes_an_address_from_the_mirror_that_fits_best(server: FileServer, world: World) -> None:
    mirrors = {"https://": "http://127.0.0.1:9/", "https://models.example/": f"{server.url}/cut/300/"}
    steps: list[Progress] = []
    path = world.registry(origins=Origins(mirrors=mirrors)).pull("from-https", steps.append)
    assert path.read_bytes() == MODEL
    assert list(world.cache.iterdir()) == [path], "nothing else is left in the cache"
    done = [(s.done_bytes, s.total_bytes) for s in steps if s.step == Step.DOWNLOAD]
    assert done[-1] == (len(MODEL), len(MODEL))


def test_pull_takes_a_package_from_the_npm_registry_of_the_settings(server: FileServer, world: World) -> None:
    path = world.registry(origins=Origins(npm_registry=f"{server.url}/")).pull("from-npm")
    assert path.read_bytes() == MODEL
    assert list(world.cache.iterdir()) == [path]


def test_an_npm_archive_and_a_served_file_can_be_carried_to_a_machine_without_network(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "usb").mkdir()
    (tmp_path / "usb" / "tiny.tgz").write_bytes(ARCHIVE)
    (tmp_path / "usb" / "a.bin").write_bytes(MODEL)
    assert {"from-npm", "from-https"} <= set(world.registry().import_folder(tmp_path / "usb"))


def test_an_archive_without_the_model_in_it_is_refused(server: FileServer, world: World) -> None:
    other = make_npm_archive(b"another")
    server.files["/tiny/-/tiny-1.0.0.tgz"] = other
    world.card("from-npm", npm_source("tiny", other))
    with pytest.raises(WrongBytes, match="original model file has sha256"):
        world.registry(origins=Origins(npm_registry=server.url)).pull("from-npm")


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_without_a_setting_the_registry_is_the_one_that_npm_is_configured_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "npmrc").write_text("registry=http://general.example/r/\n@scope:registry=http://scoped.example/\n")
    monkeypatch.setenv("NPM_CONFIG_USERCONFIG", str(tmp_path / "npmrc"))
    source = NpmSource.model_validate(npm_source("tiny", ARCHIVE))
    assert archive_url(source, None) == "http://general.example/r/tiny/-/tiny-1.0.0.tgz"
    scoped = NpmSource.model_validate(npm_source("@scope/tiny", ARCHIVE))
    assert archive_url(scoped, None) == "http://scoped.example/@scope/tiny/-/tiny-1.0.0.tgz"


def test_without_npm_and_setting_the_error_says_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotObtained, match="OVERT_NPM_REGISTRY"):
        archive_url(NpmSource.model_validate(npm_source("tiny", ARCHIVE)), None)
