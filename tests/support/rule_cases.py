"""Moments in the life of some series, and how often an alert fires there, for tests/unit/test_prometheus_rules.py.

Series are in promtool's notation: one value every 10 s from the start of time, `0+2x400` is 0, 2, 4 and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DAY_S = 86_400
OPEN = {
    "overt_deployment_start_timestamp_seconds": "0x400",
    "overt_deployment_end_timestamp_seconds": f"{DAY_S}x400",
}
OVER = {"overt_deployment_start_timestamp_seconds": "0x400", "overt_deployment_end_timestamp_seconds": "20x400"}
MATCHER = {'overt_ready{service="matcher",instance="m1"}': "1x400"}
ALL_READY = {
    f'overt_ready{{service="{service}"}}': "1x400"
    for service in ("frame", "detector", "embedder", "matcher", "alerter")
}
READ = {'overt_frames_read_total{camera="c1"}': "0+100x400"}


def histogram(name: str, labels: str, quick: str, slow: str) -> dict[str, str]:
    """Counts up to 0.5 s and up to 3 s."""
    return {
        f'{name}{{le="0.5",{labels}}}': quick,
        f'{name}{{le="3",{labels}}}': slow,
        f'{name}{{le="+Inf",{labels}}}': slow,
    }


@dataclass(frozen=True, slots=True)
class Case:
    """A moment in the life of some series, and how often an alert fires there."""

    alert: str
    at_s: int
    fires: int
    series: Mapping[str, str]


CASES = [
    # Deployment and hosts
    Case("OvertWindowEnding", 60, 1, {"overt_deployment_end_timestamp_seconds": "900x400"}),
    Case("OvertWindowEnding", 60, 0, {"overt_deployment_end_timestamp_seconds": "1000x400"}),
    Case("OvertWindowEnding", 1000, 0, {"overt_deployment_end_timestamp_seconds": "900x400"}),
    Case("OvertCapturingOutsideWindow", 70, 1, {**OVER, 'overt_camera_up{camera="c1"}': "1x400"}),
    Case("OvertCapturingOutsideWindow", 30, 0, {**OVER, 'overt_camera_up{camera="c1"}': "1x400"}),
    Case("OvertCapturingOutsideWindow", 90, 0, {**OPEN, 'overt_camera_up{camera="c1"}': "1x400"}),
    Case(
        "OvertDiskLow",
        180,
        1,
        {'overt_disk_free_bytes{place="keyring"}': "9x400", 'overt_disk_size_bytes{place="keyring"}': "100x400"},
    ),
    Case(
        "OvertDiskLow",
        180,
        0,
        {'overt_disk_free_bytes{place="keyring"}': "11x400", 'overt_disk_size_bytes{place="keyring"}': "100x400"},
    ),
    Case("OvertDiskFilling", 3600, 1, {'overt_disk_free_bytes{place="broker"}': "1000-1x400"}),
    Case("OvertDiskFilling", 3600, 0, {'overt_disk_free_bytes{place="broker"}': "100000-1x400"}),
    Case("OvertRestarting", 300, 1, {'process_start_time_seconds{job="overt",part="matcher"}': "1x5 2x5 3x5 4x400"}),
    Case("OvertRestarting", 300, 0, {'process_start_time_seconds{job="overt",part="matcher"}': "1x5 2x400"}),
    Case(
        "OvertFilesRunningOut",
        180,
        1,
        {'process_open_fds{job="overt"}': "90x400", 'process_max_fds{job="overt"}': "100x400"},
    ),
    Case(
        "OvertFilesRunningOut",
        180,
        0,
        {'process_open_fds{job="overt"}': "70x400", 'process_max_fds{job="overt"}': "100x400"},
    ),
    # Cameras
    Case("OvertCameraDown", 60, 1, {**OPEN, 'overt_camera_up{camera="c1"}': "0x400"}),
    Case("OvertCameraDown", 20, 0, {**OPEN, 'overt_camera_up{camera="c1"}': "0x400"}),
    Case("OvertCameraDown", 90, 0, {**OVER, 'overt_camera_up{camera="c1"}': "0x400"}),
    Case(
        "OvertCameraDown",
        90,
        0,
        {**OPEN, 'overt_camera_up{camera="c1"}': "0x400", 'overt_guard_paused{service="frame"}': "1x400"},
    ),
    Case(
        "OvertCameraDown",
        60,
        0,
        {
            **OPEN,
            'overt_camera_up{camera="c1",instance="a"}': "0x400",
            'overt_camera_up{camera="c1",instance="b"}': "1x400",
        },
    ),
    Case("OvertCameraFrozen", 60, 1, {'overt_camera_frozen{camera="c1"}': "1x400"}),
    Case("OvertCameraFrozen", 60, 0, {'overt_camera_frozen{camera="c1"}': "0x400"}),
    Case(
        "OvertNoFrames",
        180,
        1,
        {'overt_frames_read_total{camera="c1"}': "70x400", 'overt_camera_up{camera="c1"}': "1x400"},
    ),
    Case("OvertNoFrames", 180, 0, {**READ, 'overt_camera_up{camera="c1"}': "1x400"}),
    Case(
        "OvertNoFrames",
        180,
        0,
        {'overt_frames_read_total{camera="c1"}': "70x400", 'overt_camera_up{camera="c1"}': "0x400"},
    ),
    Case("OvertCameraFlapping", 600, 1, {'overt_camera_reconnects_total{camera="c1"}': "0+1x10 10x400"}),
    Case("OvertCameraFlapping", 600, 0, {'overt_camera_reconnects_total{camera="c1"}': "0x10 1x400"}),
    Case("OvertCameraFaults", 600, 1, {'overt_camera_faults_total{camera="c1",reason="undecodable"}': "0+2x400"}),
    Case("OvertCameraFaults", 600, 0, {'overt_camera_faults_total{camera="c1",reason="undecodable"}': "0x10 3x400"}),
    Case("OvertClockSkew", 180, 1, {'overt_clock_skew_seconds{camera="c1"}': "-1.5x400"}),
    Case("OvertClockSkew", 180, 0, {'overt_clock_skew_seconds{camera="c1"}': "0.2x400"}),
    # Pipeline
    Case("OvertServiceDown", 60, 1, {'up{job="overt",part="matcher"}': "0x400"}),
    Case("OvertServiceDown", 60, 0, {'up{job="overt",part="matcher"}': "1x400"}),
    Case("OvertServiceMissing", 90, 1, {k: v for k, v in ALL_READY.items() if "embedder" not in k}),
    Case("OvertServiceMissing", 90, 0, ALL_READY),
    Case("OvertServiceNotReady", 90, 1, {**OPEN, 'overt_ready{service="matcher"}': "0x400"}),
    Case("OvertServiceNotReady", 90, 0, {**OPEN, 'overt_ready{service="matcher",instance="a"}': "0x400", **MATCHER}),
    Case("OvertBusAway", 120, 1, {'overt_unavailable_total{service="matcher"}': "0+1x400"}),
    Case("OvertBusAway", 120, 0, {'overt_unavailable_total{service="matcher"}': "0x400"}),
    Case(
        "OvertLagGrowing", 400, 1, {'overt_consumer_lag{service="detector",topic="frames",partition="0"}': "0+10x400"}
    ),
    Case(
        "OvertLagGrowing", 400, 0, {'overt_consumer_lag{service="detector",topic="frames",partition="0"}': "900-10x400"}
    ),
    Case(
        "OvertLagGrowing",
        400,
        0,
        {'overt_consumer_lag{service="detector",topic="frames",partition="0"}': "0 7 3 9 4x400"},
    ),
    Case("OvertSlowAlerts", 300, 1, histogram("overt_capture_to_alert_seconds_bucket", "", "0x400", "0+1x400")),
    Case("OvertSlowAlerts", 300, 0, histogram("overt_capture_to_alert_seconds_bucket", "", "0+1x400", "0+1x400")),
    Case("OvertSlowAlerts", 300, 0, histogram("overt_capture_to_alert_seconds_bucket", "", "5x400", "9x400")),
    Case(
        "OvertSlowStage",
        900,
        1,
        histogram("overt_capture_to_stage_seconds_bucket", 'service="matcher"', "0x400", "0+1x400"),
    ),
    Case(
        "OvertSlowStage",
        900,
        0,
        histogram("overt_capture_to_stage_seconds_bucket", 'service="matcher"', "0+1x400", "0+1x400"),
    ),
    Case("OvertShedding", 300, 1, {**READ, 'overt_frames_shed_total{camera="c1"}': "0+9x400"}),
    Case("OvertShedding", 300, 0, {**READ, 'overt_frames_shed_total{camera="c1"}': "0+1x400"}),
    Case("OvertDropping", 900, 1, {**READ, 'overt_frames_dropped_total{camera="c1",reason="late"}': "0+40x400"}),
    Case("OvertDropping", 900, 0, {**READ, 'overt_frames_dropped_total{camera="c1",reason="late"}': "0+10x400"}),
    Case("OvertWebhookWaiting", 60, 1, {"overt_webhook_waiting_seconds": "130x400"}),
    Case("OvertWebhookWaiting", 60, 0, {"overt_webhook_waiting_seconds": "110x400"}),
    Case("OvertBusAway", 180, 0, {'overt_unavailable_total{service="webhook"}': "0+1x400"}),
    Case("OvertDeadLetters", 120, 1, {'overt_rejects_total{service="matcher",reason="bad_vector"}': "0x5 1x400"}),
    Case("OvertDeadLetters", 120, 0, {'overt_rejects_total{service="matcher",reason="bad_vector"}': "0x400"}),
    Case("OvertDeadLetters", 120, 0, {'overt_rejects_total{service="alerter",reason="entry_removed"}': "0x5 1x400"}),
    Case(
        "OvertPartitionPaused",
        30,
        1,
        {'overt_partition_paused{service="detector",topic="frames",partition="0"}': "1x400"},
    ),
    Case(
        "OvertPartitionPaused",
        30,
        0,
        {'overt_partition_paused{service="detector",topic="frames",partition="0"}': "0x400"},
    ),
    # Recognition
    Case("OvertGalleryEmpty", 90, 1, {**OPEN, **MATCHER, 'overt_gallery_entries{instance="m1"}': "0x400"}),
    Case("OvertGalleryEmpty", 90, 0, {**OPEN, **MATCHER, 'overt_gallery_entries{instance="d1"}': "0x400"}),
    Case("OvertGalleryEmpty", 90, 0, {**OPEN, **MATCHER, 'overt_gallery_entries{instance="m1"}': "3x400"}),
    Case("OvertGalleryRecallLow", 30, 1, {'overt_gallery_recall{bound="lower95",instance="m1"}': "0.998x400"}),
    Case("OvertGalleryRecallLow", 30, 0, {'overt_gallery_recall{bound="lower95",instance="m1"}': "0.9992x400"}),
    Case(
        "OvertGalleriesDiffer",
        180,
        1,
        {
            **MATCHER,
            'overt_ready{service="matcher",instance="m2"}': "1x400",
            'overt_gallery_entries{instance="m1"}': "5x400",
            'overt_gallery_entries{instance="m2"}': "4x400",
        },
    ),
    Case(
        "OvertGalleriesDiffer",
        180,
        0,
        {**MATCHER, 'overt_gallery_entries{instance="m1"}': "5x400", 'overt_gallery_entries{instance="d1"}': "0x400"},
    ),
    Case("OvertWatchlistRefused", 30, 1, {'overt_watchlist_refused_total{reason="unusable"}': "2x400"}),
    Case(
        "OvertWatchlistRefused",
        30,
        0,
        {
            'overt_watchlist_refused_total{reason="unusable"}': "0x400",
            'overt_watchlist_refused_total{reason="key_gone"}': "2x400",
        },
    ),
    Case(
        "OvertWatchlistOld",
        30,
        1,
        {
            "overt_deployment_start_timestamp_seconds": f"{3 * DAY_S}x400",
            "overt_watchlist_oldest_enrolment_timestamp_seconds": f"{DAY_S}x400",
        },
    ),
    Case(
        "OvertWatchlistOld",
        30,
        0,
        {
            "overt_deployment_start_timestamp_seconds": f"{3 * DAY_S}x400",
            'overt_watchlist_oldest_enrolment_timestamp_seconds{part="matcher"}': f"{2.5 * DAY_S:.0f}x400",
            'overt_watchlist_oldest_enrolment_timestamp_seconds{part="frame"}': "0x400",
        },
    ),
    Case(
        "OvertFailuresToAcquire",
        1500,
        1,
        {
            'overt_failures_to_acquire_total{camera="c1",reason="too_small"}': "0+2x400",
            'overt_passes_total{camera="c1"}': "0+3x400",
        },
    ),
    Case(
        "OvertFailuresToAcquire",
        1500,
        0,
        {
            'overt_failures_to_acquire_total{camera="c1",reason="too_small"}': "0+1x400",
            'overt_passes_total{camera="c1"}': "0+3x400",
        },
    ),
    # Privacy
    Case("OvertKeysNotExpiring", 30, 1, {"overt_overdue_transient_keys": "1x400"}),
    Case(
        "OvertKeysNotExpiring",
        30,
        1,
        {
            "overt_overdue_transient_keys": "0x400",
            "overt_oldest_transient_key_age_seconds": "36x400",
            "overt_transient_key_life_seconds": "30x400",
        },
    ),
    Case(
        "OvertKeysNotExpiring",
        30,
        0,
        {
            "overt_overdue_transient_keys": "0x400",
            "overt_oldest_transient_key_age_seconds": "29x400",
            "overt_transient_key_life_seconds": "30x400",
        },
    ),
    Case("OvertAlertKeysNotDestroyed", 30, 1, {"overt_alert_key_overdue_seconds": "200x400"}),
    Case("OvertAlertKeysNotDestroyed", 30, 0, {"overt_alert_key_overdue_seconds": "60x400"}),
    Case("OvertKeysLiveLong", 30, 1, {"overt_transient_key_life_seconds": "90x400"}),
    Case("OvertKeysLiveLong", 30, 0, {"overt_transient_key_life_seconds": "30x400"}),
    # Statistics
    Case("OvertStatisticsStalled", 90, 1, {"overt_statistics_stalled": "1x400"}),
    Case("OvertStatisticsStalled", 90, 0, {"overt_statistics_stalled": "0x400"}),
    Case("OvertStatisticsMissing", 90, 1, {'up{job="overt",part="matcher"}': "1x400"}),
    Case("OvertStatisticsMissing", 90, 0, {'up{job="overt",part="statistics"}': "1x400"}),
    Case("OvertStatisticsMissing", 90, 0, {'up{job="overt",part="van"}': "1x400"}),
    Case("OvertGuardTripped", 30, 1, {'overt_guard_paused{service="frame"}': "1x400"}),
    Case("OvertGuardTripped", 30, 0, {'overt_guard_paused{service="frame"}': "0x400"}),
    Case("OvertGuardNear", 30, 1, {"overt_guard_evidence": "0.9x400", 'overt_guard_paused{service="frame"}': "0x400"}),
    Case("OvertGuardNear", 30, 0, {"overt_guard_evidence": "0.4x400"}),
    Case("OvertGuardNear", 30, 0, {"overt_guard_evidence": "1x400", 'overt_guard_paused{service="frame"}': "1x400"}),
]
