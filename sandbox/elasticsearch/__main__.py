"""``python -m sandbox.elasticsearch``: build the server, where it is not built, before anything waits for it."""

from __future__ import annotations

import asyncio
import os
import sys

from bot.domain.errors import Unavailable
from sandbox.elasticsearch.build import built
from sandbox.elasticsearch.server import GIVEN


def main() -> int:
    """Build, unless a server is given; 1 with a sentence when that fails."""
    if os.environ.get(GIVEN):
        return 0
    try:
        asyncio.run(built())
    except Unavailable as error:
        print(f"{error.message} ({error.hint})", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
