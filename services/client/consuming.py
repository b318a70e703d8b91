"""Consuming changes or events from NATS: each has its effect once, and in order.

    effects = SqliteEffects("mine.db", "welcome-letters")
    await Consumer(nats_client, RelayedChanges(client, "acme"), effects, apply, durable="welcome-letters").run()

NATS may lose messages, repeat them and reorder them; the services keep them all. So a consumer keeps its own number, in
the transaction of the effect. What is not beyond it is passed over. Where a message says that another came before it
that was not seen, the rest is read from the service, and the same after a while of silence, for the last message of all
has nobody who could tell of it.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from services.client.effects import Effects, Overtaken
from services.client.errors import RapportError
from services.client.relayed import Content, Numbered, Relayed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from nats.aio.client import Client as NatsClient
    from nats.aio.msg import Msg

Transaction = TypeVar("Transaction")

ACK_WAIT_S: Final = 60.0
"""Seconds that an effect may take before its message is sent again; sending it again does no harm."""

CHECK_INTERVAL_S: Final = 10.0
"""Seconds of silence after which the service is asked whether something was lost."""

API_S: Final = 2.0
"""Seconds within which the server answers a question; one that was lost on the way is asked again."""

PAGE: Final = 500
BACK_OFF_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0)


class Behind(Exception):
    """The service has not got yet what NATS tells of; it is asked again."""


class Consumer(Generic[Transaction, Content]):
    """One consumer. Start it once for each name; a second one with the same name takes turns with the first."""

    def __init__(
        self,
        client: NatsClient,
        relayed: Relayed[Content],
        effects: Effects[Transaction],
        apply: Callable[[Transaction, Content], Awaitable[None] | None],
        *,
        durable: str,
        ack_wait_s: float = ACK_WAIT_S,
        check_interval_s: float = CHECK_INTERVAL_S,
    ) -> None:
        """Prepare it.

        Args:
            client: A connection to NATS.
            relayed: What to consume.
            effects: Where effects and the last number are kept.
            apply: Makes the effect of one message in the transaction that it is given.
            durable: Name of the consumer on the NATS server.
            ack_wait_s: Seconds that one effect may take.
            check_interval_s: Seconds of silence after which the service is asked.
        """
        self.last = 0
        """The last number whose effect is kept, as this process knows."""
        self._client = client
        self._js = JetStreamContext(client, timeout=API_S)
        self._relayed = relayed
        self._effects = effects
        self._make = apply
        self._durable = durable
        self._ack_wait_s = ack_wait_s
        self._check_interval_s = check_interval_s
        self._subscription: JetStreamContext.PullSubscription | None = None

    async def run(self) -> None:
        """Consume until cancelled. NATS and the service may be away for as long as it takes.

        Raises:
            RapportError: the service refuses, for a reason that waiting does not mend.
            Exception: whatever `apply` raises; its message comes again when the consumer is started again.
        """
        task = asyncio.current_task()
        assert task is not None
        self.last = await self._effects.last()
        failed = 0
        while not task.cancelling():  # The client library may have swallowed it.
            try:
                await self._turn()
                failed = 0
            except Overtaken:
                self.last = await self._effects.last()
            except (nats.errors.Error, OSError, Behind, RapportError) as error:
                if isinstance(error, RapportError) and not error.retryable:
                    raise
                self._subscription = None
                await asyncio.sleep(BACK_OFF_S[failed])
                failed = min(failed + 1, len(BACK_OFF_S) - 1)
        raise asyncio.CancelledError

    async def _turn(self) -> None:
        """Take one message; or, where none comes, look whether one was lost."""
        if self._subscription is None:
            self._subscription = await self._subscribe()
        try:
            (message,) = await self._subscription.fetch(1, timeout=self._check_interval_s)
        except TimeoutError:  # That of NATS is one too.
            await self._catch_up()
            await self._subscription.consumer_info()  # Gone with its stream, it is made anew.
            return
        await self._take(message)

    async def _take(self, message: Msg) -> None:
        received = self._relayed.read(_headers(message), message.data)
        if received.number > self.last:
            if received.previous > self.last:
                # Once the service has given this one too, it has given all before it.
                await self._catch_up()
                if received.number > self.last:
                    await message.nak(BACK_OFF_S[-1])
                    raise Behind
            else:
                await self._apply(received)
        await message.ack()

    async def _catch_up(self) -> None:
        """Apply everything that the service has beyond the last number."""
        while numbered := await self._relayed.after(self.last, PAGE):
            for each in numbered:
                await self._apply(each)

    async def _apply(self, each: Numbered[Content]) -> None:
        async with self._effects.once(self.last, each.number) as transaction:
            made = self._make(transaction, each.content)
            if inspect.isawaitable(made):
                await made
        self.last = each.number

    async def _subscribe(self) -> JetStreamContext.PullSubscription:
        config = ConsumerConfig(
            durable_name=self._durable,
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=self._ack_wait_s,
            filter_subject=self._relayed.subjects,
            max_ack_pending=1,  # With two under way, one that is sent again comes after the other (A17).
            max_deliver=-1,
        )
        await self._js.add_consumer(self._relayed.stream, config)
        return await self._js.pull_subscribe_bind(self._durable, self._relayed.stream)


def _headers(message: Msg) -> Mapping[str, Any]:
    return message.headers or {}
