"""Settings of a service: read from the environment once, then passed on as a value.

Every setting is a field of `Settings`; its variable is `RAPPORT_` and the field's name in capitals. A name that is not
on the list is refused, because a misspelt setting that is silently ignored is worse than none. Messages name the
variable and what would be right, never its value. Business numbers are policies, not settings.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, get_type_hints
from urllib.parse import quote, urlsplit

PREFIX: Final = "RAPPORT_"

KNOWN_ELSEWHERE: Final = ("RAPPORT_TARGET", "RAPPORT_SHARED_DATA")
"""Names of the same prefix that speak to clients or tests and are no settings of a service (settled.md 28)."""

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

KNOWN_ELSEWHERE_PREFIX: Final = "RAPPORT_TEST_"


class SettingsError(ValueError):
    """One or more variables cannot be used; every one of them is named, none with its value."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class Secret:
    """A text that shows itself to nobody who does not ask by name."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text itself. Never put it into a message."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(***)" if self._value else "Secret(empty)"


_Reader = Callable[[str], Any]
"""Reads a value from text, or says in a ValueError what it must be."""

_NOTHING: Final = Secret("")


def _whole(at_least: int, at_most: int) -> _Reader:
    def read(text: str) -> int:
        number = int(text) if text.removeprefix("-").isdecimal() else at_least - 1
        if not at_least <= number <= at_most:
            raise ValueError(f"must be a whole number from {at_least} to {at_most}")
        return number

    return read


def _seconds(at_least: float, at_most: float) -> _Reader:
    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not at_least <= number <= at_most:  # Also refuses what is not a number.
            raise ValueError(f"must be a number of seconds from {at_least:g} to {at_most:g}")
        return number

    return read


def _one_of(*values: str) -> _Reader:
    def read(text: str) -> str:
        if text not in values:
            raise ValueError(f"must be one of {', '.join(values)}")
        return text

    return read


def _switch(text: str) -> bool:
    if text not in {"on", "off"}:
        raise ValueError("must be on or off")
    return text == "on"


def _address(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65_535:
        raise ValueError("must be HOST:PORT, with a port from 0 to 65535")
    return text


def _address_or_nothing(text: str) -> str:
    return _address(text) if text else text


def _database(text: str) -> Secret:
    parts = urlsplit(text)
    if text and parts.scheme not in {"sqlite", "postgresql", "postgres"}:
        raise ValueError("must begin with sqlite:// or postgresql://")
    return Secret(text)


def _nats(text: str) -> Secret:
    servers = text.split(",")
    if text not in {"", "off"} and not all(urlsplit(server).scheme in {"nats", "tls"} for server in servers):
        raise ValueError("must be off, or one or more nats:// or tls:// addresses with commas between them")
    return Secret(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that an operator can set."""

    data_dir: Annotated[Path, Path] = Path("data")
    """Folder of the embedded shape: events, keys and their KEK. Created with mode 0700 when it is not there."""

    store_url: Annotated[Secret, _database] = _NOTHING
    """Where events are kept: `sqlite:///path` or `postgresql://user@host:port/database`. Empty: `events.db` in
    data_dir."""

    keys_url: Annotated[Secret, _database] = _NOTHING
    """Where the keys of personal fields are kept, in the same two forms. Empty: `keys.db` in data_dir. Never the
    database of the events; in PostgreSQL another server, outside development."""

    kek_file: Annotated[Path | None, Path] = None
    """File of mode 0400 with the keys that wrap keys. Default: `kek` in data_dir, made once in development; required
    outside it."""

    listen: Annotated[str, _address] = "127.0.0.1:50051"
    """HOST:PORT to serve gRPC on. Port 0 picks a free one; the first line of stdout names it."""

    metrics_listen: Annotated[str, _address_or_nothing] = ""
    """HOST:PORT to serve Prometheus metrics on, over plain HTTP. Empty: no metrics are served, so that several services
    run on one machine without choosing ports. Customary: `127.0.0.1:9464`."""

    environment: Annotated[str, _one_of("development", "production")] = "development"
    """`development` turns some refusals into warnings and shows more; `production` is everything else."""

    reflection: Annotated[str, _one_of("auto", "on", "off")] = "auto"
    """Whether clients may ask for descriptors. `auto`: in development only."""

    log_format: Annotated[str, _one_of("auto", "json", "console")] = "auto"
    """How log lines look. `auto`: colours when stderr is a terminal, else one JSON object a line."""

    log_level: Annotated[str, _one_of("debug", "info", "warning", "error")] = "info"
    """The least important level that is logged."""

    shutdown_grace_s: Annotated[float, _seconds(0, 3_600)] = 10.0
    """Seconds that running rpcs are given after SIGTERM. From 0 to 3,600."""

    deadline_default_s: Annotated[float, _seconds(0.001, 3_600)] = 10.0
    """Seconds that a unary call without a deadline gets. From 0.001 to 3,600."""

    deadline_max_s: Annotated[float, _seconds(0.001, 3_600)] = 60.0
    """Seconds that a unary call gets at most, whatever it asks for. From 0.001 to 3,600."""

    calls_max: Annotated[int, _whole(1, 1_000_000)] = 1_024
    """Unary calls in flight in the process; one more is told to come back. From 1 to 1,000,000."""

    streams_max: Annotated[int, _whole(1, 1_000_000)] = 512
    """Streams open in the process. From 1 to 1,000,000."""

    streams_per_caller_max: Annotated[int, _whole(1, 1_000_000)] = 64
    """Streams open by one caller, today one address. From 1 to 1,000,000."""

    message_bytes_max: Annotated[int, _whole(1_024, 64 * 1024 * 1024)] = 4 * 1024 * 1024
    """Bytes of one message received. From 1 KiB to 64 MiB."""

    batch_items_max: Annotated[int, _whole(1, 1_000)] = 1_000
    """Items of one batch or one frame; the protos allow 1,000. From 1 to 1,000."""

    personal_view: Annotated[bool, _switch] = False
    """Whether personal fields are opened for readers who ask for them: `on` or `off`. Off until there are access
    rules."""

    future_tolerance_s: Annotated[float, _seconds(0, 86_400)] = 300.0
    """Seconds that an occur_time may lie ahead of the server's clock and still be set back to it. From 0 to 86,400."""

    clock_clamp_max_s: Annotated[float, _seconds(0, 86_400)] = 60.0
    """Seconds that the clock may be behind the last record time before writes are refused. From 0 to 86,400."""

    write_timeout_s: Annotated[float, _seconds(0.01, 3_600)] = 30.0
    """Seconds that a reader may take to accept one frame of a stream. From 0.01 to 3,600."""

    stream_age_max_s: Annotated[float, _seconds(1, 7 * 86_400)] = 3_600.0
    """Seconds after which a stream is closed with where to resume, so that connections spread over servers again. From
    1 to 604,800."""

    cache_events_max: Annotated[int, _whole(0, 1_000_000_000)] = 500_000
    """Events folded into the states that are kept in memory, over all relationships; some 150 bytes each. Each
    relationship counts as twenty more. From 0 to 1,000,000,000."""

    nats_url: Annotated[Secret, _nats] = _NOTHING
    """Where the relay publishes: `nats://HOST:PORT` or `tls://HOST:PORT`, several with commas between them, with user
    and password where the server wants them. Empty: in development the NATS server of the package is started beside
    the services, outside it nothing is relayed. `off`: nothing is relayed and no server started."""

    nats_listen: Annotated[str, _address] = "127.0.0.1:0"
    """HOST:PORT for the NATS server that is started beside the services. Port 0 picks a free one; `nats/url` in
    data_dir names it."""

    nats_ca_file: Annotated[Path | None, Path] = None
    """File with the certificates that NATS servers are trusted by, in PEM. Empty: those of the machine."""

    nats_cert_file: Annotated[Path | None, Path] = None
    """File with the relay's own certificate, in PEM, for servers that want one. Empty: none."""

    nats_key_file: Annotated[Path | None, Path] = None
    """File with the key of nats_cert_file, in PEM. Empty: none."""

    nats_replicas: Annotated[int, _whole(1, 5)] = 1
    """Copies of each stream that a NATS cluster keeps: 1, 3 or 5. In production 3."""

    nats_max_age_s: Annotated[float, _seconds(60, 366 * 86_400)] = 30.0 * 86_400
    """Seconds after which NATS forgets a message; the log keeps it. From 60 to 31,622,400."""

    nats_max_bytes: Annotated[int, _whole(1024 * 1024, 1 << 40)] = 4 * 1024 * 1024 * 1024
    """Bytes that each stream takes on NATS at most, the oldest go first. From 1 MiB to 1 TiB."""

    relay_window: Annotated[int, _whole(1, 4_000)] = 500
    """Messages that are published before the first of them is acknowledged, at most. From 1 to 4,000."""

    relay_check_interval_s: Annotated[float, _seconds(0.1, 3_600)] = 10.0
    """Seconds between comparisons of what NATS holds with what was published. From 0.1 to 3,600."""

    mark_interval_s: Annotated[float, _seconds(0.01, 86_400)] = 10.0
    """Seconds between two marks of the log's time at least; one is made where something is due and nobody writes. From
    0.01 to 86,400."""

    detector: Annotated[str, _one_of("process", "thread", "off")] = "process"
    """Where changes of relationships are found: in a `process` of its own, which the service of relationships starts
    and ends; in a `thread` of that service, which then records and answers more slowly; `off`: by another process."""

    @property
    def development(self) -> bool:
        """Whether this is a developer's machine rather than a place where data matters."""
        return self.environment == "development"

    @property
    def serves_reflection(self) -> bool:
        """Whether the reflection service is mounted."""
        return self.reflection == "on" or (self.reflection == "auto" and self.development)

    @property
    def store_address(self) -> str:
        """Address of the events, with the default filled in. May hold a password."""
        return self.store_url.reveal() or _sqlite_address(self.data_dir / "events.db")

    @property
    def keys_address(self) -> str:
        """Address of the keys, with the default filled in. May hold a password."""
        return self.keys_url.reveal() or _sqlite_address(self.data_dir / "keys.db")

    @property
    def kek_path(self) -> Path:
        """File of the KEKs, with the default filled in."""
        return self.kek_file or self.data_dir / "kek"


