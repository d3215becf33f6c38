"""The warm process runs a command as its caller would: same words, folder, environment, output and exit code."""

import subprocess

import pytest

from tests.docs.running import environment_of
from tests.docs.warm import Warm


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A folder, and an environment whose `doubleread` is that of a warm process."""
    folder = tmp_path_factory.mktemp("warm")
    environment = environment_of(folder / "home", folder / "cache")
    warm = Warm(folder, environment)
    yield folder, {**environment, "PATH": f"{warm.commands}:{environment['PATH']}"}
    warm.end()


def run(asked, line):
    folder, environment = asked
    return subprocess.run(["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


def test_it_prints_what_the_program_prints(asked):
    done = run(asked, "doubleread single 291/400 278/400 --json | tr -d ' '; echo and the shell")
    assert done.stdout.startswith("{")
    assert done.stdout.endswith("and the shell\n")
    assert done.stderr == ""


def test_it_ends_as_the_program_ends(asked):
    done = run(asked, "cd home && doubleread status --store gone")
    assert done.returncode == 2
    assert done.stderr.startswith("doubleread: --store gone: there is no store at ")


def test_one_command_leaves_nothing_behind_for_the_next(asked):
    assert run(asked, "mkdir -p a && cd a && doubleread data phantom films --set size=32 --set train_per_class=2"
                      " --set test_per_class=2").returncode == 0  # fmt: skip
    assert run(asked, "COLUMNS=40 doubleread data describe a/films").returncode == 0
    assert run(asked, "doubleread data describe films").returncode == 2
