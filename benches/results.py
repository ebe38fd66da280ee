"""benches/RESULTS.md: each bench replaces its own part of it, between two marks that carry the bench's name."""

import os
import re

RESULTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "RESULTS.md")


def replace(bench, lines):
    """Puts what `bench`, as `rerun.py`, has said in the place of what its last run said."""
    begin, end = f"<!-- {bench}: begin -->", f"<!-- {bench}: end -->"
    with open(RESULTS) as file:
        text = file.read()
    if begin not in text or end not in text:
        raise SystemExit(f"error: no `{begin}` and `{end}` in {RESULTS}")
    block = begin + "\n" + "\n".join(lines) + "\n" + end
    with open(RESULTS, "w") as file:
        file.write(re.sub(re.escape(begin) + ".*" + re.escape(end), lambda _: block, text, flags=re.S))
