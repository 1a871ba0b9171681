"""What operators ask of a running deployment: six dashboards. `generate.py` writes them as Grafana reads them.

Every expression gives a result also when nothing has happened: what may go wrong begins at 0.
"""

from __future__ import annotations

from infra.grafana.panels import AMBER, GREEN, RED, Dashboard, Line, Panel

_MATCHER = 'on (instance) (overt_ready{service="matcher"} == 1)'


def _quantiles(name: str, *by: str, window: str = "5m") -> str:
    return f"histogram_quantile(0.95, sum by ({', '.join(('le', *by))}) (rate({name}_bucket[{window}])))"


PIPELINE = Dashboard(
    "overt-pipeline",
    "pipeline",
    [
        Panel(
            "Does every service run and is it ready?",
            [Line("max by (service) (overt_ready)", "{{service}}")],
            "bool_yes_no",
            "No: OvertServiceNotReady in docs/operations.md. A service that is not shown has no replica at all.",
            kind="stat",
            steps=((None, RED), (1, GREEN)),
        ),
        Panel(
            "How many alarms are there now?",
            [Line('count(ALERTS{alertname=~"Overt.*",alertstate="firing"}) or vector(0)', "alarms")],
            "short",
            "Each has a section in docs/operations.md: symptom, check, action.",
            kind="stat",
            steps=((None, GREEN), (1, RED)),
        ),
        Panel(
            "How late are alerts? (p95)",
            [Line(_quantiles("overt_capture_to_alert_seconds", window="10m"), "p95")],
            "s",
            "From capture to the topic. Above 1 s: find the slow stage below. Empty while there is none.",
            kind="stat",
            steps=((None, GREEN), (0.5, AMBER), (1, RED)),
        ),
        Panel(
            "How many records does each service finish?",
            [Line("sum by (service) (rate(overt_records_total[1m]))", "{{service}}")],
            "ops",
            "Flat while its lag grows: it is stuck. Look at its log, restart it.",
        ),
        Panel(
            "How long from capture until each stage is done? (p95)",
            [Line(_quantiles("overt_capture_to_stage_seconds", "service"), "{{service}}")],
            "s",
            "The step between two stages is what the later one and its queue cost. Add replicas of the slow one.",
            steps=((None, GREEN), (1, RED)),
        ),
        Panel(
            "How many records wait for each service?",
            [Line("sum by (service) (overt_consumer_lag)", "{{service}}")],
            "short",
            "Growing: add replicas of that service, up to the number of partitions.",
        ),
        Panel(
            "Are frames shed because they come too late?",
            [Line("sum by (camera) (rate(overt_frames_shed_total[5m]))", "{{camera}}")],
            "ops",
            "Above 0 for long: add a detector, or lower the camera's max_fps. People can be missed.",
        ),
        Panel(
            "Are frames read and not sent on?",
            [Line("sum by (reason) (rate(overt_frames_dropped_total[5m]))", "{{reason}}")],
            "ops",
            "late: a slow frame host or a fast camera. backlog: the detector is behind. unavailable: the bus.",
        ),
        Panel(
            "Is anything rejected?",
            [Line("sum by (service, reason) (increase(overt_rejects_total[10m]))", "{{service}}: {{reason}}")],
            "short",
            "Each is a dead letter. key_gone: it came after its key's life. Others: OvertDeadLetters.",
        ),
        Panel(
            "How long does a batch take? (p95)",
            [Line(_quantiles("overt_batch_seconds", "service"), "{{service}}")],
            "s",
            "Rising with the same load: the processor is shared with something else.",
        ),
        Panel(
            "How full are batches?",
            [
                Line(
                    "sum by (service) (rate(overt_batch_size_sum[5m]))"
                    " / (sum by (service) (rate(overt_batch_size_count[5m])) > 0)"
                    " or sum by (service) (rate(overt_batch_size_sum[5m]))",
                    "{{service}}",
                )
            ],
            "short",
            "Always at a service's largest batch: it is behind.",
        ),
        Panel(
            "Are Kafka and Redis there, and are records repeated?",
            [
                Line("sum by (service) (increase(overt_unavailable_total[5m]))", "{{service}}: put back"),
                Line("sum by (service) (increase(overt_repeated_records_total[5m]))", "{{service}}: repeated"),
                Line("sum by (service) (increase(overt_fenced_total[5m]))", "{{service}}: fenced"),
            ],
            "short",
            "Put back: look at broker and Redis first. Repeated and fenced are right for a while after a restart.",
        ),
    ],
)

