"""Import a table: a mapping says what the columns mean, and importing twice adds nothing.

Ten lines of made-up purchases go through the `rapport` command with the mapping of the real purchase history. One line
cannot be read: it is told with its number and the reason, and the others are recorded.
"""

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from examples.shared.serving import serving
from services.client import Client, amount_text

PURCHASES = """\
 customer_id date number_of_cds dollar_value
 00001 19970101 1 11.77
 00002 19970112 1 12.00
 00002 19970112 5 77.00
 00003 19970102 2 20.76
 00003 19970102 2 20.76
 00003 19970330 2 20.76
 00004 19970101 2 29.33
 00004 19970118 two 29.73
 00004 19970802 1 0.00
 00004 19971212 2 26.48
"""
MAPPING = Path(__file__).parent / "cdnow.toml"


async def rapport(*arguments: str) -> None:
    """Run the command; drop the figures that differ from run to run."""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "services.cli", *arguments], stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    for line in output.decode().splitlines():
        if " events/s" not in line:
            print(f"  {line.split(': see')[0]}")
    print(f"  exit code {process.returncode}")


async def main() -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "purchases.txt"
        file.write_text(PURCHASES)
        async with serving() as target:
            for time in ("first", "second"):
                print(f"{time} import:")
                await rapport("import", str(file), "--mapping", str(MAPPING), "--target", target)
            print("rejected:")
            print((Path(folder) / "purchases.txt.rejects").read_text().expandtabs(6), end="")

            print("what the customers gave:")
            async with Client(target) as client:
                async for relationship in client.list_relationships("cdnow"):
                    gave = [amount_text(each.posted, each.asset) for each in relationship.quantities]
                    print(f"  {relationship.customer_id}: {relationship.exchanges.count} purchases, {', '.join(gave)}")


asyncio.run(main())
