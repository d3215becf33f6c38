"""Runs a page as a reader would: its blocks one after the other, in one folder, with nothing of this machine's user."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import subprocess
import sys
import threading
from pathlib import Path

from tests.docs import studies
from tests.docs.commands import commands, is_only_checked, options_of, wrong_in_shell, wrong_options
from tests.docs.pages import Block, Page
from tests.docs.warm import ASK, Warm

LONGEST = 300
"""Seconds after which a block is stopped."""
WIDTH = 103
"""Columns of the terminal: those of the one in which the pages were written."""
SHOWN = 4000
"""The most characters of what was printed that an error repeats."""
FAR = 400
"""The most characters that an ellipsis within a line stands for."""
Printed = tuple[str, ...]
"""What was printed, in each order in which it may have been."""
PROGRESS = re.compile(
    r"^\S+: (\w+ images, [\d,]+ of [\d,]+|[\d,]+ of [\d,]+ runs done, [\d,]+ running, .*)\n", re.MULTILINE
)
"""Lines that come by the clock."""
NUMBER = re.compile(r"(?:(?<!\w)[−+-])?\d[\d.,]*|–")


def wrong_in_page(page: Page, folder: Path) -> list[str]:
    """Return what is wrong with a page before anything runs; files are written into `folder`."""
    study, found = None, []
    for line, text in page.named:
        found += [f"{page.name}:{line}: {problem}" for problem in wrong_options(shlex.split(text)[1:])]
    for block in page.blocks:
        if studies.is_study(block):
            study = block.text
        found += [f"{page.name}:{block.line}: {problem}" for problem in _wrong(block, study, folder)]
    return found


def run_page(page: Page, folder: Path, cache: Path, warm: Warm | None = None) -> list[str]:
    """Run the blocks of a page in a folder; return what went wrong first.

    `cache` keeps what is compiled; `warm` runs the program. Without it every command is the program itself, nothing is
    made quicker, and every number that is shown must be right.
    """
    session = _Session(folder, environment_of(folder.with_name(f"{folder.name}-home"), cache), warm)
    printed: Printed | None = None
    try:
        for block in page.blocks:
            problem, printed = session.take(block, printed)
            if problem:
                return [f"{page.name}:{block.line}: {problem}"]
    finally:
        session.end()
    return []


def environment_of(home: Path, cache: Path) -> dict[str, str]:
    """Return an environment with nothing of this machine's user, and the program of this test first on its path."""
    home.mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    return kept | {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(cache),
        "XDG_CONFIG_HOME": str(home / "config"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "COLUMNS": str(WIDTH),
        "LINES": "50",
        "TERM": "dumb",
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",
        "MPLBACKEND": "agg",
        "OMP_NUM_THREADS": "1",
    }


def in_terminal(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[int, Printed]:
    """Run a command that prints to a terminal of `WIDTH` columns; return its exit code and what it printed.

    Errors and remarks go to a pipe, so that they are plain lines. Which of two lines was first is not sure to be known;
    so what was printed is given as it came, and with either kind first.

    Raises:
        subprocess.TimeoutExpired: it does not end.
    """
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        os.close(theirs)
        assert process.stderr is not None
        watch = threading.Timer(LONGEST, process.kill)
        watch.start()
        pieces = _read_both(ours, process.stderr.fileno())
        process.wait()
        os.close(ours)
        late = not watch.is_alive()
        watch.cancel()
    if late:
        raise subprocess.TimeoutExpired(command, LONGEST)
    out, err = (b"".join(text for which, text in pieces if which == one) for one in (0, 1))
    orders = (b"".join(text for _, text in pieces), out + err, err + out)
    return process.returncode, tuple(PROGRESS.sub("", text.decode().replace("\r\n", "\n")) for text in orders)


def is_printed(expected: str, printed: str, *, shape: bool = False) -> bool:
    """Return whether what was printed contains a block of text.

    A line `…` stands for any lines, `…` in a line for a few hundred characters. How lines are wrapped and columns are
    padded depends on the terminal, so every white space is one space. With `shape` every number is as good as another.
    """
    lines = [_flat(line, shape) for line in expected.splitlines() if line.strip()]
    within = f".{{0,{FAR}}}?"
    parts = [".*?" if line == "…" else within.join(map(re.escape, line.split("…"))) for line in lines]
    pattern = r"(?:^|(?<=\s))" + r"\s*".join(parts) + r"(?=\s|$)"
    return re.search(pattern, _flat(printed, shape), re.DOTALL) is not None


def quicker_shell(options: str) -> str:
    """Return a function of the shell which adds options to those commands of the program that have them."""
    cases = []
    for command in commands():
        known = [shlex.join(pair) for pair in _quicker(options)[0] if pair[0] in options_of(command)]
        if known:
            cases.append(f'    "{command} "*) command doubleread "$@" {" ".join(known)} ;;\n')
    return f'doubleread() {{\n  case "$* " in\n{"".join(cases)}    *) command doubleread "$@" ;;\n  esac\n}}\n'


def _wrong(block: Block, study: str | None, folder: Path) -> list[str]:
    if block.language == "sh":
        return wrong_in_shell(block.text)
    if block.language == "text" and block.generated:
        usage = (shlex.split(line) for line in block.text.splitlines() if line.startswith("doubleread "))
        return [problem for words in usage for problem in wrong_options(words[1:])]
    try:
        if block.language == "json":
            json.loads(block.text)
        elif block.language == "python":
            compile(block.text, "<the page>", "exec")
        elif block.language == "yaml" and "not run" not in block.asked:
            problem = studies.wrong_in_yaml(block, study, folder)
            return [problem] if problem else []
    except (ValueError, SyntaxError) as error:
        return [f"{type(error).__name__}: {error}"]
    return []


def _quicker(value: str) -> tuple[list[list[str]], list[str]]:
    """Return the options with their values, and the words that are replaced."""
    words, pairs = shlex.split(value), []
    while words and words[0].startswith("--"):
        pairs.append(words[:2])
        words = words[2:]
    return pairs, words


def _read_both(*handles: int) -> list[tuple[int, bytes]]:
    """Return what can be read from handles until all are at their end, as it comes, each piece with its handle's place.

    Of pieces that are there at once, those of an earlier handle come first.
    """
    pieces, left = [], list(handles)
    while left:
        for handle in sorted(select.select(left, [], [])[0], key=handles.index):
            try:
                found = os.read(handle, 1 << 16)
            except OSError:  # a terminal that nobody writes to any more
                found = b""
            if found:
                pieces.append((handles.index(handle), found))
            else:
                left.remove(handle)
    return pieces


def _flat(text: str, shape: bool) -> str:
    return " ".join((NUMBER.sub("#", text) if shape else text).split())


class _Session:
    """The folder of a page, a shell for each block of commands, one Python for all blocks of Python."""

    def __init__(self, folder: Path, environment: dict[str, str], warm: Warm | None) -> None:
        self.folder, self.environment, self.full = folder, environment, warm is None
        self.python: subprocess.Popen[str] | None = None
        namespace = str(Path(__file__).with_name("one_namespace.py"))
        self.start = [sys.executable, namespace]
        if warm is not None:
            self.start = [sys.executable, "-IS", str(ASK), str(warm.address), namespace]
            environment["PATH"] = os.pathsep.join([str(warm.commands), environment["PATH"]])

    def take(self, block: Block, printed: Printed | None) -> tuple[str, Printed | None]:
        """Treat a block; return what is wrong, and what was printed last, None where the last one was not run."""
        if "printed" in block.asked:
            return self._compare(block, printed), printed
        if "not run" in block.asked or block.generated:
            return "", None
        if name := block.asked.get("file"):
            (self.folder / name).write_text(block.text, encoding="utf-8")
        elif name := block.asked.get("edit"):
            studies.edit(self.folder / name, block.text)
        elif block.language == "sh":
            return self._shell(block)
        elif block.language == "python":
            return self._python(self._with_words(block))
        return "", printed

    def end(self) -> None:
        if self.python is not None:
            # closes its input, at whose end it ends
            self.python.communicate(timeout=LONGEST)

    def _compare(self, block: Block, printed: Printed | None) -> str:
        if printed is None:
            return "printed, but nothing was run before it"
        if block.asked["printed"] == "trained" and not self.full:
            return ""
        shape = block.asked["printed"] == "shape" and not self.full
        found = any(is_printed(block.text, one, shape=shape) for one in printed)
        return "" if found else f"this was not printed, but:\n{printed[0][:SHOWN]}"

    def _with_words(self, block: Block) -> str:
        text = block.text
        quicker = [] if self.full else _quicker(block.asked.get("quicker", ""))[1]
        for pair in (*shlex.split(block.asked.get("where", "")), *quicker):
            word, _, value = pair.partition("=")
            text = re.sub(rf"\b{re.escape(word)}\b", value, text)
        return text

    def _shell(self, block: Block) -> tuple[str, Printed | None]:
        text = self._with_words(block).replace(".venv/bin/", "").replace("\\\n", " ")
        lines = [line for line in text.splitlines() if not is_only_checked(line)]
        if not any(re.match(r"\s*[^#\s]", line) for line in lines):
            return "", None
        options = "" if self.full else block.asked.get("quicker", "")
        script = quicker_shell(options) + "\n".join(lines)
        # what `head` leaves unread is no failure
        strict = "-eu" if "| head" in text else "-euo pipefail"
        try:
            code, printed = in_terminal(["bash", *strict.split(), "-c", script], self.folder, self.environment)
        except subprocess.TimeoutExpired:
            return f"it does not end within {LONGEST} s", None
        expected = int(block.asked.get("ends with", "0"))
        problem = f"it ends with {code}, not {expected}:\n{printed[0][:SHOWN]}"
        return "" if code == expected else problem, printed

    def _python(self, code: str) -> tuple[str, Printed | None]:
        if self.python is None:
            self.python = subprocess.Popen(
                self.start, cwd=self.folder, env=self.environment, encoding="utf-8",
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
        assert self.python.stdin is not None
        assert self.python.stdout is not None
        watch = threading.Timer(LONGEST, self.python.kill)
        watch.start()
        try:
            print(json.dumps(code), file=self.python.stdin, flush=True)
            answer = self.python.stdout.readline()
        finally:
            watch.cancel()
        printed, error = json.loads(answer) if answer else ("", f"Python is gone, or did not end within {LONGEST} s")
        return error, (printed,)
