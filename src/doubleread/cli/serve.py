"""`serve`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from doubleread.cli.show import err, print_json
from doubleread.errors import UserError

if any(importlib.util.find_spec(name) is None for name in ("fastapi", "uvicorn", "python_multipart")):
    raise UserError("serve", "the pages need more packages", "", "pip install 'doubleread[serve]'")

from doubleread.server import serve


def serve_command(
    store: Path,
    host: str,
    port: int,
    token: str | None,
    names: list[str],
    studies: Path,
    model: Path | None,
    as_json: bool,
) -> None:
    """Serve the pages until Ctrl-C."""
    if not studies.is_dir():
        raise UserError(f"--studies {studies}", "no such folder", "", "check the path")

    def say(address: str) -> None:
        if as_json:
            print_json({"address": address, "store": str(store)})
        else:
            err().print(f"{address}  (Ctrl-C stops it)", soft_wrap=True)

    serve(store, host=host, port=port, token=token, names=names, studies_folder=studies, model=model, say=say)
