"""A file of an operator's own becomes a model by its card alone: added, listed, opened, fed, compared, guarded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from overt.detector.align import Aligner
from overt.embedder.model import EmbeddingModel
from overt.governance.loading import load_deployment
from overt.models import golden
from overt.models.add import Description, Feeding, embedder_card
from overt.models.arcface import ARCFACE
from overt.models.card import EmbedderCard, read_card
from overt.models.errors import BadCard, BadSession, NotAdded, UnmeasuredModel
from overt.models.registry import CARDS, Registry
from overt.picture import Bgr
from overt.runtime.loaded import LoadedModels
from overt.runtime.metrics import Metrics
from overt.runtime.settings import Settings
from tests.support.file_server import FileServer
from tests.support.models import real_model
from tests.support.tiny_models import make_arcface
from tests.support.typed import DEPLOYMENT, typed

DESCRIBED = Description("mine", "LicenseRef-own", False, "people who agreed", "tiny", "nowhere")
WORDS = ("--name", "mine", "--licence", "MIT", "--training-data", "people who agreed")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    return folder


def add(file: Path, own: Path, *more: str) -> Path:
    done = typed("models", "add", file, "--role", "embedder", *WORDS, *more, models_dir=own, cache=own / "cache")
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def loaded(own: Path, category: str = "") -> LoadedModels:
    """The models of a deployment that names the added one."""
    text = DEPLOYMENT.replace("basis: A trial}", f"basis: A trial{category}}}") + "\nmodels: {embedder: mine}\n"
    file = own / "deployment.yaml"
    file.write_text(text)
    return LoadedModels(load_deployment(file), Settings(models_dir=own, cache=own / "cache"), Metrics())


def person(seed: int, side: int = 200) -> Bgr:
    """A picture of nobody, with coarse structure that survives being scaled."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return np.asarray(np.kron(coarse, np.ones((side // 5, side // 5, 1))), np.uint8)


@pytest.mark.parametrize("form", [{}, {"layout": "NHWC"}, {"batch": 1}, {"dimension": 7}], ids=str)
def test_an_added_model_enrols_and_compares_without_code(tmp_path: Path, own: Path, form: dict[str, str | int]) -> None:
    """Whatever its layout, dimension and names, and also where its batch is fixed at one."""
    add(make_arcface(tmp_path / "theirs.onnx", **form), own)  # type: ignore[arg-type]  # right for each key
    models = loaded(own)
    session = models.embedder_session
    model = EmbeddingModel(models.embedder, lambda tensor: np.asarray(session.run(tensor)["embedding"]))
    aligner = Aligner(np.array(ARCFACE.points_xy), ARCFACE.chip_px)

    def chip(seed: int, zoom: float) -> Bgr:
        """The same landmarks in the same picture, however large it is shown."""
        shown = person(seed, int(200 * zoom))
        found = aligner.chip(shown, (np.array(ARCFACE.points_xy) + 40) * zoom + (zoom - 1) / 2)
        assert found is not None
        return found

    enrolled = model.embed(np.stack([chip(seed, 1) for seed in range(4)]))
    probes = model.embed(np.stack([chip(seed, 2) for seed in range(4)]))
    assert enrolled.shape == (4, models.embedder.dimension)
    similarity = probes @ enrolled.T
    assert similarity.argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert similarity.diagonal().min() > 0.99
    assert np.median(similarity[~np.eye(4, dtype=bool)]) < 0.95, "different pictures differ"


def test_the_card_says_what_the_graph_says_and_how_it_is_fed(tmp_path: Path, own: Path) -> None:
    file = make_arcface(tmp_path / "theirs.onnx", input_name="in.1", output_name="683", dimension=24)
    card = read_card(add(file, own, "--colour", "BGR", "--mean", "0", "--scale", "1", "--mirror"))
    assert isinstance(card, EmbedderCard)
    assert (card.input.tensor, card.input.layout, card.input.chip_px) == ("in.1", "NCHW", 112)
    assert (card.input.colour, card.input.mean, card.input.scale) == ("BGR", (0, 0, 0), 1)
    assert (card.outputs, card.dimension, card.mirror) == ({"embedding": "683"}, 24, True)
    assert (card.space_id, card.alignment, card.match) == ("mine/1", ARCFACE, None)
    assert card.onnx.size_bytes == file.stat().st_size
    assert (own / "mine.onnx").read_bytes() == file.read_bytes()


