"""The JSON Schema of a study file, for editors: what pydantic says of it, with the short forms that a file may use."""

from __future__ import annotations

import copy
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import BeforeValidatorFunctionSchema

from doubleread.recipe import PARTS, OwnModel, Spec
from doubleread.recipe.model import REFERENCE_TO
from doubleread.recipe.spec import ByName, OrNone
from doubleread.study.engine_spec import ENGINES
from doubleread.study.schema import MOST_SEEDS, NAME, StudyFile
from doubleread.study.threshold_spec import AT_LEAST
from tools.reference.sources import meaning_of
from tools.reference.study_file import KNOWN, chosen, documented

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TEXT = {"type": "string", "minLength": 1, "maxLength": 2000}
COST = {"type": "number", "exclusiveMinimum": 0, "maximum": 1e6}
THRESHOLD = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        {"const": "youden"},
        {"type": "string", "pattern": rf"^\s*(?:{AT_LEAST.pattern})\s*$"},
        {
            "type": "object",
            "properties": {"name": {"const": "cost"}, "false_negative": COST, "false_positive": COST},
            "required": ["name", "false_negative", "false_positive"],
            "additionalProperties": False,
        },
    ]
}
SHORT: dict[str, JsonSchemaValue] = {
    "study.schema._seed_numbers": {"type": "integer", "minimum": 1, "maximum": MOST_SEEDS},
    "recipe.data._listed": TEXT,
    "recipe.data._as_text": {"type": "integer"},
    "study.threshold_spec._listed": THRESHOLD,
    "study.threshold_spec._written": THRESHOLD,
}
"""What else may stand where a function makes it what is checked, by that function."""


class StudySchema(GenerateJsonSchema):
    """What a file may say: what is checked, or a short form of it."""

    def function_before_schema(self, schema: BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        """See pydantic; a short form that this does not know is an error, lest editors refuse it."""
        inner = self.generate_inner(schema["schema"])
        function: Any = schema["function"]["function"]
        if function is ByName.func:
            return {"anyOf": [{"type": "string"}, inner]}
        if function is OrNone.func:
            return {"anyOf": [{"const": "none"}, inner]}
        short = SHORT[f"{function.__module__.removeprefix('doubleread.')}.{function.__name__}"]
        # a rule as it is kept may not stand in a file
        return short if function.__name__ == "_written" else {"anyOf": [short, inner]}


def study_schema() -> dict[str, Any]:
    """Return the schema, each key with its meaning."""
    found = copy.deepcopy(StudyFile.model_json_schema(schema_generator=StudySchema))
    parts = found["$defs"] | {StudyFile.__name__: found}
    for spec in (*documented(), *chosen()):
        for key, value in parts[spec.__name__].get("properties", {}).items():
            value.pop("title", None)
            if (meaning := _meaning(spec, key)) is not None:
                value["description"] = meaning
    _shorten(found, parts)
    return {"$schema": DIALECT, **found, "title": "A study of doubleread"}


def _meaning(spec: type[Spec], key: str) -> str | None:
    try:
        return meaning_of(spec, key)
    except LookupError:
        # the name that a part is chosen by
        return None


def _shorten(found: dict[str, Any], parts: dict[str, Any]) -> None:
    """Say which names may stand alone, and what only the names of a file's parts can tell apart."""
    recipe = parts["Recipe"]["properties"]
    for part, specs in PARTS.items():
        alone = [name for name, spec in specs.items() if parts[spec.__name__]["required"] == ["name"]]
        recipe[part]["anyOf"][0] = {"enum": alone}
    recipe["model"]["anyOf"].insert(1, {"type": "string", "pattern": f"^{REFERENCE_TO.pattern}$"})
    parts[OwnModel.__name__]["properties"]["name"]["pattern"] = f"^{REFERENCE_TO.pattern}$"
    found["properties"]["engine"]["anyOf"][0] = {"enum": list(ENGINES)}
    for (spec, key), names in KNOWN.items():
        parts[spec.__name__]["properties"][key]["anyOf"][0] = {"enum": list(names)}
    for key in ("experiments", "assumptions"):
        found["properties"][key]["propertyNames"] = {"pattern": f"^{NAME.pattern}$"}
