"""The schedules of the rate, one a file; a new one is its file and its name in `ALL`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Union, get_args

from pydantic import Field

from doubleread.recipe.schedules.constant import Constant
from doubleread.recipe.schedules.cosine import Cosine
from doubleread.recipe.schedules.exponential import Exponential
from doubleread.recipe.schedules.linear import LinearDecay
from doubleread.recipe.schedules.onecycle import OneCycle
from doubleread.recipe.schedules.plateau import Plateau
from doubleread.recipe.schedules.schedule import Moment, Rate, Schedule
from doubleread.recipe.schedules.step import Step
from doubleread.recipe.spec import ByName, Spec

__all__ = ["ALL", "SCHEDULES", "Moment", "OneCycle", "Plateau", "Rate", "Schedule", "ScheduleSpec"]

ALL = (Constant, Step, Cosine, LinearDecay, Exponential, OneCycle, Plateau)
SCHEDULES: dict[str, type[Spec]] = {get_args(one.model_fields["name"].annotation)[0]: one for one in ALL}
"""Every schedule by the name that a study file calls it."""

if TYPE_CHECKING:
    ScheduleSpec = Schedule
else:
    ScheduleSpec = Annotated[Annotated[Union[ALL], Field(discriminator="name")], ByName]  # noqa: UP007
