"""The command line: parse, call, print. Each command's module is loaded when the command is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from doubleread import __version__
from doubleread.cli.data_app import data_app
from doubleread.cli.options import (
    ArmArgument,
    AssumptionsOption,
    CheckpointOption,
    ColumnOption,
    CompareOption,
    DataOption,
    DeviceOption,
    EngineOption,
    FiguresOption,
    GiveUpOption,
    HtmlOption,
    ImagesArgument,
    JsonOption,
    MapsOption,
    MarkdownOption,
    MlflowOption,
    ModelPath,
    OwnCodeOption,
    SeedsOption,
    SetOption,
    StoreOption,
    StudyInStore,
    StudyName,
    TablesOption,
    TensorboardOption,
    ThreadsOption,
    UnsealOption,
    WorkersOption,
)
from doubleread.cli.program import exits, run_program

app = typer.Typer(
    name="doubleread",
    help="Did that training choice really help? Controlled comparison of image classifiers, for research and teaching.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data")
STOPPED = "a run failed, it was stopped, or the disk is full (what has finished is kept)"


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


@app.command(epilog=exits(STOPPED))
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
    html: HtmlOption = None,
    settings: SetOption = [],  # noqa: B006
    as_json: JsonOption = False,
) -> None:
    """Reproduce the two course reports, on the built-in phantom or on real images with --data.

    Trains their studies and writes one report, into the store unless --html says where; figures and tables stand beside
    it in the store.
    """
    from doubleread.cli.train import reproduce_command
    from doubleread.runner import Care, How

    care = Care(checkpoint_every=checkpoint_every, give_up_after=give_up_after)
    how = How(workers=workers, device=device, engine=engine, care=care)
    reproduce_command(which, data, seeds, how, store, html, settings, as_json)


@app.command(epilog=exits(STOPPED))
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
    """Train what the store does not have yet of a study.

    Goes on adding seeds where the study says until: decided. With --assumptions the report then says in how many
    settings each verdict holds.
    """
    from doubleread.cli.train import run_command
    from doubleread.runner import Care, How

    care = Care(checkpoint_every=checkpoint_every, give_up_after=give_up_after)
    how = How(workers=workers, device=device, engine=engine, assumptions=assumptions, care=care)
    tracking = None
    if mlflow is not None or tensorboard is not None:
        from doubleread.cli.track import following

        tracking = following(mlflow, tensorboard)
    run_command(study, data, seeds, how, store, settings, as_json, tracking)


@app.command(
    epilog=exits(refused="bad input, or a leak that the study does not allow, after it is shown with its cases")
)
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
    """Audit every image and label, print the plan and the differences it could detect; nothing is trained.

    Reads every image, looks for faults in images, splits and labels, and prints every setting, the time and the disk
    that the plan takes, and for each claim the smallest difference that the study could detect: from runs that the
    store has, else from prior. Where there is no store, it leaves nothing behind.
    """
    from doubleread.cli.check import check_command

    check_command(study, data, seeds, workers, device, assumptions, store, settings, as_json)


@app.command(epilog=exits("the loss is not finite before the first step"))
def lr(
    study: StudyName,
    arm: ArmArgument,
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
    """Find a learning rate to start from: train an arm briefly while the rate rises; nothing is kept.

    The range test of Smith (2017). It suggests the rate at which the loss falls fastest, from one seed: a start for a
    study of rates, not a finding.
    """
    from doubleread.cli.lr import lr_command

    lr_command(study, arm, data, seed, low, high, steps, figure, store, settings, as_json)


@app.command(epilog=exits("--verify found something damaged"))
def status(
    study: StudyInStore = None,
    store: StoreOption = Path("runs"),
    verify: Annotated[
        bool, typer.Option("--verify", help="Read every stored file and list what is damaged; run trains just that.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the states of runs, and the time left of those under way.

    Also why runs are not done, and the jobs that Slurm has of a study. What --verify finds damaged is marked as failed.
    """
    if verify:
        from doubleread.cli.verify import verify_command

        verify_command(study, store, as_json)
    else:
        from doubleread.cli.status import status_command

        status_command(study, store, as_json)


