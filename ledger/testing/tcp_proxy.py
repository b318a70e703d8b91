"""A small TCP proxy that loses what it is told to lose: between a store and PostgreSQL, or any client and server."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

_CHUNK = 65536


class TcpProxy:
    """Listens on a free port of 127.0.0.1 and passes bytes on, both ways, until a fault is ordered."""

    def __init__(self, upstream: tuple[str, int] | str) -> None:
        """Pass connections on to `upstream`: host and port, or the path of a Unix socket."""
        self._upstream = upstream
        self._lock = threading.Lock()
        self._marker: bytes | None = None
        self._lost = threading.Event()
        self._open: set[socket.socket] = set()
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        """Port to connect to."""
        threading.Thread(target=self._accept, name="proxy-accept", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def lose_reply(self, marker: bytes = b"") -> None:
        """Lose the server's answer to the next thing a client sends that contains `marker`, and cut that connection.

        The server gets what was sent, and does it.
        """
        with self._lock:
            self._marker = marker
            self._lost.clear()

    def lost(self, timeout_s: float = 10.0) -> bool:
        """Wait until the reply was lost; return whether it was."""
        return self._lost.wait(timeout_s)

    def cut(self) -> None:
        """Cut every connection there is; new ones are passed on."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            _hang_up(connection)

    def close(self) -> None:
        """Take no more connections, and cut those there are."""
        self._closed = True
        _hang_up(self._listener)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                server = self._connect()
            except OSError:
                continue
            with self._lock:
                self._open |= {client, server}
            losing = threading.Event()
            for work in (self._pass_requests, self._pass_replies):
                threading.Thread(target=work, args=(client, server, losing), name="proxy", daemon=True).start()

    def _connect(self) -> socket.socket:
        if isinstance(self._upstream, tuple):
            return socket.create_connection(self._upstream)
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._upstream)
        return server

    def _pass_requests(self, client: socket.socket, server: socket.socket, losing: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(_CHUNK):
                with self._lock:
                    if self._marker is not None and self._marker in data:
                        self._marker = None
                        losing.set()
                server.sendall(data)
        self._end(client, server)

    def _pass_replies(self, client: socket.socket, server: socket.socket, losing: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(_CHUNK):
                if losing.is_set():
                    self._lost.set()
                    break
                client.sendall(data)
        self._end(client, server)

    def _end(self, *connections: socket.socket) -> None:
        for connection in connections:
            _hang_up(connection)
            connection.close()
        with self._lock:
            self._open -= set(connections)


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
