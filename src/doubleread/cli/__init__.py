"""The command line: parse, call, print. Each command's module is loaded when the command is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from doubleread import __version__
from doubleread.cli.data_app import data_app
from doubleread.cli.options import (
    AssumptionsOption,
    CheckpointOption,
    ColumnOption,
    DataOption,
    DeviceOption,
    EngineOption,
    GiveUpOption,
    ImagesArgument,
    JsonOption,
    MlflowOption,
    ModelPath,
    OwnCodeOption,
    SeedsOption,
    SetOption,
    StoreOption,
    StudyName,
    TensorboardOption,
    ThreadsOption,
    WorkersOption,
)
from doubleread.cli.program import run_program

app = typer.Typer(
    name="doubleread",
    help="Did that training choice really help? Controlled comparison of image classifiers, for research and teaching.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"doubleread {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the program itself."""


@app.command()
def reproduce(
    which: Annotated[str, typer.Argument(metavar="[a|b|all]", help="Report a, report b, or both.")] = "all",
    data: DataOption = None,
    seeds: SeedsOption = None,
    workers: WorkersOption = None,
    device: DeviceOption = "auto",
    engine: EngineOption = None,
    checkpoint_every: CheckpointOption = 60.0,
    give_up_after: GiveUpOption = 600.0,
    store: StoreOption = Path("runs"),
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Where the report goes.")] = None,
    settings: SetOption = [],  # noqa: B006
    as_json: JsonOption = False,
) -> None:
    """Reproduce the two course reports, on the built-in phantom or on real images with --data."""
    from doubleread.cli.train import reproduce_command
    from doubleread.runner import Care, How

    care = Care(checkpoint_every=checkpoint_every, give_up_after=give_up_after)
    how = How(workers=workers, device=device, engine=engine, care=care)
    reproduce_command(which, data, seeds, how, store, html, settings, as_json)


@app.command()
def run(
    study: StudyName,
    data: DataOption = None,
    seeds: SeedsOption = None,
    workers: WorkersOption = None,
    device: DeviceOption = "auto",
    engine: EngineOption = None,
    assumptions: AssumptionsOption = False,
    checkpoint_every: CheckpointOption = 60.0,
    give_up_after: GiveUpOption = 600.0,
    mlflow: MlflowOption = None,
    tensorboard: TensorboardOption = None,
    store: StoreOption = Path("runs"),
    settings: SetOption = [],  # noqa: B006
    as_json: JsonOption = False,
) -> None:
    """Train what the store does not have yet of a study."""
    from doubleread.cli.train import run_command
    from doubleread.runner import Care, How

    care = Care(checkpoint_every=checkpoint_every, give_up_after=give_up_after)
    how = How(workers=workers, device=device, engine=engine, assumptions=assumptions, care=care)
    tracking = None
    if mlflow is not None or tensorboard is not None:
        from doubleread.cli.track import following

        tracking = following(mlflow, tensorboard)
    run_command(study, data, seeds, how, store, settings, as_json, tracking)


@app.command()
def check(
    study: StudyName,
    data: DataOption = None,
    seeds: SeedsOption = None,
    workers: WorkersOption = None,
    device: DeviceOption = "auto",
    assumptions: AssumptionsOption = False,
    store: StoreOption = Path("runs"),
    settings: SetOption = [],  # noqa: B006
    as_json: JsonOption = False,
) -> None:
    """Audit every image and label, print the plan and the differences it could detect; nothing is trained."""
    from doubleread.cli.check import check_command

    check_command(study, data, seeds, workers, device, assumptions, store, settings, as_json)


@app.command()
def lr(
    study: StudyName,
    arm: Annotated[str, typer.Argument(metavar="ARM", help="An arm, as check names it.")],
    data: DataOption = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="The seed that it trains.")] = 0,
    low: Annotated[float, typer.Option("--from", metavar="RATE", help="The first rate.")] = 1e-6,
    high: Annotated[float, typer.Option("--to", metavar="RATE", help="The last rate.")] = 1.0,
    steps: Annotated[int, typer.Option("--steps", metavar="N", min=10, help="Batches in between.")] = 120,
    figure: Annotated[
        Path | None, typer.Option("--figure", metavar="FILE", help="Write the curve, .png .svg .pdf.")
    ] = None,
    store: StoreOption = Path("runs"),
    settings: SetOption = [],  # noqa: B006
    as_json: JsonOption = False,
) -> None:
    """Find a learning rate to start from: train an arm briefly while the rate rises; nothing is kept."""
    from doubleread.cli.lr import lr_command

    lr_command(study, arm, data, seed, low, high, steps, figure, store, settings, as_json)


