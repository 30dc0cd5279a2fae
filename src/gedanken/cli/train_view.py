"""What a training run shows while it goes: loss, speed, the time left, and stable rank and rank exponent by layer."""

import re
import statistics
import sys
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import typer

from gedanken.cli.console import PATIENCE

SHOWN = {"stable_rank": "stable rank", "rank_exponent": "rank exponent"}
COLUMNS = 24
"""Snapshots of a heatmap that fit beside the other one on a terminal of 80 columns."""
TENTHS = 10
_RAMP = ("#440154", "#472f7d", "#39568c", "#2a788e", "#1fa187", "#4ac16d", "#a0da39", "#fde725")
"""Eight of viridis' colours, dark to light."""
_SITE = re.compile(r"layers\.(\d+)\.attn\.W_[QKVO]")


class View:
    """Keeps what is to be shown. `refresh` is called when there is something new."""

    def __init__(self, source):
        self._steps, self._start, self._first = source.recipe.steps, time.monotonic(), source.trainer.step
        self._loss: float | None = None
        self._recent: deque[float] = deque(maxlen=50)
        self._tokens_per_step = 0.0
        self.step = self._first
        self.series: dict[str, dict[int, dict[int, float]]] = {name: defaultdict(dict) for name in SHOWN}
        """Variable → step → layer → mean over the attention matrices."""

    def update(self, update) -> None:
        """After each update."""
        self.step = update.step
        self._tokens_per_step = update.tokens / update.step
        self._recent.append(update.seconds)
        self._loss = update.loss if self._loss is None else 0.9 * self._loss + 0.1 * update.loss

    def values(self, step: int, values: Mapping[str, float]) -> None:
        """After each snapshot: values named variable/site (called from the monitor's writer)."""
        for name, series in self.series.items():
            found = defaultdict(list)
            for key, value in values.items():
                variable, _, site = key.partition("/")
                match = _SITE.fullmatch(site)
                if variable == name and match:
                    found[int(match[1])].append(value)
            if found:
                series[step] = {layer: statistics.fmean(layer_values) for layer, layer_values in found.items()}

    @property
    def line(self) -> str:
        """`step 120 of 1000   loss 5.213   6,100 tokens/s   about 140 s left`."""
        loss = f"   loss {self._loss:.3f}" if self._loss is not None else ""
        return f"step {self.step} of {self._steps}{loss}{self._speed()}"

    def _speed(self) -> str:
        done = self.step - self._first
        if not done or not self._recent:
            return ""
        speed = self._tokens_per_step / statistics.fmean(self._recent)
        left = (time.monotonic() - self._start) * (self._steps - self.step) / done
        return f"   {speed:,.0f} tokens/s" + (f"   about {left:.0f} s left" if self.step < self._steps else "")


class Lines(View):
    """Without a terminal: a line every tenth."""

    def __init__(self, source):
        super().__init__(source)
        self._tenth = TENTHS * self._first // self._steps

    def update(self, update) -> None:
        super().update(update)
        tenth = TENTHS * update.step // self._steps
        if tenth > self._tenth and time.monotonic() - self._start > PATIENCE:
            typer.echo(self.line + self._ends(), err=True)
        self._tenth = tenth

    def _ends(self) -> str:
        """`   stable rank 30.1 … 28.4`: first and last layer, at the last snapshot."""
        told = ""
        for name, series in self.series.items():
            if series:
                layers = series[max(series)]
                told += f"   {SHOWN[name]} {layers[min(layers)]:.3g} … {layers[max(layers)]:.3g}"
        return told


@contextmanager
def view(source, quiet: bool) -> Iterator[View]:
    """A view of a run: a live heatmap on a terminal, lines elsewhere, nothing if quiet."""
    if quiet:
        yield View(source)
    elif not sys.stderr.isatty():
        yield Lines(source)
    else:
        yield from _live(source)


def _live(source) -> Iterator[View]:
    from rich.console import Console
    from rich.live import Live

    shown = View(source)
    with Live(console=Console(stderr=True), get_renderable=lambda: render(shown), refresh_per_second=2) as live:
        yield shown
        live.refresh()


def render(shown: View):
    """The line and both heatmaps, layer by snapshot, as something rich prints."""
    from rich.columns import Columns
    from rich.console import Group
    from rich.text import Text

    maps = [heatmap(SHOWN[name], dict(series)) for name, series in shown.series.items() if series]
    return Group(Text(shown.line), Columns(maps, padding=(0, 3)))


def heatmap(title: str, series: Mapping[int, Mapping[int, float]]):
    """One row a layer, one column a snapshot (thinned to COLUMNS), dark to light; at the right the last value."""
    from rich.text import Text

    steps = sorted(series)
    steps = (
        [steps[i * (len(steps) - 1) // max(COLUMNS - 1, 1)] for i in range(COLUMNS)] if len(steps) > COLUMNS else steps
    )
    values = [value for step in steps for value in series[step].values()]
    low, high = min(values), max(values)
    text = Text(f"{title}  {low:.3g} – {high:.3g}\n")
    for layer in sorted(series[steps[-1]]):
        text.append(f"{layer:>3} ")
        for step in steps:
            share = (series[step].get(layer, low) - low) / ((high - low) or 1.0)
            text.append("█", style=_RAMP[min(int(share * len(_RAMP)), len(_RAMP) - 1)])
        text.append(f" {series[steps[-1]][layer]:.3g}\n")
    return text
