"""doubleread: did that training choice really help?

Trains image classifiers under controlled comparison and reports every arm over several seeds, beside what a report
claims, and says for each claim whether it holds. What `__all__` names is the interface; importing this package loads
nothing heavy until one of them is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from doubleread.late import names_of

if TYPE_CHECKING:
    from doubleread.api import Judgement, Results, judge, load_study, open_results, run
    from doubleread.errors import UserError
    from doubleread.images import ArraySource, from_datasets
    from doubleread.model_file import load_model, predict
    from doubleread.tracking import track

__version__ = "0.1.0"
__all__ = [
    "ArraySource",
    "Judgement",
    "Results",
    "UserError",
    "from_datasets",
    "judge",
    "load_model",
    "load_study",
    "open_results",
    "predict",
    "run",
    "track",
]

_HOME = {
    "load_model": "doubleread.model_file",
    "predict": "doubleread.model_file",
    "track": "doubleread.tracking",
    "ArraySource": "doubleread.images",
    "from_datasets": "doubleread.images",
    "Judgement": "doubleread.api",
    "Results": "doubleread.api",
    "judge": "doubleread.api",
    "UserError": "doubleread.errors",
    "load_study": "doubleread.study",
    "open_results": "doubleread.api",
    "run": "doubleread.api",
}


__getattr__ = names_of(__name__, _HOME)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
