"""Measurements as tables for people. Knows their JSON, and neither models nor plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MEASURES = {
    "held_out_loss": "loss on test files, nats a token",
    "edit_similarity": "next line, edit similarity",
    "next_line_exact_match": "next line, exact",
    "middle_edit_similarity": "middle, edit similarity",
    "middle_exact_match": "middle, exact",
    "humaneval_infilling_edit_similarity": "HumanEval-Infilling, edit similarity",
    "humaneval_infilling_exact_match": "HumanEval-Infilling, exact",
    "clone_ratio": "lines in six-line clones",
    "clone_generations": "generations with such a clone",
    "guard_ratio": "lines in the guard's matches",
    "guard_exact_ratio": "... exact",
    "guard_renamed_ratio": "... renamed",
    "guard_near_ratio": "... near",
    "guard_generations": "generations with such a match",
    "extractable_16": "extractable after 16 tokens",
    "extractable_32": "extractable after 32 tokens",
    "extractable_64": "extractable after 64 tokens",
    "discoverable_32_n100_p50": "discoverable after 32, n = 100, p = 0.5",
    "canary_exposure": "exposure of planted canaries, bits",
    "canary_exposure_absent": "exposure of absent canaries, bits",
    "canary_auc": "canaries, AUC",
    "mia_auc": "membership by loss, AUC",
    "mia_auc_zlib": "membership by zlib, AUC",
    "mia_auc_min_k": "membership by min-k %, AUC",
    "mia_tpr_1_loss": "membership by loss, found at 1 % false",
    "audit_epsilon": "epsilon is at least",
}
"""Every measure that a table may show, in the order in which they are shown."""
SHARES = ("ratio", "generations", "match", "extractable", "discoverable", "tpr")
"""Parts of the names of measures that are told in percent."""


def told(name: str, row: Mapping[str, Any] | None, *, limits: bool = True) -> str:
    """A measure with its limits, as it stands in a cell; a dash where there is none."""
    if row is None:
        return "-"
    numbers = [row["value"], row["low"], row["high"]]
    if any(part in name for part in SHARES):
        digits = 2 if abs(numbers[0]) < 0.1 else 1  # noqa: PLR2004 - small shares need one digit more
        value, low, high = (f"{100 * number:.{digits}f}" for number in numbers)
        unit = " %"
    else:
        value, low, high = (f"{number:.3f}" for number in numbers)
        unit = ""
    return f"{value}{unit} ({low} to {high})" if limits and low != high else f"{value}{unit}"


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown; bars in cells are escaped."""
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def shown(measures: Iterable[Mapping[str, Any]]) -> list[str]:
    """Those of MEASURES that any of some sets of measures has, in their order."""
    sets = list(measures)
    return [name for name in MEASURES if any(name in one for one in sets)]


def by_scope(measurement: Mapping[str, Any]) -> str:
    """One model: a line a measure; a column for all, each organization and each class of clone. Markdown."""
    scopes = {"all": measurement["measures"], **measurement["by_org"], **measurement["by_class"]}
    names = shown(scopes.values())
    rows = [[MEASURES[name], *(told(name, one.get(name)) for one in scopes.values())] for name in names]
    return markdown(["", *scopes], rows)


def summary(measurement: Mapping[str, Any]) -> str:
    """One model, for the terminal."""
    heading = f"{measurement['model']}, {measurement['precision']}"
    lines = [heading, "", by_scope(measurement), "", "95 % limits in brackets"]
    return "\n".join(lines + [f"- {note}" for note in measurement["notes"]])
