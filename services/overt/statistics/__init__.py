"""What the cameras of a site saw, counted in windows, and the guard that pauses a site with too many false alerts.

`facts`, `tally` and `guard` are values in, values out; the modules that
begin with `faust` alone know it.
"""
