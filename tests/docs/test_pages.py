"""What reads and runs the pages finds what is wrong with them."""

import re
from types import SimpleNamespace

import pytest

from tests.docs.commands import commands_in, is_only_checked, wrong_in_shell
from tests.docs.pages import PageError, read_page
from tests.docs.running import (
    PROGRESS,
    environment_of,
    in_terminal,
    is_printed,
    quicker_shell,
    run_page,
    wrong_in_page,
)
from tests.docs.studies import edit

STUDY = """\
```yaml
study: mine
question: Which loss?
data: {source: films, positive: A, image_size: 8, intensity: unit, split: {val: 0.2, by: case, seed: 0}}
base:
  model: {name: linear}
  loss: bce
  optimizer: {name: adam, lr: 1e-2}
  schedule: constant
  batch_size: 8
  epochs: 1
seeds: 2
experiments:
  loss: {factors: {loss: [bce, ce]}}
```
"""


def read(tmp_path, text):
    path = tmp_path / "page.md"
    path.write_text(text)
    return read_page(path)


def wrong(tmp_path, text):
    return wrong_in_page(read(tmp_path, text), tmp_path)


def ran(tmp_path, text):
    folder = tmp_path / "folder"
    folder.mkdir(exist_ok=True)
    return run_page(read(tmp_path, text), folder, tmp_path / "cache")


