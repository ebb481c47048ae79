"""The results as a table, as JSON and as a picture."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from .programs import OURS, PEER, RAW
from .rounds import NOISE_LIMIT, NOISY, Figure

_COLUMNS = ("work", "case", "figure", "raw", "client", "value", "quartiles", "noise", "goal", "")


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "sdk": version("agents-sandbox"),
        "python": platform.python_version(),
        "grpcio": version("grpcio"),
        "protobuf": version("protobuf"),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
    }


def row(figure: Figure) -> tuple[str, ...]:
    """The cells of a figure."""
    costs = {
        name: f"{_number(median(each))} {figure.unit}".strip()
        for name, each in figure.samples.items()
    }
    client = next((costs[name] for name in (OURS, PEER) if name in costs), "")
    value, low, high = (
        _number(number) for number in (figure.value.median, figure.value.low, figure.value.high)
    )
    return (
        figure.work,
        figure.case,
        figure.what,
        costs.get(RAW, ""),
        client,
        value,
        f"{low} to {high}",
        "" if figure.noise is None else f"{figure.noise:.1%}",
        "" if figure.goal is None else str(figure.goal),
        figure.verdict,
    )


def _number(number: float) -> str:
    if number >= 100 or number.is_integer():
        return f"{number:,.0f}"
    return f"{number:.2f}" if number < 10 else f"{number:.1f}"


def line(figure: Figure) -> str:
    """A figure as a line of text."""
    work, case, what, raw, client, value, quartiles, noise, goal, verdict = row(figure)
    text = f"{', '.join(filter(None, (work, case)))}: {what} {value} ({quartiles})"
    text += f"; raw {raw}, client {client}" if raw else f"; {client}"
    text += f"; noise {noise}" if noise else ""
    return text + (f"; goal {goal}: {verdict}" if goal else "")


def table(figures: Iterable[Figure]) -> str:
    """All figures, as a table in Markdown."""
    rows = [_COLUMNS, tuple("---" for _ in _COLUMNS), *map(row, figures)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def write(folder: Path, about: dict[str, Any], figures: Sequence[Figure]) -> None:
    """Write `results.json`, `results.md` and, if matplotlib is installed, `growth.svg`."""
    folder.mkdir(parents=True, exist_ok=True)
    results = [{**asdict(figure), "verdict": figure.verdict} for figure in figures]
    data = {"machine": about, "noise_limit": NOISE_LIMIT, "figures": results}
    (folder / "results.json").write_text(f"{json.dumps(data, indent=1)}\n")
    where = ", ".join(f"{name} {value}" for name, value in about.items())
    (folder / "results.md").write_text(f"{where}\n\n{table(figures)}")
    _draw(folder / "growth.svg", figures)


def summary(figures: Sequence[Figure]) -> str:
    """How many goals are met, and whether the machine was too noisy."""
    verdicts = [figure.verdict for figure in figures if figure.goal is not None]
    counts = ", ".join(f"{verdicts.count(each)} {each}" for each in sorted(set(verdicts)))
    text = f"verdict: {counts or 'nothing to judge'}"
    if NOISY in verdicts:
        text += (
            ". The machine was too noisy to judge all of them: the raw client differed from itself "
            f"by more than {NOISE_LIMIT:.0%}, and the goal was as near. Repeat on a quiet machine"
        )
    return text


def _draw(path: Path, figures: Sequence[Figure]) -> None:
    """Draw how the cost of one call, or of one wait, grows with the number at once."""
    try:
        # By name: type checkers do without it.
        figure = import_module("matplotlib.figure")
    except ImportError:
        print("no picture: matplotlib is not installed")
        return
    grown = [each for each in figures if each.size and each.what.startswith("CPU")]
    works = [
        work
        for work in dict.fromkeys(each.work for each in grown)
        if len({each.size for each in grown if each.work == work}) > 1
    ]
    if not works:
        return
    picture = figure.Figure(figsize=(4 * len(works), 3.4), layout="constrained")
    for axes, work in zip(picture.subplots(1, len(works), squeeze=False)[0], works, strict=True):
        for name in (RAW, OURS, PEER):
            points = {
                each.size: median(each.samples[name])
                for each in grown
                if each.work == work and name in each.samples
            }
            if points:
                axes.plot(points.keys(), points.values(), marker="o", label=name)
        axes.set(title=work, xlabel="at once", ylabel="CPU of one, us", xscale="log")
        sizes = sorted({each.size for each in grown if each.work == work})
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.legend()
    picture.savefig(path, metadata={"Date": None})
