"""Weights: every matrix and embedding of a checkpoint as captures, and products of them on request.

Products are per head and invariant under the head's change of basis (Elhage et al. 2021, [@elhage2021]):
W_QK = W_Qᵀ W_K, W_OV = W_O W_V; and W_UE = W_U W_Eᵀ, the path straight from embedding to logits. They are captured as
thin factors and never formed. W_EU is no product but both token tables of an untied model in one.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from gedanken.captures.base import Capture
from gedanken.kinds import Factors, Kind
from gedanken.site import Site
from gedanken.sources.architectures.base import Piece
from gedanken.sources.base import Snapshot
from gedanken.sources.checkpoints import Checkpoint

PRODUCTS = ("W_QK", "W_OV", "W_UE", "W_EU")

_TABLES = (("embed", "W_E"), ("unembed", "W_U"))

_OF_MATRIX = frozenset({Kind.matrix, Kind.spectrum})
_OF_FACTORS = frozenset({Kind.spectrum})
_OF_POINTS = frozenset({Kind.matrix, Kind.spectrum, Kind.points, Kind.moments})


def captures(snapshot: Snapshot, products: Iterable[str] = ()) -> list[Capture]:
    """Every matrix and embedding of the snapshot's checkpoint, then the products named (of PRODUCTS).

    Raises Failure if the checkpoint cannot be opened. Reading a capture raises Refusal if its tensor cannot be read.
    """
    checkpoint: Checkpoint = snapshot.state
    pieces = {piece.site: piece for piece in checkpoint.pieces}
    untied = {piece.site for piece in _two_tables(pieces)}
    found = [_capture(checkpoint, piece, piece.site in untied) for piece in checkpoint.pieces]
    for product in products:
        found.extend(_PRODUCTS[product](checkpoint, pieces))
    return found


def _two_tables(pieces: dict[Site, Piece]) -> list[Piece]:
    """Embedding and unembedding, where a model has both, of one vocabulary and width."""
    tables = [piece for site, piece in pieces.items() if (site.block, site.part) in _TABLES]
    alike = len({(piece.rows, piece.cols) for piece in tables}) == 1
    return tables if len(tables) == 2 and alike else []


def _capture(checkpoint: Checkpoint, piece: Piece, untied: bool) -> Capture:
    info = checkpoint.files.tensors[piece.tensor]
    kinds = _OF_POINTS if piece.kind == Kind.points else _OF_FACTORS if piece.factored else _OF_MATRIX
    return Capture(
        site=piece.site,
        kind=piece.kind,
        kinds=kinds,
        rows=piece.rows,
        cols=piece.cols,
        dtype=info.dtype,
        raw_name=piece.tensor,
        notes=(*piece.notes, "untied") if untied else piece.notes,
        read=lambda: checkpoint.read(piece),
    )


def _product(checkpoint: Checkpoint, pieces: tuple[Piece, Piece], site: Site, shape, rank: int, read) -> Capture:
    return Capture(
        site=site,
        kind=Kind.matrix,
        kinds=_OF_FACTORS,
        rows=shape[0],
        cols=shape[1],
        dtype=checkpoint.files.tensors[pieces[0].tensor].dtype,
        raw_name=" · ".join(piece.tensor for piece in pieces),
        notes=("product", *(("quantised",) if any("quantised" in piece.notes for piece in pieces) else ())),
        read=read,
        rank_bound=rank,
    )


def _per_head(left: str, right: str, part: str, factors: Callable) -> Callable:
    """Captures of one product per query head: `factors(left, right, h, kv, d)` cuts them out of the whole matrices."""

    def make(checkpoint: Checkpoint, pieces: dict[Site, Piece]) -> Iterator[Capture]:
        shape = checkpoint.heads
        if shape is None:
            return
        for site, first in pieces.items():
            if site.part != left or site.block not in ("attn", "cross_attn"):
                continue
            second = pieces.get(Site(site.block, right, site.layer, site.stack))
            if second is None:
                continue
            for head in range(shape.heads):
                shared = head * shape.kv_heads // shape.heads

                def read(first=first, second=second, head=head, shared=shared) -> Factors:
                    return factors(checkpoint.read(first), checkpoint.read(second), head, shared, shape.head_dim)

                at = Site(site.block, part, site.layer, site.stack, head=head)
                yield _product(checkpoint, (first, second), at, _ends(part, first, second), shape.head_dim, read)

    return make


def _ends(part: str, first: Piece, second: Piece) -> tuple[int, int]:
    return (first.cols, second.cols) if part == "W_QK" else (first.rows, second.cols)


def _query_key(w_q, w_k, head: int, shared: int, d: int) -> Factors:
    return Factors(w_q[head * d : (head + 1) * d].T, w_k[shared * d : (shared + 1) * d])


def _output_value(w_o, w_v, head: int, shared: int, d: int) -> Factors:
    return Factors(w_o[:, head * d : (head + 1) * d], w_v[shared * d : (shared + 1) * d])


def _unembedding_embedding(checkpoint: Checkpoint, pieces: dict[Site, Piece]) -> Iterator[Capture]:
    embedding = pieces.get(Site("embed", "W_E"))
    if embedding is None:
        return
    unembedding = pieces.get(Site("unembed", "W_U"), embedding)
    if unembedding.cols != embedding.cols:
        return

    def read() -> Factors:
        return Factors(checkpoint.read(unembedding), checkpoint.read(embedding).T)

    shape = unembedding.rows, embedding.rows
    yield _product(checkpoint, (unembedding, embedding), Site("unembed", "W_UE"), shape, embedding.cols, read)


def _both_tables(checkpoint: Checkpoint, pieces: dict[Site, Piece]) -> Iterator[Capture]:
    """The rows of an untied model's embedding and unembedding as one table: all the directions that its tokens take."""
    tables = _two_tables(pieces)
    if not tables:
        return

    def read() -> np.ndarray:
        return np.concatenate([checkpoint.read(piece) for piece in tables])

    yield Capture(
        site=Site("embed", "W_EU"),
        kind=Kind.points,
        kinds=frozenset({Kind.points, Kind.moments}),
        rows=sum(piece.rows for piece in tables),
        cols=tables[0].cols,
        dtype=checkpoint.files.tensors[tables[0].tensor].dtype,
        raw_name=" and ".join(piece.tensor for piece in tables),
        notes=("union", *(("quantised",) if any("quantised" in piece.notes for piece in tables) else ())),
        read=read,
    )


_PRODUCTS = {
    "W_QK": _per_head("W_Q", "W_K", "W_QK", _query_key),
    "W_OV": _per_head("W_O", "W_V", "W_OV", _output_value),
    "W_UE": _unembedding_embedding,
    "W_EU": _both_tables,
}
