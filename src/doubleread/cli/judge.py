"""`judge`: verdicts from anyone's logits."""

from __future__ import annotations

from pathlib import Path

from doubleread.cli.gap import print_gaps
from doubleread.cli.show import out, print_json
from doubleread.cli.verdicts import print_claims
from doubleread.report import claims_json, gap_json, words
from doubleread.report.judgement import judge


def judge_command(logits: str, claims: str, as_json: bool) -> None:
    """Print the verdicts."""
    judged = judge(Path(logits), Path(claims))
    if as_json:
        seeds = {arm: judged.evidence.seeds_of(arm) for arm in judged.evidence.arms}
        print_json({"arms": [{"arm": arm, "seeds": found} for arm, found in seeds.items()],
                    "claims": claims_json(judged.results),
                    "gap": gap_json(judged.gaps)})  # fmt: skip
        return
    for line in judged.what_was_read():
        out().print(line)
    out().print()
    print_claims(out(), judged.results)
    print_gaps(out(), judged.gaps)
    out().print(words.INTENDED_USE)
