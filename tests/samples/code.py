"""Code in several languages for tests, and disguises that leave its meaning alone."""

from __future__ import annotations

import re

from guard.keywords import GIVEN_NAMES, HASH_KEYWORDS, SLASH_KEYWORDS

PYTHON = '''\
class Ledger:
    """Keeps the balance of several accounts.

    Every booking names two accounts; what one loses the other gains, so the sum of all stays what it was.
    """

    def __init__(self, accounts, limit=250):
        self.accounts = {name: 0 for name in accounts}
        self.limit = limit
        self.journal = []

    def book(self, source, target, amount):
        # A booking of nothing is most likely a mistake of the caller.
        if amount <= 0 or source == target:
            raise ValueError('amount must be positive: %r' % amount)
        if self.accounts[source] - amount < -self.limit:
            self.journal.append(('refused', source, target, amount))
            return False
        self.accounts[source] -= amount
        self.accounts[target] += amount
        self.journal.append(("booked", source, target, amount))
        return True

    def settle(self, rate=0.035):
        total = sum(abs(value) for value in self.accounts.values())
        for name, value in sorted(self.accounts.items(), key=lambda item: -item[1]):
            share = value * rate / total if total else 0
            if value < 0:
                self.accounts[name] = value - round(share, 2)
            elif share > 1:
                self.journal.append(("interest", name, share))
        return total
'''

JAVASCRIPT = """\
/**
 * Groups the events of a stream by session. A session ends when nothing
 * has happened in it for as long as the caller says.
 */
export function sessions(events, idle = 1800) {
  const open = new Map();
  const done = [];
  for (const event of events) {
    let session = open.get(event.user); // may be missing
    if (session && event.time - session.last > idle) {
      done.push({ user: event.user, count: session.items.length, label: 'idle' });
      session = undefined;
    }
    if (!session) {
      session = { first: event.time, last: event.time, items: [] };
      open.set(event.user, session);
    }
    session.last = Math.max(session.last, event.time);
    session.items.push(event.kind === "click" ? event.target : null);
  }
  open.forEach((value, key) => {
    done.push({ user: key, count: value.items.length, label: "end" });
  });
  return done.sort((a, b) => a.count - b.count).filter((each) => each.count >= 2);
}
"""

JAVA = """\
package org.example.route;

public final class Router {
    private final Map<String, List<Handler>> table = new HashMap<>();

    /* Routes are tried in the order in which they
       were added, so the caller adds special ones first. */
    public Response dispatch(Request request, int depth) throws IOException {
        if (depth > 16 || request == null) {
            throw new IllegalStateException("too many redirects: " + depth);
        }
        for (Handler handler : table.getOrDefault(request.method(), List.of())) {
            Matcher matcher = handler.pattern().matcher(request.path());
            if (!matcher.matches()) {
                continue;
            }
            Response response = handler.call(request, matcher.group(1));
            if (response.status() == 307 && response.location() != null) {
                return dispatch(request.at(response.location()), depth + 1); // follow
            }
            return response.with("X-Route", handler.name());
        }
        return Response.of(404, "nothing here");
    }
}
"""

GO = """\
package pool

// Drain waits until every worker is idle or the deadline has passed.
func (p *Pool) Drain(ctx context.Context, step time.Duration) (int, error) {
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	left := len(p.workers)
	for left > 0 {
		select {
		case <-ctx.Done():
			return left, fmt.Errorf("drain: %d workers still busy: %w", left, ctx.Err())
		case <-ticker.C:
			left = 0
			for _, worker := range p.workers {
				if worker.busy.Load() || len(worker.queue) != 0 {
					left++
				}
			}
			p.log.Printf(`waiting for
%d workers`, left)
		}
	}
	return left, nil
}
"""

C = """\
#include <stddef.h>

/* Finds the first place where the needle stands in the hay.
 * Both may hold any byte, zero included. */
size_t find_bytes(const unsigned char *hay, size_t hay_size, const unsigned char *needle, size_t size)
{
    size_t skip[256];
    if (size == 0 || hay_size < size)
        return hay_size;
    for (int i = 0; i < 256; i++)
        skip[i] = size;
    for (size_t i = 0; i + 1 < size; i++)
        skip[needle[i]] = size - 1 - i;
    for (size_t at = 0; at + size <= hay_size; at += skip[hay[at + size - 1]]) {
        size_t left = size;
        while (left > 0 && hay[at + left - 1] == needle[left - 1])
            left--;
        if (left == 0) {
            trace("found at %zu", at); // for the curious
            return at;
        }
    }
    return hay_size;
}
"""

