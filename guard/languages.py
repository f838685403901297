"""Which files are source code, and in which language, by their names. Knows nothing of their contents."""

from __future__ import annotations

from typing import Final

_SUFFIXES: Final = {
    "c": ".c .h",
    "clojure": ".clj .cljc .cljs",
    "cmake": ".cmake",
    "cpp": ".cc .cpp .cxx .c++ .hh .hpp .hxx .h++ .ipp .inl .tpp .cu .cuh .ino",
    "csharp": ".cs",
    "css": ".css .less .scss",
    "dart": ".dart",
    "elixir": ".ex .exs",
    "erlang": ".erl .hrl",
    "fortran": ".f90 .f95 .f03 .f08",
    "fsharp": ".fs .fsx",
    "go": ".go",
    "groovy": ".gradle .groovy",
    "haskell": ".hs",
    "java": ".java",
    "javascript": ".cjs .js .jsx .mjs",
    "julia": ".jl",
    "kotlin": ".kt .kts",
    "lua": ".lua",
    "make": ".mk",
    "nim": ".nim",
    "objective-c": ".m .mm",
    "ocaml": ".ml .mli",
    "perl": ".pl .pm",
    "php": ".php",
    "powershell": ".ps1 .psm1",
    "protobuf": ".proto",
    "python": ".py .pyi .pyw .pyx .pxd",
    "r": ".r",
    "ruby": ".gemspec .rake .rb",
    "rust": ".rs",
    "scala": ".sbt .sc .scala",
    "shell": ".bash .bats .ksh .sh .zsh",
    "solidity": ".sol",
    "sql": ".sql",
    "svelte": ".svelte",
    "swift": ".swift",
    "terraform": ".tf",
    "typescript": ".cts .mts .ts .tsx",
    "verilog": ".sv .svh .v",
    "vhdl": ".vhd .vhdl",
    "vue": ".vue",
    "zig": ".zig",
}

LANGUAGES: Final[dict[str, str]] = {
    suffix: language for language, suffixes in _SUFFIXES.items() for suffix in suffixes.split()
}

FILE_NAMES: Final[dict[str, str]] = {
    "CMakeLists.txt": "cmake",
    "Dockerfile": "dockerfile",
    "GNUmakefile": "make",
    "Gemfile": "ruby",
    "Jenkinsfile": "groovy",
    "Makefile": "make",
    "Rakefile": "ruby",
    "SConscript": "python",
    "SConstruct": "python",
}


def language_of(path: str) -> str | None:
    """The language of the file at `path` ("python", "go" ...), or None if its name is not that of source code."""
    name = path.rpartition("/")[2]
    if name in FILE_NAMES:
        return FILE_NAMES[name]
    stem, dot, suffix = name.rpartition(".")
    return LANGUAGES.get(f".{suffix.lower()}") if dot and stem else None