def test_a_card_with_an_address_lets_other_machines_pull_the_file(tmp_path: Path, own: Path) -> None:
    file = make_arcface(tmp_path / "theirs.onnx")
    path = add(file, own, "--url", "https://models.example/v1/theirs.onnx")
    other = tmp_path / "other"
    (other / "cards").mkdir(parents=True)
    (other / "cards" / path.name).write_bytes(path.read_bytes())
    with FileServer({"/v1/theirs.onnx": file.read_bytes()}) as server:
        mirrors = json.dumps({"https://models.example": server.url})
        done = typed("models", "pull", "mine", models_dir=other, cache=tmp_path, mirrors=mirrors)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "models" / "mine.onnx").read_bytes() == file.read_bytes()


def test_it_is_listed_verified_and_shown_beside_the_others(tmp_path: Path, own: Path) -> None:
    add(make_arcface(tmp_path / "theirs.onnx"), own)
    listed = typed("models", "list", models_dir=own, cache=tmp_path)
    assert ["mine", "embedder", "MIT", "ready"] in [line.split() for line in listed.stdout.splitlines()]
    assert typed("models", "verify", "mine", models_dir=own, cache=tmp_path).stdout == "mine: ready\n"
    card = own / "cards" / "mine.yaml"
    without = {key: value for key, value in yaml.safe_load(card.read_text()).items() if key != "golden"}
    card.write_text(yaml.safe_dump(without))
    assert "without golden numbers" in typed("models", "verify", "mine", models_dir=own, cache=tmp_path).stdout
    shown = json.loads(typed("models", "show", "--json", "mine", models_dir=own, cache=tmp_path).stdout)
    assert shown["file"] == {"state": "ready", "path": str(own / "mine.onnx")}
    as_card = yaml.safe_load(typed("models", "show", "mine", models_dir=own, cache=tmp_path).stdout)
    assert as_card == {key: value for key, value in shown.items() if key != "file"}


@pytest.mark.parametrize(
    ("field", "value"),
    [("colour", "BGR"), ("mean", [0, 0, 0]), ("scale", 255), ("template", None)],
)
def test_a_card_that_is_changed_later_is_noticed_by_verify(
    tmp_path: Path, own: Path, field: str, value: object
) -> None:
    path = add(make_arcface(tmp_path / "theirs.onnx"), own)
    content = yaml.safe_load(path.read_text())
    if field == "template":
        content["alignment"]["points_xy"] = [[x + 4, y] for x, y in content["alignment"]["points_xy"]]
    else:
        content["input"][field] = value
    path.write_text(yaml.safe_dump(content))
    done = typed("models", "verify", "mine", models_dir=own, cache=tmp_path)
    assert (done.returncode, done.stdout) == (3, "mine: wrong\n")
    assert "golden" in done.stderr


def test_verify_with_a_provider_that_is_not_there_blames_the_provider_and_no_file(tmp_path: Path, own: Path) -> None:
    add(make_arcface(tmp_path / "theirs.onnx"), own)
    done = typed("models", "verify", models_dir=own, cache=tmp_path, provider="CUDAExecutionProvider")
    assert done.returncode == 3
    assert "wrong" not in done.stdout
    assert "CUDAExecutionProvider was asked for" in done.stderr


def test_a_model_without_measured_thresholds_needs_the_deployments_own(tmp_path: Path, own: Path) -> None:
    add(make_arcface(tmp_path / "theirs.onnx"), own)
    models = loaded(own)
    (category,) = load_deployment(own / "deployment.yaml").watchlist.categories
    with pytest.raises(UnmeasuredModel, match=r"mine.*suspects.*overt evaluate identify.*field threshold"):
        models.thresholds(category)
    models = loaded(own, ", threshold: 0.4, strong_threshold: 0.6")
    (category,) = load_deployment(own / "deployment.yaml").watchlist.categories
    found = models.thresholds(category)
    assert (found.match, found.strong, models.laxest) == (0.4, 0.6, 0.4)


