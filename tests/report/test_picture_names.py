"""Pictures and variables share one table of names on a page, so none may stand for both."""

from itertools import combinations

from gedanken.experiment.plan import standard_instruments
from gedanken.report import lifecycle, particles, streams


def test_no_picture_is_called_like_a_variable_or_another():
    variables = {variable.name for instrument in standard_instruments() for variable in instrument.variables}
    names = [variables, *(set(module.LABELS) for module in (lifecycle, particles, streams))]
    assert all(len(some) > 1 for some in names)
    for one, other in combinations(names, 2):
        assert not one & other
