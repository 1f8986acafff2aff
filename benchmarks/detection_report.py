"""What the detection benchmark prints, writes and draws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from backgrounds import Background
from cells import ROWS, Cell, banks
from comparators import METHODS
from delays import Point, soonest
from measures import auc, middle, poisson_upper, proportion
from numpy.typing import NDArray
from sweep_level import DENSE, JITTER, LEAD, RATE, Case, run
from versus import OURS, REFERENCES, SINGLE, SPECIFICITIES, Standing

if TYPE_CHECKING:
    from detection import Result

HEADER = (
    "| background | ratio | sens | spec | AUC | not judged | loss: median, p95 | return: median, p95 "
    "| false entries (hours; /h <) | held | baseline | amplitude | onset, ms | errors cover "
    "| change point | 90 % interval |"
)
TARGETS = (0.1, 1.0, 10.0)  # false entries an hour
MEASURED = (OURS, *(m.name for m in METHODS))


def rate(hits: int, n: int, together: int = 1) -> str:
    """A share with its interval; ``together`` of the n are the same stretch of background and count once."""
    if not n:
        return "-"
    low, high = proportion(round(hits / together), round(n / together))
    return f"{hits / n:.4f} ({low:.4f} to {high:.4f})"


def sweeps(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.0f}" if np.isfinite(value) else "never"


def share(part: int, whole: int, digits: int = 1) -> str:
    return f"{100 * part / whole:.{digits}f} %" if whole else "-"


def rule(header: str) -> str:
    return "|" + "---|" * (header.count("|") - 1)


def covered(parts: list[NDArray[np.bool_]]) -> str:
    values = np.concatenate(parts)
    return share(int(values.sum()), values.size, 0)


def line(c: Cell) -> str:
    """A cell as a row of the table."""
    there, gone = np.concatenate(c.there), np.concatenate(c.gone)
    amplitude, onset = np.concatenate(c.amplitude), np.concatenate(c.onset) * 1e3
    onset = onset[np.isfinite(onset)]
    wrong = c.false_baseline + c.false_absent + c.false_return
    hours = c.hours
    upper = poisson_upper(wrong) / hours if hours else float("nan")

    def delays(values: list[float]) -> str:
        return ", ".join(sweeps(middle(np.array(values), q)) for q in (0.5, 0.95)) if values else "-"

    cells = [
        c.background,
        f"{c.ratio:g}",
        f"{c.hits / c.n_there:.3f}" if c.n_there else "-",
        f"{1 - c.false / c.n_gone:.4f}" if c.n_gone else "-",
        f"{auc(there, gone)[0]:.4f}",
        share(c.unjudged, c.n_there + c.n_gone),
        delays(c.losses),
        delays(c.returns),
        f"{c.false_baseline}+{c.false_absent}+{c.false_return} ({hours:.2f}; {upper:.1f})",
        share(c.held, c.sweeps),
        share(c.certified, c.rows, 0),
        f"{100 * np.median(amplitude):+.1f} %" if amplitude.size else "-",
        f"{np.median(np.abs(onset)):.2f} ({np.median(onset):+.2f})" if onset.size else "-",
        ", ".join(covered(parts) for parts in (c.amplitude_covered, c.onset_covered)),
        share(sum(c.exact), len(c.exact), 0),
        share(sum(c.covered), len(c.covered), 0),
    ]
    return "| " + " | ".join(cells) + " |"


def entries(c: Cell) -> str:
    """False entries of a cell with their limit."""
    wrong = c.false_baseline + c.false_absent + c.false_return
    upper = 10 * poisson_upper(wrong) / c.hours if c.hours else float("nan")
    return f"{c.false_baseline}+{c.false_absent}+{c.false_return} in {c.hours:.2f} h, < {upper:.2f} per 10 h"


def together(cells: list[Cell], *, real: float | None) -> str:
    """What several cells of one background have in common."""
    whole = Cell(cells[0].background, float("nan"))
    for c in cells:
        whole.merge(c)
    # the background of a cell is that of the others, and the rows of a real one are the same stretch
    same = len(cells) * (ROWS if real is not None else 1)
    text = [
        entries(whole),
        f"{whole.false_grade} lower grades without cause",
        f"specificity {rate(whole.n_gone - whole.false, whole.n_gone, same)}",
    ]
    if whole.n_gone_loud:
        quiet = whole.n_gone_loud - whole.false_loud
        text.append(f"in loud stretches {rate(quiet, whole.n_gone_loud, same)}")
    if real is not None:
        text.append(f"{real:.1f} s of background")
    return "; ".join(text)


def never(
    background: Background, cases: range, n_sweeps: int, *, rms: float, fs: float
) -> tuple[Counter[str], int, float]:
    """Rows that never answer: their last states, entries of a present one, unheld hours."""
    ends: Counter[str] = Counter()
    wrong, counted = 0, 0
    for number in cases:
        real = background.seconds
        n = n_sweeps if real is None else int((real - LEAD - 0.1) / 0.15)
        place = (DENSE, JITTER) if real is None else (0.15, 0.0)
        levels = np.zeros((n, ROWS))
        record = run(Case(background, levels, banks(number, ROWS, fs), rms, fs, 1000 + number, *place))
        states = ["UNKNOWN"] * ROWS
        for row, _, change in record.changes:
            states[row] = str(change.state)
            wrong += change.state in ("PRESENT", "REAPPEARED")
        ends.update(states)
        counted += int((~record.held).sum())
    return ends, wrong, counted / RATE / 3600


def seconds_of(name: str) -> float | None:
    from detection import named

    return named(name).seconds


def summaries(found: list[Result]) -> list[str]:
    """What stands below the table of cells."""
    lines = [
        "",
        "ratio >= 6: false entries (wrong baseline + absent + present or reappeared), unheld hours, upper",
        "95 % limit; lower grades without cause; specificity (95 % interval), that in loud stretches",
        "",
    ]
    for result in found:
        large = [c for c in result.cells if c.ratio >= 6]
        if large:
            lines.append(f"- {result.name}: {together(large, real=seconds_of(result.name))}")
    if any(result.never for result in found):
        lines += ["", "no response ever: last states, entries of a present one, unheld hours", ""]
        for result in found:
            if result.never:
                ends, wrong, hours = result.never
                lines.append(f"- {result.name}: {dict(ends)}, {wrong} in {hours:.2f} h")
    holds = sum((c.holds for result in found for c in result.cells), Counter[str]())
    refusals = sum((c.refusals for result in found for c in result.cells), Counter[str]())
    wrong = [text for result in found for c in result.cells if c.ratio >= 6 for text in c.wrong]
    if wrong:
        lines += ["", f"false entries at ratios of 6 and more, the first of {len(wrong)}:", ""]
        lines += [f"- {text}" for text in wrong[:20]]
    return [*lines, "", f"holds by reason: {dict(holds)}; refused baselines: {dict(refusals)}"]


def print_quick(results: Iterable[Result]) -> None:
    print(f"\n{HEADER}\n{rule(HEADER)}")
    found = []
    for result in results:
        print("\n".join(line(c) for c in result.cells), flush=True)
        found.append(result)
    print("\n".join(summaries(found)))


STANDING = (
    "| method (variant) | AUC | ionm's lead in AUC | "
    + " | ".join(f"sens at spec {s:g} | ionm's lead" for s in SPECIFICITIES)
    + " | house limit: sens, spec |"
)


def verdict(s: Standing) -> str:
    """Whether ionm's area is above, below, or not to be told apart from, one comparator's."""
    half = 1.96 * s.lead_error
    return "ahead" if s.lead - half > 0 else "BEHIND" if s.lead + half < 0 else "even"


def standing(s: Standing) -> str:
    cells = [f"{s.name} ({s.variant})", f"{s.area:.4f} +- {1.96 * s.error:.4f}"]
    cells.append("" if s.name == OURS else f"{s.lead:+.4f} +- {1.96 * s.lead_error:.4f} {verdict(s)}")
    for sensitivity, (lead, low, high) in zip(s.sensitivity, s.lead_sensitivity, strict=True):
        cells += [f"{sensitivity:.3f}", "" if s.name == OURS else f"{lead:+.3f} ({low:+.3f} to {high:+.3f})"]
    cells.append("; ".join(f"{k}: {a:.3f}, {b:.3f}" for k, (a, b) in s.houses.items()))
    return "| " + " | ".join(cells) + " |"


def point(p: Point | None) -> str:
    if p is None:
        return "-"
    return f"{sweeps(p.median)}, {sweeps(p.late)} ({p.false} in {p.hours:.1f} h)"


def comparison(result: Result) -> list[str]:
    """The tables of one background: per ratio the standings, then the delays."""
    lines = []
    for ratio, found in result.standings.items():
        there, gone = found[0].sweeps
        lines += [
            "",
            f"**{result.name}, ratio {ratio:g}** ({there} sweeps with a response, {gone} without)",
            "",
        ]
        lines += [STANDING, rule(STANDING), *map(standing, found)]
    for ratio, curves in result.delays.items():
        header = "| rule | " + " | ".join(f"at most {t:g}/h" for t in TARGETS) + " |"
        lines += [
            "",
            f"**{result.name}, ratio {ratio:g}**: sweeps until a change is told, median and p95",
            "",
        ]
        lines += [header, rule(header)]
        for name, points in curves.items():
            if name == OURS:
                own = points[0]
                lines.append(f"| {name}, default settings: {point(own)}, {own.per_hour:.2f}/h | | | |")
            else:
                lines.append(f"| {name} | " + " | ".join(point(soonest(points, t)) for t in TARGETS) + " |")
    return lines


def standing_of_all(found: list[Result]) -> list[str]:
    """Against each comparator: in how many cells ionm is ahead, even or behind."""
    header = "| ratio | comparator | AUC: ahead, even, behind | least lead | sens at spec 0.98 | at 0.99 |"
    lines = ["", header, rule(header)]
    for ratio in sorted({r for result in found for r in result.standings}):
        for method in [m.name for m in METHODS]:
            cells = [s for x in found for s in x.standings.get(ratio, []) if s.name == method]
            if not cells:
                continue
            counts = Counter(verdict(s) for s in cells)
            text = [f"{counts['ahead']}, {counts['even']}, {counts['BEHIND']}"]
            text.append(f"{min(s.lead for s in cells):+.4f}")
            for i in range(len(SPECIFICITIES)):
                leads = [s.lead_sensitivity[i] for s in cells]
                ahead, behind = sum(low > 0 for _, low, _ in leads), sum(high < 0 for _, _, high in leads)
                text.append(f"{ahead}, {len(leads) - ahead - behind}, {behind} (least {min(leads)[0]:+.3f})")
            kind = "" if method in SINGLE else " (five sweeps)"
            lines.append(f"| {ratio:g} | {method}{kind} | " + " | ".join(text) + " |")
    return lines


def print_versus(results: Iterable[Result]) -> None:
    found = []
    for result in results:
        print("\n".join(comparison(result)), flush=True)
        found.append(result)
    print("\n".join(standing_of_all(found)))


def write(found: list[Result], told: list[str], folder: Path) -> None:
    """detection.md and detection.png."""
    lines = ["# Detection benchmark", "", *told, "", HEADER, rule(HEADER)]
    lines += [line(c) for result in found for c in result.cells]
    lines += summaries(found)
    streamed = [r for r in found if r.hours and r.streamed]
    if streamed:
        header = (
            "| background | level | with a response: false entries | held | baseline | loss | return "
            "| without one ever: false entries | held |"
        )
        lines += ["", "## Hours at ratios of 6 and more", "", header, rule(header)]
        for result in streamed:
            for level, pair in (("sweeps", result.hours), ("stream", result.streamed)):
                if pair is None:
                    continue
                ever, none = pair
                late = [
                    ", ".join(sweeps(middle(np.array(d), q)) for q in (0.5, 0.95))
                    for d in (ever.losses, ever.returns)
                ]
                cells = [result.name, level, entries(ever), share(ever.held, ever.sweeps, 2)]
                cells += [
                    share(ever.certified, ever.rows),
                    *late,
                    entries(none),
                    share(none.held, none.sweeps, 2),
                ]
                lines.append("| " + " | ".join(cells) + " |")
        wrong = [t for r in streamed for pair in (r.hours, r.streamed) if pair for c in pair for t in c.wrong]
        lines += ["", *(f"- false: {text}" for text in wrong[:50])]
    lines += ["", "## Against the comparators", *standing_of_all(found)]
    for result in found:
        lines += comparison(result)
    (folder / "detection.md").write_text("\n".join(lines) + "\n")
    draw(found, folder / "detection.png")
    print("\n".join(lines))


def draw(found: list[Result], file: Path) -> None:
    """A row per background: ROC curves at small ratios, then delays against false entries an hour."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.lines
    import matplotlib.pyplot as plt

    shown = [r for r in found if r.standings]
    ratios = [r for r in (3.0, 4.0, 6.0) if any(r in x.standings for x in shown)]
    late = sorted({r for x in shown for r in x.delays})
    columns = len(ratios) + len(late)
    if not columns:
        return
    figure, axes = plt.subplots(
        len(shown),
        columns,
        figsize=(2.4 * columns, 2.1 * len(shown) + 0.6),
        layout="constrained",
        squeeze=False,
    )
    colours = dict(zip(MEASURED[1:], mpl.colormaps["tab10"].colors, strict=False))
    looks = {OURS: {"color": "black", "linewidth": 2, "zorder": 5}}
    looks |= {name: {"color": colour, "linewidth": 1} for name, colour in colours.items()}
    looks |= {name: {"color": "0.6", "linewidth": 0.8, "linestyle": ":"} for name in REFERENCES}
    for result, row in zip(shown, axes, strict=True):
        row[0].set_ylabel(result.name, fontsize=8)
        for ratio, axis in zip(ratios, row, strict=False):
            for s in result.standings.get(ratio, []):
                axis.plot(np.maximum(s.roc[0], 1e-3), s.roc[1], label=s.name, **looks[s.name])
            axis.set(xscale="log", xlim=(1e-3, 1), ylim=(0, 1.01), title=f"ratio {ratio:g}")
        for ratio, axis in zip(late, row[len(ratios) :], strict=True):
            for name, points in result.delays.get(ratio, {}).items():
                if name == OURS:
                    own = points[0]
                    if np.isfinite(own.late):
                        axis.plot(max(own.upper, 1e-2), own.late, "k*", markersize=9, zorder=6)
                elif name in looks:
                    steps = [(t, soonest(points, t)) for t in np.geomspace(0.05, 100, 40)]
                    steps = [(t, p.late) for t, p in steps if p is not None and np.isfinite(p.late)]
                    axis.step([t for t, _ in steps], [d for _, d in steps], where="post", **looks[name])
            axis.set(xscale="log", yscale="log", ylim=(0.9, 100), title=f"delay p95, ratio {ratio:g}")
            axis.set_visible(bool(result.delays))
    for axis in axes.flat:
        axis.tick_params(labelsize=6)
        axis.title.set_fontsize(7)
        axis.grid(alpha=0.3)
    for axis in axes[-1, : len(ratios)]:
        axis.set_xlabel("false positive rate", fontsize=7)
    for axis in axes[-1, len(ratios) :]:
        axis.set_xlabel("false entries an hour", fontsize=7)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    handles.append(mpl.lines.Line2D([], [], color="black", marker="*", linestyle="", markersize=9))
    labels.append("ionm's states, at the 95 % limit of its false entries")
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=7)
    figure.savefig(file, dpi=90)
