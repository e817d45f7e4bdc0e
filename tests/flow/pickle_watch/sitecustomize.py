"""Python loads this first where its folder is on PYTHONPATH: from then on every pickle that is written or read in this process
is noted in the file PICKLES_NOTED_IN, with the stack, unless `ALLOWED` has who asked for it. Children do the same.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import pickle
import sys
import traceback
from collections.abc import Callable, Sequence
from types import FrameType, ModuleType
from typing import Any

ALLOWED = {
    "multiprocessing.connection": "what our own processes send each other through pipes",
    "multiprocessing.queues": "the same",
    "multiprocessing.reduction": "the same",
    "multiprocessing.spawn": "what a process of our own is started with",
    "datasets.utils._dill": "a fingerprint of a table's transformation, in memory: only its hash is kept",
}
"""Modules that neither read a file nor write one."""

# What reads or writes pickles without the functions of `pickle`.
_OTHERS = {
    "torch.serialization": ("save", "load"),
    "joblib.numpy_pickle": ("dump", "load"),
    "cloudpickle.cloudpickle": ("dumps",),
}
_INSIDE = {__name__, "pickle", "_pickle", "dill._dill", "dill.dill"}


def watch() -> None:
    """Put the wrappers in place."""
    for name in ("dump", "dumps", "load", "loads"):
        setattr(pickle, name, _noted(f"pickle.{name}", getattr(pickle, name)))
    for name in ("Pickler", "Unpickler", "_Pickler", "_Unpickler"):
        setattr(pickle, name, _noted_class(getattr(pickle, name)))
    sys.addaudithook(lambda event, arguments: _note(event) if event == "pickle.find_class" else None)
    sys.meta_path.insert(0, _Wrapping())


def _note(what: str) -> None:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") in _INSIDE:
        frame = frame.f_back
    if frame is None or frame.f_globals.get("__name__") in ALLOWED:
        return
    with open(os.environ["PICKLES_NOTED_IN"], "a") as file:
        file.write(f"{what}\n{''.join(traceback.format_stack(frame))}\n")


def _noted(what: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def noting(*arguments: Any, **options: Any) -> Any:
        _note(what)
        return function(*arguments, **options)

    return noting


def _noted_class(wrapped: Any) -> Any:
    class Noting(wrapped):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            _note(f"pickle.{wrapped.__name__}")
            super().__init__(*arguments, **options)

    return Noting


class _Wrapping(importlib.abc.MetaPathFinder):
    """Wraps the functions of `_OTHERS` as soon as their module is imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in _OTHERS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            for name in _OTHERS[fullname]:
                setattr(module, name, _noted(f"{fullname}.{name}", getattr(module, name)))

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


watch()
