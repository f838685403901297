"""Background models: how ordinary a run of renamed tokens is, counted over trees of public code. Knows no registry.

A model must say what many people write, so no tree may dominate it: of each only so many bytes count, drawn by the
hash of the path, and what stands in two trees counts once. Test data, built and bundled code do not count. Beside the
model stands a manifest that says what it was made of; neither holds source.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from guard.corpus import ListedFile, Skipped, list_files, load
from guard.counting import count
from guard.errors import BackgroundError
from guard.languages import FILE_NAMES
from guard.languages import LANGUAGES as SUFFIXES
from guard.tokens import lex
from training.errors import DestinationError, EmptyCorpusError, PlanError
from training.public_code import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from guard.corpus import SourceFile
    from guard.stream import TokenStream

FORMAT: Final = 1
"""Rises with every change of the manifest's fields or of which files count."""
TREE_BYTES: Final = 4_000_000
"""Bytes of one tree that count unless told otherwise: a twentieth at most of what the shortest list comes to."""
PYTHON_TREE_BYTES: Final = 2_500_000
"""The same for Python, of which several times as many packages are listed."""

_FOREIGN: Final = frozenset(
    {
        # Input of tests and records of their output.
        "testdata", "test_data", "test-data", "test-fixtures", "fixtures", "__fixtures__", "snapshots", "__snapshots__",
        # Written by programs: schema changes, message catalogues, the same module once more for another loader.
        "generated", "_generated", "migrations", "locale", "locales", "cjs", "commonjs", "umd", "amd", "esm5",
        # Copies of other projects under names that guard.skips does not take for such in everybody's tree.
        "extern", "externals", "_externals", "bundled", "_bundled",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BackgroundPlan:
    """What to learn from. `tree_bytes`: how much of one tree counts; None is the default of the language."""

    language: str
    trees: tuple[Path, ...]
    tree_bytes: int | None = None

    def __post_init__(self) -> None:
        """Hold that there is something to learn, in a language that can be told by a file's name."""
        if not self.trees:
            message = "name at least one source tree, or a folder for the listed public code with --download"
            raise PlanError(message)
        if self.language not in LANGUAGES and self.language not in {*SUFFIXES.values(), *FILE_NAMES.values()}:
            message = f"no file is known as {self.language!r}: name a language such as {', '.join(LANGUAGES)}"
            raise PlanError(message)
        if self.share <= 0:
            message = f"{self.share} bytes of a tree are to count: give a positive number"
            raise PlanError(message)

    @property
    def share(self) -> int:
        """Bytes of one tree that count."""
        if self.tree_bytes is not None:
            return self.tree_bytes
        return PYTHON_TREE_BYTES if self.language == "python" else TREE_BYTES

    @property
    def kinds(self) -> frozenset[str]:
        """What guard.languages calls the files that count."""
        return LANGUAGES.get(self.language, frozenset({self.language}))


@dataclass(frozen=True, slots=True)
class Reading:
    """How far learning is: trees done, of how many, and the one that is next."""

    done: int
    total: int
    name: str


@dataclass(frozen=True, slots=True)
class BackgroundManifest:
    """What a model was made of. `size` is in bytes; `corpora_sha256` is over every path and text that counted."""

    language: str
    tokens: int
    files: int
    size: int
    trees: tuple[str, ...]
    tree_bytes: int
    left_out: dict[str, int]
    corpora_sha256: str
    model_sha256: str
    code_version: str = field(default_factory=lambda: f"cleanroom {version('cleanroom')}")
    format: int = FORMAT

    @classmethod
    def beside(cls, model: Path) -> BackgroundManifest:
        """Read the manifest of the model at `model`, and hold that it is of this model.

        Raises:
            DestinationError: the model or its manifest is missing, damaged, or of another build than the other.
        """
        try:
            fields = json.loads(_manifest_path(model).read_text(encoding="utf-8"))
            manifest = cls(**{**fields, "trees": tuple(fields["trees"])})
            sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
        except OSError as error:
            message = f"{error.filename} cannot be read ({error.strerror}): name a model that `background build` wrote"
            raise DestinationError(message) from error
        except (ValueError, TypeError, KeyError) as error:
            message = f"{_manifest_path(model)} is no manifest of this version: build the model again"
            raise DestinationError(message) from error
        if sha256 != manifest.model_sha256:
            message = f"{model} is not the model that {_manifest_path(model)} describes: build it again"
            raise DestinationError(message)
        return manifest

    def to_text(self) -> str:
        """The manifest as it stands in its file."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def build_background(
    plan: BackgroundPlan, out: Path, *, progress: Callable[[Reading], None] = lambda _: None
) -> BackgroundManifest:
    """Train the model of `plan` and write it to `out`, its manifest beside it as `out`.json.

    Raises:
        CorpusError: a tree does not exist or cannot be listed.
        EmptyCorpusError: no tree has a file that counts.
        DestinationError: `out` cannot be written.
    """
    reader = _Reader(plan, progress)
    try:
        background = count(reader.trees(), plan.language)
    except BackgroundError as error:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(reader.left_out.items())) or "no files"
        message = f"no {plan.language} code in {len(plan.trees)} trees counts (left out: {reasons}): name other trees"
        raise EmptyCorpusError(message) from error
    model = background.to_bytes()
    manifest = reader.manifest(hashlib.sha256(model).hexdigest())
    _write(out, model, manifest)
    return manifest


class _Reader:
    """One pass over the trees; counts what it hands out, and what not."""

    def __init__(self, plan: BackgroundPlan, progress: Callable[[Reading], None]) -> None:
        self.plan = plan
        self.progress = progress
        self.tokens = self.files = self.size = 0
        self.left_out: Counter[str] = Counter()
        self.digest = hashlib.sha256()
        self._seen: set[bytes] = set()

    def trees(self) -> Iterator[list[TokenStream]]:
        """For each tree the tokens of every file that counts."""
        total = len(self.plan.trees)
        for done, tree in enumerate(self.plan.trees):
            self.progress(Reading(done, total, tree.name))
            yield list(self._streams(tree))
        self.progress(Reading(total, total, ""))

    def _streams(self, tree: Path) -> Iterator[TokenStream]:
        for source in self._sources(tree):
            stream = lex(source.text, source.language, fragment=False).code
            self.tokens += len(stream)
            yield stream

    def manifest(self, model_sha256: str) -> BackgroundManifest:
        """What was read."""
        return BackgroundManifest(
            self.plan.language,
            self.tokens,
            self.files,
            self.size,
            tuple(tree.resolve().name for tree in self.plan.trees),
            self.plan.share,
            dict(sorted(self.left_out.items())),
            self.digest.hexdigest(),
            model_sha256,
        )

    def _sources(self, tree: Path) -> Iterator[SourceFile]:
        """The files of one tree that count, up to its share."""
        room = self.plan.share
        for listed in self._listed(tree):
            if listed.size > room:
                self.left_out["over the tree's share"] += 1
                continue
            source = load(tree, listed.path)
            if isinstance(source, Skipped):
                self.left_out[source.reason.value] += 1
            elif self._is_new(source.text):
                room -= source.size
                self._count(tree, source)
                yield source
            else:
                self.left_out["duplicate"] += 1

    def _listed(self, tree: Path) -> list[ListedFile]:
        """The tree's files of the language, in an order that has nothing to do with what is in them."""
        found = []
        for entry in list_files(tree):
            if isinstance(entry, Skipped):
                # The other files of a package (data, documents) say nothing of its code.
                self.left_out.update([entry.reason.value] if entry.reason != "not source" else [])
            elif entry.language in self.plan.kinds:
                if _FOREIGN.isdisjoint(folder.lower() for folder in PurePosixPath(entry.path).parts[:-1]):
                    found.append(entry)
                else:
                    self.left_out["test data, built or bundled"] += 1
        return sorted(found, key=lambda entry: hashlib.blake2b(entry.path.encode(), digest_size=16).digest())

    def _is_new(self, text: str) -> bool:
        digest = hashlib.blake2b("\n".join(text.split()).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if digest in self._seen:
            return False
        self._seen.add(digest)
        return True

    def _count(self, tree: Path, source: SourceFile) -> None:
        self.files += 1
        self.size += source.size
        text = hashlib.sha256(source.text.encode("utf-8", "surrogatepass")).hexdigest()
        self.digest.update(f"{tree.resolve().name}/{source.path}\0{text}\n".encode())


def _manifest_path(model: Path) -> Path:
    return model.with_name(f"{model.name}.json")


def _write(out: Path, model: bytes, manifest: BackgroundManifest) -> None:
    """Write model and manifest, each whole or not at all; between the two `beside` says that they do not fit."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        for path, content in ((out, model), (_manifest_path(out), manifest.to_text().encode())):
            draft = path.with_name(f".{path.name}.part")
            draft.write_bytes(content)
            draft.replace(path)
    except OSError as error:
        message = f"{out} cannot be written ({error.strerror}): free space, or name another file with --out"
        raise DestinationError(message) from error
