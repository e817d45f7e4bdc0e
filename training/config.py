"""Everything that decides what a training run yields, flat and frozen; it is logged with the run.

What stands beside a type is the help of its option on the command line; a field without it has none.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

if TYPE_CHECKING:
    from inference.bundle import InputSpec

Strategy = Literal["transfer", "finetune"]
Optimiser = Literal["adam", "adamw"]
Precision = Literal["no", "bf16", "fp16"]


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """One training run. Sizes are in pixels; `weights` is a local safetensors file, or None for torchvision's download.

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
    height: Annotated[int, "input height in pixels"] = 256
    width: Annotated[int, "input width in pixels"] = 1024
    seed: Annotated[int, "seed of everything that is drawn"] = 20261124

    strategy: Annotated[Strategy, "a new head on the frozen trunk, or the trunk's last blocks too"] = "transfer"
    subset: Annotated[float, "share of the training images, by whole documents"] = 1.0
    balanced: Annotated[bool, "draw each class alike, and small sources more often"] = True
    views: Annotated[int, "augmented variations of each image (transfer)"] = 1
    tuned_blocks: Annotated[int, "blocks of the trunk that are tuned, of 19 (finetune)"] = 12
    block_decay: Annotated[float, "learning rate of a block, as a share of the next one's (finetune)"] = 0.85
    crop_width: Annotated[int, "width of the strips that are seen, in pixels (finetune)"] = 256

    epochs: Annotated[int, "epochs at most"] = 40
    epoch_images: Annotated[int | None, "images of one epoch; by default as many as there are"] = None
    batch_images: Annotated[int, "images of one step"] = 32
    optimiser: Annotated[Optimiser, "Adam, or AdamW with decoupled weight decay"] = "adamw"
    learning_rate: Annotated[float, "learning rate of the trunk's last block, or of the only layer that learns"] = 5e-4
    weight_decay: Annotated[float, "weight decay"] = 0.01
    label_smoothing: Annotated[float, "share of the truth that goes to the other classes"] = 0.0
    plateau_factor: Annotated[float, "what the learning rate is multiplied by on a plateau"] = 0.3
    plateau_patience: Annotated[int, "epochs without a lower validation loss before the learning rate falls"] = 1
    stop_patience: Annotated[int, "epochs without a lower validation loss before the run ends"] = 5

    precision: Annotated[Precision, "mixed precision"] = "bf16"
    processes: Annotated[int, "processes that decode and classify"] = 2

    target_error: Annotated[float, "share of errors aimed at among what is not reviewed"] = 0.005
    golden: Annotated[Path | None, "image that the bundle proves itself on; by default one of validation"] = None
    familiar_images: int = 2000
    calibration_images: int = 128
    float_convolutions: tuple[int, ...] = (3, 6, 9)

    @property
    def input_spec(self) -> "InputSpec":
        """What the exported graph takes."""
        from inference.bundle import InputSpec  # with pydantic, which the command line does without

        return InputSpec(height=self.height, width=self.width)

    def parameters(self) -> dict[str, str]:
        """Every field as text, without the folders of this machine: of a path the last name is kept."""
        fields = asdict(self) | {
            "data": self.data.name,
            "weights": self.weights.name if self.weights else "torchvision",
            "golden": self.golden.name if self.golden else "validation",
        }
        return {name: str(value) for name, value in fields.items()}
