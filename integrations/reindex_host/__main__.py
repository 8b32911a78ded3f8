"""`python3 -m integrations.reindex_host`, for tests and for who looks at it here; on the server it is one file."""

import sys

from .main import main

sys.exit(main())