REFUSED = {
    "no language": ("text\n\n```\nls\n```\n", "page.md:3: a fence without a language; expected sh, python"),
    "another language": ("```bash\nls\n```\n", 'page.md:1: the language "bash"; expected sh, python'),
    "no fence": ("text\n\n    ls\n", "page.md:3: a block without a fence; fence it and name its language"),
    "unknown comment": ("<!-- prined -->\n```text\na\n```\n", 'page.md:1: unknown comment "prined"; known are given'),
    "no block": ("<!-- printed -->\n\ntext\n", "page.md:3: no block follows the comment printed"),
    "no block at the end": ("text\n\n<!-- printed -->\n", "no block follows the comment printed"),
    "no reason": ("<!-- not run -->\n```sh\nls\n```\n", "page.md:1: not run without a value; write it after :"),
    "an empty reason": ("<!-- not run: -->\n```sh\nls\n```\n", "page.md:1: not run without a value; write it after :"),
    "a value too many": ("<!-- site file: a -->\n```yaml\na: 1\n```\n", "page.md:1: site file takes no value"),
    "a way that there is not": (
        "<!-- printed: so -->\n```text\na\n```\n",
        'page.md:1: printed: got "so"; expected shape or trained',
    ),
    "no effect": ("<!-- printed -->\n```sh\nls\n```\n", "page.md:2: printed has no effect on sh; delete it"),
    "no end": ("<!-- generated: x -->\n\ntext\n", "a generated part without <!-- end -->"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_a_page_that_breaks_the_rules_is_refused(tmp_path, text, message):
    with pytest.raises(PageError, match=re.escape(message)) as refused:
        read(tmp_path, text)
    assert str(refused.value).startswith("page.md:")


def test_comments_belong_to_the_block_below_them(tmp_path):
    text = "<!-- given: films, study -->\n\n<!-- where: A=b -->\n<!-- ends with: 2 -->\n```sh\nls A\n```\n\n"
    text += "```sh\nls\n```\n"
    page = read(tmp_path, text)
    assert page.given == ("films", "study")
    assert [block.asked for block in page.blocks] == [{"where": "A=b", "ends with": "2"}, {}]
    assert [block.line for block in page.blocks] == [5, 9]


# --- commands


def test_an_option_that_there_is_not_is_found_in_a_block_that_is_not_run(tmp_path):
    text = "<!-- not run: a day -->\n```sh\nRAY_ADDRESS=auto doubleread run study.yaml --sead 3 \\\n  --seeds 4\n```\n"
    (problem,) = wrong(tmp_path, text)
    assert problem.startswith("page.md:2: doubleread run has no option --sead; it has --assumptions, ")


WRONG = {
    "a command": ("doubleread trian", "doubleread has no command trian; it has reproduce, "),
    "a command of data": ("doubleread data get", "doubleread data has no command get; it has phantom, "),
    "an option of the program": ("doubleread --versoin", "doubleread has no option --versoin"),
    "after a pipe": ("cat a | doubleread status --jsn", "doubleread status has no option --jsn; it has "),
    "with its value": ("doubleread run a --sed=3", "doubleread run has no option --sed; it has "),
    "for another machine": (
        "ray exec c.yaml 'cd a && doubleread status --jsn'",
        "doubleread status has no option --jsn",
    ),
    "measured": ("time .venv/bin/doubleread status --jsn", "doubleread status has no option --jsn"),
    "a target": ("make tset", "there is no make tset"),
    "an extra": ("pip install 'doubleread[dicom,srve]'", "there is no extra srve"),
    "a test": (".venv/bin/pytest tests/gone.py", "there is no tests/gone.py"),
}


@pytest.mark.parametrize(("line", "problem"), WRONG.values(), ids=WRONG)
def test_a_wrong_command_is_found(line, problem):
    (found,) = wrong_in_shell(line)
    assert found.startswith(problem)


def test_right_commands_are_right():
    text = "make PYTHON=python3.11 demo  # not now\ndoubleread data phantom a --set 'a={b: 1}' > b\ndoubleread --help"
    assert wrong_in_shell(text) == []
    assert list(commands_in("A=1 ls -l | head; cd b && ls # c")) == [["ls", "-l"], ["head"], ["cd", "b"], ["ls"]]
    assert wrong_in_shell("doubleread COMMAND --help\nls --sead") == []


def test_a_command_in_a_sentence_is_checked(tmp_path):
    problems = wrong(
        tmp_path, "Then `doubleread report STUDY --html FILE`.\n\nOr `doubleread report STUDY --pdf FILE`.\n"
    )
    assert [problem.partition(";")[0] for problem in problems] == ["page.md:3: doubleread report has no option --pdf"]


def test_usage_that_is_generated_is_checked(tmp_path):
    text = "<!-- generated: commands -->\n\n```text\ndoubleread rnu STUDY [OPTIONS]\n```\n\n<!-- end -->\n"
    assert [problem.partition(";")[0] for problem in wrong(tmp_path, text)] == [
        "page.md:3: doubleread has no command rnu"
    ]


def test_lines_that_install_are_not_run():
    lines = ("make demo", "A=b .venv/bin/pip install -e .", "python3.11 -m venv .venv", "source .venv/bin/activate")
    assert all(map(is_only_checked, lines))
    assert not any(map(is_only_checked, ("makeup", "doubleread run make", "python3 -m pip_like", "ls")))


def test_options_that_make_it_quicker_go_to_the_commands_that_have_them():
    shell = quicker_shell("--set base.epochs=1 --seeds 2")
    assert '"run "*) command doubleread "$@" --set base.epochs=1 --seeds 2 ;;' in shell
    assert '"data phantom "*) command doubleread "$@" --set base.epochs=1 ;;' in shell
    assert '"report "*) command doubleread "$@" --seeds 2 ;;' in shell
    assert '"status' not in shell


# --- files


def test_a_part_of_a_study_file_goes_into_the_study_of_the_page(tmp_path):
    part = "<!-- part of: study -->\n```yaml\nexperiments:\n  loss:\n    factors: {loss: [bce, %s]}\n```\n"
    assert wrong(tmp_path, STUDY + "\n" + part % "focal") == []
    (problem,) = wrong(tmp_path, STUDY + "\n" + part % "fcal")
    assert problem.startswith("page.md:18: the study, experiments.loss")
    assert "fcal" in problem
    below = "<!-- part of: data -->\n```yaml\nimage_sise: 8\n```\n"
    assert "image_sise" in wrong(tmp_path, below)[0]


def test_every_block_of_yaml_says_what_it_is(tmp_path):
    assert wrong(tmp_path, "```yaml\nseeds: 3\n```\n") == [
        "page.md:1: say what it is: part of, edit, file, site file or claims file; or begin with study:"
    ]


def test_files_of_other_kinds_are_read_as_the_program_reads_them(tmp_path):
    site = "<!-- site file -->\n```yaml\nslurm: {%s: cpu}\n```\n"
    assert wrong(tmp_path, site % "partition") == []
    assert "partitoin" in wrong(tmp_path, site % "partitoin")[0]
    claims = "<!-- claims file -->\n```yaml\nclaims:\n  - {id: a, metric: %s, better: b, than: c}\n```\n"
    assert wrong(tmp_path, claims % "auroc") == []
    assert "aurco" in wrong(tmp_path, claims % "aurco")[0]
    assert wrong(tmp_path, '```json\n{"a": 1,}\n```\n')[0].startswith("page.md:1: JSONDecodeError: ")
    assert wrong(tmp_path, "<!-- not run: a part -->\n```python\ndef f(:\n```\n")[0].startswith(
        "page.md:2: SyntaxError: "
    )


def test_an_edit_keeps_what_the_file_says_besides(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("seeds: 2  # two\nbase:\n  loss: bce\n  epochs: 3\n")
    edit(path, "base: {loss: ce}\nmargin: {auroc: 0.01}\n")
    assert path.read_text() == "seeds: 2  # two\nbase:\n  loss: ce\n  epochs: 3\nmargin: {auroc: 0.01}\n"


# --- what is printed

PRINTED = "wrote 1,200 images to films\n  arm   accuracy\n  bce    75.46 ± 1.50\n  next: it is\n     wrapped\n"
SAME = ("wrote 1,200 images to films", "bce 75.46 ± 1.50", "wrote …\n…\n  next: it is wrapped", "bce 75.… ± 1.…", "…")
OTHER = (
    "wrote 1,201 images to films",
    "rote 1,200",
    "bce 75.46 ± 1.5",
    "wrote …\n…\nprevious:",
    "arm bce",
    "next: it …x",
)


@pytest.mark.parametrize("expected", SAME)
def test_what_was_printed_is_found(expected):
    assert is_printed(expected, PRINTED)


@pytest.mark.parametrize("expected", OTHER)
def test_what_was_not_printed_is_not_found(expected):
    assert not is_printed(expected, PRINTED)


def test_the_shape_is_the_text_between_the_numbers():
    assert is_printed("wrote 80 images to films\n…\nbce 9 ± –", PRINTED, shape=True)
    assert not is_printed("wrote 80 pictures to films", PRINTED, shape=True)
    assert not is_printed("wrote 80 images to films", PRINTED)


def test_an_ellipsis_in_a_line_stands_for_a_few_hundred_characters():
    assert is_printed("a…b", "a" + "-" * 300 + "b")
    assert not is_printed("a…b", "a" + "-" * 500 + "b")


def test_lines_that_come_by_the_clock_are_left_out():
    lines = "a: reading images, 32 of 1,200\na: 36 of 38 runs done, 2 running, 1 s left; last training loss 0.3\n"
    assert PROGRESS.sub("", f"{lines}38 of 38 runs done, 24 of them were there before\n") == (
        "38 of 38 runs done, 24 of them were there before\n"
    )


def test_output_and_remarks_are_kept_in_every_order_that_is_possible(tmp_path):
    script = "echo one; sleep 0.2; echo two >&2; sleep 0.2; echo three"
    code, printed = in_terminal(["bash", "-c", script], tmp_path, environment_of(tmp_path, tmp_path))
    assert code == 0
    assert printed == ("one\ntwo\nthree\n", "one\nthree\ntwo\n", "two\none\nthree\n")


# --- running


def test_blocks_share_a_folder_and_a_namespace(tmp_path):
    text = (
        "<!-- file: a.txt -->\n```text\none\n```\n\n```sh\ncat a.txt\n```\n\n<!-- printed -->\n```text\none\n```\n\n"
        "```python\nword = open('a.txt').read()\nopen('b.txt', 'w').write(word * 2)\n```\n\n"
        "```python\nprint(word)\n```\n\n<!-- printed -->\n```text\none\n```\n\n"
        "<!-- where: N=2 -->\n```sh\nmake no-such-target\ntest $(cat b.txt | wc -l) = N\n```\n"
    )
    assert ran(tmp_path, text) == []


def test_a_printed_block_that_is_wrong_is_found(tmp_path):
    text = "```sh\necho one\n```\n\n<!-- printed -->\n```text\ntwo\n```\n"
    assert ran(tmp_path, text) == ["page.md:6: this was not printed, but:\none\n"]
    assert ran(tmp_path, "<!-- printed -->\n```text\ntwo\n```\n") == [
        "page.md:2: printed, but nothing was run before it"
    ]


def test_a_block_that_fails_is_found(tmp_path):
    assert ran(tmp_path, "```sh\nfalse | cat\necho later\n```\n") == ["page.md:1: it ends with 1, not 0:\n"]
    assert ran(tmp_path, "<!-- ends with: 3 -->\n```sh\nexit 3\n```\n") == []
    assert ran(tmp_path, "<!-- ends with: 3 -->\n```sh\ntrue\n```\n") == ["page.md:2: it ends with 0, not 3:\n"]
    (problem,) = ran(tmp_path, "```python\nassert 1 == 2\n```\n")
    assert problem.startswith("page.md:1: Traceback")
    assert problem.endswith("AssertionError\n")


def test_a_block_sees_nothing_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("DOUBLEREAD_SALT", "of the one who runs the tests")
    text = "```sh\necho $HOME ${DOUBLEREAD_SALT-none}\n```\n\n<!-- printed -->\n```text\n%s none\n```\n"
    assert ran(tmp_path, text % (tmp_path / "folder-home")) == []


def test_what_a_training_gave_is_compared_where_everything_is_at_its_full_size(tmp_path):
    text = "```sh\necho 1 supported\n```\n\n<!-- printed: trained -->\n```text\n1 contradicted\n```\n"
    assert len(ran(tmp_path, text)) == 1
    # what is never asked for anything stands for the warm program
    warm = SimpleNamespace(address=tmp_path / "socket", commands=tmp_path / "commands")
    assert run_page(read(tmp_path, text), tmp_path / "folder", tmp_path / "cache", warm) == []
    shape = text.replace("trained", "shape")
    assert len(run_page(read(tmp_path, shape), tmp_path / "folder", tmp_path / "cache", warm)) == 1