CAMERAS = Dashboard(
    "overt-cameras",
    "sites and cameras",
    [
        Panel(
            "Which cameras are seen?",
            [Line("max by (camera) (overt_camera_up)", "{{camera}}")],
            "bool_yes_no",
            "No: power, cable, address, password. The frame service's log names the reason.",
            kind="stat",
            steps=((None, RED), (1, GREEN)),
        ),
        Panel(
            "Which cameras are frozen?",
            [Line("max by (camera) (overt_camera_frozen)", "{{camera}}")],
            "bool_yes_no",
            "Yes: it sends the same picture over and over. Restart its encoder.",
            kind="stat",
            steps=((None, GREEN), (1, RED)),
        ),
        Panel(
            "How long is the deployment's window still open?",
            [Line("max(overt_deployment_end_timestamp_seconds) - time()", "left")],
            "s",
            "At 0 everything stops by itself. A longer window is a new decision, in the deployment file.",
            kind="stat",
            steps=((None, RED), (0, AMBER), (900, GREEN)),
            least=None,
        ),
        Panel(
            "How many frames a second are read from each camera?",
            [Line("sum by (camera) (rate(overt_frames_read_total[1m]))", "{{camera}}")],
            "ops",
            "0 while the camera is seen: restart its frame service. Below its own rate: its network.",
        ),
        Panel(
            "How many people pass each camera?",
            [Line("sum by (camera) (rate(overt_passes_total[5m])) * 60", "{{camera}}")],
            "opm",
            "None where people walk: the zone, the light, the smallest face (min_face_px).",
        ),
        Panel(
            "How many people are in view?",
            [Line("sum by (camera) (overt_tracks)", "{{camera}}")],
            "short",
            "More than one can see: noise is taken for faces.",
        ),
        Panel(
            "How many alerts come from each camera?",
            [Line("sum by (camera, kind) (increase(overt_alerts_total[15m]))", "{{camera}}: {{kind}}")],
            "short",
            "In 15 minutes, repeats after a restart included. Far above others: look at the alerts, then the camera.",
        ),
        Panel(
            "Do cameras fail and come back?",
            [
                Line("sum by (camera) (increase(overt_camera_reconnects_total[15m]))", "{{camera}}: opened anew"),
                Line("sum by (camera) (increase(overt_camera_faults_total[15m]))", "{{camera}}: unreadable"),
            ],
            "short",
            "Opened anew: its network. Unreadable: its codec or resolution.",
        ),
        Panel(
            "Do the clocks agree?",
            [Line("max by (camera) (overt_clock_skew_seconds)", "{{camera}}")],
            "s",
            "Over 1 s or below 0: mend NTP on the frame host.",
            steps=((None, GREEN), (1, RED)),
            least=None,
        ),
        Panel(
            "Is the site paused for false alerts, or near it?",
            [
                Line("max(overt_guard_paused) or vector(0)", "paused"),
                Line("max(overt_guard_evidence)", "evidence"),
            ],
            "percentunit",
            "At 1 the guard pauses the site. Find the cause; resuming is a person's decision, with a reason.",
            steps=((None, GREEN), (0.8, AMBER), (1, RED)),
        ),
        Panel(
            "What has the guard weighed?",
            [
                Line("max(overt_guard_passes)", "passes"),
                Line("max(overt_guard_false_alerts)", "false alerts"),
                Line("max(overt_guard_unjudged_alerts)", "alerts not judged yet"),
            ],
            "short",
            "Alerts that nobody judges hold the guard up: judge them.",
        ),
        Panel(
            "Do the statistics keep up?",
            [
                Line("max(overt_statistics_stalled)", "stalled"),
                Line("sum(rate(overt_statistics_events_total[5m]))", "events a second"),
            ],
            "short",
            "Stalled: OvertStatisticsStalled. Alerts go on without it.",
        ),
    ],
)

