"""The commands of the loop: what people said of findings becomes a new model, if it is no worse than the one in use."""

# ruff: noqa: PLC0415, PLR0913, PLR0917
# Lazy imports: the gateway has none of these packages. And a command has one parameter per flag.

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.options import need_train_extra
from service.errors import CommandError
from service.jobs.progress import shown_progress

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

app = typer.Typer()

ChampionOfOption = Annotated[
    Path | None,
    typer.Option(
        metavar="LIFECYCLE",
        help="Folder of the log of promotions: the run is then that of its champion, in a folder of runs.",
    ),
]
ModelsOption = Annotated[Path, typer.Option(help="Model repository that has the champion of --champion-of.")]


@app.command()
def retrain(
    run: Annotated[
        Path, typer.Argument(help="Folder of the run in use, whose data are still there; with --champion-of, of runs.")
    ],
    data: Annotated[Path, typer.Option(help="Folder of the raw files that the verdicts are on, and their masters.")],
    verdicts: Annotated[
        str, typer.Option(help="CSV file with event_id, kind, verdict, who, when, or the store of serve --verdicts.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the new run.")],
    golden: Annotated[
        list[Path] | None,
        typer.Option(help="Folder with truth on which the new run must be no worse; may be repeated."),
    ] = None,
    repository: Annotated[
        Path | None, typer.Option(help="Model repository that gets the new run as a version, if it passes.")
    ] = None,
    lifecycle: Annotated[
        Path | None, typer.Option(help="Folder of the log of promotions, where that version becomes the challenger.")
    ] = None,
    sign: Annotated[Path | None, typer.Option(help="PEM file of the Ed25519 private key to sign it with.")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs, at most.")] = 6,
    least_verdicts: Annotated[int, typer.Option(min=1, help="Verdicts that must count.")] = 100,
    resamples: Annotated[int, typer.Option(min=100, help="Resamples of the EPCs, for the intervals.")] = 1_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 7,
    champion_of: ChampionOfOption = None,
    models: ModelsOption = Path("model_repository"),
) -> None:
    """Train a challenger for a run on what auditors said, and refuse it if it is worse anywhere."""
    need_train_extra()
    if lifecycle is not None and repository is None:
        raise CommandError("--lifecycle needs --repository: a challenger is a version of it")
    from service.jobs.verdict_files import verdict_file
    from service.lifecycle.operations import STAYS
    from service.model.signing import load_signing_key
    from training.retraining.report import write_retraining
    from training.retraining.retrain import RetrainOptions
    from training.retraining.retrain import retrain as work

    key = load_signing_key(sign) if sign else None  # before the long work
    run = _in_use(run, champion_of, models)
    options = RetrainOptions(tuple(golden or ()), epochs, least_verdicts, resamples, seed)
    with shown_progress() as progress:
        found = work(run, data, verdict_file(verdicts, out), out, options, progress)
    write_retraining(found)
    if not found.comparison.passes:
        raise CommandError(f"the new run {out} {STAYS}")
    if repository is not None:
        typer.echo(challenge(out, repository, lifecycle, key))


def challenge(out: Path, repository: Path, lifecycle: Path | None, key: Ed25519PrivateKey | None) -> str:
    """Export a run that has passed, make it the challenger of a log of promotions, and return what was done."""
    from export.run import export_run

    folder = export_run(out, repository, sign=key)
    if lifecycle is not None:
        make_challenger(folder, lifecycle, "epc-sentinel retrain", f"passed the gate, see {out.name}/gate.json")
    return f"exported to {folder}" + (f", the challenger of {lifecycle}" if lifecycle is not None else "")


def make_challenger(folder: Path, lifecycle: Path, who: str, why: str) -> None:
    """Make the version in ``folder`` of a repository the challenger; raises as `Register.load`."""
    from service.features.table import feature_spec_hash
    from service.lifecycle.promotion_log import PromotionLog
    from service.lifecycle.register import Register

    register = Register(folder.parent.parent, PromotionLog(lifecycle), feature_spec_hash())
    register.load(int(folder.name), who=who, why=why)


def _in_use(run: Path, champion_of: Path | None, models: Path) -> Path:
    """Return a run: ``run`` itself, or that of the champion among the runs in it.

    Raises:
        CommandError: there is no champion yet.
        ModelRepositoryError: the log or the champion cannot be read.
        DataError: none of the runs is that of the champion.
    """
    if champion_of is None:
        return run
    from service.lifecycle.promotion_log import PromotionLog
    from service.model.repository import read_version
    from training.runs.in_use import run_of

    champion = PromotionLog(champion_of).standing().champion
    if champion is None:
        raise CommandError(
            f"{champion_of} names no champion yet: a gateway with --lifecycle begins the log, or models promote; or"
            " name a run, and leave out --champion-of"
        )
    return run_of(read_version(models, champion), run)


@app.command()
def compare(
    run_a: Annotated[Path, typer.Argument(help="Folder of the run in use; with --champion-of, of runs.")],
    run_b: Annotated[Path, typer.Argument(help="Folder of the run that is to take its place.")],
    data: Annotated[
        Path, typer.Option(help="Folder of raw files whose truth is known; EPCs of either training do not count.")
    ],
    truth: Annotated[Path | None, typer.Option(help="Truth table; default: truth.parquet or .csv of --data.")] = None,
    resamples: Annotated[int, typer.Option(min=100, help="Resamples of the EPCs, for the intervals.")] = 1_000,
    out: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Write all of it to this file, too.")] = None,
    gate: Annotated[bool, typer.Option("--gate", help="End with 1 if the second may not take its place.")] = False,
    champion_of: ChampionOfOption = None,
    models: ModelsOption = Path("model_repository"),
) -> None:
    """Compare two runs on the same events, and say whether the second may take the place of the first."""
    need_train_extra()
    from training.retraining.compare import compare_runs
    from training.retraining.report import write_comparison

    run_a = _in_use(run_a, champion_of, models)
    with shown_progress() as progress:
        found = compare_runs(run_a, run_b, data, truth, progress, resamples)
    write_comparison(found)
    if out is not None:
        out.write_text(json.dumps(found.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if gate and not found.passes:
        raise CommandError(f"{run_b} is refused: {run_a} stays")
