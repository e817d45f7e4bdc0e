"""From bytes to verdicts: pure steps without network, database or settings, shared by API, worker, command line and training.

`images` opens a file and decodes its pages, `pixels` makes them 8-bit RGB, `preprocess` brings them to the size that a
model takes, `decoder` does so in a process of its own, `bundle` describes a model on disk, `classifier` runs it, `look`
measures a page, `dissent` asks whether its parts agree, `review` says why a person should look at it, `cam` packs and draws
class activation maps.
"""
