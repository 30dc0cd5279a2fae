"""open_data: what a recipe trains on."""

from pathlib import Path

from gedanken.sources.training.corpus import Corpus
from gedanken.sources.training.data import Data
from gedanken.sources.training.recipe import Recipe
from gedanken.sources.training.tasks import Copy, Modular
from gedanken.status import Failure


def open_data(recipe: Recipe, tokenizer: Path | None = None) -> Data:
    """The data of a recipe. tokenizer: the file of a run that goes on (default: learnt afresh).

    Raises Failure if the text cannot be read, is too short, or does not fit the vocabulary or the context.
    """
    match recipe.task:
        case "text":
            return Corpus.of(recipe, tokenizer)
        case "modular":
            return Modular(recipe)
        case "copy":
            return Copy(recipe)
    raise Failure(f"There is no task {recipe.task!r}.")
