"""One finished small study for the tests of the report."""

from tests.hostile import HOSTILE, hostile_folder, result

__all__ = ["HOSTILE", "hostile_folder", "result"]
