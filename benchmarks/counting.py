"""How many records a second `overt serve statistics` counts, and what CPU time one of them takes.

Brings a Kafka of its own, starts one worker, and puts passers-by of three cameras on the topics, with what comes of
them: every tenth is matched, half of these raise an alert, most alerts are judged. Counted from the first record on
until the last is in the tally; then what was published is compared with a recount of the topics. `others` says how many
cores were busy with neither worker nor broker; who puts the records there is among them.

Needs Java with the broker's jars, as the tests do (infra/test-deps.sh), and the extra `statistics`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import click

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))  # the tests' broker and site

from scaling.cost import cpu_s, machine_s  # noqa: E402  # after the path is known

from tests.support.counting import CountedSite  # noqa: E402
from tests.support.kafka_broker import KafkaBroker  # noqa: E402

_LOOK_S = 0.25


@click.command(help=__doc__)
@click.option("--passes", type=click.IntRange(10), default=4000, show_default=True, help="Passers-by in a run.")
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True, help="Each of more passers-by.")
@click.option("--longest-s", type=click.FloatRange(1), default=300.0, show_default=True, help="Of a run.")
def main(passes: int, runs: int, longest_s: float) -> None:
    """See the module."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with KafkaBroker(folder / "kafka") as broker, CountedSite(folder, broker, "counting.") as site:
            site.start(1)
            print("records  a second  CPU ms a record: worker  broker  others, cores  worker's memory, MB")
            for number in range(runs):
                print(_run(site, broker, number, passes, longest_s), flush=True)
            site.wait_counted(longest_s)
            print("what was published equals a recount of the topics")


def _run(site: CountedSite, broker: KafkaBroker, number: int, passes: int, longest_s: float) -> str:
    """Puts so many, and waits until they are counted; a row of the table."""
    (worker,) = site.workers
    day = site.day(seed=number, passes=passes)
    counted = worker.scrape().total("overt_statistics_facts_total")

    def reading() -> tuple[float, float, float, float]:
        return time.monotonic(), cpu_s([worker.child.pid]), cpu_s([broker.child.pid]), machine_s()

    before = reading()
    site.put(day)
    while (more := worker.scrape().total("overt_statistics_facts_total") - counted) < len(day):
        if time.monotonic() - before[0] > longest_s:
            raise click.ClickException(f"{more:.0f} of {len(day)} records were counted in {longest_s:.0f} s")
        time.sleep(_LOOK_S)
    took_s, of_worker_s, of_broker_s, of_all_s = (b - a for a, b in zip(before, reading(), strict=True))
    each_ms = [1000 * used_s / len(day) for used_s in (of_worker_s, of_broker_s)]
    others = max(0.0, of_all_s - of_worker_s - of_broker_s) / took_s
    memory_mb = worker.scrape().total("process_resident_memory_bytes") / 1e6
    return (
        f"{len(day):7}  {len(day) / took_s:8.0f}  {each_ms[0]:23.2f}  {each_ms[1]:6.2f}  {others:13.2f}"
        f"  {memory_mb:19.0f}"
    )


if __name__ == "__main__":
    main()