def from_environment(environ: Mapping[str, str]) -> Settings:
    """Return the settings that the variables of `environ` make, and defaults for what they leave open.

    Raises:
        SettingsError: a RAPPORT_ name is unknown, or a value cannot be used. All faults at once.
    """
    fields = {_variable(field.name): field for field in dataclasses.fields(Settings)}
    hints = get_type_hints(Settings, include_extras=True)
    readers = {name: hint.__metadata__[0] for name, hint in hints.items()}
    values: dict[str, Any] = {}
    faults: list[str] = []
    for name in sorted(name for name in environ if name.startswith(PREFIX)):
        field = fields.get(name)
        if field is None:
            if name not in KNOWN_ELSEWHERE and not name.startswith(KNOWN_ELSEWHERE_PREFIX):
                faults.append(_unknown(name, list(fields)))
            continue
        try:
            values[field.name] = readers[field.name](environ[name].strip())
        except ValueError as error:
            faults.append(f"{name} {error}")
    if not faults:
        settings = Settings(**values)
        faults = _contradictions(settings)
        if not faults:
            return settings
    raise SettingsError(faults)


def to_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that make these settings, for a process of our own. They may hold passwords."""
    values = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    return {_variable(name): _written(value) for name, value in values.items() if value is not None}


def environment_of_child(settings: Settings) -> dict[str, str]:
    """Return the environment of a process of our own: these settings, and what is about nothing of ours."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {**others, **to_environment(settings)}


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return value.reveal() if isinstance(value, Secret) else str(value)


