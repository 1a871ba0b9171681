"""What the networks of the ArcFace kind have in common: a chip of 112 px and the places of five landmarks in it.

Deng et al., "ArcFace" (2019); the numbers are those that its authors publish with InsightFace. SFace, AuraFace's
recognition network and many an operator's own were trained on such chips.
"""

from __future__ import annotations

from overt.models.card import Alignment

ARCFACE = Alignment(
    chip_px=112,
    points_xy=(
        (38.2946, 51.6963),
        (73.5318, 51.5014),
        (56.0252, 71.7366),
        (41.5493, 92.3655),
        (70.7299, 92.2041),
    ),
    source="The template of ArcFace (Deng et al. 2019), as its authors publish it with InsightFace.",
)
