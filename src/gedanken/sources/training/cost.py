"""What a training run would cost: parameters, tokens, operations, room on disk, and minutes, from a few timed updates."""

import time
from typing import Any

from gedanken.sources.training.recipe import Recipe
from gedanken.sources.training.tasks import Copy
from gedanken.sources.training.trainer import Trainer, training_threads
from gedanken.status import Failure

TIMED = 3
"""Updates timed, after one that warms up; the median counts."""
OPERATIONS = 2e11
"""Floating-point operations of a timed update at most (a few seconds of a laptop): larger batches are cut and scaled."""


def cost(recipe: Recipe) -> dict[str, Any]:
    """The figures by name. `minutes` is None where the recipe's device is not here."""
    operations = operations_per_token(recipe)
    tokens = recipe.steps * recipe.batch * recipe.context
    return {
        "parameters in matrices": recipe.matrix_parameters,
        "tokens": tokens,
        "operations": operations * tokens,
        "megabytes of a checkpoint": 12 * recipe.matrix_parameters / 1e6,
        "minutes": _minutes(recipe, operations),
    }


def operations_per_token(recipe: Recipe) -> float:
    """Forward and backward: 6 for each parameter that multiplies, 12 L d n for attention to n positions
    [@chowdhery2022, app. B]."""
    tables = recipe.vocabulary * recipe.width
    multiplied = recipe.matrix_parameters - (0 if recipe.tied else tables)
    return 6.0 * multiplied + 12.0 * recipe.layers * recipe.width * recipe.context


def _minutes(recipe: Recipe, operations: float) -> float | None:
    fitting = max(1, min(recipe.batch, int(OPERATIONS / (operations * recipe.context))))
    timed = recipe.model_copy(update={"task": "copy", "batch": fitting, "compile": False, "control": ""})
    try:
        trainer = Trainer(timed, Copy(timed))
    except Failure:
        return None
    seconds = []
    with training_threads(recipe.threads):
        for _ in range(TIMED + 1):
            start = time.perf_counter()
            trainer.advance()
            seconds.append(time.perf_counter() - start)
    return sorted(seconds[1:])[TIMED // 2] * recipe.batch / fitting * recipe.steps / 60
