#!/usr/bin/env bash
# Obtains what the tests use besides the locked Python environment: redis-server, ffmpeg, strace, Prometheus and its
# Alertmanager, GStreamer's RTSP server, a Java 17+ with Maven, and with them Apache Kafka. Quiet, may be run again, never
# fails: what could not be had is said here, and the tests that need it skip by name and reason (or fail, for Kafka and
# Redis where CI is set).
#
#   infra/test-deps.sh [PYTHON]      PYTHON: the environment's interpreter, .venv/bin/python by default
set -u
cd "$(dirname "$0")/.."
python=${1:-.venv/bin/python}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
missing=()

has_rtsp_server() { /usr/bin/python3 tests/support/rtsp_process.py --check; }
has_new_java() {
    local version
    version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p')
    [ "${version:-0}" -ge 17 ]
}
refresh_package_lists() { apt-get update -qq; }

# need NAME CHECK PACKAGE...: does nothing where CHECK succeeds; else installs the packages and checks again.
need() {
    local name=$1 check=$2
    shift 2
    if $check >/dev/null 2>&1; then return; fi
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        missing+=("$name: not found; as root on Debian: apt-get install $*")
        return
    fi
    if [ -z "${refreshed:-}" ]; then
        refresh_package_lists >"$log" 2>&1
        refreshed=yes
    fi
    echo "test-deps: installing $name"
    if ! DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >"$log" 2>&1; then
        missing+=("$name: apt-get install $* failed: $(tail -n 1 "$log")")
    elif ! $check >"$log" 2>&1; then
        missing+=("$name: installed, but it does not run: $(tail -n 1 "$log")")
    fi
}

need redis-server "command -v redis-server" redis-server
need ffmpeg "command -v ffmpeg" ffmpeg
need strace "command -v strace" strace
need prometheus "command -v promtool" prometheus
need alertmanager "command -v prometheus-alertmanager" prometheus-alertmanager
need "RTSP server" has_rtsp_server python3 python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-{base,good,bad}
need "Java 17+" has_new_java default-jre-headless
need Maven "command -v mvn" maven

# Once for a machine, here rather than inside the first test's time limit.
echo "test-deps: Apache Kafka and MirrorMaker 2 (fetched the first time, tried out each time)"
if ! "$python" -m tests.support.kafka_broker >"$log" 2>&1; then
    missing+=("Apache Kafka: $(tail -n 1 "$log")")
fi
if ! "$python" -m tests.support.mirror_maker >"$log" 2>&1; then
    missing+=("MirrorMaker 2: $(tail -n 1 "$log")")
fi

for one in ${missing[@]+"${missing[@]}"}; do echo "test-deps: could not get $one"; done
exit 0
