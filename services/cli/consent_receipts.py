"""`rapport consent receipt|verify-receipt`: what a customer can keep, and anybody can check."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rapport.consent.v1 import receipt_pb2
from services.cli.arguments import Commands, add_common, add_relationship, client_of, position
from services.cli.exits import NOT_VALID, OK, UsageFault
from services.cli.output import print_json, print_pairs
from services.cli.relationship import show_consents

if TYPE_CHECKING:
    from rapport.consent.v1.receipt_pb2 import VerifyReceiptResponse

_RECEIPT: Final = """\
Prints the receipt to the byte, without a line feed after it, or writes it to --out. Keep it so: a receipt that another
program has written anew, with other spaces or another order, no longer verifies."""
_VERIFY: Final = """\
Says whether a receipt is what this log attests, and what holds now. Exit code 0: valid; 7: altered or unknown."""
_VERDICTS: Final = {
    receipt_pb2.RECEIPT_VERDICT_VALID: "VALID: byte for byte what this log attests",
    receipt_pb2.RECEIPT_VERDICT_ALTERED: "ALTERED: it names an act of this log, and says something else about it",
    receipt_pb2.RECEIPT_VERDICT_UNKNOWN: "UNKNOWN: no act of this log, or of a customer whose data was erased",
}
_LARGEST: Final = 131_072
_STDIN: Final = "-"


def add(verbs: Commands) -> None:
    """Add the two commands to those about consents."""
    receipt = verbs.add_parser("receipt", help="issue the receipt of an act", description=_RECEIPT)
    add_relationship(receipt)
    receipt.add_argument(
        "position", metavar="POSITION", type=position, help="of the act; see `rapport consent history`"
    )
    receipt.add_argument("--out", metavar="FILE", type=Path, help="write it there (default: print it)")
    add_common(receipt)
    receipt.set_defaults(run=run_receipt)
    verify = verbs.add_parser(
        "verify-receipt", help="say whether a receipt is true, and what holds now", description=_VERIFY
    )
    verify.add_argument("file", metavar="FILE", help="the receipt as it was issued; -: standard input")
    add_common(verify)
    verify.set_defaults(run=run_verify)


async def run_receipt(arguments: Namespace) -> int:
    """Print the receipt of an act, or write it to a file."""
    async with client_of(arguments) as client:
        answer = await client.issue_receipt(arguments.organization, arguments.customer, arguments.position)
    if arguments.out is not None:
        _write(arguments.out, answer.receipt)
    if arguments.json:
        print_json(answer)
    elif arguments.out is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(answer.receipt)
        sys.stdout.buffer.flush()
    else:
        print_pairs(
            [
                ("receipt", arguments.out),
                ("sha-256", answer.sha256.hex()),
                ("act at position", answer.consent_position),
                ("version", answer.version),
            ]
        )
    return OK


async def run_verify(arguments: Namespace) -> int:
    """Print what is true of a receipt."""
    receipt = _read(arguments.file)
    async with client_of(arguments) as client:
        answer = await client.verify_receipt(receipt)
    if arguments.json:
        print_json(answer)
    else:
        _show(answer)
    return OK if answer.verdict == receipt_pb2.RECEIPT_VERDICT_VALID else NOT_VALID


def _show(answer: VerifyReceiptResponse) -> None:
    named = answer.consent_position
    print_pairs(
        [
            ("verdict", _VERDICTS.get(answer.verdict, str(answer.verdict))),
            ("relationship", f"{answer.organization_id}/{answer.customer_id}" if named else ""),
            ("act at position", named or ""),
            ("sha-256", answer.sha256.hex()),
            ("checked at position", answer.position),
        ]
    )
    if answer.statuses:
        print()
        show_consents(answer.statuses)


def _write(path: Path, receipt: bytes) -> None:
    try:
        path.write_bytes(receipt)
    except OSError as error:
        raise UsageFault(f"{path} cannot be written: {error.strerror}") from error


def _read(name: str) -> bytes:
    try:
        receipt = sys.stdin.buffer.read(_LARGEST + 1) if name == _STDIN else Path(name).read_bytes()
    except OSError as error:
        raise UsageFault(f"{name} cannot be read: {error.strerror}") from error
    if not 0 < len(receipt) <= _LARGEST:
        raise UsageFault(f"{name} is no receipt: it has {len(receipt)} bytes, and a receipt 1 to {_LARGEST}")
    return receipt
