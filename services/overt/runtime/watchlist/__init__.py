"""The watchlist on its way from photographs to the matchers.

`enrolment` makes templates, with a `journal` for an interruption; `file` is the sealed result. `changes` go to running
matchers over the bus and `replicas` tell who has applied them; each matcher has its view (`following`) and its
`gallery`; `removed` keeps quiet of whom was taken off.
"""
