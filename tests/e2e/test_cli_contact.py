"""The commands about customers, consents and contacts against a server: given, asked, taken back, proved."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.cli.__main__ import main
from tests.server import ServerProcess

QUESTION = "--purpose marketing.direct --channel email --class marketing"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("contacts") / "data") as running:
        yield running


class Rapport:
    """The command, in this process, for one organization of the test's own."""

    def __init__(self, server: ServerProcess, organization: str, capfd: pytest.CaptureFixture[str]) -> None:
        self._target = server.target
        self.organization = organization
        self._capfd = capfd
        self.out = self.err = ""

    def __call__(self, command: str, *more: object) -> int:
        """Run the words of a command, with ORG for the organization; keep what it printed."""
        words = [self.organization if word == "ORG" else word for word in command.split()]
        code = main([*words, *map(str, more), "--target", self._target])
        self.out, self.err = self._capfd.readouterr()
        return code

    def told(self, command: str, *more: object) -> dict[str, str]:
        """Run a command that has to succeed; return the pairs that it printed."""
        assert 0 == self(command, *more), self.err
        return self.pairs

    @property
    def pairs(self) -> dict[str, str]:
        """Names and values as they were printed."""
        lines = (line.partition("  ") for line in self.out.splitlines() if "\t" not in line)
        return {name.strip(): value.strip() for name, _, value in lines}

    @property
    def rows(self) -> list[list[str]]:
        """Rows of the last table, without its heading."""
        *_, table = self.out.split("\n\n")
        return [line.split("\t") for line in table.splitlines() if "\t" in line][1:]

    def message(self, command: str, *more: object) -> Any:
        """Run a command with --json; return the message."""
        self(command, *more, "--json")
        return json.loads(self.out)


@pytest.fixture
def rapport(server: ServerProcess, capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Rapport:
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).removeprefix("test-")[:60].strip("-")
    return Rapport(server, name, capfd)


def test_a_customer_who_took_it_back_is_left_alone_and_has_a_receipt_of_it(rapport: Rapport, tmp_path: Path) -> None:
    given = rapport.told(
        "consent give ORG ada --purpose marketing.direct --channel email --method form --jurisdiction IE"
    )
    rapport.told("preference declare time-zone ORG ada Europe/Dublin")
    permit = rapport(f"contact decide ORG ada {QUESTION}")
    decision = rapport.pairs["decision"]

    assert (0, "PERMIT") == (permit, rapport.pairs["outcome"])
    assert 12 == len(rapport.rows)

    withdrawn = rapport.told("consent withdraw ORG ada")
    assert "at least one consent ended" == withdrawn["effect"]
    assert 5 == rapport(f"contact decide ORG ada {QUESTION}")
    assert rapport.pairs["reason"].startswith("CONSENT_WITHDRAWN: leave them alone")
    assert withdrawn["position"] in rapport.rows[3][3]

    rapport.told(f"contact explain ORG ada {decision}")
    assert ("VOID", withdrawn["position"], "gives the same bytes", "PERMIT: the answer stands") == (
        rapport.pairs["permit"],
        rapport.pairs["by what is at"],
        rapport.pairs["a replay"],
        rapport.pairs["with later knowledge"],
    )
    late = rapport.told("consent withdraw ORG ada --at 2026-01-01T00:00:00Z --method paper")
    rapport.told(f"contact explain ORG ada {decision}")
    assert ("DENY CONSENT_WITHDRAWN", late["position"]) == (
        rapport.pairs["with later knowledge"],
        rapport.pairs["changed by"],
    )

    for place in (given["position"], withdrawn["position"]):
        file = tmp_path / f"{place}.json"
        rapport.told(f"consent receipt ORG ada {place} --out", file)
        assert 0 == rapport("consent verify-receipt", file)
        assert "WITHDRAWN" in {row[4] for row in rapport.rows}
        file.write_bytes(file.read_bytes().replace(b'"ada"', b'"eve"'))
        assert 7 == rapport("consent verify-receipt", file)
        assert rapport.pairs["verdict"].startswith("ALTERED")

    assert 0 == rapport("consent history ORG ada")
    acts = {row[3]: row for row in rapport.rows}
    assert ("no", withdrawn["position"]) == tuple(acts["consent.given"][5:7])
    assert "yes" == acts["consent.withdrawn"][5]


