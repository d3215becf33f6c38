"""Runs the Python blocks of one page: each line it reads is a block as JSON, each line it writes how that went."""

import contextlib
import io
import json
import os
import sys
import traceback

# what workers print must not stand between the answers
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
sys.path.insert(0, "")
names: dict[str, object] = {"__name__": "__main__"}
for line in sys.stdin:
    printed, error = io.StringIO(), ""
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(json.loads(line), "<the page>", "exec"), names)
    except Exception:
        error = traceback.format_exc()
    print(json.dumps([printed.getvalue(), error]), file=answers, flush=True)
