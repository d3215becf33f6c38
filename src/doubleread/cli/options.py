"""The arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="A study file, or the name of a study in the store.")]
StoreOption = Annotated[Path, typer.Option("--store", help="The folder of studies and runs.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON value and nothing else.")]
SetOption = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a value of the study, by its dotted path.")
]
ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="A model that export wrote: a folder or a .zip file.")]
ImagesArgument = Annotated[
    list[str], typer.Argument(metavar="IMAGE…", help="Files, folders or patterns: JPEG, PNG, TIFF, DICOM.")
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads", metavar="N", min=1, help="Of the model; as in training by default: others change the last bits."
    ),
]
OwnCodeOption = Annotated[
    bool, typer.Option("--own-code", help="Let a model run the network's code of your own that it was trained with.")
]
ColumnOption = Annotated[
    list[str],
    typer.Option("--column", metavar="WHAT=NAME", help="A table's column for path, label, subject or split."),
]
DataOption = Annotated[str | None, typer.Option("--data", metavar="PATH", help="Images to use instead of the study's.")]
SeedsOption = Annotated[
    int | None, typer.Option("--seeds", metavar="N", min=1, help="Seeds 0 to N-1, instead of the study's.")
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        min=1,
        help="Runs at once, with Slurm jobs; by default as many as cores. Fewer where memory is short.",
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda",
        help="What runs are trained on; auto is CUDA where there is one, with Ray and Slurm where engine.gpus asks.",
    ),
]
EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="local|ray|slurm",
        help="Which machines: this one, a cluster of Ray, the queue of Slurm; by default what the study says.",
    ),
]
CheckpointOption = Annotated[
    float,
    typer.Option("--checkpoint-every", metavar="SECONDS", help="Time between two checkpoints of a run, to go on from."),
]
GiveUpOption = Annotated[
    float,
    typer.Option("--give-up-after", metavar="SECONDS", help="End a run that gives no sign of life for so long."),
]
AssumptionsOption = Annotated[
    bool, typer.Option("--assumptions", help="Also every alternative of the study's assumptions, one at a time.")
]
MlflowOption = Annotated[
    str | None,
    typer.Option("--mlflow", metavar="URI", help="Send runs to MLflow: a server, sqlite:///FILE, or a folder."),
]
TensorboardOption = Annotated[
    Path | None, typer.Option("--tensorboard", metavar="DIR", help="Write runs into DIR for TensorBoard.")
]
ArmArgument = Annotated[str, typer.Argument(metavar="ARM", help="An arm: EXPERIMENT/LABEL, such as loss/bce.")]
StudyInStore = Annotated[str | None, typer.Argument(metavar="[STUDY]", help="A study in the store; all by default.")]
HtmlOption = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write the report there: one file that works offline.")
]
FiguresOption = Annotated[
    Path | None, typer.Option("--figures", metavar="DIR", help="Write every figure there as PNG, SVG and PDF.")
]
TablesOption = Annotated[
    Path | None,
    typer.Option(
        "--tables",
        metavar="DIR",
        help="Write every table there as CSV and JSON; arms and claims as LaTeX and Markdown, too.",
    ),
]
MarkdownOption = Annotated[
    Path | None, typer.Option("--markdown", metavar="DIR", help="Write a page for a site: STUDY.md and its figures.")
]
UnsealOption = Annotated[
    bool, typer.Option("--unseal", help="Show the test scores of a sealed study; the report counts how often.")
]
CompareOption = Annotated[
    str | None, typer.Option("--compare", metavar="OTHER", help="Another study of the store, side by side.")
]
MapsOption = Annotated[
    str | None,
    typer.Option(
        "--explain", metavar="METHOD", help="Saliency maps of the worst test cases in the HTML, by a method of explain."
    ),
]
