"""gedanken embedding: which tokens of a model's table lie near which."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from gedanken.cli.console import JsonOption, LabOption, QuietOption, progress, show
from gedanken.status import Failure, Refusal

app = typer.Typer(help="Relations between tokens in a model's embedding.", no_args_is_help=True)

ModelArgument = Annotated[str, typer.Argument(help="Folder, file or hub id.")]
TableOption = Annotated[str, typer.Option("--table", help="W_E, the embedding, or W_U, the unembedding.")]
CountOption = Annotated[int, typer.Option("--count", "-n", min=1, help="How many tokens to list.")]

MATCHED = 100_000
"""Random pairs that a pair is held against: a share of 2 % then has an error of 0.04 %."""


@app.command()
def neighbours(
    model: ModelArgument,
    token: Annotated[str, typer.Argument(help="A word that is one token, or #ID.")],
    count: CountOption = 20,
    table: TableOption = "W_E",
    as_json: JsonOption = False,
) -> None:
    """The tokens nearest to a token, with their cosines."""
    found = _Table(model, table)
    row = found.row(token)
    with _as_failures():
        rows = found.listed(found.directions.neighbours(row, count))
    _show(rows, as_json, f"nearest to {found.name(row)}; {found.boundary}")


@app.command()
def pair(
    model: ModelArgument,
    one: Annotated[str, typer.Argument(help="A word that is one token, or #ID.")],
    other: Annotated[str, typer.Argument(help="Another.")],
    table: TableOption = "W_E",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random pairs it is held against.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """How similar two tokens are, against the boundary ε and against random pairs of similar ids."""
    import numpy as np

    found = _Table(model, table)
    rows = found.row(one), found.row(other)
    with _as_failures():
        cosine = found.directions.cosine(*rows)
        matched = found.directions.matched_cosines(*rows, MATCHED, np.random.default_rng(seed))
    told = {"one": found.name(rows[0]), "other": found.name(rows[1]), "cosine": cosine, "epsilon": found.edge}
    told |= {"beyond_epsilon": cosine > found.edge, "random_pairs_above": float(np.mean(matched >= cosine))}
    _show([told], as_json, found.boundary)


@app.command()
def analogy(
    model: ModelArgument,
    a: Annotated[str, typer.Argument(help="As in a − b + c: king")],
    b: Annotated[str, typer.Argument(help="man")],
    c: Annotated[str, typer.Argument(help="woman")],
    count: CountOption = 40,
    table: TableOption = "W_E",
    as_json: JsonOption = False,
) -> None:
    """The tokens nearest to a − b + c; tokens that contain one of the three words are left out."""
    found = _Table(model, table)
    rows = [found.row(word) for word in (a, b, c)]
    with _as_failures():
        nearest = found.directions.nearest(found.directions.analogy(*rows), count, found.containing(rows))
    title = f"{found.name(rows[0])} − {found.name(rows[1])} + {found.name(rows[2])}; {found.boundary}"
    _show(found.listed(nearest), as_json, title)


@app.command()
def hubs(
    model: ModelArgument,
    count: CountOption = 20,
    table: TableOption = "W_E",
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """The tokens that most others have as their nearest neighbour."""
    import numpy as np

    found = _Table(model, table)
    with progress("nearest neighbours", quiet or as_json) as update:
        followers = found.directions.followers(update)
    first = np.argsort(-followers, kind="stable")[:count]
    rows = [{"token": found.text(row), "id": int(row), "followers": int(followers[row])} for row in first]
    followed = int(np.count_nonzero(followers))
    title = f"most followed; {followed:,} of {len(followers):,} tokens are the nearest neighbour of another"
    _show(rows, as_json, title)


@app.command()
def record(
    model: ModelArgument,
    word: Annotated[
        list[str] | None, typer.Option(help="Keep the neighbours of this word, or #ID (may be repeated).")
    ] = None,
    pair: Annotated[
        list[str] | None, typer.Option(help="Keep the similarity of this pair (may be repeated).", metavar="ONE,OTHER")
    ] = None,
    table: TableOption = "W_E",
    run: Annotated[
        str | None, typer.Option(help="The model's run in the lab (default: from the model's name).")
    ] = None,
    lab: LabOption = "lab",
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Keep neighbours, pairs and most-followed tokens in a lab, for its report."""
    from gedanken.experiment.neighbours import neighbour_rows
    from gedanken.measurements.store import Lab
    from gedanken.sources.models import open_model

    pairs = [tuple(part.strip() for part in text.split(",")) for text in pair or ()]
    if wrong := [text for text, words in zip(pair or (), pairs, strict=True) if len(words) != 2]:
        raise typer.BadParameter(f"--pair takes ONE,OTHER, not {wrong[0]!r}")
    tables, name = Lab(lab), run or open_model(model).run
    tables.require(name)
    found = _Table(model, table)
    site = "embed.W_E" if table == "W_E" else "unembed.W_U"
    with progress("nearest neighbours", quiet or as_json) as update, _as_failures():
        rows = neighbour_rows(name, site, found.directions, found.vocabulary, word or (), pairs, update)
    tables.record("neighbours", rows)
    if as_json:
        show([{key: value for key, value in row.items() if key != "created"} for row in rows], True)
    elif not quiet:
        typer.echo(f"{len(rows)} relations of {name} are in {lab}; gedanken report --lab {lab} draws them.")


