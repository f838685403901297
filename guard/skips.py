"""Why a file of a source tree is not indexed, judged by its path, its bytes and its text.

Knows neither the file system nor what becomes of the files that pass.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from guard.header import header_comment


class SkipReason(StrEnum):
    """Why a file was left out."""

    NOT_SOURCE = "not source"
    VENDORED = "vendored"
    GENERATED = "generated"
    MINIFIED = "minified"
    BINARY = "binary"
    OVERSIZE = "over-large"
    UNDECODABLE = "undecodable"
    EMPTY = "empty"
    SYMLINK = "symbolic link"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was left out. A `path` that ends in "/" stands for a whole folder that was not entered."""

    path: str
    reason: SkipReason


# Other people's code, kept in one's own tree. Indexing it as private would block its every other user.
VENDORED_FOLDERS: Final = frozenset(
    {
        "_vendor", "_vendored", "bower_components", "carthage", "dist-packages", "godeps", "jspm_packages",
        "node_modules", "pods", "site-packages", "third-party", "third_party", "thirdparty", "vendor", "vendored",
    }
)  # fmt: skip

# Folders of tools, never part of the project: neither entered nor reported. An environment called `venv` is known by
# its pyvenv.cfg (guard/worktree.py): Python's own package of that name is source.
TOOL_FOLDERS: Final = frozenset(
    {
        ".bzr", ".eggs", ".git", ".gradle", ".hg", ".hypothesis", ".mypy_cache", ".nox", ".pytest_cache",
        ".ruff_cache", ".svn", ".terraform", ".tox", ".venv", "__pycache__",
    }
)  # fmt: skip

_LOCK_FILES: Final = frozenset(
    {
        "cargo.lock", "composer.lock", "gemfile.lock", "go.sum", "npm-shrinkwrap.json", "package-lock.json",
        "pdm.lock", "pipfile.lock", "pnpm-lock.yaml", "poetry.lock", "uv.lock", "yarn.lock",
    }
)  # fmt: skip

_GENERATED_SUFFIXES: Final = (
    "_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi", ".pb.go", ".pb.gw.go", ".pb.cc", ".pb.h", "_pb.js",
    "_pb.d.ts", ".g.dart", ".freezed.dart", ".designer.cs", ".g.cs", ".g.i.cs", "_generated.go", ".generated.go",
    "_string.go", "parsetab.py", "lextab.py",
)  # fmt: skip
_MINIFIED_SUFFIXES: Final = (".min.js", ".min.mjs", ".min.cjs", ".min.css", "-min.js", "-min.css", ".bundle.js")

# Go's rule (`go help generate`) is the second alternative. Marks count in the comment that heads a file, and a plain
# sentence only where it opens a line of it: skipping a file that somebody wrote leaves it unguarded, while indexing
# one that a program wrote costs memory only.
_GENERATED_MARK: Final = re.compile(
    r"""^(?:
          [^\n]*(?<![\w/.])@generated\b
        | code[ ]generated[ ][^\n]*\bdo[ ]not[ ]edit\b
        | code[ ]generated[ ]by[ ]microsoft\b
        | <auto-?generated\b
        | (?:\b(?:attention|note|warning)[:!, -]++)?
          (?:(?:the|this)[ ](?:class|code|document|file|module|source)[ ](?:has[ ]been|is|was|were)[ ]
            |\A|(?<=\n\n)|(?-i:(?=[AG])))  # a sentence opens here: this is not the tail of another line
          (?:auto[- ]?|automatically[ ](?:re)?)?generated[ ](?:automatically[ ])?(?:by|from|using|via|with)\b
        | (?:\b(?:attention|note|warning)[:!, -]++)?
          (?:the|this)[ ](?:code|file|module|source)[ ](?:has[ ]been|is|was)[ ]
          (?:auto[- ]?generated|automatically[ ]generated|generated[ ]automatically)\b
        )""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
_HEADER_LINES: Final = 40

_MINIFIABLE: Final = frozenset({"javascript", "typescript", "css"})
# github-linguist calls JavaScript and CSS minified above an average of 110 characters a line (generated.rb).
_MINIFIED_AVERAGE: Final = 110
# In every language: no person writes lines of 500 characters on average, nor half a file in one long line.
_DATA_AVERAGE: Final = 500
_DATA_LINE: Final = 5000


def vendored_folder(path: str) -> str | None:
    """The outermost folder on the way to `path` that holds other people's code, ending in "/", or None."""
    folders = path.split("/")[:-1]
    for depth, folder in enumerate(folders, start=1):
        if folder.lower() in VENDORED_FOLDERS:
            return "/".join(folders[:depth]) + "/"
    return None


def in_tool_folder(path: str) -> bool:
    """Whether `path` lies in a folder that belongs to a tool (version control, caches, virtual environments)."""
    return not TOOL_FOLDERS.isdisjoint(path.split("/")[:-1])


def judge_name(path: str) -> SkipReason | None:
    """What the name of a source file gives away without reading it."""
    name = path.rpartition("/")[2].lower()
    if name in _LOCK_FILES or name.endswith(_GENERATED_SUFFIXES):
        return SkipReason.GENERATED
    if name.endswith(_MINIFIED_SUFFIXES):
        return SkipReason.MINIFIED
    return None


def judge_text(text: str, language: str) -> SkipReason | None:
    """What the text of a source file gives away: that nobody wrote it by hand, or that there is none."""
    if not text.strip():
        return SkipReason.EMPTY
    if _is_generated(text):
        return SkipReason.GENERATED
    if _is_minified(text, language):
        return SkipReason.MINIFIED
    return None


def _is_generated(text: str) -> bool:
    head = header_comment(text).splitlines()[:_HEADER_LINES]
    return _GENERATED_MARK.search("\n".join(head).strip()) is not None


def _is_minified(text: str, language: str) -> bool:
    lines = text.count("\n") + 1
    average = len(text) / lines
    if average > (_MINIFIED_AVERAGE if language in _MINIFIABLE else _DATA_AVERAGE):
        return True
    if len(text) < _DATA_LINE:
        return False
    longest = max(map(len, text.split("\n")))
    return longest >= _DATA_LINE and longest * 2 > len(text)
