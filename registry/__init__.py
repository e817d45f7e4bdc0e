"""A model's way to production, and the model that is there now. Only this package and `training` speak MLflow.

`catalog` keeps versions, `promotion` says which is `prod`, `current` holds that one in a process, `cache` keeps bundles on
disk, `bootstrap` gives a fresh installation the model in `starter`.
"""
