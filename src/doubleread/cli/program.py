"""How the program ends: a message and an exit code for everything that can go wrong."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable

from doubleread.disk import FULL
from doubleread.errors import UserError, WorkFailed

INTERRUPTED = 130
"""What Typer ends with where Ctrl-C was pressed."""


def exits(failed: str = "the work could not be finished", refused: str = "bad input") -> str:
    """Return the last paragraph of a command's help: what its exit codes mean."""
    return f"Exit codes: 0 fine; 1 {failed}; 2 {refused}."


def run_program(app: Callable[[], object]) -> None:
    """Run the program; bad input exits with 2, failed work with 1."""
    try:
        app()
    except (UserError, WorkFailed) as error:
        print(f"doubleread: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        # a full disk, a store that went away: nothing that is finished is lost
        full = error.errno in FULL
        what = "the disk is full" if full else error.strerror or error
        then = "; free some space, then the same command goes on from here" if full else ""
        print(f"doubleread: {error.filename or 'the disk'}: {what}; what has finished is kept{then}", file=sys.stderr)
        sys.exit(1)
    except sqlite3.Error as error:
        print(f"doubleread: the store: {error}; what has finished is kept", file=sys.stderr)
        sys.exit(1)
    except SystemExit as leave:
        if leave.code != INTERRUPTED:
            raise
        print("doubleread: interrupted; what has finished is kept, the same command goes on from here", file=sys.stderr)
        sys.exit(1)
