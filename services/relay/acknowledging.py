"""Sending messages without waiting for each: what the client library's own way does, but for swallowing the end.

`JetStreamContext.publish_async` of nats-py 2.16 turns the cancellation of the task that calls it into an error.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import PubAck
from nats.js.errors import APIError, NoStreamResponseError

Answer = asyncio.Future[PubAck]


class Sender:
    """Sends messages to streams over one connection."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = ""
        self._sent = 0
        self._waiting: dict[str, Answer] = {}

    @property
    def connected(self) -> bool:
        """Whether what is sent goes out now, and its answer may come."""
        return bool(self._client.is_connected)

    async def send(self, subject: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a message; return what will hold its acknowledgement, or the error that the server answers.

        Raises:
            nats.errors.Error: the connection takes no more.
        """
        if not self._inbox:
            self._inbox = self._client.new_inbox()
            await self._client.subscribe(f"{self._inbox}.*", cb=self._answered)
        self._sent += 1
        name = str(self._sent)
        answer: Answer = asyncio.get_running_loop().create_future()
        self._waiting[name] = answer
        answer.add_done_callback(lambda _: self._waiting.pop(name, None))
        try:
            await self._client.publish(subject, body, reply=f"{self._inbox}.{name}", headers=dict(headers))
        except BaseException:
            answer.cancel()
            raise
        return answer

    async def _answered(self, message: Msg) -> None:
        answer = self._waiting.get(message.subject.rpartition(".")[2])
        if answer is None or answer.done():
            return
        if message.headers and message.headers.get("Status") == "503":
            answer.set_exception(NoStreamResponseError())
            return
        content = json.loads(message.data)
        if "error" in content:
            error = content["error"]
            answer.set_exception(APIError(error.get("code"), error.get("description"), error.get("err_code")))
        else:
            answer.set_result(PubAck.from_response(content))