def _contradictions(settings: Settings) -> list[str]:
    faults = []
    if settings.deadline_default_s > settings.deadline_max_s:
        faults.append("RAPPORT_DEADLINE_DEFAULT_S must be at most RAPPORT_DEADLINE_MAX_S")
    if not settings.development and settings.kek_file is None:
        faults.append("RAPPORT_KEK_FILE must be set outside development, to a file that is not kept with the keys")
    if settings.nats_replicas not in {1, 3, 5}:
        faults.append("RAPPORT_NATS_REPLICAS must be 1, 3 or 5")
    if bool(settings.nats_cert_file) != bool(settings.nats_key_file):
        faults.append("RAPPORT_NATS_CERT_FILE and RAPPORT_NATS_KEY_FILE must be set together")
    if settings.store_address == settings.keys_address:
        faults.append("RAPPORT_KEYS_URL must name another database than RAPPORT_STORE_URL")
    if not settings.development and _same_server(settings.store_address, settings.keys_address):
        faults.append("RAPPORT_KEYS_URL must name another server than RAPPORT_STORE_URL outside development")
    return faults


def warnings(settings: Settings) -> list[str]:
    """Return what is allowed in development only, or risky anywhere, a sentence each."""
    found = []
    if _same_server(settings.store_address, settings.keys_address):
        found.append("events and keys are on one PostgreSQL server: whoever copies it has both")
    if settings.kek_path.parent == settings.data_dir and not settings.development:
        found.append("the KEK is kept in RAPPORT_DATA_DIR, beside the keys it wraps")
    host = settings.listen.rpartition(":")[0].strip("[]")
    if host not in _LOOPBACK:
        found.append("RAPPORT_LISTEN is reachable from other machines, and calls are not authenticated")
    if not settings.development and "nats://" in settings.nats_url.reveal():
        found.append("RAPPORT_NATS_URL names a server by nats://, to which nothing is encrypted")
    host = settings.nats_listen.rpartition(":")[0].strip("[]")
    if settings.development and not settings.nats_url and host not in _LOOPBACK:
        found.append("RAPPORT_NATS_LISTEN is reachable from other machines, and whoever connects may publish")
    return found


def _same_server(store: str, keys: str) -> bool:
    one, other = urlsplit(store), urlsplit(keys)
    postgres = {"postgresql", "postgres"}
    if one.scheme not in postgres or other.scheme not in postgres:
        return False
    return _server(one.netloc) == _server(other.netloc)


def _server(netloc: str) -> str:
    host = netloc.rpartition("@")[2]
    return host if ":" in host else f"{host}:5432"


def _unknown(name: str, known: list[str]) -> str:
    # The prefix that all of them share would make every name look close.
    names = {each.removeprefix(PREFIX): each for each in known}
    close = difflib.get_close_matches(name.removeprefix(PREFIX), names, n=3, cutoff=0.6)
    return f"{name} is no setting" + (f"; did you mean {' or '.join(names[each] for each in close)}?" if close else "")


def _variable(field_name: str) -> str:
    return PREFIX + field_name.upper()


def _sqlite_address(path: Path) -> str:
    return f"sqlite://{quote(str(path.absolute()))}"
