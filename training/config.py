"""Everything that decides what a training run yields, flat and frozen; it is logged with the run."""

from dataclasses import asdict, dataclass
from pathlib import Path

from inference.bundle import InputSpec


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """One training run. Sizes are in pixels; `weights` is a local safetensors file, or None for torchvision's download.

    Every training image is used as it is, and `augmented_share` of them once more in an augmented variation. Of the trunk's
    convolutions the first stay in floating point, as few as it takes of `float_convolutions`: on paper of one colour the
    rounding of their weights does not average out.
    """

    data: Path
    weights: Path | None = None
    labels: tuple[str, ...] = ("handwritten", "printed")
    height: int = 256
    width: int = 1024
    seed: int = 20261123

    augmented_share: float = 1.0
    batch_images: int = 32
    processes: int = 2

    weight_decays: tuple[float, ...] = (0.0001, 0.001, 0.01, 0.1)
    max_iterations: int = 200

    target_error: float = 0.005
    calibration_images: int = 128
    float_convolutions: tuple[int, ...] = (3, 6, 9)

    @property
    def input_spec(self) -> InputSpec:
        """What the exported graph takes."""
        return InputSpec(height=self.height, width=self.width)

    def parameters(self) -> dict[str, str]:
        """Every field as text, without the folders of this machine: `data` and `weights` keep their last name only."""
        fields = asdict(self) | {"data": self.data.name, "weights": self.weights.name if self.weights else "torchvision"}
        return {name: str(value) for name, value in fields.items()}
