"""A saved model's parts without any training, for tests of what is done with them."""

from doubleread.model_file import Document, Predictor
from doubleread.model_file.document import Calibration, Cut, Member, Preprocessing
from doubleread.model_file.members import _shaped
from doubleread.recipe import Recipe
from doubleread.training.model import build_model


def made_predictor(plan: Recipe, size: int, members: int = 1) -> Predictor:
    """Return a predictor of a recipe whose weights are those that it starts with."""
    document = Document(
        made_by="a test",
        study="made",
        question="",
        arm="made",
        kind="seed" if members == 1 else "ensemble",
        members=[
            Member(
                seed=seed,
                run="made",
                weights=f"seed-{seed}.safetensors",
                sha256="0" * 64,
                shift=3.0,
                factor=1 / 255,
                each=False,
            )
            for seed in range(members)
        ],
        recipe=plan.model_dump(mode="json", exclude_defaults=True),
        preprocessing=Preprocessing(image_size=size, channels=1, bits=8, intensity="unit"),
        classes=["no", "yes"],
        threshold=Cut(rule="0.5", chosen=False, probability=0.5, logit=0.0),
        calibration=Calibration(temperature=2.0, cases=1),
        likeness=None,
        data_hash="made",
        cases=[],
        metrics={},
        remarks=[],
        source=None,
        environment={},
    )
    models = tuple(build_model(plan, seed, _shaped(document)).eval() for seed in range(members))
    return Predictor(document=document, recipe=plan, models=models)
