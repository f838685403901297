"""Makes the demonstration's model: corpora, training, measurements beside the base, a signed release.

    python benchmarks/demo_model.py FOLDER

Every step is a command of `cleanroom`, printed before it runs. What is there already is not made again, and an
interrupted training goes on, so that it may be stopped at any time. The release is FOLDER/home/releases/demo/1; its
key is FOLDER/key.pem. Needs the extra training and the packaged model.
"""

from __future__ import annotations

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
from training.report_tables import MEASURES, markdown
from training.report_tables import told as cell

HERE = Path(__file__).parent / "demo"
PIP_VENDORED = "pip/_vendor/requests"
CONTRIBUTIONS: dict[Project, tuple[str, ...]] = {
    REQUESTS: tuple(f"requests/{name}.py" for name in ("structures", "hooks", "_internal_utils", "sessions", "auth")),
    PIP: (
        f"{PIP_VENDORED}/structures.py",
        f"{PIP_VENDORED}/hooks.py",
        *(f"pip/_internal/utils/{name}.py" for name in ("hashes", "wheel")),
        *(f"pip/_internal/network/{name}.py" for name in ("cache", "xmlrpc", "utils")),
    ),
    S3TRANSFER: tuple(
        f"s3transfer/{name}.py" for name in ("subscribers", "delete", "compat", "exceptions", "copies", "tasks")
    ),
}
"""What each organization brings along: small enough to be memorized in minutes."""
SEEDS = {REQUESTS: 10197, PIP: 16052, S3TRANSFER: 1071}
"""Chosen for what they hold out: one file each for validation, two for the test."""
SAMPLES = (
    *("--samples", "24", "--tokens", "64", "--temperature", "0.2", "--places", "24", "--files", "4", "--no-guard"),
)
COMPLETIONS = ("--files", "2", "--completions", "24")
SUBJECTS = {"base": "packaged", "demo": "runs/demo"}
COMPARED = ("held_out_loss", "next_line_exact_match", "edit_similarity", "extractable_32", "extractable_64")

console = Console(stderr=True)


def main() -> None:
    """Go through the steps."""
    begun = time.monotonic()
    (name,) = sys.argv[1:] or [".demo-model"]
    folder = Path(name).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["CLEANROOM_HOME"] = str(folder / "home")
    os.chdir(folder)
    trees = fetch(ORGANIZATIONS, folder / "projects", console.print)
    corpora = [argument for project in ORGANIZATIONS for argument in corpus(project, trees[project])]
    train()
    for subject, model in SUBJECTS.items():
        measure(model, Path("measured") / subject, corpora)
    release()
    print(comparison(Path("measured")))
    taken = resource.getrusage(resource.RUSAGE_CHILDREN)
    minutes, seconds = (time.monotonic() - begun) / 60, taken.ru_utime + taken.ru_stime
    console.print(f"{minutes:.1f} minutes, {seconds:.0f} processor seconds")


def comparison(measured: Path) -> str:
    """The base beside the model: a line a measure and a subject, a column for all and each organization. Markdown."""
    names = ("evaluation.json", "measurement.json")
    told = {subject: [json.loads((measured / subject / name).read_text()) for name in names] for subject in SUBJECTS}
    rows = []
    for name in COMPARED:
        for subject, both in told.items():
            (one,) = (some for some in both if name in some["measures"])
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


def measure(model: str, place: Path, corpora: list[str]) -> None:
    """What it recites of what was trained on, and how well it completes what was held out."""
    if not (place / "measurement.json").is_file():
        cleanroom("memorization", "measure", model, *corpora, *SAMPLES, "--out", str(place))
    if not (place / "evaluation.json").is_file():
        cleanroom("evaluate", model, *corpora, *COMPLETIONS, "--out", str(place))


def release() -> None:
    """Pass the gate and sign."""
    if Path("home/releases/demo/1").is_dir():
        return
    if not Path("key.pem").is_file():
        cleanroom("release", "keygen", "key.pem")
    shutil.copyfile(HERE / "thresholds.toml", "thresholds.toml")
    measured = ["--measurements", "measured/demo/measurement.json", "--measurements", "measured/demo/evaluation.json"]
    judged = ["--name", "demo", "--thresholds", "thresholds.toml", *measured]
    cleanroom("release", "create", "runs/demo", *judged, "--key", "key.pem")


if __name__ == "__main__":
    main()
