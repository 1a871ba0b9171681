"""From a deployment's cameras to what the camera service is told about each."""

from __future__ import annotations

from overt.frame.source import CameraError
from overt.governance.cameras import Camera
from overt.governance.deployment import Deployment
from overt.runtime.frame.rules import CameraPlan


def plans_of(deployment: Deployment) -> list[CameraPlan]:
    """The plans of all cameras. Raises CameraError where the file that holds a source cannot be used."""
    return [
        CameraPlan(
            camera.camera_id,
            _source(camera),
            camera.partition,
            camera.zone.polygon,
            fps=camera.max_fps,
            started_at_us=deployment.started_at_us(camera.camera_id),
            loop=camera.loop,
        )
        for camera in deployment.cameras
    ]


def _source(camera: Camera) -> str:
    try:
        return camera.resolve_source()
    except OSError as error:
        why = f"{camera.source_file}: cannot be read ({error.strerror}); it should hold the camera's source"
        raise CameraError(f"camera {camera.camera_id}: {why}") from error
    except UnicodeDecodeError:
        why = f"{camera.source_file}: is not UTF-8 text; it should hold the camera's source"
        raise CameraError(f"camera {camera.camera_id}: {why}") from None  # the error would show what the file holds
    except ValueError as error:
        raise CameraError(str(error)) from None
