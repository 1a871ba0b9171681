"""How well the pipeline recognises, and for whom: measures after ISO/IEC 19795 with their uncertainty, the evaluations
that feed them, and the certificate that binds a deployment to what was measured.

The measures are pure: arrays in, values out. What a sample cannot carry is an answer of its own, `NotMeasurable`, which
prints as `not measurable here: ...`; input that makes no sense raises `CannotMeasure`.
"""
