"""What a process says once it takes calls: its address first, for programs read that line."""

from __future__ import annotations

from services.runtime.run import greeting


def test_a_program_is_told_the_address_and_nothing_else() -> None:
    assert greeting("127.0.0.1:1", person=False) == "listening on 127.0.0.1:1"


def test_a_person_is_told_what_to_do_next_as_well() -> None:
    first, then = greeting("127.0.0.1:1", person=True).splitlines()

    assert first == "listening on 127.0.0.1:1"
    assert "rapport --help" in then
    assert "docs/start.md" in then