RECOGNITION = Dashboard(
    "overt-recognition",
    "recognition",
    [
        Panel(
            "How similar are matches?",
            [Line("sum by (le) (increase(overt_match_similarity_bucket[$__rate_interval]))", "{{le}}")],
            "short",
            "A heap just above the threshold: expect false alerts. No person is in it, only how often.",
            kind="heatmap",
            least=None,
            width=12,
        ),
        Panel(
            "How good are the faces that are sent on?",
            [Line("sum by (le) (increase(overt_face_quality_bucket[$__rate_interval]))", "{{le}}")],
            "short",
            "A heap at the low end: light, angle or distance of the cameras.",
            kind="heatmap",
            least=None,
            width=12,
        ),
        Panel(
            "How similar is the middle match of each category?",
            [
                Line(
                    "histogram_quantile(0.5, sum by (le, category) (rate(overt_match_similarity_bucket[15m])))",
                    "{{category}}",
                )
            ],
            "short",
            "Sinking over days: the cameras have become worse. Empty while nobody matches.",
        ),
        Panel(
            "How good is the middle face of each camera?",
            [
                Line(
                    "histogram_quantile(0.5, sum by (le, camera) (rate(overt_face_quality_bucket[15m])))",
                    "{{camera}}",
                )
            ],
            "short",
            "The camera that is below the others: clean, focus, turn or light it.",
        ),
        Panel(
            "What share of passers-by gives no usable face?",
            [
                Line(
                    "sum by (camera) (increase(overt_failures_to_acquire_total[15m]))"
                    " / clamp_min(sum by (camera) (increase(overt_passes_total[15m])), 1)",
                    "{{camera}}",
                )
            ],
            "percentunit",
            "Above a half: distance, light, angle, zone. Never lower a threshold for it.",
            steps=((None, GREEN), (0.5, RED)),
        ),
        Panel(
            "Why is there no usable face?",
            [Line("sum by (reason) (increase(overt_failures_to_acquire_total[15m]))", "{{reason}}")],
            "short",
            "too_small: distance. too_poor: light, blur, angle. too_brief: the zone is narrow.",
        ),
        Panel(
            "How many faces, probes and matches are there?",
            [
                Line("sum(rate(overt_faces_total[5m]))", "faces"),
                Line("sum(rate(overt_embeddings_total[5m]))", "probes"),
                Line("sum(rate(overt_matches_total[5m]))", "matches"),
            ],
            "ops",
            "Probes below faces for long: the embedder is behind. Matches near probes: a threshold is wrong.",
        ),
        Panel(
            "How many faces does a passer-by give?",
            [
                Line(
                    "sum by (camera) (increase(overt_faces_total[15m]))"
                    " / clamp_min(sum by (camera) (increase(overt_passes_total[15m])), 1)",
                    "{{camera}}",
                )
            ],
            "short",
            "Four at most by default. Far above: tracks are torn.",
        ),
        Panel(
            "Which models are in use?",
            [Line("max by (role, model) (overt_model_info)", "{{role}}: {{model}}")],
            "short",
            "More than one of a role: replicas were started with different deployment files.",
            kind="stat",
        ),
    ],
)

WATCHLIST = Dashboard(
    "overt-watchlist",
    "watchlist and gallery",
    [
        Panel(
            "How many entries can match?",
            [Line(f"max(overt_gallery_entries and {_MATCHER})", "entries")],
            "short",
            "0: nobody will be found; publish the watchlist.",
            kind="stat",
            steps=((None, RED), (1, GREEN)),
        ),
        Panel(
            "Do all matchers have the same list?",
            [
                Line(
                    f"max(overt_gallery_entries and {_MATCHER}) - min(overt_gallery_entries and {_MATCHER})",
                    "entries apart",
                )
            ],
            "short",
            "Not 0 for minutes: restart the matcher that is behind.",
            kind="stat",
            steps=((None, GREEN), (1, RED)),
        ),
        Panel(
            "How long before now was the oldest entry enrolled?",
            [Line("time() - min(overt_watchlist_oldest_enrolment_timestamp_seconds > 0)", "age")],
            "s",
            "More than a day before the deployment's start: build the list anew.",
            kind="stat",
            steps=((None, GREEN), (86400, AMBER)),
        ),
        Panel(
            "Does the gallery find who is in it?",
            [
                Line('min(overt_gallery_recall{bound="lower95"})', "at least (95 %)"),
                Line('min(overt_gallery_recall{bound="measured"})', "measured"),
            ],
            "percentunit",
            "1 while everybody is compared. Below 0.999 an index may not serve: restart the matcher and report it.",
            steps=((None, RED), (0.999, GREEN)),
            least=0.99,
        ),
        Panel(
            "When did matchers last take in a change?",
            [Line("time() - min(overt_watchlist_changed_timestamp_seconds > 0)", "since")],
            "s",
            "After a change longer than a few seconds: a matcher has not heard of it.",
        ),
        Panel(
            "How many entries were removed?",
            [Line("max(overt_watchlist_removals_total)", "removed since the start")],
            "short",
            "Compare with overt watchlist log.",
        ),
        Panel(
            "Is anything on the list refused?",
            [Line("max by (reason) (overt_watchlist_refused_total)", "{{reason}}")],
            "short",
            "key_gone and removed are right after removals. Others: these people are not looked for.",
        ),
        Panel(
            "Is an index being built?",
            [Line("max(overt_gallery_building)", "built"), Line("max(overt_gallery_ef)", "ef")],
            "short",
            "While it is built everybody is compared. ef 0: no index serves.",
        ),
        Panel(
            "How many keys are in the keyring?",
            [Line("max(overt_durable_keys)", "keys")],
            "short",
            "One for each entry and one for each hour with alerts. In one process: none.",
        ),
    ],
)

