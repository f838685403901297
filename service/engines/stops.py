"""Ends text before a stop string, and holds back what may still become one. Knows no tokens and no engine."""

from __future__ import annotations


class StopFilter:
    """Passes text on in pieces, up to the first stop string in it.

    What `feed` and `flush` return, joined, is all the text before the stop string, or all the text.
    """

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = tuple(filter(None, stops))
        self._held = ""
        self.stopped = False

    @property
    def whole(self) -> bool:
        """Whether nothing is held back."""
        return not self._held

    def feed(self, text: str) -> str:
        """Take more text and return what is certain not to belong to a stop string."""
        if self.stopped:
            return ""
        text = self._held + text
        found = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        passed, self._held = text[: len(text) - keep], text[len(text) - keep :]
        return passed

    def flush(self) -> str:
        """Return what was held back, at the end of the text."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a beginning of `stop`, short of the whole."""
    longest = min(len(text), len(stop) - 1)
    return next((length for length in range(longest, 0, -1) if text.endswith(stop[:length])), 0)
