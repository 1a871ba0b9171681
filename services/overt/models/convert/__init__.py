"""Converters: the bytes of an original model file become the bytes of an ONNX file, the same on every machine.

The only place that imports `onnx`, and only while a model is obtained: nothing of it is loaded to run one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from overt.models.convert import centerface, dlib_resnet, mobilefacenet

CONVERTERS: Mapping[str, Callable[[bytes], bytes]] = {
    "centerface_dynamic": centerface.convert,
    "dlib_resnet_v1": dlib_resnet.convert,
    "mobilefacenet_192": mobilefacenet.convert,
}
"""By the name that a card gives. Each raises ValueError when the input is not the file that it knows."""
