"""What sets settings apart, in words."""

from gedanken.analysis.variants import variants
from gedanken.measurements import schema


def row(setting, fields, version=1, default=False):
    return {"setting": setting, "instrument": "i", "version": version, "fields": fields, "default": default}


def test_the_default_has_no_name_and_the_others_say_how_they_differ():
    rows = [row("a", '{"z": 2.0, "centred": false}', default=True), row("b", '{"z": 3.0, "centred": false}'),
            row("c", '{"z": 2.0, "centred": true}')]  # fmt: skip
    assert variants(schema.frame("settings", rows)) == {"a": "", "b": "z = 3", "c": "centred"}


def test_a_lone_setting_has_no_name_even_if_it_is_no_default():
    assert variants(schema.frame("settings", [row("a", '{"z": 3.0}')])) == {"a": ""}


def test_an_older_version_says_so():
    rows = [row("new", "{}", version=2, default=True), row("old", "{}", version=1, default=True)]
    assert variants(schema.frame("settings", rows)) == {"new": "", "old": "version = 1"}
