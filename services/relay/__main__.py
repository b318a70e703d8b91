"""One process that relays to NATS: `python -m services.relay`."""

import os

import grpc

from services.relay import servicer
from services.runtime.app import App
from services.runtime.run import main


class Alone:
    """The relay as the only work of a process, which is of no use without NATS."""

    SERVICE = servicer.SERVICE

    def mount(self, server: grpc.aio.Server, app: App) -> None:
        """Mount the relay.

        Raises:
            ValueError: the settings name no NATS server.
        """
        url = app.settings.nats_url.reveal()
        if url == servicer.OFF or (not url and not app.settings.development):
            raise ValueError("RAPPORT_NATS_URL must name the NATS server that is relayed to")
        servicer.mount(server, app)


if __name__ == "__main__":
    main([Alone()], os.environ)
