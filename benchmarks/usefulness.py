"""What does the guard cost those who write code, and does it stop recitals? On OpenAI's HumanEval-Infilling.

The same generations are scored with the guard off and on: what people wrote into the gaps, as if a model had, and what
a real model writes into a draw of them. The index holds the Python projects of the accuracy benchmark and the standard
library, and so none of the tasks: nothing may change, and every block is listed. Then the tasks' functions are indexed
as code of one more organization, and whoever recites six lines or more of it for somebody else has to be blocked:
behind what stands before them, by themselves, and by a model that goes on past the gap.

    HUMAN_EVAL_INFILLING=FOLDER SCALE=small|full python benchmarks/usefulness.py [--json] [--cache DIR] [--seed N]

The model is asked for a draw (small) or for every task (full, for hours). What it wrote is kept in --out, so that a run
that was stopped goes on where it stood.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from corpora import INDEXED, SMALL, sources
from guard_accuracy import opened
from options import options_of
from report import Report, progress
from usefulness_drawing import TOKENS, drawn
from usefulness_scores import Outcome, outcome, recited, scores
from usefulness_tasks import FOLDER, KINDS, Task, TasksError, lines_of, tasks_of

from guard.check import Guard
from guard.tokens import lex
from guard.types import Owner
from published.errors import PublishedCodeError
from service.engines.registry import ENGINES, create_engine
from service.errors import ServiceError, SetupError

if TYPE_CHECKING:
    import argparse

    from rich.progress import Progress

    from guard.digest import Digester
    from guard.index import Index

FOREIGN = Owner.organization("foreign")
NO_ENGINE = "none"
RECITAL_LINES, RECITAL_TOKENS = 6, 40
"""The smallest copy that is to be found has so many lines, or so many tokens."""
WAYS = {
    "behind_prompt": lambda task: (task.prompt, task.solution),
    "alone": lambda task: ("", task.solution),
    "running_on": lambda task: (task.prompt, task.solution + task.suffix),
}
"""Ways to recite a solution: what stands before it, and what is written."""


@dataclass(frozen=True, slots=True)
class Size:
    """Projects in the index, and of each kind of gap how many a model fills; None for all."""

    projects: int
    drawn: int | None


SIZES = {"small": Size(SMALL, 15), "full": Size(len(INDEXED), None)}


def main() -> None:
    """Measure, print, and end with the JSON line."""
    options = options_of(__doc__, SIZES, seeded=True, more=_more)
    size = SIZES[options.scale]
    report = Report("usefulness")
    tasks = tasks_of(options.data)
    indexed = sources(INDEXED[: size.projects], options.cache)
    with progress() as bar:
        texts = {"people": {task.name: task.solution for task in tasks}}
        texts["model"] = asyncio.run(_written(report, options, _draw(tasks, size.drawn, options.seed), bar))
        with opened(indexed, options.seed, bar) as (index, digester):
            guard = Guard(index, digester)
            _compare(report, guard, tasks, texts, bar)
            _hold(index, digester, tasks)
            _recite(report, guard, tasks, bar)
            _model_recites(report, guard, tasks, texts["model"])
    report.notes.append(f"{len(tasks)} tasks; indexed: {', '.join(indexed)}, the standard library; {FOREIGN.name} last")
    report.show(json_only=options.json)


def _more(parser: argparse.ArgumentParser) -> None:
    folder = os.environ.get(FOLDER)
    parser.add_argument("--data", type=Path, default=Path(folder) if folder else None, help=f"default: {FOLDER}")
    parser.add_argument("--out", type=Path, help="where generations are kept (default: usefulness in the cache)")
    parser.add_argument("--engine", choices=[*ENGINES, NO_ENGINE], default="llamacpp", help="default: %(default)s")
    parser.add_argument("--model", help="a file, folder or name, as the engine takes it (default: its own)")
    parser.add_argument("--engine-url", help="of a server, for the engines openai and vllm")


def _draw(tasks: list[Task], count: int | None, seed: int) -> list[Task]:
    """So many of each kind. A smaller draw of one seed is part of a larger one."""
    some = []
    for kind in KINDS:
        mine = [task for task in tasks if task.kind == kind]
        random.Random(seed).shuffle(mine)  # noqa: S311 - reproducible, no secret
        some += mine[:count]
    return some


async def _written(report: Report, options: argparse.Namespace, some: list[Task], bar: Progress) -> dict[str, str]:
    """What a model writes into these gaps; nothing, and a note, where its engine is not installed."""
    if options.engine == NO_ENGINE:
        report.notes.append("no model was asked: --engine none")
        return {}
    folder = options.out or options.cache / "usefulness"
    home = options.cache / "engine"
    try:
        engine = create_engine(options.engine, options.model, home=home, base_url=options.engine_url)
        await engine.start()
    except SetupError as error:
        report.notes.append(f"no model was asked: {error}")
        return {}
    try:
        work = bar.add_task(f"{engine.model} writes", total=len(some))
        texts = await drawn(engine, some, folder, progress=lambda: bar.advance(work))
    finally:
        await engine.close()
    way = f"in the {engine.fill_in_the_middle.family} form" if engine.fill_in_the_middle else "before the gap"
    report.notes.append(f"model: {engine.model}, greedy, {TOKENS} tokens at most, prompted {way}; kept in {folder}")
    return texts


def _compare(report: Report, guard: Guard, tasks: list[Task], texts: dict[str, dict[str, str]], bar: Progress) -> None:
    """The scores of generations with the guard off and on, and the blocks."""
    rows, changes = [], [(0.0, 0.0)]
    for writer, written in texts.items():
        mine = [task for task in tasks if task.name in written]
        outcomes = [
            outcome(guard, task, written[task.name], task.prompt) for task in bar.track(mine, description=writer)
        ]
        for kind in KINDS if mine else ():
            found = scores([one for one in outcomes if one.task.kind == kind])
            report.figures |= {
                f"{writer}_{kind}_exact_match": found.exact[0],
                f"{writer}_{kind}_exact_match_guarded": found.exact[1],
                f"{writer}_{kind}_edit_similarity": found.similar[0],
                f"{writer}_{kind}_edit_similarity_guarded": found.similar[1],
                f"{writer}_{kind}_blocked": found.blocked,
            }
            changes.append(found.changes)
            figures = [f"{value:.2f}" for value in (*found.exact, *found.similar)]
            rows.append([f"{writer}, {kind.replace('_', ' ')}", str(found.count), *figures, str(found.blocked)])
        report.notes += [f"blocked: {writer}, {_block(one)}" for one in outcomes if one.blocked]
    columns = ["the index does not hold the tasks", "gaps", "exact match", "guarded", "edit sim.", "guarded", "blocked"]
    report.table("The same generations with the guard off and on, in points", columns, rows)
    for at, name in enumerate(("exact_match_change", "edit_similarity_change")):
        report.figures[name] = max(change[at] for change in changes)
        report.at_most(name, 0)


def _hold(index: Index, digester: Digester, tasks: list[Task]) -> None:
    """Index the tasks' functions, each a document, as code of FOREIGN."""
    wholes = {task.problem: task.whole for task in tasks}
    owner = index.owner_id(FOREIGN)
    index.put_all([(owner, digester.digest(f"{name}.py", text, "python")) for name, text in wholes.items()])