def test_a_name_or_space_that_is_taken_is_refused_and_nothing_is_overwritten(tmp_path: Path, own: Path) -> None:
    path = add(make_arcface(tmp_path / "theirs.onnx"), own)
    before = path.read_bytes()
    other = make_arcface(tmp_path / "other.onnx", dimension=9)
    done = typed("models", "add", other, "--role", "embedder", *WORDS, models_dir=own, cache=tmp_path)
    assert done.returncode == 3
    assert "mine already" in done.stderr
    assert path.read_bytes() == before
    (own / "cards" / "second.yaml").write_text(before.decode().replace("name: mine", "name: second"))
    with pytest.raises(BadCard, match=r"second\.yaml: field space_id: mine/1 is the space of mine"):
        Registry(tmp_path, [own])
    (own / "cards" / "second.yaml").write_text((CARDS / "yunet-s.yaml").read_text())
    with pytest.raises(BadCard, match=r"second\.yaml"):
        Registry(tmp_path, [own])


def test_a_detector_is_added_by_the_family_that_it_is_of(tmp_path: Path, own: Path) -> None:
    file = real_model("yunet-s")
    words = ("models", "add", file, "--role", "detector", *WORDS)
    without = typed(*words, models_dir=own, cache=tmp_path)
    assert without.returncode == 2
    assert "--like" in without.stderr
    done = typed(*words, "--like", "yunet-n", models_dir=own, cache=tmp_path)
    assert done.returncode == 0, done.stderr
    card = Registry(tmp_path, [own]).detector("mine")
    assert (card.decoder, card.outputs) == ("yunet", Registry(tmp_path).detector("yunet-n").outputs)
    wrong = typed(*words[:-6], "--name", "b", *WORDS[2:], "--like", "centerface", models_dir=own, cache=tmp_path)
    assert wrong.returncode == 3
    assert "field input" in wrong.stderr


def test_without_a_folder_of_ones_own_the_setting_is_named(tmp_path: Path) -> None:
    file = make_arcface(tmp_path / "theirs.onnx")
    done = typed("models", "add", file, "--role", "embedder", *WORDS, cache=tmp_path)
    assert done.returncode == 2
    assert "OVERT_MODELS_DIR" in done.stderr


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"side": 160}, r"chips of 160 px.*template"),
        ({"side": "S"}, r"\[N, 3, S, S\].*fixed S"),
        ({"rank": 3}, r"which output.*--output"),
    ],
)
def test_a_network_of_another_kind_is_refused_in_words(tmp_path: Path, form: dict[str, str | int], told: str) -> None:
    file = make_arcface(tmp_path / "theirs.onnx", **form)  # type: ignore[arg-type]  # right for each key
    with pytest.raises(NotAdded, match=told):
        embedder_card(file, DESCRIBED, Feeding())


def test_what_is_no_model_or_no_card_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(BadSession, match="cannot be loaded"):
        embedder_card(tmp_path / "text.onnx", DESCRIBED, Feeding())
    with pytest.raises(NotAdded, match="cannot be read"):
        embedder_card(tmp_path / "absent.onnx", DESCRIBED, Feeding())
    file = make_arcface(tmp_path / "theirs.onnx")
    with pytest.raises(BadCard, match="licence"):
        embedder_card(file, Description("mine", "free for all", False, "x", "x", "x"), Feeding())


def test_golden_numbers_are_those_of_the_picture_with_the_models_own_template(tmp_path: Path) -> None:
    card = embedder_card(make_arcface(tmp_path / "theirs.onnx"), DESCRIBED, Feeding())
    assert card.golden is not None
    assert len(card.golden.numbers) == 8
    image = golden.picture(card)
    assert image.shape == (1, 112, 112, 3)
    assert image.dtype == np.uint8