def test_an_objection_stands_over_a_new_consent(rapport: Rapport) -> None:
    rapport.told("consent object ORG bob --purpose marketing.direct")
    rapport.told("consent give ORG bob --purpose marketing.direct")

    assert 5 == rapport(f"contact decide ORG bob {QUESTION}")
    assert rapport.pairs["reason"].startswith("OBJECTED")


def test_quiet_hours_defer_until_they_are_over(rapport: Rapport) -> None:
    rapport.told("consent give ORG cyd --purpose marketing.direct --at 2026-01-01T00:00:00Z")
    rapport.told("preference declare time-zone ORG cyd America/New_York --at 2026-01-01T00:00:00Z")
    rapport.told("preference declare quiet-hours ORG cyd 21:00-08:00 --at 2026-01-01T00:00:00Z")

    assert 6 == rapport(f"contact simulate ORG cyd {QUESTION} --as-of 2026-03-03T03:30:00Z")

    assert ("DEFER", "2026-03-03T13:00:00Z") == (rapport.pairs["outcome"], rapport.pairs["ask again at"])
    assert ["9 HOURS", "DEFER", "QUIET_HOURS"] == rapport.rows[8][:3]
    shown = rapport.told("preference show ORG cyd")
    assert "America/New_York" == shown["time zones"]
    assert ["quiet-hours", "time-zone"] == [row[0] for row in rapport.rows]


def test_a_permit_is_given_back_once(rapport: Rapport) -> None:
    rapport.told("consent give ORG dee --purpose marketing.direct")
    rapport(f"contact decide ORG dee {QUESTION}")
    decision = rapport.pairs["decision"]

    rapport.told(f"contact abort ORG dee {decision} --reason sold.out")
    again = rapport(f"contact abort ORG dee {decision}")

    assert (1, True) == (again, "PERMIT_NOT_OPEN" in rapport.err)
    report = rapport.told("contact report ORG dee")
    assert ("1", "PERMIT 1") == (report["permits not used"], report["decisions"])


def test_who_asked_for_a_topic_is_found_with_an_answer_each(rapport: Rapport) -> None:
    for customer, also in (("eve", "--purpose marketing.direct"), ("fay", "--purpose service.care")):
        rapport.told(f"consent give ORG {customer} {also}")
        rapport.told(f"preference declare topics ORG {customer} --want books")
    rapport.told("preference declare topics ORG gus --want wine")

    until = time.monotonic() + 10
    while (
        len(both := found(rapport, "--outcome", "permit", "deny")) < 2
    ):  # Who asked a moment ago is listed a moment later.
        assert time.monotonic() < until, both

    assert [["eve", "PERMIT", ""], ["fay", "DENY", "NO_BASIS"]] == both
    assert ("2", "1", "1") == tuple(rapport.pairs[name] for name in ("asked for it", "now", "not"))
    assert [["eve", "PERMIT", ""]] == found(rapport)


def found(rapport: Rapport, *options: str) -> list[list[str]]:
    """Return whom a search for those who asked for books finds: customer, outcome and reason."""
    rapport.told(f"audience find ORG {QUESTION} --topic books", *options)
    return [line.split("\t")[:3] for line in rapport.out.splitlines()[1:] if "\t" in line]


