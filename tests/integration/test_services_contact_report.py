"""GetContactReport through gRPC, where there is much to count."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ledger.contact.report import ContactReport, contact_report
from services.client import Client
from services.contact import reporting
from tests.contact_calls import ORGANIZATION, Shop, mail
from tests.server import serving


@pytest.mark.parametrize("at_once, in_a_thread", [(2, False), (1, True)])
async def test_a_long_history_is_counted_beside_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int, in_a_thread: bool
) -> None:
    loop, counted_by = threading.current_thread(), []

    def noted(*values: object, **named: object) -> ContactReport:
        counted_by.append(threading.current_thread())
        return contact_report(*values, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(reporting, "contact_report", noted)
    monkeypatch.setattr(reporting, "_EVENTS_AT_ONCE", at_once)
    async with serving(tmp_path) as server, Client(server.target) as client:
        await Shop(client).give()
        await client.record_interaction(ORGANIZATION, "c-1", mail())

        report = await client.get_contact_report(ORGANIZATION, "c-1")

    assert (1, 1) == (report.contacts, report.needing_decision)
    assert [in_a_thread] == [thread is not loop for thread in counted_by]
