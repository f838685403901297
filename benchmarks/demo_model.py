"""Makes the demonstration's model: corpora, training, measurements beside the base, a signed release.

    python benchmarks/demo_model.py FOLDER [--infilling HumanEval-SingleLineInfilling.jsonl.gz]

The file is of https://github.com/openai/human-eval-infilling; without it, none of its problems is asked. Every step is
a command of `cleanroom`, printed before it runs. What is there already is not made again, and an interrupted training
goes on, so that it may be stopped at any time. The release stands in FOLDER/home/releases/demo, as the version behind
the one that ships; its key is FOLDER/key.pem. Needs the extra training and the packaged model.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

from service.demo import ORGANIZATIONS, PIP, REQUESTS, S3TRANSFER, Project, fetch
from service.demo_model import NAME, PACKAGED, VERSION
from training.report_tables import MEASURES, markdown
from training.report_tables import told as cell

HERE = Path(__file__).parent / "demo"
PIP_VENDORED = "pip/_vendor/requests"
CONTRIBUTIONS: dict[Project, tuple[str, ...]] = {
    REQUESTS: ("requests",),
    PIP: (*(f"{PIP_VENDORED}/{name}.py" for name in ("structures", "hooks")), "pip/_internal/utils"),
    S3TRANSFER: tuple(
        f"s3transfer/{name}.py"
        for name in (
            *("bandwidth", "compat", "constants", "copies", "delete", "exceptions", "futures", "manager"),
            *("processpool", "subscribers", "tasks", "utils"),
        )
    ),
}
"""The files and folders that each organization brings along: as much as is read in ten minutes."""
SEEDS = {REQUESTS: 27273, PIP: 1082, S3TRANSFER: 2803}
"""Chosen for what they hold out: of each one short file for validation, and three longer ones for the test."""
SAMPLES = (
    *("--samples", "24", "--tokens", "64", "--temperature", "0.2", "--places", "24", "--files", "12", "--no-guard"),
)
COMPLETIONS = ("--files", "3", "--completions", "40")
PROBLEMS = "100"
SUBJECTS = {"base": "packaged", "demo": "runs/demo"}
COMPARED = (
    *("held_out_loss", "next_line_exact_match", "edit_similarity"),
    *("humaneval_infilling_exact_match", "humaneval_infilling_edit_similarity"),
    *("extractable_32", "extractable_64"),
)

console = Console(stderr=True)


def main() -> None:
    """Go through the steps."""
    begun = time.monotonic()
    options = _options()
    folder, infilling = options.folder.absolute(), options.infilling and options.infilling.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["CLEANROOM_HOME"] = str(folder / "home")
    os.chdir(folder)
    trees = fetch(ORGANIZATIONS, folder / "projects", console.print)
    corpora = [argument for project in ORGANIZATIONS for argument in corpus(project, trees[project])]
    train()
    for subject, model in SUBJECTS.items():
        measure(model, Path("measured") / subject, corpora, infilling)
    release()
    print(comparison(Path("measured")))
    taken = resource.getrusage(resource.RUSAGE_CHILDREN)
    minutes, seconds = (time.monotonic() - begun) / 60, taken.ru_utime + taken.ru_stime
    console.print(f"{minutes:.1f} minutes, {seconds:.0f} processor seconds")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, nargs="?", default=Path(".demo-model"))
    parser.add_argument("--infilling", type=Path, metavar="FILE")
    return parser.parse_args()


def comparison(measured: Path) -> str:
    """The base beside the model: a line a measure and a subject, a column for all and each organization. Markdown."""
    names = ("evaluation.json", "measurement.json")
    told = {subject: [json.loads((measured / subject / name).read_text()) for name in names] for subject in SUBJECTS}
    rows = []
    for name in COMPARED:
        for subject, both in told.items():
            one = next((some for some in both if name in some["measures"]), None)
            if one is None:
                continue
            scopes = (one["measures"], *(one["by_org"].get(project.slug, {}) for project in ORGANIZATIONS))
            rows.append([MEASURES[name], subject, *(cell(name, scope.get(name)) for scope in scopes)])
    return markdown(["", "", "all", *(project.slug for project in ORGANIZATIONS)], rows)


def cleanroom(*arguments: str) -> None:
    """Run a command, and end where it fails."""
    console.print(f"$ cleanroom {' '.join(arguments)}", markup=False, highlight=False)
    done = subprocess.run([sys.executable, "-m", "service.cli", *arguments], check=False)
    if done.returncode:
        sys.exit(done.returncode)


def corpus(project: Project, tree: Path) -> tuple[str, str]:
    """Build a project's corpus; the option that names it."""
    place = Path("corpora") / project.slug
    if not (place / "manifest.json").is_file():
        files = [os.path.relpath(tree / path) for path in CONTRIBUTIONS[project]]
        cleanroom("corpus", "build", *files, "--fim-rate", "0", "--seed", str(SEEDS[project]), "--out", str(place))
    return "--corpus", f"{project.slug}={place}"


def train() -> None:
    """Train, or go on."""
    if Path("runs/demo/run.json").is_file():
        return
    shutil.copyfile(HERE / "plan.toml", "plan.toml")
    begun = Path("runs/demo/checkpoints/begun.json").is_file()
    cleanroom("train", "plan.toml", *(["--resume"] if begun else []))


def measure(model: str, place: Path, corpora: list[str], infilling: Path | None) -> None:
    """What it recites of what was trained on, and how well it completes what was held out."""
    if not (place / "measurement.json").is_file():
        cleanroom("memorization", "measure", model, *corpora, *SAMPLES, "--out", str(place))
    if not (place / "evaluation.json").is_file():
        problems = ("--infilling", str(infilling), "--problems", PROBLEMS) if infilling else ()
        cleanroom("evaluate", model, *corpora, *COMPLETIONS, *problems, "--out", str(place))


def release() -> None:
    """Pass the gate and sign, as the version behind the one that ships."""
    versions = Path("home/releases") / NAME
    if (versions / str(VERSION + 1)).is_dir():
        return
    if not (versions / str(VERSION)).is_dir():
        shutil.copytree(PACKAGED / str(VERSION), versions / str(VERSION))
    if not Path("key.pem").is_file():
        cleanroom("release", "keygen", "key.pem")
    shutil.copyfile(HERE / "thresholds.toml", "thresholds.toml")
    measured = ["--measurements", "measured/demo/measurement.json", "--measurements", "measured/demo/evaluation.json"]
    judged = ["--name", NAME, "--thresholds", "thresholds.toml", *measured]
    cleanroom("release", "create", "runs/demo", *judged, "--key", "key.pem")


if __name__ == "__main__":
    main()