@app.command(epilog=exits())
def report(
    study: StudyName,
    seeds: SeedsOption = None,
    store: StoreOption = Path("runs"),
    html: HtmlOption = None,
    figures: FiguresOption = None,
    tables: TablesOption = None,
    markdown: MarkdownOption = None,
    unseal: UnsealOption = False,
    compare: CompareOption = None,
    explain: MapsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the verdicts and tables of a study, and write its report, figures and tables.

    Verdicts first, then every arm beside the reported numbers, then why test differs from validation.
    """
    from doubleread.cli.report import report_command

    report_command(study, seeds, store, html, figures, tables, markdown, unseal, compare, explain, as_json)


@app.command(epilog=exits("a run could not be sent, or another process sends them (the same command sends the rest)"))
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


@app.command(epilog=exits())
def single(
    reported: Annotated[
        list[str], typer.Argument(metavar="RIGHT/IMAGES…", help="Such as 291/400 278/400, or 72.75%/400.")
    ],
    as_json: JsonOption = False,
) -> None:
    """What one run each can show: intervals and paired tests from reported accuracies, with no training.

    Of each run the Wilson interval; of each pair the largest number of images judged differently at which McNemar's
    exact test stays below .05.
    """
    from doubleread.cli.single import single_command

    single_command(reported, as_json)


@app.command(epilog=exits())
def judge(
    logits: Annotated[
        str,
        typer.Argument(metavar="LOGITS.csv", help="Columns arm, seed, case, label, logit; subject, split if known."),
    ],
    claims: Annotated[str, typer.Option("--claims", metavar="FILE", help="A file of claims, or a study file.")],
    as_json: JsonOption = False,
) -> None:
    """Verdicts from anyone's logits, with no training.

    Every run has the same test cases. A file of claims holds claims and margin, and arms: {name: {factor: level}} for
    trends and grids. Where there are validation logits, the gap in its parts is printed, too.
    """
    from doubleread.cli.judge import judge_command

    judge_command(logits, claims, as_json)


@app.command(epilog=exits())
def prune(
    study: StudyInStore = None,
    keep: Annotated[str, typer.Option("--keep", metavar="best|none", help="Which weights stay, of each arm.")] = "best",
    store: StoreOption = Path("runs"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove stored weights to free space; every number, logit and report stays."""
    from doubleread.cli.prune import prune_command

    prune_command(study, keep, store, dry_run, as_json)


@app.command(epilog=exits())
def new(
    path: Annotated[str, typer.Argument(metavar="[PATH]", help="The images; the phantom by default.")] = "phantom",
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The study file to write.")] = Path("study.yaml"),
    columns: ColumnOption = [],  # noqa: B006
    as_json: JsonOption = False,
) -> None:
    """Write a commented study file for the images at PATH."""
    from doubleread.cli.new import new_command

    new_command(path, out, columns, as_json)


@app.command(epilog=exits())
def export(
    study: StudyName,
    arm: ArmArgument,
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


@app.command(epilog=exits("an image cannot be read (the rest is done)"))
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


@app.command(epilog=exits("an image cannot be read (the rest is done)"))
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


@app.command(epilog=exits())
def serve(
    store: StoreOption = Path("runs"),
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where it listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", help="And on which port.")] = 8000,
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
    """Serve web pages to watch studies, start them, read reports, and try a model on an image.

    Until Ctrl-C. Needs the extra serve: pip install 'doubleread[serve]'.
    """
    from doubleread.cli.serve import serve_command

    serve_command(store, host, port, token, names, studies, model, as_json)


def main() -> None:
    """Run the program; bad input exits with 2, failed work with 1."""
    run_program(app)