PRIVACY = Dashboard(
    "overt-privacy",
    "privacy",
    [
        Panel(
            "Do keys of passers-by outlive their time?",
            [Line("max(overt_overdue_transient_keys)", "overdue")],
            "short",
            "Any: OvertKeysNotExpiring. Restart Redis, find out why.",
            kind="stat",
            steps=((None, GREEN), (1, RED)),
        ),
        Panel(
            "How old is the oldest payload of a passer-by that can be opened?",
            [Line("max(overt_oldest_transient_key_age_seconds)", "at most")],
            "s",
            "By the age of its key. Above 30 s: passers-by stay readable. In one process nothing is sealed: 0.",
            kind="stat",
            steps=((None, GREEN), (31, RED)),
        ),
        Panel(
            "How old is the oldest picture of an alert that can be opened?",
            [Line("max(overt_oldest_alert_key_age_seconds)", "at most")],
            "s",
            "By the age of its key: the retention and an hour at most.",
            kind="stat",
            steps=((None, GREEN), (90001, RED)),
        ),
        Panel(
            "How many keys of passers-by are alive?",
            [
                Line("max(overt_transient_keys_alive)", "in one process"),
                Line("max(overt_transient_key_life_seconds)", "life in seconds"),
            ],
            "short",
            "Four with keys of 10 s that live for 30. More: they do not expire.",
        ),
        Panel(
            "Are keys given up?",
            [Line("sum by (custody) (increase(overt_keys_destroyed_total[15m])) or vector(0)", "{{custody}}")],
            "short",
            "In 15 minutes. transient: one for each process and 10 s with traffic. alert: in the keyring.",
        ),
        Panel(
            "Have keys of alert pictures outlived their retention?",
            [Line("max(overt_alert_key_overdue_seconds)", "by")],
            "s",
            "Above three minutes: no matcher or alerter runs, or it cannot write the keyring.",
            steps=((None, GREEN), (180, RED)),
        ),
        Panel(
            "How many people leave the watchlist?",
            [Line("max(overt_watchlist_removals_total)", "entries, their keys destroyed")],
            "short",
            "Compare with overt watchlist log.",
        ),
        Panel(
            "How many came too late to be opened?",
            [Line('sum by (service) (increase(overt_rejects_total{reason="key_gone"}[10m]))', "{{service}}")],
            "short",
            "They are erased as promised, and not looked at either: a service is behind.",
        ),
        Panel(
            "Is any camera read outside the window?",
            [Line("sum(overt_camera_up) * (1 - overt:window_open)", "cameras")],
            "short",
            "Any: stop the frame service at once and mend its clock.",
            kind="stat",
            steps=((None, GREEN), (1, RED)),
        ),
    ],
)

HOSTS = Dashboard(
    "overt-hosts",
    "hosts",
    [
        Panel(
            "How much processor does each replica use?",
            [Line('rate(process_cpu_seconds_total{job="overt"}[1m])', "{{part}} {{instance}}")],
            "percentunit",
            "1 is one core. At its limit while its lag grows: another replica, or more cores.",
        ),
        Panel(
            "How much memory does each replica use?",
            [Line('process_resident_memory_bytes{job="overt"}', "{{part}} {{instance}}")],
            "bytes",
            "Growing for hours with the same load: a leak. Restart it, report it.",
        ),
        Panel(
            "How many files and sockets are open?",
            [Line('process_open_fds{job="overt"}', "{{part}} {{instance}}")],
            "short",
            "Growing for hours: a leak. Restart it, report it.",
        ),
        Panel(
            "How much room is there on the disks?",
            [Line("min by (place) (overt_disk_free_bytes / overt_disk_size_bytes)", "{{place}}")],
            "percentunit",
            "Below a tenth: make room. With a full disk no key is destroyed and no alert made.",
            kind="bargauge",
            steps=((None, RED), (0.1, AMBER), (0.2, GREEN)),
        ),
        Panel(
            "Since when does each replica run?",
            [Line('time() - process_start_time_seconds{job="overt"}', "{{part}} {{instance}}")],
            "s",
            "One that is much younger than the others was restarted: its log.",
            kind="bargauge",
        ),
        Panel(
            "Which replicas answer, and in which version?",
            [
                Line('max by (part, instance) (up{job="overt"})', "{{part}} {{instance}}"),
                Line("count by (version) (overt_build_info)", "version {{version}}"),
            ],
            "short",
            "0: it does not answer. Two versions: an update is half done.",
            kind="stat",
            steps=((None, RED), (1, GREEN)),
        ),
    ],
)

ALL = (PIPELINE, CAMERAS, RECOGNITION, WATCHLIST, PRIVACY, HOSTS)
