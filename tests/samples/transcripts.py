"""What an engine's transcript makes of the events of its server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.engines.protocol import Chunk


class Reading(Protocol):
    """A transcript of either engine."""

    @property
    def finished(self) -> bool: ...

    def take(self, event: dict[str, Any], /) -> Chunk | None: ...


def taken(transcript: Reading, events: Iterable[dict[str, Any]]) -> list[Chunk]:
    """The chunks of a transcript that ends with the last event, and not before."""
    chunks = []
    for each in events:
        assert not transcript.finished
        chunk = transcript.take(each)
        chunks += [chunk] if chunk is not None else []
    assert transcript.finished
    return chunks
