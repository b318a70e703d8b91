"""The `rapport` command: `python -m services.cli`, or `rapport` where the package is installed."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Final

from services.cli import (
    asset,
    audience,
    balance,
    consent,
    contact,
    customer,
    exits,
    log,
    policy,
    preference,
    programme,
    projection,
    relationship,
    serve,
    suppression,
    timeline,
    watch,
)
from services.cli.arguments import Parser
from services.cli.importing import command as importing
from services.cli.output import warn
from services.client import RapportError

if TYPE_CHECKING:
    from collections.abc import Sequence

EPILOG = """\
exit codes: 0 done; 1 refused; 2 not understood; 3 no answer; 4 an import with rejected lines; 5 a contact decision that
is DENY, 6 one that is DEFER; 7 a receipt that is altered or unknown; 130 interrupted
"""


NOUNS: Final = {
    "serve": serve,
    "import": importing,
    "relationship": relationship,
    "timeline": timeline,
    "balance": balance,
    "customer": customer,
    "consent": consent,
    "preference": preference,
    "suppression": suppression,
    "contact": contact,
    "audience": audience,
    "programme": programme,
    "asset": asset,
    "policy": policy,
    "watch": watch,
    "changes": watch,
    "log": log,
    "projection": projection,
}
"""What adds the commands that begin with a word, in the order of the help."""


def parser(arguments: Sequence[str] = ()) -> Parser:
    """Return the parser of the whole command line, or only of what `arguments` begin with.

    One noun is enough to parse a line that begins with it, and all of them take longer than most commands.
    """
    root = Parser(prog="rapport", description="A ledger of customer relationships.", epilog=EPILOG)
    commands = root.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    begun = [NOUNS[word] for word in arguments[:1] if word in NOUNS]
    for noun in begun or dict.fromkeys(NOUNS.values()):
        noun.add(commands)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    parsed = parser(given).parse_args(given)
    try:
        outcome = parsed.run(parsed)
        code: int = asyncio.run(outcome) if asyncio.iscoroutine(outcome) else outcome
        sys.stdout.flush()
    except exits.UsageFault as fault:
        warn(str(fault))
        return exits.USAGE
    except RapportError as error:
        _flush()
        warn(exits.message(error, parsed.target))
        return exits.exit_code(error)
    except KeyboardInterrupt:
        _flush()
        return exits.INTERRUPTED
    except BrokenPipeError:
        _silence()
        return exits.OK
    return code


def _flush() -> None:
    """Print what is pending; whoever no longer reads it is no error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _silence()


def _silence() -> None:
    """Let Python's last flush on its way out go nowhere: whoever read our output has seen enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
