"""Real projects as PyPI published them, pinned by version and hash: the code on which the benchmarks measure.

Only the Python files of a wheel are unpacked. Knows nothing of the guard.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CACHE = Path(__file__).parent.parent / ".bench"
"""Where wheels and sources are kept from one run to the next; git ignores it."""
MAX_UNPACKED = 64 * 1024 * 1024
"""Bytes of Python that a wheel may hold; the largest here has 13 MB."""


class CorpusDownloadError(Exception):
    """A project could not be had, or is not what was published."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project, whose wheel `py3-none-any` has this SHA-256."""

    name: str
    version: str
    sha256: str

    @property
    def tree(self) -> str:
        """What its source folder is called."""
        return f"{self.name}-{self.version}"


INDEXED = (
    Project("google-auth", "2.62.2", "e9bcdb0679b6a4369ac327c5c59f06d92f7b4cd2624e7100294c14632f55a36b"),
    Project("azure-core", "1.41.0", "522b4011e8180b1a3dcd2024396a4e7fe9ac37fb8597db47163d230b5efe892d"),
    Project("botocore", "1.44.5", "8f16a56d1dff125dd65322ae021efa7ba5195a6db5102b96862566055b748921"),
    Project("pylint", "4.1.4", "b39fcc762ec4a7fe385d01b8e170fd996847297cdc0e3850bdda1435c74cfd95"),
    Project("celery", "5.7.0", "18310a9c919f9029e4735367484d93e6a25cdfd30afdc474622cc263d9b35f6e"),
    Project("paramiko", "5.1.0", "d9fe6d67a9d0bbf3eb85b051d26ab850b678c02d060f32915b944e5ca6d0d9e1"),
    Project("kombu", "5.7.0", "dede73bff4c89175be382c4203d2f167cf7017c384396ec75c36a1b5678f1587"),
    Project("scrapy", "2.19.0", "44c1ad4b008f1976e946c75b2adce0e448cbfe470c584b1b59469abf270e8013"),
    Project("sphinx", "9.0.4", "5bebc595a5e943ea248b99c13814c1c5e10b3ece718976824ffa7959ff95fffb"),
    Project("boto3", "1.44.5", "70c3e0409794b29ec1900bcaff0695b73234a2d32ffaed35045b94caa26212a5"),
    Project("sqlalchemy", "2.0.44", "19de7ca1246fbef9f9d1bff8f1ab25641569df226364a0e40457dc5457c54b05"),
)
"""Projects that stand in the index, each an organization of its own. The first eight are the small size."""

NEGATIVE = (
    Project("flask", "3.1.3", "f4bcbefc124291925f1a26446da31a5178f9483862233b23c0c96a20701f670c"),
    Project("click", "8.5.1", "8bb5376d2006950386f8c6427613334a2acadc5f559cb80e638d00b4df957e37"),
    Project("jinja2", "3.1.6", "85ece4451f492d0c13c5dd7c13a64681a86afae63a5f347908daf103ce6d2f67"),
    Project("werkzeug", "3.1.9", "6392e50c78460ba618e5b21f08a71f59c99ce99cdc6cf6e3dd7e6ccca8754fab"),
    Project("httpx", "0.28.1", "d909fcccc110f8c7faf814ca82a9a4d816bc5a6dbfea25d6591d6985b8ba59ad"),
    Project("rich", "15.0.0", "33bd4ef74232fb73fe9279a257718407f169c09b78a87ad3d296f548e27de0bb"),
    Project("attrs", "26.1.0", "c647aa4a12dfbad9333ca4e71fe62ddc36f4e63b2d260a37a8b83d2f043ac309"),
    Project("fabric", "3.2.3", "ce61917f4f398018337ce279b357650a3a74baecf3fdd53a5839013944af965e"),
    Project("nltk", "3.10.4", "769ba5413f265b7d3e87cd163cc28efa01e29eeef8bb6080bc907949d9fcfb51"),
    Project("docutils", "0.23", "25d013af9bf23bc1c7b2b093dff4208166c53a94786c9e447808335ef1185fea"),
    Project("networkx", "3.6.1", "d47fbf302e7d9cbbb9e2555a0d267983d2aa476bac30e90dfbe5669bd57f3762"),
    Project("dask", "2026.8.0", "ccc0c83a189b0398602435189771d28dad7b5773b6089bb8dce14ae732dd782c"),
    Project("distributed", "2026.8.0", "3bd8882861a2cf497453f28c6b61135fa8ef2bb1d6885ad3b9f27e887e9c0e01"),
    Project("xarray", "2026.9.0", "fe349fa871628b1a0a5217af3fe1283a2862d5485156e6eda354fffb81c3bb7c"),
    Project("twisted", "26.10.0", "3732f42af218925a0fe78d6668db55853f7fb532245a89a2669babe7d3000fa8"),
    Project("ansible-core", "2.19.14", "d518d0e96fa75bedfe9b0a96d5b158aa712d092961824c115140c8677b88ff06"),
)
"""Projects that do not: what the guard says of them is a false alarm, unless they copied from the others."""

