"""The commands below `data`; each one's module is loaded when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from doubleread.cli.options import ColumnOption, JsonOption
from doubleread.cli.program import exits

data_app = typer.Typer(help="Make or look at images.", no_args_is_help=True, rich_markup_mode=None)


@data_app.command("phantom", epilog=exits())
def data_phantom(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that does not exist or is empty.")],
    settings: Annotated[
        list[str], typer.Option("--set", metavar="KNOB=VALUE", help="A knob of the phantom, such as contrast=0.5.")
    ] = [],  # noqa: B006
    as_json: JsonOption = False,
) -> None:
    """Write the synthetic chest films as PNG files."""
    from doubleread.cli.data import phantom_command

    phantom_command(folder, settings, as_json)


@data_app.command("describe", epilog=exits())
def data_describe(
    path: Annotated[str, typer.Argument(metavar="PATH", help="Images, or phantom.")],
    columns: ColumnOption = [],  # noqa: B006
    as_json: JsonOption = False,
) -> None:
    """Read every image at PATH and say what is there: counts, sizes, subject rules, what cannot be used."""
    from doubleread.cli.data import describe_command

    describe_command(path, columns, as_json)


@data_app.command("fetch", epilog=exits("it cannot be had now, or is not what it should be"))
def data_fetch(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A public set; all are listed without.")] = None,
    size: Annotated[
        int | None, typer.Option("--size", metavar="28|64|128|224", help="Pixels along a side; 28 unless given.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="The folder that it goes into; ./data unless given.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch a public set of images, its size and hash checked; list the sets without NAME.

    The list shows each set's licence; a fetch begins with the licence and how to cite the set.
    """
    from doubleread.cli.fetch import fetch_command

    fetch_command(name, size, to, as_json)
