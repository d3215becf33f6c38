"""`lr`: the range test of one arm, on the terminal, as JSON and as a figure."""

import json

import pytest

from doubleread import cli
from tests.conftest import small_study


@pytest.fixture
def study_file(image_folder, tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(json.dumps(small_study(image_folder)))
    return path


@pytest.fixture
def lr(monkeypatch, capsys, tmp_path, study_file):
    """Call `lr` in an empty folder; returns the exit code, and what it printed."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["doubleread", "lr", str(study_file), *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            cli.main()
        printed = capsys.readouterr()
        return done.value.code, printed.out, printed.err

    return call


def test_the_curve_and_a_suggestion(lr, tmp_path):
    code, out, err = lr("loss/bce", "--steps", 60, "--figure", tmp_path / "lr.png")
    assert code == 0
    assert "loss/bce: loss while the rate rises" in out
    assert "suggested optimizer.lr: " in out or "no rate can be suggested" in out
    assert (tmp_path / "lr.png").stat().st_size > 5000
    assert "wrote" in err
    # nothing is kept: no store, no prepared set
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lr.png", "study.yaml"]


def test_the_same_as_json(lr):
    code, out, _ = lr("loss/bce", "--steps", 40, "--seed", 3, "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["study"], found["arm"], found["seed"]) == ("small", "loss/bce", 3)
    assert len(found["rates"]) == len(found["losses"]) == len(found["smoothed"]) <= 40
    assert found["rates"][0] == pytest.approx(1e-6)
    assert json.loads(lr("loss/bce", "--steps", 40, "--seed", 3, "--json")[1]) == found
    assert json.loads(lr("loss/bce", "--steps", 40, "--seed", 4, "--json")[1])["losses"] != found["losses"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("loss/bec",), 'study.yaml, ARM: no arm loss/bec; did you mean "loss/bce"?'),
        (
            ("8", "--from", "1", "--to", "0.1"),
            "--from, --to: got 1 and 0.1; expected rates above 0, the first one lower",
        ),
        (("8", "--figure", "lr.gif"), "--figure lr.gif: unknown kind of file; expected png, svg, pdf"),
    ],
)
def test_mistakes(lr, arguments, expected):
    code, _, err = lr(*arguments)
    assert (code, err) == (2, f"doubleread: {expected}\n")