def _recite(report: Report, guard: Guard, tasks: list[Task], bar: Progress) -> None:
    """How many recitals of six lines or more are blocked."""
    long = [task for task in tasks if task.lines >= RECITAL_LINES]
    large = {task.name for task in long if len(lex(task.solution, "python").code) >= RECITAL_TOKENS}
    rows = []
    for way, recite in WAYS.items():
        outcomes = []
        for task in bar.track(long, description=way):
            prompt, text = recite(task)
            outcomes.append(outcome(guard, task, text, prompt))
        missed = [one for one in outcomes if FOREIGN.name not in one.owners]
        among = sum(one.task.name in large for one in missed)
        rates = {"": 1 - len(missed) / len(long), f"_{RECITAL_TOKENS}_tokens": 1 - among / len(large)}
        report.figures |= {f"recitals_blocked_{way}{which}": rate for which, rate in rates.items()}
        left = recited(outcomes, RECITAL_LINES)
        report.figures[f"recitals_left_{way}"] = left
        rows.append([way.replace("_", " "), *(f"{rate:.4f}" for rate in rates.values()), str(left)])
        report.notes += [f"not blocked, {way.replace('_', ' ')}: {_problems(missed)}"] if missed else []
    report.figures["recitals"] = len(long)
    columns = ["", f"all {len(long)}", f"the {len(large)} of {RECITAL_TOKENS} tokens", f"{RECITAL_LINES} lines left"]
    report.table(f"Blocked recitals of {RECITAL_LINES} lines or more, the functions indexed", columns, rows)
    report.at_least("recitals_blocked_behind_prompt", 0.995)


def _model_recites(report: Report, guard: Guard, tasks: list[Task], written: dict[str, str]) -> None:
    """What a model that has seen these functions is stopped at: what it writes word for word, mostly."""
    outcomes = [outcome(guard, task, written[task.name], task.prompt) for task in tasks if task.name in written]
    if outcomes:
        blocked = [one for one in outcomes if FOREIGN.name in one.owners]
        same = sum(one.text.startswith(one.task.solution) for one in blocked)
        report.figures["model_blocked_of_indexed"] = len(blocked)
        report.notes.append(
            f"the functions indexed, {len(blocked)} of the model's {len(outcomes)} generations are blocked, {same} of "
            "which begin with what the person wrote: most of a gap's function stands in the prompt"
        )


def _block(one: Outcome) -> str:
    return f"{one.task.name}, said to be of {', '.join(one.owners)}; {lines_of(one.left)} lines left"


def _problems(outcomes: list[Outcome]) -> str:
    found = Counter(f"{one.task.kind} {one.task.problem}" for one in outcomes)
    return ", ".join(f"{name} ({count})" if count > 1 else name for name, count in found.most_common())


if __name__ == "__main__":
    try:
        main()
    except (PublishedCodeError, TasksError, ServiceError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped: what the model wrote is kept, the same command goes on from there")
