"""`python -m engine.verification`: `engine.cache_verification`, in a process that keeps its own limits.

What that imports lowers the number of descriptors for good, and raises where it is allowed few.
"""

from __future__ import annotations

import sys

from engine.process.descriptors import limits_kept

if __name__ == "__main__":
    with limits_kept():
        from engine.cache_verification import main

    sys.exit(main())
