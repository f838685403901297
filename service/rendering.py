"""Writes prefix, suffix and what surrounds them in the form that a model was trained on. Counts and cuts nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from published.infilling import FileMarks
from service.engines.protocol import EnginePrompt, Segment
from service.surroundings import Surroundings, path_comment

if TYPE_CHECKING:
    from published.infilling import FillInTheMiddle
    from service.engines.protocol import Engine

# Sentencepiece writes a blank as this sign in the names of tokens.
SENTENCEPIECE_BLANK = "▁"
# Most lines of the suffix that a model without fill-in-the-middle is shown: names that are used and defined below,
# without burying a short prefix.
FOLLOWING_LINES = 20
NOTHING_AROUND = Surroundings()
PLAIN_MARKS = FileMarks()


def render(
    engine: Engine, prefix: str, suffix: str | None, around: Surroundings = NOTHING_AROUND, *, cache_key: str = ""
) -> EnginePrompt:
    """The prompt in the best form that `engine` has: its own suffix field, fill-in-the-middle, or prefix only.

    `suffix` None asks for a continuation; an empty one for a gap at the end of the text.
    """
    if suffix is None or engine.native_suffix:
        return EnginePrompt((*_before(PLAIN_MARKS, around)[1], Segment(prefix)), suffix, cache_key)
    if engine.fill_in_the_middle is None:
        return EnginePrompt(prefix_only(prefix, suffix, around), cache_key=cache_key)
    return EnginePrompt(fill_in_the_middle(engine.fill_in_the_middle, prefix, suffix, around), cache_key=cache_key)


def fill_in_the_middle(
    family: FillInTheMiddle, prefix: str, suffix: str, around: Surroundings = NOTHING_AROUND
) -> tuple[Segment, ...]:
    """Prefix and suffix between the control tokens of `family` (sources: `published.infilling`)."""
    outside, inside = _before(family.files, around)
    before = (_control(family.prefix, spaced=family.spaced, opens=True), *inside, Segment(prefix))
    after = (_control(family.suffix, spaced=family.spaced), Segment(suffix))
    first, second = (after, before) if family.suffix_first else (before, after)
    last = (_control(family.middle, spaced=family.spaced),) if family.middle else ()
    return (*outside, *first, *second, *last)


def prefix_only(prefix: str, suffix: str, around: Surroundings = NOTHING_AROUND) -> tuple[Segment, ...]:
    """For models that only continue: other files, then lines that follow the gap, then the prefix.

    What follows is code of the same file and so the best context there is, but behind the prefix it would be what is
    continued. Ahead of it, it stays the same while somebody types, so that an engine reads it once. The rest of the
    gap's own line is left out, and so are empty lines at either end.
    """
    _, inside = _before(PLAIN_MARKS, around)
    lines = suffix.split("\n")[1 : FOLLOWING_LINES + 1]
    following = "\n".join(lines).strip("\n").rstrip()
    if not following:
        return (*inside, Segment(prefix))
    # The line with the path of this file is the last one of `inside`.
    others, own = (inside[:-1], inside[-1:]) if inside else ((), ())
    return (*others, Segment(f"{following}\n\n"), *own, Segment(prefix))


def _before(marks: FileMarks, around: Surroundings) -> tuple[tuple[Segment, ...], tuple[Segment, ...]]:
    """What stands outside, before the prefix token, and what inside, between it and the prefix."""
    outside: list[Segment] = []
    inside: list[Segment] = []
    others = outside if marks.others_outside else inside
    if not around.path:
        return (), ()
    if marks.repository and around.repository:
        others += [_mark(marks.repository), Segment(around.repository + "\n" * marks.name_line)]
    for number, file in enumerate(around.files):
        if marks.file and (number or not marks.separates):
            others.append(_mark(marks.file))
        others.append(Segment(_heading(marks, file.path) + _closed(file.text) + "\n" * (not marks.file)))
    if marks.file and (around.files or not marks.separates):
        others.append(_mark(marks.file))
    (outside if marks.path_outside else inside).append(Segment(_heading(marks, around.path)))
    return tuple(outside), tuple(inside)


def _heading(marks: FileMarks, path: str) -> str:
    if marks.file:
        return f"{path}\n"
    return (marks.heading.replace("{path}", path) if marks.heading else path_comment(path)) + "\n"


def _closed(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def _mark(token: str) -> Segment:
    return Segment(token, token)


def _control(token: str, *, spaced: bool, opens: bool = False) -> Segment:
    if not spaced:
        return Segment(token, token)
    written = token.replace(SENTENCEPIECE_BLANK, " ")
    return Segment(f"{written.lstrip()} " if opens else written, token)
