"""From a data set of labelled images to a candidate model: a new linear head on MobileNetV2, exported, measured and logged.

`data` reads and checks the data set, `augment` varies a page, `model` holds the network, `features` runs its trunk once over
every image, `fit` trains the head, `metrics` and `calibration` judge it, `export` writes the ONNX graphs, `gates` lets them
pass, `evaluate` measures them through `inference`, `assemble` makes the bundle.
"""
