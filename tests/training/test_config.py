"""What a configuration refuses, and that the command line has an option for each of its fields that has a help text."""

from pathlib import Path
from typing import Any

import pytest

from training.config import TrainingConfig
from training.errors import WrongSetting


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"subset": 0.0}, "--subset is 0; it must be more than 0 and at most 1."),
        ({"subset": 2.0}, "--subset is 2; it must be more than 0 and at most 1."),
        ({"height": 30}, "--height is 30; it must be at least 32 and at most 4096."),
        ({"width": 5000}, "--width is 5000; it must be at least 32 and at most 4096."),
        ({"crop_width": 5000}, "--crop-width is 5000; it must be at least 32 and at most 4096."),
        ({"crop_width": 512, "width": 300}, "--crop-width is 512; the input is only 300 pixels wide."),
        ({"epochs": 0}, "--epochs is 0; it must be at least 1."),
        ({"epoch_images": 0}, "--epoch-images is 0; it must be at least 1."),
        ({"tuned_blocks": 99}, "--tuned-blocks is 99; it must be at least 0 and at most 19."),
        ({"learning_rate": -1.0}, "--learning-rate is -1; it must be more than 0 and at most 1."),
        ({"learning_rate": float("nan")}, "--learning-rate is nan; it must be more than 0 and at most 1."),
        ({"processes": -1}, "--processes is -1; it must be at least 0."),
    ],
)
def test_a_number_beyond_its_limits_is_one_sentence(setting: dict[str, Any], sentence: str) -> None:
    with pytest.raises(WrongSetting) as refused:
        TrainingConfig(data=Path("lines"), **setting)
    assert str(refused.value) == sentence


def test_the_default_strip_suits_a_narrow_input() -> None:
    assert TrainingConfig(data=Path("lines"), width=64).crop_width > 64
