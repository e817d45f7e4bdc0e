"""Train a candidate model: `python -m training --data FOLDER --out FOLDER`, and log, register or promote it if asked to."""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from inference.bundle import Bundle
from registry.catalog import Catalog, flat_metrics
from registry.promotion import promote
from training.assemble import assemble
from training.config import TrainingConfig
from training.data import DataSet, Sample, draw, read_data_set
from training.evaluate import targets_of
from training.features import pooled_features
from training.fit import Head, Labelled, fit_head, join
from training.model import ServingModel, load_imagenet_network
from training.progress import Stage, progress_bars


def main() -> None:
    """Read the data, compute the features, train the head, make the bundle, log it."""
    arguments = parse_arguments()
    config = TrainingConfig(
        data=arguments.data,
        weights=arguments.weights,
        seed=arguments.seed,
        height=arguments.height,
        width=arguments.width,
        augmented_share=arguments.augmented_share,
        processes=arguments.processes,
    )
    data_set = read_data_set(config.data, config.labels)
    model = ServingModel(load_imagenet_network(config.weights), len(config.labels))
    with progress_bars() as stage:
        head = train_head(model, data_set, config, cache=arguments.cache or arguments.out / "features", stage=stage)
        model.set_head(head.weight, head.bias)
        bundle = assemble(model, data_set, config, arguments.out / arguments.name, notes=describe(head, config), stage=stage)
    report(bundle)
    if arguments.tracking_uri:
        log(bundle, config, arguments)


def train_head(model: ServingModel, data_set: DataSet, config: TrainingConfig, *, cache: Path, stage: Stage) -> Head:
    """A head for the frozen trunk of `model`, from the plain and the augmented training images."""

    def labelled(description: str, samples: Sequence[Sample], *, augmented: bool = False) -> Labelled:
        advance = stage(f"features, {description}", len(samples))
        features = pooled_features(model, samples, config, augmented=augmented, cache=cache, advance=advance)
        return Labelled(features, targets_of(samples))

    validation = labelled("validation", data_set["validation"])
    plain = labelled("training", data_set["train"])
    drawn = draw(data_set["train"], round(config.augmented_share * len(data_set["train"])), config.seed)
    parts = [plain, labelled("training, augmented", drawn, augmented=True)] if drawn else [plain]
    return fit_head(join(parts), validation, config)


def describe(head: Head, config: TrainingConfig) -> dict[str, Any]:
    """What the bundle notes of its training."""
    return {
        "architecture": "MobileNetV2, ImageNet features, linear head",
        "parameters": config.parameters(),
        "weight_decay": head.weight_decay,
        "head_loss": {"train": head.train_loss, "validation": head.validation_loss},
        "versions": {package: version(package) for package in ("torch", "torchvision", "onnx", "onnxruntime")},
    }


def report(bundle: Bundle) -> None:
    """Say what was made."""
    manifest = bundle.manifest
    for split, metrics in manifest.metrics.items():
        sys.stdout.write(
            f"{split}: accuracy {metrics['accuracy']:.4f}, calibration error {metrics['expected_calibration_error']:.4f}\n"
        )
    objection = manifest.notes["quantized_left_out_because"]
    sys.stdout.write(f"{bundle.directory} serves {manifest.serve}{f': {objection}' if objection else ''}\n")


def log(bundle: Bundle, config: TrainingConfig, arguments: argparse.Namespace) -> None:
    """Log the run to MLflow, and make it a version or the one in production if that was asked for."""
    catalog, manifest = Catalog(arguments.tracking_uri), bundle.manifest
    run_id = catalog.log_run(
        bundle.directory, name=manifest.name, parameters=config.parameters(), metrics=flat_metrics(manifest)
    )
    sys.stdout.write(f"run {run_id}\n")
    if arguments.register or arguments.promote:
        number = catalog.register(run_id, bundle.directory, tags={"origin": "training"}).number
        sys.stdout.write(f"version {number}\n")
        if arguments.promote:
            promote(catalog, number)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    defaults = TrainingConfig(data=Path())
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data set: split/label folders and metadata.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder for the bundle and the cached features")
    parser.add_argument("--name", default="starter", help="name of the bundle, and of its folder in --out")
    parser.add_argument("--weights", type=Path, help="safetensors file with ImageNet weights; default: torchvision's download")
    parser.add_argument("--cache", type=Path, help="folder for the cached features; default: features in --out")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--height", type=int, default=defaults.height, help="input height in pixels")
    parser.add_argument("--width", type=int, default=defaults.width, help="input width in pixels")
    parser.add_argument(
        "--augmented-share", type=float, default=defaults.augmented_share, help="share of the images varied too"
    )
    parser.add_argument("--processes", type=int, default=defaults.processes, help="processes that decode and classify")
    parser.add_argument("--tracking-uri", help="MLflow's tracking and registry URI; unset: nothing is logged")
    parser.add_argument("--register", action="store_true", help="make the run a version of the registered model")
    parser.add_argument("--promote", action="store_true", help="register it and put it into production")
    return parser.parse_args()


if __name__ == "__main__":
    main()