SMALL = 8


def sources(projects: Iterable[Project], cache: Path = CACHE) -> dict[str, Path]:
    """The source folder of each project by name, downloaded and unpacked unless `cache` has it.

    Raises:
        CorpusDownloadError: pip cannot download a wheel, or a wheel is not the published one.
    """
    wanted = tuple(projects)
    folders = {project.name: cache / "source" / project.tree for project in wanted}
    missing = [project for project in wanted if not folders[project.name].is_dir()]
    wheels = _wheels(missing, cache / "wheels")
    for project in missing:
        _unpack(wheels[project.name], folders[project.name])
    return folders


def _wheels(projects: list[Project], folder: Path) -> dict[str, Path]:
    """The verified wheel of each project."""
    folder.mkdir(parents=True, exist_ok=True)
    absent = [project for project in projects if not _wheel(project, folder).is_file()]
    if absent:
        _download(absent, folder)
    for project in projects:
        wheel = _wheel(project, folder)
        if not wheel.is_file() or sha256_of(wheel) != project.sha256:
            message = f"{wheel} is not the wheel that {project.name} {project.version} published: delete it, run again"
            raise CorpusDownloadError(message)
    return {project.name: _wheel(project, folder) for project in projects}


def _wheel(project: Project, folder: Path) -> Path:
    return folder / f"{project.name.replace('-', '_')}-{project.version}-py3-none-any.whl"


def _download(projects: list[Project], folder: Path) -> None:
    """Have pip fetch exactly these wheels, pure Python whatever machine this is, and compare their hashes."""
    options = ("--no-deps", "--only-binary", ":all:", "--require-hashes", "--disable-pip-version-check")
    platform = ("--platform", "any", "--implementation", "py", "--abi", "none", "--python-version", "3.11")
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        requirements = Path(scratch) / "requirements.txt"
        lines = [f"{project.name}=={project.version} --hash=sha256:{project.sha256}\n" for project in projects]
        requirements.write_text("".join(lines), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", *options, *platform, "--dest", scratch, "-r"]
        run = subprocess.run([*command, str(requirements)], capture_output=True, text=True, check=False)
        if run.returncode:
            names = ", ".join(project.name for project in projects)
            reason = run.stderr.strip()[-500:]
            message = (
                f"pip could not download {names}: {reason}\nCheck the network or pip's index (`pip config list`), or "
                f"put the wheels into {folder} yourself, then run the benchmark again"
            )
            raise CorpusDownloadError(message)
        for wheel in Path(scratch).glob("*.whl"):
            wheel.replace(folder / wheel.name)


def _unpack(wheel: Path, folder: Path) -> None:
    """Unpack a wheel's Python files, whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        unpack_python(wheel, draft)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def unpack_python(archive: Path, folder: Path) -> None:
    """Write the Python files of a zip archive below `folder`, and nothing anywhere else.

    Raises:
        CorpusDownloadError: a name leads out of the folder, or there is more than MAX_UNPACKED bytes of it.
    """
    with zipfile.ZipFile(archive) as zipped:
        members = [info for info in zipped.infolist() if info.filename.endswith(".py")]
        if sum(info.file_size for info in members) > MAX_UNPACKED:
            message = f"{archive} unpacks to more than {MAX_UNPACKED} bytes: it is not what this benchmark expects"
            raise CorpusDownloadError(message)
        for info in members:
            path = PurePosixPath(info.filename)
            if path.is_absolute() or ".." in path.parts or "\\" in info.filename:
                message = f"{archive} has a file {info.filename!r} outside its folder: delete it, run again"
                raise CorpusDownloadError(message)
            target = folder.joinpath(*path.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(zipped.read(info))


def python_files(folder: Path) -> Iterator[tuple[str, str]]:
    """Relative path and text of each readable Python file below `folder`, in order."""
    for path in sorted(folder.rglob("*.py")):
        try:
            yield path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
