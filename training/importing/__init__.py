"""From a source of labelled images to a data set on disk, as `training.data` reads it.

`rows` says what a source gives, `hub`, `catmus`, `corto` and `folder` are the sources, `check` tells good rows from bad ones,
`parts` keeps what was read so that an import goes on where it was interrupted, `plan` gives each row its split and finds what
would leak, `publish` writes the data set, `run` puts them together, `report` says what came out.
"""