class _Table:
    """A token table of a model with its vocabulary, if it has one. Raises Failure if the model has no such table."""

    def __init__(self, model: str, part: str):
        from gedanken.captures.neighbours import Directions
        from gedanken.captures.of import captures_of
        from gedanken.sources.checkpoints import Checkpoint
        from gedanken.sources.models import open_model
        from gedanken.sources.vocabulary import vocabulary_of

        if part not in ("W_E", "W_U"):
            raise Failure(f"A token table is W_E or W_U, not {part}.")
        *_, snapshot = open_model(model).snapshots()
        captures = {capture.site.part: capture for capture in captures_of(snapshot) if capture.site.layer is None}
        if part not in captures:
            tied = part == "W_U" and "tied" in captures["W_E"].notes if "W_E" in captures else False
            raise Failure(f"{model} has no table {part} of its own{': it is W_E' if tied else ''}.")
        with _as_failures():
            self.directions = Directions.of(captures[part].read())
        state = snapshot.state
        self.vocabulary = vocabulary_of(state) if isinstance(state, Checkpoint) else None

    @property
    def edge(self) -> float:
        return self.directions.pairs.edge()

    @property
    def boundary(self) -> str:
        return f"ε = {self.edge:.4f} of {self.directions.pairs.n:,} tokens (mean cosine plus two spreads)"

    def row(self, word: str) -> int:
        from gedanken.sources.vocabulary import find_token

        return find_token(word, len(self.directions.unit), self.vocabulary)

    def text(self, row: int) -> str:
        return self.vocabulary.text(row) if self.vocabulary else "–"

    def name(self, row: int) -> str:
        return f"{self.text(row).strip()!r} (#{row})" if self.vocabulary else f"#{row}"

    def listed(self, nearest: list[tuple[int, float]]) -> list[dict]:
        edge = self.edge
        return [
            {"rank": place, "token": self.text(row), "id": row, "cosine": cosine, "beyond_epsilon": cosine > edge}
            for place, (row, cosine) in enumerate(nearest, 1)
        ]

    def containing(self, rows: list[int]) -> list[int]:
        """The rows of words, and those of every token that contains one of them."""
        if self.vocabulary is None:
            return rows
        return self.vocabulary.containing([self.text(row) for row in rows]) + rows


@contextmanager
def _as_failures() -> Iterator[None]:
    """A refusal of a whole table or row ends the command with its sentence."""
    try:
        yield
    except Refusal as refusal:
        raise Failure(refusal.sentence) from refusal


def _show(rows: list[dict], as_json: bool, sentence: str) -> None:
    if not as_json:
        typer.echo(sentence)
    show(rows, as_json)
