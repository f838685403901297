"""The tricks of `evasions.py` for languages with braces, by the same kinds. Knows no guard.

They work on tokens and lines as pygments and the indentation show them: a trick may leave a program that a compiler
would complain of, which someone who hides a copy mends by hand. One that finds nothing to do answers what came in.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from braces import Kind, Piece, indentation, joined, pieces

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    Trick = Callable[[str, str, random.Random], str]
    """A text, its language and a generator make another text."""

_SAYINGS = ("request", "missing value", "unexpected state", "not found", "ok", "the limit", "see the manual")
_REMARKS = ("step", "see the ticket", "TODO: tidy", "next", "as agreed", "keep in order", "hm")
_STATEMENT = re.compile(r"^\s*(?!return\b|break\b|continue\b|throw\b|case\b|default\b|else\b|//|#|@)[\w*&\[(][^{}]*;$")
_KOTLIN_STATEMENT = re.compile(r"^\s*(?!return\b|throw\b|else\b|//|@|when\b)(?:va[lr] )?\w[^{}]*[\w)\]\"]$")
_ASSIGNED = re.compile(r"(\w+)\s*(?:[-+*/|&]?=(?!=)|\+\+|--|;)")
_FOR = re.compile(r"^(\s*)for \((.*?);(.*?);(.*)\) \{$")
_FOR_EACH = re.compile(r"^(\s*)for \((?:(.*?)(\w+) ?(?::|\bof\b|\bin\b) (.*))\) \{$")
_TYPED = {
    "java": (re.compile(r"^(\s*)(?:final )?[A-Z][\w.]*(?:<[^=;]*>)? (\w+ = )", re.MULTILINE), r"\1var \2"),
    "cpp": (re.compile(r"^(\s*)(?:const )?[\w:]+(?:<[^=;]*>)?[&*]? (\w+ = )", re.MULTILINE), r"\1auto \2"),
    "objective-c": (re.compile(r"^(\s*)[A-Z]\w*(?:<[^=;]*>)? \*(\w+ = )", re.MULTILINE), r"\1id \2"),
    "kotlin": (re.compile(r"^(\s*va[lr] \w+): [^=\n]+ (= )", re.MULTILINE), r"\1 \2"),
    "javascript": (re.compile(r"(\w+): \??[\w.]+(?=[,)])"), r"\1"),
}
"""What declares a type by language, and what stands there without it (Flow's, in JavaScript)."""
_DEAD = {
    "java": ("int unused{0} = {1};", "if (false) {{ unused{0}(); }}", "while (false) {{ log({1}); }}"),
    "kotlin": ("val unused{0} = {1}", "if (false) {{ unused{0}() }}", "while (false) {{ log({1}) }}"),
    "javascript": ("let unused{0} = {1};", "if (false) {{ unused{0}(); }}", "while (false) {{ log({1}); }}"),
    "cpp": ("int unused{0} = {1};", "if (false) {{ unused{0}(); }}", "(void)sizeof(int[{1}]);"),
    "objective-c": ("int unused{0} = {1};", "if (NO) {{ unused{0}(); }}", "(void)@{1};"),
}
_EACH = {
    "java": "Iterator<?> {0} = {1}.iterator();\nwhile ({0}.hasNext()) {{\n  {2}{3} = {0}.next();",
    "kotlin": "val {0} = {1}.iterator()\nwhile ({0}.hasNext()) {{\n  val {3} = {0}.next()",
    "javascript": "const {0} = Array.from({1});\nwhile ({0}.length) {{\n  {2}{3} = {0}.shift();",
    "cpp": "auto {0} = {1}.begin();\nwhile ({0} != {1}.end()) {{\n  {2}{3} = *{0}++;",
    "objective-c": "NSEnumerator *{0} = [{1} objectEnumerator];\nwhile (YES) {{\n  {2}{3} = [{0} nextObject];",
}


def reformatted(text: str, language: str, rng: random.Random) -> str:
    """Another indentation, and spaces round brackets and commas by chance."""
    step = rng.choice([1, 3, 4, 8])
    made = []
    for line in text.splitlines():
        depth = len(indentation(line)) // 2
        some = pieces(line.strip(), language)
        for at, piece in enumerate(some[1:], 1):
            near = {some[at - 1].text[-1:], some[at + 1].text[:1] if at + 1 < len(some) else ""}
            if piece.kind is Kind.SPACE and near & set(",;(){}[]"):
                some[at] = Piece(Kind.SPACE, rng.choice(["", " ", "  "]))
        made.append(" " * (step * depth) + joined(some))
    return "\n".join(made) + "\n"


def broken_lines(text: str, language: str, rng: random.Random) -> str:
    """Whatever stands in brackets goes over several lines, one for each item."""
    deeper = " " * rng.choice([4, 8])
    made, depth = [], 0
    for piece in pieces(text, language):
        depth += piece.text.count("(") - piece.text.count(")") if piece.kind is Kind.MARK else 0
        made.append(piece.text)
        if piece.kind is Kind.MARK and depth > 0 and piece.text[-1] in "(,":
            made.append("\n" + deeper * depth)
    return re.sub(r"\n( +) +", r"\n\1", "".join(made))


def commented(text: str, language: str, rng: random.Random) -> str:
    """A comment after every line."""
    del language
    lines = text.splitlines()
    return "".join(f"{line}\n{indentation(line)}// {rng.choice(_REMARKS)} {rng.randrange(100)}\n" for line in lines)


def capitals(text: str, language: str, rng: random.Random) -> str:
    """Every name in capital letters."""
    del rng
    return _changed(text, language, Kind.NAME, str.upper)


def other_names(text: str, language: str, rng: random.Random) -> str:
    """Every name another, always the same one."""
    letter, names = rng.choice("abcxyz"), dict[str, str]()
    return _changed(
        text, language, Kind.NAME, lambda name: names.setdefault(name, f"{letter}_{len(names)}_{name[-2:]}")
    )


def other_literals(text: str, language: str, rng: random.Random) -> str:
    """Every string and number another; names and strings with code inside stay."""

    def other(string: str) -> str:
        quote = string[0]
        whole = len(string) > 1 and quote == string[-1] and quote in "'\"`"
        return f"{quote}{rng.choice(_SAYINGS)} {rng.randrange(100)}{quote}" if whole else string

    text = _changed(text, language, Kind.NUMBER, lambda _: str(rng.randrange(2, 100)))
    return _changed(text, language, Kind.STRING, other)


def _changed(text: str, language: str, kind: Kind, change: Callable[[str], str]) -> str:
    found = pieces(text, language)
    return joined(Piece(kind, change(piece.text)) if piece.kind is kind else piece for piece in found)


def reordered_statements(text: str, language: str, rng: random.Random) -> str:
    """Neighbouring lines that need nothing of each other change places, from the top down."""
    del rng
    lines = text.splitlines()
    at = 1
    while at + 1 < len(lines):
        one, other = lines[at], lines[at + 1]
        if indentation(one) == indentation(other) and _independent(one, other, language):
            lines[at], lines[at + 1] = other, one
            at += 1
        at += 1
    return "\n".join(lines) + "\n"


def _independent(one: str, other: str, language: str) -> bool:
    if not (_is_statement(one, language) and _is_statement(other, language)) or ("(" in one and "(" in other):
        return False
    words = [set(re.findall(r"\w+", line)) for line in (one, other)]
    written = [set(_ASSIGNED.findall(line)) for line in (one, other)]
    return not (written[0] & words[1]) and not (written[1] & words[0])


def _is_statement(line: str, language: str) -> bool:
    """Whether a line is a whole statement without a block."""
    if line.count("(") != line.count(")"):
        return False
    return bool((_KOTLIN_STATEMENT if language == "kotlin" else _STATEMENT).match(line))


def dead_code(text: str, language: str, rng: random.Random) -> str:
    """Before every other statement one that does nothing."""
    made, number = [], 0
    for line in text.splitlines():
        if made and _is_statement(line, language):
            number += 1
            if number % 2:
                dead = rng.choice(_DEAD[language]).format(number, rng.randrange(1, 100))
                made.append(indentation(line) + dead)
        made.append(line)
    return "\n".join(made) + "\n"


def while_loops(text: str, language: str, rng: random.Random) -> str:
    """`for` becomes `while`, with its counter or its iterator kept by hand."""
    word = rng.choice(["rest", "queue", "pending", "todo"])
    made: list[str] = []
    steps: list[tuple[str, str]] = []
    for line in text.splitlines():
        indent = indentation(line)
        if steps and line.strip().startswith("}") and indent == steps[-1][0]:
            made.append(f"{indent}  {steps.pop()[1]};")
        counted, each = _FOR.match(line), _FOR_EACH.match(line)
        if counted:
            _, start, test, step = counted.groups()
            made += [f"{indent}{start.strip()};", f"{indent}while ({test.strip()}) {{"]
            steps.append((indent, step.strip()))
        elif each:
            _, declared, name, source = each.groups()
            loop = _EACH[language].format(f"{word}{len(made)}", source, declared, name)
            made += [indent + part for part in loop.splitlines()]
        else:
            made.append(line)
    return "\n".join(made) + "\n"


def undeclared_types(text: str, language: str, rng: random.Random) -> str:
    """What is declared by its type is declared without it."""
    del rng
    pattern, instead = _TYPED[language]
    return pattern.sub(instead, text)


BRACE_TRICKS: dict[str, Trick] = {
    "reformatted": reformatted,
    "broken lines": broken_lines,
    "commented": commented,
    "capitals": capitals,
    "other names": other_names,
    "other literals": other_literals,
    "reordered statements": reordered_statements,
    "dead code": dead_code,
    "while loops": while_loops,
    "no declared types": undeclared_types,
}
"""Every trick for one function, by name."""
COMBINED = ("other literals", "reordered statements", "dead code", "while loops", "no declared types", "other names")


def combined(text: str, language: str, rng: random.Random) -> str:
    """The tricks of COMBINED one after the other, then comments in another layout: what one would do to hide a copy."""
    for name in (*COMBINED, "commented", "reformatted"):
        text = BRACE_TRICKS[name](text, language, rng)
    return text


def tricks_of(language: str) -> dict[str, Callable[[str, random.Random], str]]:
    """The tricks for one language, the combination of them among them."""
    some = {**BRACE_TRICKS, "combined": combined}

    def bound(trick: Trick) -> Callable[[str, random.Random], str]:
        return lambda text, rng: trick(text, language, rng)

    return {name: bound(trick) for name, trick in some.items()}
