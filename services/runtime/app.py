"""What a servicer is given: the ledger, and what a process shares around it. And how the ledger is opened."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_bytes
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from ledger.domain.times import MICROSECONDS
from ledger.ledger import Ledger
from ledger.limits import Limits as LedgerLimits
from ledger.log.keks import KEK_BYTES, Keks, create_kek_file, read_kek_file
from ledger.log.keys import KeyStore
from ledger.log.postgres_keys import PostgresKeyTable
from ledger.log.recorders import open_store, refuse_db_functions
from ledger.log.sqlite_keys import SqliteKeyTable
from ledger.opening import open_ledger
from ledger.projections.projector import Projector
from services.runtime.books import Books
from services.runtime.health import Health
from services.runtime.limits import Limits
from services.runtime.logs import Logging, get_log
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings

Work = Callable[[asyncio.Event], Awaitable[None]]
"""Something that runs beside the server. It is given an event that is set once the server has drained, and ends soon
after that. An error that it raises ends the process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One process: what its servicers share."""

    ledger: Ledger
    books: Books
    """Books of exchanges, shared by those who show balances and those who decide by them."""
    settings: Settings
    logging: Logging
    limits: Limits
    metrics: Metrics
    health: Health
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process was told to stop: streams say where to resume, and end."""
    background: list[Work] = field(default_factory=list)
    projectors: list[Projector] = field(default_factory=list)
    """The projections that servicers asked for so far; `projecting.py` opens them."""
    detectors: list[Any] = field(default_factory=list)
    """The detector of changes, once a servicer asked for it; `detecting.py` opens it."""

    def run_beside(self, work: Work) -> None:
        """Let `work` run beside the server; for `mount`."""
        self.background.append(work)


async def open_app(settings: Settings, environ: Mapping[str, str], logging: Logging) -> App:
    """Open the stores that the settings name, creating what is not there, and return the process around them.

    Raises:
        LedgerError: a store refuses, does not answer, or holds something else.
        ValueError: an address is not one of a store.
    """
    refuse_db_functions(environ)
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    limits = Limits(
        calls_max=settings.calls_max,
        streams_max=settings.streams_max,
        streams_per_caller_max=settings.streams_per_caller_max,
    )
    store = open_store(settings.store_address)
    try:
        ledger = await open_ledger(
            store,
            lambda log_id: open_keys(settings, log_id),
            new_log_id=str(uuid4()),
            limits=LedgerLimits(
                future_tolerance=round(settings.future_tolerance_s * MICROSECONDS),
                clock_clamp_max=round(settings.clock_clamp_max_s * MICROSECONDS),
                cached_events_max=settings.cache_events_max,
            ),
        )
    except BaseException:
        store.close()
        raise
    metrics = Metrics(limits)
    ledger.observe_group = metrics.observe_group
    metrics.watch_head(lambda: ledger.head.position)
    return App(
        ledger=ledger,
        books=Books(ledger),
        settings=settings,
        logging=logging,
        limits=limits,
        metrics=metrics,
        health=Health(),
    )


def open_keys(settings: Settings, log_id: str) -> KeyStore:
    """Open the key store of a log; create it, and in development its KEK too, where there is none.

    Raises:
        LedgerError: the KEK file or the database of keys cannot be used.
    """
    keks = _keks(settings)
    address = settings.keys_address
    if address.startswith("sqlite"):
        return KeyStore(SqliteKeyTable(_path(address), log_id), keks)
    return KeyStore(PostgresKeyTable(address, log_id), keks)


def _keks(settings: Settings) -> Keks:
    # Asked before the KEK is looked for: another process that starts now may make both in between.
    address = settings.keys_address
    may_create = settings.development and not (address.startswith("sqlite") and _path(address).exists())
    if may_create and not settings.kek_path.exists():
        create_kek_file(settings.kek_path, token_bytes(KEK_BYTES))
        get_log().warning("kek.created", path=str(settings.kek_path))
    return read_kek_file(settings.kek_path)


def _path(address: str) -> Path:
    return Path(unquote(urlsplit(address).path))
