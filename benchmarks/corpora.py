"""Real projects as PyPI and npm published them, pinned by version and hash: the code on which the benchmarks measure.

Of a wheel only the Python files are unpacked, of npm's tarball whatever is source code by its name. Knows no index.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from guard.languages import language_of
from published.errors import PublishedCodeError
from published.releases import Registry, Release, source_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CACHE = Path(__file__).parent.parent / ".bench"
"""Where archives and sources are kept from one run to the next; git ignores it."""
_ARCHIVES = {Registry.PYPI: "wheels", Registry.NPM: "tarballs"}
"""Folders of the cache by registry."""

INDEXED = (
    Release.wheel("google-auth", "2.62.2", "e9bcdb0679b6a4369ac327c5c59f06d92f7b4cd2624e7100294c14632f55a36b"),
    Release.wheel("azure-core", "1.41.0", "522b4011e8180b1a3dcd2024396a4e7fe9ac37fb8597db47163d230b5efe892d"),
    Release.wheel("botocore", "1.44.5", "8f16a56d1dff125dd65322ae021efa7ba5195a6db5102b96862566055b748921"),
    Release.wheel("pylint", "4.1.4", "b39fcc762ec4a7fe385d01b8e170fd996847297cdc0e3850bdda1435c74cfd95"),
    Release.wheel("celery", "5.7.0", "18310a9c919f9029e4735367484d93e6a25cdfd30afdc474622cc263d9b35f6e"),
    Release.wheel("paramiko", "5.1.0", "d9fe6d67a9d0bbf3eb85b051d26ab850b678c02d060f32915b944e5ca6d0d9e1"),
    Release.wheel("kombu", "5.7.0", "dede73bff4c89175be382c4203d2f167cf7017c384396ec75c36a1b5678f1587"),
    Release.wheel("scrapy", "2.19.0", "44c1ad4b008f1976e946c75b2adce0e448cbfe470c584b1b59469abf270e8013"),
    Release.wheel("sphinx", "9.0.4", "5bebc595a5e943ea248b99c13814c1c5e10b3ece718976824ffa7959ff95fffb"),
    Release.wheel("boto3", "1.44.5", "70c3e0409794b29ec1900bcaff0695b73234a2d32ffaed35045b94caa26212a5"),
    Release.wheel("sqlalchemy", "2.0.44", "19de7ca1246fbef9f9d1bff8f1ab25641569df226364a0e40457dc5457c54b05"),
)
"""Projects that stand in the index, each an organization of its own. The first eight are the small size."""

NEGATIVE = (
    Release.wheel("flask", "3.1.3", "f4bcbefc124291925f1a26446da31a5178f9483862233b23c0c96a20701f670c"),
    Release.wheel("click", "8.5.1", "8bb5376d2006950386f8c6427613334a2acadc5f559cb80e638d00b4df957e37"),
    Release.wheel("jinja2", "3.1.6", "85ece4451f492d0c13c5dd7c13a64681a86afae63a5f347908daf103ce6d2f67"),
    Release.wheel("werkzeug", "3.1.9", "6392e50c78460ba618e5b21f08a71f59c99ce99cdc6cf6e3dd7e6ccca8754fab"),
    Release.wheel("httpx", "0.28.1", "d909fcccc110f8c7faf814ca82a9a4d816bc5a6dbfea25d6591d6985b8ba59ad"),
    Release.wheel("rich", "15.0.0", "33bd4ef74232fb73fe9279a257718407f169c09b78a87ad3d296f548e27de0bb"),
    Release.wheel("attrs", "26.1.0", "c647aa4a12dfbad9333ca4e71fe62ddc36f4e63b2d260a37a8b83d2f043ac309"),
    Release.wheel("fabric", "3.2.3", "ce61917f4f398018337ce279b357650a3a74baecf3fdd53a5839013944af965e"),
    Release.wheel("nltk", "3.10.4", "769ba5413f265b7d3e87cd163cc28efa01e29eeef8bb6080bc907949d9fcfb51"),
    Release.wheel("docutils", "0.23", "25d013af9bf23bc1c7b2b093dff4208166c53a94786c9e447808335ef1185fea"),
    Release.wheel("networkx", "3.6.1", "d47fbf302e7d9cbbb9e2555a0d267983d2aa476bac30e90dfbe5669bd57f3762"),
    Release.wheel("dask", "2026.8.0", "ccc0c83a189b0398602435189771d28dad7b5773b6089bb8dce14ae732dd782c"),
    Release.wheel("distributed", "2026.8.0", "3bd8882861a2cf497453f28c6b61135fa8ef2bb1d6885ad3b9f27e887e9c0e01"),
    Release.wheel("xarray", "2026.9.0", "fe349fa871628b1a0a5217af3fe1283a2862d5485156e6eda354fffb81c3bb7c"),
    Release.wheel("twisted", "26.10.0", "3732f42af218925a0fe78d6668db55853f7fb532245a89a2669babe7d3000fa8"),
    Release.wheel("ansible-core", "2.19.14", "d518d0e96fa75bedfe9b0a96d5b158aa712d092961824c115140c8677b88ff06"),
)
"""Projects that do not: what the guard says of them is a false alarm, unless they copied from the others."""

SMALL = 8

POLYGLOT = (
    Release(
        Registry.NPM,
        "react-native",
        "0.76.0",
        "f02d7c494105d6ecd3ea7ba89d1b90aaa848de5bd2ddcf145947f8b311478065",
        "react-native-0.76.0.tgz",
    ),
)
"""Java, C++, Objective-C, Kotlin, JavaScript and TypeScript. npm is optional, see `polyglot`."""


def sources(releases: Iterable[Release], cache: Path = CACHE) -> dict[str, Path]:
    """The source folder of each release by name, fetched and unpacked unless `cache` has it.

    Raises:
        PublishedCodeError: one cannot be had, or is not the published one.
    """
    return {release.name: _source(release, cache) for release in releases}


def polyglot(cache: Path = CACHE) -> tuple[dict[str, Path], list[str]]:
    """The source folders of POLYGLOT, or none and a note that says why: npm is optional."""
    try:
        return sources(POLYGLOT, cache), []
    except PublishedCodeError as error:
        return {}, [f"only Python is indexed: {error}"]


def _source(release: Release, cache: Path) -> Path:
    wanted = _is_python if release.registry is Registry.PYPI else _is_code
    return source_tree(release, cache / "source" / release.tree, cache / _ARCHIVES[release.registry], wanted)


def _is_python(path: str) -> bool:
    return path.endswith(".py")


def _is_code(path: str) -> bool:
    return language_of(path) is not None


def python_files(folder: Path) -> Iterator[tuple[str, str]]:
    """Relative path and text of each readable Python file below `folder` that has any, in order."""
    for path in sorted(folder.rglob("*.py")):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if text:
            yield path.relative_to(folder).as_posix(), text
