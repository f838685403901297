"""A federation in one process: Flower's grid without a network, for tests and small machines.

The ServerApp and ClientApp are those of the deployment, and so are the messages; only who carries them differs. Knows
nothing of models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from flwr.app import Context, Error, Message, RecordDict
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from flwr.clientapp import ClientApp
    from flwr.supercore.run import Run

_RUN, _SERVER = 1, 0
"""Ids; nodes have others."""


class LocalGrid(Grid):
    """Nodes one after the other. `nodes`: an app and a node configuration each, by node id.

    `witness` sees every message that crosses, orders and answers.
    """

    def __init__(
        self,
        nodes: Mapping[int, tuple[ClientApp, Mapping[str, str | int | float | bool]]],
        witness: Callable[[Message], None] | None = None,
    ) -> None:
        self._nodes = dict(nodes)
        self._witness = witness
        self._contexts = {
            node: Context(run_id=_RUN, node_id=node, node_config=dict(config), state=RecordDict(), run_config={})
            for node, (_, config) in self._nodes.items()
        }
        self._answers: dict[str, Message] = {}
        # Flower's messages take their sender from here, which a SuperLink sets for the process of an app.
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = _RUN, _SERVER, _RUN

    def set_run(self, run: Run) -> None:
        """There is one run."""

    @property
    def run(self) -> Run:
        """There is one run, and nobody asks for it."""
        raise NotImplementedError

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """A message; Flower's own constructor does the same."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> list[int]:
        """All nodes."""
        return list(self._nodes)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Deliver messages and keep the answers."""
        numbers = []
        for message in messages:
            number = str(uuid4())
            message.metadata.__dict__["_message_id"] = number  # as Flower's own grids do
            numbers.append(number)
            self._see(message)
            answer = self._ask(message)
            self._see(answer)
            self._answers[number] = answer
        return numbers

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """The answers to these messages, once."""
        return [self._answers.pop(number) for number in message_ids if number in self._answers]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:  # noqa: ARG002
        """Ask and answer at once: nodes here are as slow as they are, and `timeout` is not looked at."""
        return self.pull_messages(self.push_messages(messages))

    def _ask(self, message: Message) -> Message:
        node = message.metadata.dst_node_id
        try:
            return self._nodes[node][0](message, self._contexts[node])
        except Exception as error:  # noqa: BLE001 - what a SuperNode makes of it, to the letter
            reason = f"{type(error)}:<'{error}'>"
            return Message(Error(code=ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason=reason), reply_to=message)

    def _see(self, message: Message) -> None:
        if self._witness is not None:
            self._witness(message)
