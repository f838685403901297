"""Documentation is held to the code: commands exist, targets exist, links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from service.cli.root import app, load_plugins

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands(text: str) -> list[list[str]]:
    """Every `cleanroom ...` in code, split into words; comments and prompts dropped."""
    code = re.findall(r"```(?:sh|console)?\n(.*?)```", text, re.DOTALL) + re.findall(r"`(cleanroom [^`\n]+)`", text)
    lines = [line.removeprefix("$ ").partition("  #")[0] for block in code for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("cleanroom ")]


def resolve(words: list[str]) -> None:
    """Follow the words to a command; fails on a word that is none, or an option that it does not have."""
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        assert name in command.commands, f"`cleanroom {' '.join(words)}`: no command {name!r}"
        command = command.commands[name]
    known = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
    for word in rest:
        if word.startswith("--"):
            option = word.partition("=")[0]
            assert option in known | {"--help"}, f"`cleanroom {' '.join(words)}`: no option {option}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_in_the_documentation_exists(page: Path) -> None:
    load_plugins()
    for words in commands(page.read_text(encoding="utf-8")):
        # `index add|sync|remove` names several at once.
        for alternative in words[1].split("|") if len(words) > 1 and "|" in words[1] else [None]:
            resolve([words[0], alternative, *words[2:]] if alternative else words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_in_the_documentation_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = set(re.findall(r"^([a-z][\w-]*):", makefile, re.MULTILINE))
    benchmarks = re.search(r"^BENCHMARKS := (.+)$", makefile, re.MULTILINE)
    assert benchmarks is not None
    phony |= {f"bench-{name}" for name in benchmarks[1].split()}
    for target in re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
        assert (target[0] or target[1]) in phony


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_tree_in_the_readme_names_folders_that_exist() -> None:
    tree = re.search(r"## Where things are\n\n```\n(.*?)```", PAGES[0].read_text(encoding="utf-8"), re.DOTALL)
    assert tree is not None
    for line in tree[1].splitlines():
        assert (ROOT / line.split()[0]).is_dir()