@app.command()
def status(
    study: Annotated[
        str | None, typer.Argument(metavar="[STUDY]", help="A study in the store; all by default.")
    ] = None,
    store: StoreOption = Path("runs"),
    verify: Annotated[
        bool, typer.Option("--verify", help="Read every stored file and list what is damaged; run trains just that.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the states of runs, and the time left of those under way."""
    if verify:
        from doubleread.cli.verify import verify_command

        verify_command(study, store, as_json)
    else:
        from doubleread.cli.status import status_command

        status_command(study, store, as_json)


@app.command()
def report(
    study: StudyName,
    seeds: SeedsOption = None,
    store: StoreOption = Path("runs"),
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the report to FILE.")] = None,
    figures: Annotated[Path | None, typer.Option("--figures", metavar="DIR", help="Write PNG, SVG and PDF.")] = None,
    tables: Annotated[
        Path | None, typer.Option("--tables", metavar="DIR", help="Write CSV, JSON, LaTeX, Markdown.")
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option("--markdown", metavar="DIR", help="Write a page for a site: STUDY.md and its figures."),
    ] = None,
    unseal: Annotated[
        bool, typer.Option("--unseal", help="Show the test scores of a sealed study; the report counts how often.")
    ] = False,
    compare: Annotated[
        str | None, typer.Option("--compare", metavar="OTHER", help="Another study of the store, side by side.")
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option("--explain", metavar="METHOD", help="Saliency maps of the worst cases, by a method of explain."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the verdicts and tables of a study, and write its report, figures and tables."""
    from doubleread.cli.report import report_command

    report_command(study, seeds, store, html, figures, tables, markdown, unseal, compare, explain, as_json)


@app.command()
def track(
    study: StudyName,
    mlflow: MlflowOption = None,
    tensorboard: TensorboardOption = None,
    store: StoreOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Send the finished runs of a study to MLflow or TensorBoard, each once."""
    from doubleread.cli.track import track_command

    track_command(study, mlflow, tensorboard, store, as_json)


@app.command()
def single(
    reported: Annotated[
        list[str], typer.Argument(metavar="RIGHT/IMAGES…", help="Such as 291/400 278/400, or 72.75%/400.")
    ],
    as_json: JsonOption = False,
) -> None:
    """What one run each can show: intervals and paired tests from reported accuracies, with no training."""
    from doubleread.cli.single import single_command

    single_command(reported, as_json)


@app.command()
def judge(
    logits: Annotated[
        str,
        typer.Argument(metavar="LOGITS.csv", help="Columns arm, seed, case, label, logit; subject, split if known."),
    ],
    claims: Annotated[str, typer.Option("--claims", metavar="FILE", help="A file of claims, or a study file.")],
    as_json: JsonOption = False,
) -> None:
    """Verdicts from anyone's logits, with no training."""
    from doubleread.cli.judge import judge_command

    judge_command(logits, claims, as_json)


@app.command()
def prune(
    study: Annotated[
        str | None, typer.Argument(metavar="[STUDY]", help="A study in the store; all by default.")
    ] = None,
    keep: Annotated[str, typer.Option("--keep", metavar="best|none", help="Which weights stay, of each arm.")] = "best",
    store: StoreOption = Path("runs"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove stored weights to free space; every number, logit and report stays."""
    from doubleread.cli.prune import prune_command

    prune_command(study, keep, store, dry_run, as_json)


@app.command()
def new(
    path: Annotated[str, typer.Argument(metavar="[PATH]", help="The images; the phantom by default.")] = "phantom",
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The study file to write.")] = Path("study.yaml"),
    columns: ColumnOption = [],  # noqa: B006
    as_json: JsonOption = False,
) -> None:
    """Write a commented study file for the images at PATH."""
    from doubleread.cli.new import new_command

    new_command(path, out, columns, as_json)


@app.command()
def export(
    study: StudyName,
    arm: Annotated[str, typer.Argument(metavar="ARM", help="An arm, as check names it.")],
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", min=0, help="This seed; by default the best on validation.")
    ] = None,
    ensemble: Annotated[bool, typer.Option("--ensemble", help="All seeds, averaged as one predictor.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PATH", help="A new folder, or a .zip file; STUDY-ARM by default.")
    ] = None,
    onnx: Annotated[Path | None, typer.Option("--onnx", metavar="FILE", help="Write an ONNX graph, too.")] = None,
    threshold: Annotated[
        str | None,
        typer.Option("--threshold", metavar="RULE", help="0.5, youden, sensitivity>=0.95, …, chosen on validation."),
    ] = None,
    store: StoreOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Write a trained model to take away: weights, preprocessing, threshold, calibration and a model card."""
    from doubleread.cli.export import export_command

    export_command(study, arm, seed, ensemble, out, onnx, threshold, store, as_json)


@app.command()
def predict(
    model: ModelPath,
    images: ImagesArgument,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write there, not to the screen.")] = None,
    threads: ThreadsOption = None,
    own_code: OwnCodeOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines, one object an image, instead of CSV.")] = False,
) -> None:
    """Read images with a saved model: class, probability, spread over the seeds, and what is unlike the training."""
    from doubleread.cli.predict import predict_command

    predict_command(model, images, out, threads, own_code, as_json)


@app.command()
def explain(
    model: ModelPath,
    images: ImagesArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder of the pictures.")],
    method: Annotated[
        str, typer.Option("--method", metavar="NAME", help="integrated-gradients, grad-cam or occlusion.")
    ] = "integrated-gradients",
    towards: Annotated[
        str | None, typer.Option("--class", metavar="NAME", help="Towards this class; by default the one called.")
    ] = None,
    own_code: OwnCodeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Draw which pixels moved a saved model, beside the same of untrained weights; no evidence of anything."""
    from doubleread.cli.explain import explain_command

    explain_command(model, images, out, method, towards, own_code, as_json)


@app.command()
def serve(
    store: StoreOption = Path("runs"),
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where it listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", min=1, max=65535, help="And on which port.")] = 8000,
    token: Annotated[
        str | None, typer.Option("--token", metavar="TEXT", help="What a browser must know; needed on other addresses.")
    ] = None,
    names: Annotated[
        list[str], typer.Option("--allow-host", metavar="NAME", help="Another name that it goes by, as behind a proxy.")
    ] = [],  # noqa: B006
    studies: Annotated[
        Path, typer.Option("--studies", metavar="DIR", help="Its study files can be started from the pages.")
    ] = Path(),
    model: Annotated[
        Path | None, typer.Option("--model", metavar="PATH", help="A saved model, to send images to: POST /predict.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Serve web pages to watch studies, start them, read reports, and try a model on an image."""
    from doubleread.cli.serve import serve_command

    serve_command(store, host, port, token, names, studies, model, as_json)


def main() -> None:
    """Run the program; bad input exits with 2, failed work with 1."""
    run_program(app)
