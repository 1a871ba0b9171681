"""Which decoder reads which model's outputs."""

from __future__ import annotations

from overt.detector.centerface import CenterFace
from overt.detector.detections import Detector, Infer
from overt.detector.yunet import YuNet
from overt.models.card import DetectorCard


def make_detector(card: DetectorCard, infer: Infer) -> Detector:
    """The detector of a card; `infer` is the `run` of its session."""
    return CenterFace(card, infer) if card.decoder == "centerface" else YuNet(card, infer)
