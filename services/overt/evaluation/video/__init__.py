"""`overt evaluate video`: the whole pipeline on walk-pasts of labelled people, and what became of each pass.

    overt evaluate video PHOTOS --out out/video                        # composed walk-pasts, PHOTOS/<person>/*.jpg
    overt evaluate video PHOTOS --detector yunet-s --embedder mobilefacenet-192 --listed 40 --unlisted 100
    overt evaluate video walk.mp4 --labels who.csv --watchlist people/ # a recording whose passes are labelled

From Python, one call makes all records, and others measure: `runs.evaluate_composed(plan, settings, folder)` and
`measures.summarise(...)`. Nothing of the pipeline is replaced: frames go from a reader to alerts through the service,
workers and stages that `overt run` starts. Beside it a further group of consumers (`tap`) reads what travels, and the
embedding model remembers what it made, so that each pass can be scored by other rules too (`rules`): one crop only,
confirmations, fusion. Vectors stay in memory and are forgotten with their segment; numbers are kept.
"""
