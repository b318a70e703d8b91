"""Figures for Prometheus, in a registry of their own.

What is counted for every call is kept in plain numbers and turned into metrics when somebody asks: a labelled counter
and a histogram of the client library cost several times as much.

| metric | labels | what |
|---|---|---|
| `rapport_rpc_completed_total` | method, code | calls and streams that ended |
| `rapport_rpc_duration_seconds` | method | how long they took; histogram |
| `rapport_rpc_in_flight`, `rapport_streams_open` | | unary calls and streams now |
| `rapport_stream_messages_total` | method | frames sent on streams |
| `rapport_group_commit_requests`, `..._events`, `..._seconds` | | size and duration of group commits; histograms |
| `rapport_log_head_position` | | last position of the log, as this process knows it |
| `rapport_projection_position`, `..._lag_events` | projection | how far each is, and how far behind the head |
| `rapport_changes_position`, `..._lag_events` | | how far changes are found, and how far behind the head |
| `rapport_changes_found_total`, `rapport_changes_due` | | changes so far; relationships the clock will look at again |
| `rapport_relay_up` | stream | 1 while the relay follows, 0 while it cannot or must not |
| `rapport_relay_stored_number`, `..._lag_messages` | stream | last number stored by NATS, and how many it lacks |
| `rapport_relay_holes_messages` | stream | messages missing between the first and the last that NATS holds |
| `rapport_relay_refusals_total` | stream | publications that NATS refused, left out or did not answer |
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from threading import Thread
from typing import Final, NamedTuple
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from services.runtime.limits import Limits

BUCKETS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Calls:
    """What happened to the calls of one method. Written on the event loop, read by the thread that serves metrics."""

    __slots__ = ("buckets", "codes", "messages", "method", "seconds")

    def __init__(self, method: str) -> None:
        self.method = method
        self.codes: dict[str, int] = {}
        self.buckets = [0] * (len(BUCKETS_S) + 1)
        self.seconds = 0.0
        self.messages = 0
        """Frames sent; of streams only."""

    def ended(self, code: str, seconds: float) -> None:
        """Count one call that ended with `code` after `seconds`."""
        self.codes[code] = self.codes.get(code, 0) + 1
        self.buckets[bisect_left(BUCKETS_S, seconds)] += 1
        self.seconds += seconds


class RelayFigures(NamedTuple):
    """How far the relay of one stream is."""

    up: bool
    """Whether it follows: connected, and nothing forbids it to publish."""
    stored: int
    """Number of the last message that NATS is known to hold."""
    lag: int
    """How many messages NATS still lacks at the end."""
    holes: int
    """How many are missing between the first and the last that it holds."""
    refusals: int
    """Publications that were refused, left out or not answered."""


class Metrics:
    """Everything this process counts."""

    def __init__(self, limits: Limits) -> None:
        self.registry = CollectorRegistry()
        self._limits = limits
        self._calls: list[Calls] = []
        self._head: Callable[[], int] | None = None
        self._projections: dict[str, Callable[[], int]] = {}
        self._changes: Callable[[], tuple[int, int, int]] | None = None
        self._relays: dict[str, Callable[[], RelayFigures]] = {}
        self._group_requests = self._histogram("requests", "Requests of a group commit.", _SIZES)
        self._group_events = self._histogram("events", "Events of a group commit.", _SIZES)
        self._group_seconds = self._histogram("seconds", "Seconds from decision to durability.", BUCKETS_S)
        self.registry.register(_Collector(self._collect))

    def calls_of(self, method: str) -> Calls:
        """Return where the calls of a method are counted; asked for once per method."""
        calls = Calls(method)
        self._calls.append(calls)
        return calls

    def observe_group(self, requests: int, events: int, seconds: float) -> None:
        """Count one group commit; for `Ledger.observe_group`."""
        self._group_requests.observe(requests)
        self._group_events.observe(events)
        self._group_seconds.observe(seconds)

    def watch_head(self, head: Callable[[], int]) -> None:
        """Let `head` be asked for the last position of the log. Called from another thread: it must only read."""
        self._head = head

    def watch_projection(self, name: str, position: Callable[[], int]) -> None:
        """Let `position` be asked how far a projection is. Called from another thread: it must only read."""
        self._projections[name] = position

    def watch_relay(self, stream: str, figures: Callable[[], RelayFigures]) -> None:
        """Let `figures` be asked how far a relay is. Called from another thread: it must only read."""
        self._relays[stream] = figures

    def watch_changes(self, told: Callable[[], tuple[int, int, int]]) -> None:
        """Let `told` be asked for position, number of the last change, and how many relationships will be due.

        Called from another thread: it must only read.
        """
        self._changes = told

    def _histogram(self, name: str, text: str, buckets: Iterable[float]) -> Histogram:
        return Histogram(f"rapport_group_commit_{name}", text, buckets=tuple(buckets), registry=self.registry)

    def _collect(self) -> Iterable[Metric]:
        completed = CounterMetricFamily("rapport_rpc_completed", "Calls and streams ended.", labels=("method", "code"))
        duration = HistogramMetricFamily("rapport_rpc_duration_seconds", "Seconds they took.", labels=("method",))
        messages = CounterMetricFamily("rapport_stream_messages", "Frames sent on streams.", labels=("method",))
        for calls in self._calls:
            for code, count in list(calls.codes.items()):
                completed.add_metric((calls.method, code), count)
            if calls.codes:
                duration.add_metric((calls.method,), _cumulative(list(calls.buckets)), calls.seconds)
            if calls.messages:
                messages.add_metric((calls.method,), calls.messages)
        yield from (completed, duration, messages)
        yield GaugeMetricFamily("rapport_rpc_in_flight", "Unary calls now.", value=self._limits.calls)
        yield GaugeMetricFamily("rapport_streams_open", "Streams now.", value=self._limits.streams)
        yield from self._collect_positions()
        if self._relays:
            yield from self._collect_relays()

    def _collect_relays(self) -> Iterable[Metric]:
        of = ("stream",)
        up = GaugeMetricFamily("rapport_relay_up", "1 while it follows.", labels=of)
        stored = GaugeMetricFamily("rapport_relay_stored_number", "Last number that NATS holds.", labels=of)
        lag = GaugeMetricFamily("rapport_relay_lag_messages", "Messages that NATS lacks at the end.", labels=of)
        holes = GaugeMetricFamily("rapport_relay_holes_messages", "Messages missing in the middle.", labels=of)
        refusals = CounterMetricFamily("rapport_relay_refusals", "Publications not stored.", labels=of)
        for stream, ask in list(self._relays.items()):
            figures = ask()
            up.add_metric((stream,), figures.up)
            stored.add_metric((stream,), figures.stored)
            lag.add_metric((stream,), figures.lag)
            holes.add_metric((stream,), figures.holes)
            refusals.add_metric((stream,), figures.refusals)
        yield from (up, stored, lag, holes, refusals)

    def _collect_positions(self) -> Iterable[Metric]:
        if self._head is None:
            return
        head = self._head()
        yield GaugeMetricFamily("rapport_log_head_position", "Last position of the log.", value=head)
        positions = GaugeMetricFamily("rapport_projection_position", "How far it is.", labels=("projection",))
        lags = GaugeMetricFamily("rapport_projection_lag_events", "Events behind the head.", labels=("projection",))
        for name, position in list(self._projections.items()):
            at = position()
            positions.add_metric((name,), at)
            lags.add_metric((name,), max(head - at, 0))
        yield from (positions, lags)
        if self._changes is not None:
            found, number, due = self._changes()
            yield GaugeMetricFamily("rapport_changes_position", "Changes are found up to here.", value=found)
            lag = max(head - found, 0)
            yield GaugeMetricFamily("rapport_changes_lag_events", "Events behind the head.", value=lag)
            yield CounterMetricFamily("rapport_changes_found", "Changes found so far.", value=number)
            yield GaugeMetricFamily("rapport_changes_due", "Relationships the clock will look at again.", value=due)


class Exposition(NamedTuple):
    """The HTTP server that shows the metrics."""

    server: WSGIServer
    thread: Thread

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server.server_port)

    def close(self) -> None:
        """Stop it."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def expose(metrics: Metrics, address: str) -> Exposition:
    """Serve the metrics over HTTP on HOST:PORT, from a thread of its own.

    Raises:
        OSError: the address cannot be listened on.
    """
    host, _, port = address.rpartition(":")
    server, thread = start_http_server(int(port), host.strip("[]"), registry=metrics.registry)
    return Exposition(server, thread)


class _Collector(Collector):
    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        return self._collect()


def _cumulative(buckets: list[int]) -> list[tuple[str, float]]:
    """Return (upper bound, count at or below it) for each bucket, as Prometheus wants them."""
    total = 0
    found: list[tuple[str, float]] = []
    for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), buckets, strict=True):
        total += count
        found.append((bound, total))
    return found
