"""Everything that decides what a training run yields, flat and frozen; it is logged with the run.

What stands beside a type is the help of its option on the command line, and the limits of its value where it has some; a field
without has no option.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_type_hints

from training.errors import WrongSetting

if TYPE_CHECKING:
    from inference.bundle import InputSpec

Strategy = Literal["transfer", "finetune"]
Optimiser = Literal["adam", "adamw"]
Precision = Literal["no", "bf16", "fp16"]
_STRIP = 256

FOLDER = "folder"
"""Beside a path: it is that of a folder."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a number may be: at least `least`, or above it, and at most `most`."""

    least: float = 0
    most: float | None = None
    above: bool = False

    def allow(self, value: float) -> bool:
        """Whether the value is within them; what is no number is not."""
        enough = value > self.least if self.above else value >= self.least
        return enough and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        floor = f"{'more than' if self.above else 'at least'} {self.least:g}"
        return floor if self.most is None else f"{floor} and at most {self.most:g}"


_PIXELS = Limits(32, 4096)  # those of a bundle's input
_NONE_OR_MORE = Limits(0)
_ONE_OR_MORE = Limits(1)
_SHARE = Limits(0, 1)
_SHARE_ABOVE_ZERO = Limits(0, 1, above=True)


_NOT_LEARNT = {
    "data",
    "weights",
    "processes",
    "golden",
    "typewritten",
    "target_error",
    "familiar_images",
    "calibration_images",
    "float_convolutions",
}


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """One training run. Sizes are in pixels; `weights` is a local safetensors file, or None for torchvision's download.

    Raises `WrongSetting` for a number beyond its limits.

    `transfer` trains a head on pooled features of the frozen trunk: those of every training image as it is, and of `views`
    augmented variations of it. `finetune` trains the head and the last `tuned_blocks` of the trunk's 19 blocks on
    augmented images, the learning rate falling by `block_decay` from each block to the one before it. It sees strips of
    `crop_width` pixels: pooling makes the network indifferent to the width, and a strip costs as much less as it is narrower.

    An epoch is `epoch_images` images, or as many as there are. The learning rate falls by `plateau_factor` when the
    validation loss has not improved for `plateau_patience` epochs, and the run ends after `stop_patience` such epochs.

    Of the trunk's convolutions the first stay in floating point in the 8-bit graph, as few as it takes of
    `float_convolutions`: on paper of one colour the rounding of their weights does not average out.
    """

    data: Path
    labels: tuple[str, ...] = ("handwritten", "printed")
    weights: Annotated[Path | None, "safetensors file with ImageNet weights; by default torchvision's download"] = None
    typewritten: Annotated[
        Path | None, "data set of typewritten lines, and of others that were made alike, to tell them by", FOLDER
    ] = None
    height: Annotated[int, "input height in pixels", _PIXELS] = 256
    width: Annotated[int, "input width in pixels", _PIXELS] = 1024
    seed: Annotated[int, "seed of everything that is drawn", _NONE_OR_MORE] = 20261124

    strategy: Annotated[Strategy, "a new head on the frozen trunk, or the trunk's last blocks too"] = "transfer"
    subset: Annotated[float, "share of the training images, by whole documents", _SHARE_ABOVE_ZERO] = 1.0
    balanced: Annotated[bool, "draw each class alike, and small sources more often"] = True
    augmentation: Annotated[float, "how often images are varied, as a share of how often the steps ask for it", _SHARE] = 1.0
    views: Annotated[int, "augmented variations of each image (transfer)", _NONE_OR_MORE] = 1
    tuned_blocks: Annotated[int, "blocks of the trunk that are tuned, of 19 (finetune)", Limits(0, 19)] = 12
    block_decay: Annotated[float, "learning rate of a block, as a share of the next one's (finetune)", _SHARE_ABOVE_ZERO] = 0.85
    crop_width: Annotated[int, "width of the strips that are seen, in pixels (finetune)", _PIXELS] = _STRIP

    epochs: Annotated[int, "epochs at most", _ONE_OR_MORE] = 40
    epoch_images: Annotated[int | None, "images of one epoch; by default as many as there are", _ONE_OR_MORE] = None
    batch_images: Annotated[int, "images of one step", _ONE_OR_MORE] = 32
    optimiser: Annotated[Optimiser, "Adam, or AdamW with decoupled weight decay"] = "adamw"
    learning_rate: Annotated[
        float, "learning rate of the trunk's last block, or of the only layer that learns", _SHARE_ABOVE_ZERO
    ] = 5e-4
    weight_decay: Annotated[float, "weight decay", _SHARE] = 0.01
    label_smoothing: Annotated[float, "share of the truth that goes to the other classes", Limits(0, 0.5)] = 0.0
    plateau_factor: Annotated[float, "what the learning rate is multiplied by on a plateau", Limits(0.001, 0.999)] = 0.3
    plateau_patience: Annotated[int, "epochs without a lower validation loss before the learning rate falls", _NONE_OR_MORE] = 1
    stop_patience: Annotated[int, "epochs without a lower validation loss before the run ends", _ONE_OR_MORE] = 5

    precision: Annotated[Precision, "mixed precision"] = "bf16"
    processes: Annotated[int, "processes that decode and classify; 0 decodes in this one", _NONE_OR_MORE] = 2

    target_error: Annotated[float, "share of errors aimed at among what is not reviewed", _SHARE_ABOVE_ZERO] = 0.005
    golden: Annotated[Path | None, "image that the bundle proves itself on; by default one of validation"] = None
    familiar_images: int = 2000
    calibration_images: int = 128
    float_convolutions: tuple[int, ...] = (3, 6, 9)

    def __post_init__(self) -> None:
        for name, limits in _LIMITS.items():
            value = getattr(self, name)
            if value is not None and not limits.allow(value):
                raise WrongSetting(f"{_option(name)} is {value:g}; it must be {limits}.")
        if self.crop_width > max(self.width, _STRIP):  # the strip of a narrow input may be as wide as it is by default
            raise WrongSetting(f"--crop-width is {self.crop_width}; the input is only {self.width} pixels wide.")

    @property
    def input_spec(self) -> "InputSpec":
        """What the exported graph takes."""
        from inference.bundle import InputSpec  # with pydantic, which the command line does without

        return InputSpec(height=self.height, width=self.width)

    def learning(self) -> dict[str, str]:
        """The fields that decide what is learnt, as text: without those that say how it is run, measured or exported."""
        return {name: value for name, value in self.parameters().items() if name not in _NOT_LEARNT}

    def parameters(self) -> dict[str, str]:
        """Every field as text, without the folders of this machine: of a path the last name is kept."""
        fields = asdict(self) | {
            "data": self.data.name,
            "weights": self.weights.name if self.weights else "torchvision",
            "golden": self.golden.name if self.golden else "validation",
            "typewritten": self.typewritten.name if self.typewritten else "those of the data set",
        }
        return {name: str(value) for name, value in fields.items()}


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _limits_of(annotation: Any) -> list[Limits]:
    return [said for said in get_args(annotation)[1:] if isinstance(said, Limits)]


_LIMITS = {
    name: limits
    for name, annotation in get_type_hints(TrainingConfig, include_extras=True).items()
    for limits in _limits_of(annotation)
}
