"""Losses of a model without some of its blocks, prompt by prompt, kept in a lab so that none is computed twice."""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from jaxtyping import Float

from gedanken.captures.forward import device_of, padded
from gedanken.experiment import rows as make
from gedanken.interventions.skip import Layers, Skipper, block_influence, by_prefix
from gedanken.measurements.store import Lab, digest, part_key
from gedanken.sources.base import Snapshot
from gedanken.sources.running import Running

CHUNK = 32
"""Sets of blocks evaluated before their losses are written: what a kill can lose. Each chunk costs a whole pass more."""
SCOUTS = 4
"""One prompt of so many of the calibration half is a scout."""

SITE = "stream.blocks"
BY_PROMPT = "surprisal_by_prompt"


@dataclass
class PrunedLoss:
    """Mean −ln p of every prompt of one half of a text, in nat a token, for any set of removed blocks.

    `half` is "fit" (calibration: greedy choice, block influence), "scout" (a quarter of it) or "report" (test).
    """

    snapshot: Snapshot
    lab: Lab
    batch_tokens: int = 1024
    progress: Callable[[float], None] | None = None
    """Called with the sets of blocks whose losses became known."""
    _skipper: Skipper | None = field(default=None, repr=False)
    _known: dict[tuple[str, Layers], np.ndarray] = field(default_factory=dict, repr=False)
    _influence: np.ndarray | None = field(default=None, repr=False)

    def __post_init__(self):
        kept = self.lab.curves.filter(
            (pl.col("run") == self.snapshot.run) & (pl.col("variable") == BY_PROMPT)
            & (pl.col("fingerprint") == self.snapshot.fingerprint)
        ).collect()  # fmt: skip
        by_setting = {setting_of(half, layers): (half, layers) for half, layers in self._settings_in_lab()}
        for setting, y in kept.select("setting", "y").iter_rows():
            if setting in by_setting:
                self._known[by_setting[setting]] = np.array(y)

    @property
    def running(self) -> Running:
        return self.snapshot.state

    @property
    def skipper(self) -> Skipper:
        if self._skipper is None:
            self._skipper = Skipper(self.running.load())
        return self._skipper

    @property
    def layers(self) -> int:
        return len(self.skipper)

    def prompts(self, half: str) -> np.ndarray:
        """Numbers of the prompts of a half."""
        found = self.running.prompts
        ends = {"fit": (0, found.half), "scout": (0, found.half, SCOUTS), "report": (found.half, len(found))}
        return np.arange(*ends[half])

    def documents(self, half: str) -> np.ndarray:
        return self.running.prompts.document[self.prompts(half)]

    def of(self, removals: Sequence[Collection[int]], half: str = "report") -> Float[np.ndarray, "removals prompts"]:
        """Mean surprisal of each prompt, for each set of removed blocks (an empty one: the whole model)."""
        wanted = [tuple(sorted(removed)) for removed in removals]
        missing = by_prefix({layers for layers in wanted if (half, layers) not in self._known}, self.layers)
        self._tell(len(wanted) - len(missing))
        for start in range(0, len(missing), CHUNK):
            chunk = missing[start : start + CHUNK]
            for layers, losses in zip(chunk, self._measure(chunk, half), strict=True):
                self._known[half, layers] = losses
            self._keep(chunk, half)
        return np.array([self._known[half, layers] for layers in wanted])

    def influence(self) -> Float[np.ndarray, "layers layers"]:
        """skip.block_influence over the calibration half, each prompt weighing as its tokens do."""
        if self._influence is None:
            total, weight = 0.0, 0
            for tokens, mask, _ in self._batches("fit"):
                self.skipper.whole(tokens, mask)
                count = int(mask.sum())
                total, weight = total + count * block_influence(self.skipper.stream(), mask), weight + count
            self._influence = total / weight
        return self._influence

    def _measure(self, chunk: Sequence[Layers], half: str) -> Float[np.ndarray, "removals prompts"]:
        numbers = self.prompts(half)
        found = np.empty((len(chunk), len(numbers)))
        for tokens, mask, places in self._batches(half):
            counts = mask[:, 1:].sum(dim=1)
            nonempty = [layers for layers in chunk if layers]
            whole, *skipped = self.skipper.surprisals(tokens, mask, nonempty)
            nats = dict(zip(nonempty, skipped, strict=True)) | {(): whole}
            for row, layers in enumerate(chunk):
                found[row, places] = (nats[layers].double().sum(dim=1) / counts).cpu().numpy()
            self._tell(len(chunk) * len(places) / len(numbers))
        return found

    def _tell(self, sets: float) -> None:
        if self.progress:
            self.progress(sets)

    def _batches(self, half: str):
        prompts, numbers = self.running.prompts, self.prompts(half)
        size = max(1, self.batch_tokens // prompts.longest)
        device = device_of(self.skipper.model)
        for start in range(0, len(numbers), size):
            places = np.arange(start, min(start + size, len(numbers)))
            yield *padded([prompts.tokens[i] for i in numbers[places]], device), places

    def _keep(self, chunk: Sequence[Layers], half: str) -> None:
        address = {"run": self.snapshot.run, "step": self.snapshot.step, "site": SITE, "status": "ok", "flags": []}
        address |= {"fingerprint": self.snapshot.fingerprint, "variable": BY_PROMPT}
        self.lab.record("settings", [setting_row(half, layers) for layers in chunk])
        self.lab.record("steps", [make.step_row(self.snapshot)])
        documents = self.documents(half).astype(float).tolist()
        rows = [
            address | {"setting": setting_of(half, layers), "x": documents, "y": y.tolist(), "n": len(y)}
            for layers in chunk
            for y in [self._known[half, layers]]
        ]
        key = part_key(self.snapshot.run, self.snapshot.step, self.snapshot.fingerprint, half, *map(str, chunk))
        self.lab.write("curves", rows, key)

    def _settings_in_lab(self) -> list[tuple[str, Layers]]:
        mine = (pl.col("instrument") == BY_PROMPT) & (pl.col("version") == VERSION)
        kept = self.lab.settings.filter(mine).select("fields").collect()
        fields = [json.loads(text) for text in kept["fields"]]
        return [(found["half"], tuple(found["removed"])) for found in fields]


VERSION = 2
"""Since 2, x is the document of each prompt."""


def setting_of(half: str, layers: Layers) -> str:
    return digest(BY_PROMPT, VERSION, half, *layers, size=8)


def setting_row(half: str, layers: Layers) -> dict:
    fields = json.dumps({"half": half, "removed": list(layers)}, sort_keys=True)
    return {
        "setting": setting_of(half, layers),
        "instrument": BY_PROMPT,
        "version": VERSION,
        "fields": fields,
        "default": False,
    }
