"""Write a bundle's manifest for the files that lie in its folder."""

import json
from pathlib import Path

from inference.bundle import MANIFEST_NAME, Bundle, Manifest, file_sha256, load_bundle

FULL = "model.onnx"
QUANTIZED = "model.int8.onnx"


def write_manifest(directory: Path, manifest: Manifest) -> Bundle:
    """Write `bundle.json` for the graphs in `directory` and the golden sample that `manifest` names, with their checksums, and
    read the bundle back.
    """
    named = [FULL, QUANTIZED, *([manifest.golden.file] if manifest.golden else [])]
    files = {name: file_sha256(directory / name) for name in named if (directory / name).is_file()}
    text = json.dumps(manifest.model_copy(update={"files": files}).model_dump(mode="json"), indent=2, ensure_ascii=False)
    (directory / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")
    return load_bundle(directory)
