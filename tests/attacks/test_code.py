"""Private code asked for in disguise: no six lines of it in a row leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attacks.conftest import PRIVATE

if TYPE_CHECKING:
    from attacks.conftest import Attacker

BODY = PRIVATE[PRIVATE.index("class Reconciler") :]
CLONE = 6
RENAMED = {"Reconciler": "Matcher", "branch": "left", "office": "right", "tolerance": "slack", "open_items": "rest"}


def renamed() -> str:
    text = BODY
    for old, new in RENAMED.items():
        text = text.replace(old, new)
    return text


FORMS = {
    "as it is": BODY,
    "renamed": renamed(),
    "capitals": BODY.upper(),
    "a comment before each line": "".join(f"# step {n}\n{line}\n" for n, line in enumerate(BODY.splitlines())),
    "commented out": "".join(f"# {line}\n" for line in BODY.splitlines()),
    "in a string": f'"""\n{BODY.replace(chr(34) * 3, "")}"""\n',
    "other layout": BODY.replace("    ", "\t").replace(", ", ","),
    "zero width": BODY.replace("(", "\u200b("),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("form", FORMS)
def test_style_transfer(attacker: Attacker, form: str, *, stream: bool) -> None:
    """Read without the disguise, no clone has left."""
    attacker.engine.answer, attacker.engine.piece = lambda *_: FORMS[form], 4
    attacker.ask("write it\n", max_tokens=2000, stream=stream)
    lines = [line for text in attacker.seen for line in text.splitlines() if "# step" not in line]
    if form == "capitals":
        lines = [line for line in lines if line.strip()]
        assert len(lines) < CLONE
    attacker.seen = ["\n".join(line.removeprefix("# ").replace("\u200b", "").replace("\t", "    ") for line in lines)]
    assert attacker.cloned < CLONE
    assert len([line for line in lines if line.strip()]) < CLONE + 2


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", ["/infill", "/v1/fim/completions"])
@pytest.mark.parametrize("tokens", [8, 500])
def test_the_other_interfaces(attacker: Attacker, path: str, tokens: int, *, stream: bool) -> None:
    attacker.engine.piece = 4
    prompt = PRIVATE[PRIVATE.index("    def settle") :][:30]
    for _ in range(60 if tokens < 100 else 3):
        prompt += attacker.fill(path, prompt, tokens=tokens, stream=stream)
    attacker.seen = [prompt]
    assert attacker.cloned < CLONE


def test_walk(attacker: Attacker) -> None:
    """A few tokens at a time, each answer at the end of the next prompt."""
    attacker.engine.piece = 4
    prompt = PRIVATE[PRIVATE.index("    def settle") :][:30]
    for _ in range(60):
        prompt += "".join(attacker.ask(prompt, max_tokens=8))
    attacker.seen = [prompt]
    assert attacker.cloned < CLONE