def test_another_policy_is_tried_on_the_questions_of_the_past(rapport: Rapport, tmp_path: Path) -> None:
    rapport.told("consent give ORG hal --purpose marketing.direct")
    rapport(f"contact decide ORG hal {QUESTION}")
    decision = rapport.pairs["decision"]
    strict = tmp_path / "strict.toml"
    strict.write_text('[[caps]]\ncount = 0\nperiod = "DAY"\n')

    rapport.told("contact simulate-policy ORG --policy", strict)
    (row,) = (line.split("\t") for line in rapport.out.splitlines()[1:] if "\t" in line)
    same = rapport(f"contact simulate ORG hal {QUESTION} --policy", strict)

    assert ["hal", decision, "PERMIT", "DENY FREQUENCY_ORGANIZATION"] == row
    assert 5 == same


def test_a_list_is_imported_twice_and_counts_once(rapport: Rapport, tmp_path: Path) -> None:
    rapport.told("consent give ORG ida --purpose marketing.direct")
    file = tmp_path / "robinson.csv"
    file.write_text("customer_id\nida\n" + "".join(f"other-{index}\n" for index in range(1_200)))

    first = rapport.told("suppression import ORG", file, "--list", "robinson.de", "--list-version", "2026-01")
    second = rapport.told("suppression import ORG", file, "--list", "robinson.de", "--list-version", "2026-01")

    assert [("1201", "0"), ("0", "1201")] == [(each["added"], each["known already"]) for each in (first, second)]
    assert 5 == rapport(f"contact decide ORG ida {QUESTION}")
    assert rapport.pairs["reason"].startswith("SUPPRESSED_LIST")
    assert 0 == rapport("suppression show ORG ida")
    ((position, *_, stands, _),) = rapport.rows
    assert "stands" == stands
    rapport.told(f"suppression lift ORG ida {position} --reason taken.off --actor clerk-1")
    assert 0 == rapport(f"contact decide ORG ida {QUESTION}")


def test_two_ids_of_one_person_share_their_refusals(rapport: Rapport) -> None:
    rapport.told("consent give ORG joe --purpose marketing.direct")
    rapport.told("consent withdraw ORG joseph")
    rapport.told("customer link ORG joe joseph --link-id l-1 --evidence same.account")
    linked = rapport(f"contact decide ORG joe {QUESTION}")
    shown = rapport.told("customer show ORG joe")["person"]
    rapport.told("customer unlink ORG joe joseph --link-id l-1 --reason wrong")
    apart = rapport(f"contact decide ORG joe {QUESTION}")

    assert (5, "joe, joseph", 0) == (linked, shown, apart)


def test_a_customer_is_described_and_promised_something(rapport: Rapport) -> None:
    rapport.told("customer profile ORG kim --jurisdiction IE --country IE --adult-from IE=2020-01-01")
    rapport.told("customer identifier verify ORG kim cp-1 --kind email --address kim@example.org")
    rapport.told("customer promise make ORG kim pr-1 --topic books --within 60")
    due = rapport.told("customer promise trigger ORG kim pr-1")
    kept = rapport.told("customer promise keep ORG kim pr-1")

    shown = rapport.told("customer show ORG kim")
    assert ("IE", "IE 2020-01-01") == (shown["jurisdiction"], shown["of age from"])
    assert "kim@example.org" not in rapport.out
    assert due["keep it by"]
    assert "KEPT" == kept["state"]
    assert "1.000 (1,000,000 ppm)" == rapport.told("customer promise show ORG kim")["kept rate"]


def test_a_command_repeated_with_its_request_id_records_once(rapport: Rapport) -> None:
    command = "consent give ORG leo --purpose p --request-id 018f0000-0000-7000-8000-000000000001"

    first, second = rapport.message(command), rapport.message(command)

    assert (first["position"], True) == (second["position"], second["replayed"])


def test_what_is_refused_says_what_to_do(rapport: Rapport) -> None:
    rapport.told("consent withdraw ORG mia")
    late = rapport("consent give ORG mia --purpose p --at 2026-01-01T00:00:00Z")
    told = rapport.err
    none = rapport("consent receipt ORG mia 1")

    assert (1, 1) == (late, none)
    assert "CONSENT_WITHDRAWN_SINCE" in told
    assert "ask the customer again" in told
    assert "rapport consent history" in rapport.err
