"""From labelled images to a candidate model: imported, trained, exported, proved, measured and logged.

`importing` and `data_cli` make data sets that leak nothing, `data` reads them, `audit` and `review` look for wrong labels.
`config` says what a run is to do; `images`, `augment` and `sampling` feed it, `model` holds the network, `features` runs its
trunk, `transfer` and `finetune` say what learns, `fit` is the one loop, `run` and `train` put it together, `cross_validation`
leaves sources out. `export`, `gates`, `calibration`, `envelope`, `golden`, `evaluate` and `metrics` make and measure the bundle
that `assemble` writes; `tracking`, `record`, `plots` and `contact_sheet` log it all to MLflow.
"""