RUST = """\
/// Splits a line into fields. A quoted field may hold the separator;
/// a doubled quote inside it stands for one.
pub fn fields<'a>(line: &'a str, separator: char) -> Result<Vec<String>, ParseError> {
    let mut out = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                field.push('"');
                chars.next();
            }
            '"' => quoted = !quoted,
            other if other == separator && !quoted => out.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    if quoted {
        return Err(ParseError::new("unclosed quote", out.len()));
    }
    out.push(field);
    Ok(out)
}
"""

METHOD = PYTHON[PYTHON.index("    def book") :]
"""What a model might recite: two methods of a class."""

SAMPLES = {"python": PYTHON, "javascript": JAVASCRIPT, "java": JAVA, "go": GO, "c": C, "rust": RUST}

UNRELATED = """\
def tide(hours, moon):
    height = 0.0
    for index, phase in enumerate(moon.phases):
        height += phase.weight * math.cos(phase.speed * hours + index)
    if not math.isfinite(height):
        return None
    return max(height, moon.floor)


class Harbour:
    def __init__(self, name, moon):
        self.name, self.moon = name, moon

    def open_at(self, hours, draught):
        level = tide(hours, self.moon)
        while level is not None and level < draught:
            hours += 1
            level = tide(hours, self.moon)
        yield from ((hours, level) for _ in range(3))
"""

_KEPT = HASH_KEYWORDS | SLASH_KEYWORDS | GIVEN_NAMES
_PARTS = re.compile(
    r"(?P<comment>#(?!include)[^\n]*|//[^\n]*|/\*[\s\S]*?\*/|\"\"\"[\s\S]*?\"\"\")"
    r"|(?P<string>\"(?:[^\"\\\n]|\\.)*\"|`[^`]*`)|(?P<lifetime>'a\b)|(?P<char>'(?:[^'\\\n]|\\.)*')"
    r"|(?P<number>\b\d[\w.]*)|(?P<word>[^\W\d]\w*)"
)


def renamed(text: str) -> str:
    """`text` with another name for every identifier and another value for every literal; comments stay."""
    names: dict[str, str] = {}

    def other(found: re.Match[str]) -> str:
        word = found.group()
        match found.lastgroup:
            case "word" if word not in _KEPT:
                return names.setdefault(word, f"thing{len(names)}_{len(word)}")
            case "char" if len(word) == len("'x'"):
                return "'x'"
            case "string" | "char":
                return f"{word[0]}other {len(word)}{word[0]}"
            case "number":
                return f"9{len(word)}"
        return word

    return _PARTS.sub(other, text)


def without_comments(text: str) -> str:
    """`text` without its comments and docstrings."""
    return _PARTS.sub(lambda found: "" if found.lastgroup == "comment" else found.group(), text)


def reindented(text: str) -> str:
    """`text` with two blanks or tabs where there were four, and empty lines in between."""
    lines = []
    for number, line in enumerate(text.splitlines()):
        body = line.lstrip(" \t")
        depth = (len(line) - len(body)) // (1 if line.startswith("\t") else 2)
        lines.append("\t" * depth + body + ("  \n" if number % 3 == 0 and body.endswith((";", "{", ":", ")")) else ""))
    return "\n".join(lines) + "\n"


SETTLEMENT = """\
def settle(ledger, rates, tolerance):
    surplus = {}
    for member, quota in sorted(ledger.quotas.items()):
        drift = abs(rates[member] - quota.baseline) * quota.weight
        if drift > tolerance and not quota.frozen:
            surplus.setdefault(member, []).append(drift // quota.step)
            ledger.note(member, drift, quota.step - tolerance)
        elif drift < tolerance / 2:
            ledger.forgive(member, until=quota.epoch + tolerance)
    return {member: max(found) for member, found in surplus.items() if len(found) > 1}
"""
