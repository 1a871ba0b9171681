"""A deployment file from anybody: it is one, or all that is wrong with it is said; nothing else happens."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

from hypothesis import given

from overt.governance.deployment import Deployment
from overt.governance.loading import MAX_BYTES, DeploymentError, load_deployment
from tests.support.fuzz import damaged, examples

EXAMPLE = (Path(__file__).resolve().parents[2] / "infra" / "examples" / "deployment.yaml").read_bytes()
WORDS = (
    *(
        b"null",
        b"true",
        b"-1",
        b".nan",
        b".inf",
        b"1e999",
        b"0x7fffffff",
        b"9" * 40,
        b"2026-13-45",
        b"\xff\xfe",
        b"\x00",
    ),
    *(
        b"[",
        b"{",
        b": ",
        b"- ",
        b"\n  ",
        b"\t",
        b"&a ",
        b"*a",
        b"<<: ",
        b"!!python/object:os.system ",
        b"--- ",
        b"\xe2\x80\xae",
    ),
    *(b"rtsp://user:s3cret@host/", b"../../../etc/passwd", b"file:///dev/zero", b"id: ", b"\ncameras:\n", b"[" * 300),
)


@given(text=damaged(EXAMPLE, words=WORDS))
@examples(60)
def test_a_damaged_deployment_file_is_one_or_says_what_is_wrong(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "deployment.yaml"
    file.write_bytes(text)
    said = None
    tracemalloc.start()
    try:
        assert isinstance(load_deployment(file, check_files=True), Deployment)
    except DeploymentError as error:
        said = error
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 64 * MAX_BYTES
    if said is not None:
        assert said.problems
        assert "s3cret" not in str(said)
