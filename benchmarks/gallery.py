"""What a look-up costs, and whom an index loses: exact and HNSW, from a thousand entries to a million.

For each size, in a process of its own:

exact           every entry compared, in blocks, one matrix product for a batch; the best are scored again in float64
hnswlib, stock  hnswlib as it comes (M 16, ef_construction 200, ef 10)
HNSW            the same graph at the first ef whose mate recall holds (lower 95 % bound at least 0.999), else at the
                largest; its candidates are scored exactly

memory      what the list's rows took, and what the index took beside them (resident, of the process)
recall      degraded copies of entries that the exact answer names, found by the index; one-sided lower 95 % bound
            (Clopper-Pearson) behind it. The figure was measured on copies that ef was not chosen with
real mates  of further images of enrolled people that the exact answer names, how many the index does (real vectors)
single      milliseconds of a look-up alone, p50 and p99
of 64       milliseconds of a look-up's share of a batch of 64, p50 and p99

Random vectors lie in all directions alike, which is the hardest list there is. Real ones are templates in a file (.npz
with `vectors` float32 [n, D] and `people` [n]), padded with synthetic impostors: the mean, plus a real person's
deviation from it, plus a Gaussian deviation with the covariance of all (a smoothed bootstrap); the cosines of pairs of
both are printed side by side. --images makes them from a folder of labelled images, as `overt evaluate` does, and keeps
them in its cache.
"""

from __future__ import annotations

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click
from lookups.rows import Line, Task, lines
from lookups.vectors import Real, agreement, from_images, read

from overt.evaluation.cache import CacheError
from overt.models.errors import ModelError

_HEADER = (
    f"{'entries':>9} {'D':>4}  {'answer':<15} {'MB':>6} {'build s':>8}  {'recall':>14} {'lower':>7} {'real mates':>13}"
    f"  {'single ms p50/p99':>18}  {'of 64 ms p50/p99':>18}"
)
_EXAMPLES = """\b
Examples:
  python benchmarks/gallery.py
  python benchmarks/gallery.py --sizes 1000,10000 --real lfw.npz
  python benchmarks/gallery.py --images lfw/ --detector yunet-s --embedder mobilefacenet-192
  python benchmarks/gallery.py --sizes 1000000 --no-index          # the exact answer alone: minutes
  nice python benchmarks/gallery.py --sizes 1000000 --threads 8    # and the index: hours on one thread
"""


def _sizes(_context: click.Context, _parameter: click.Parameter, text: str) -> list[int]:
    try:
        sizes = [int(size) for size in text.split(",")]
    except ValueError:
        raise click.BadParameter(f"{text}: numbers with commas between them are wanted") from None
    if min(sizes) < 1:
        raise click.BadParameter(f"{text}: a list has one entry or more")
    return sizes


@click.command(help=(__doc__ or "").replace("\n\n", "\n\n\b\n"), epilog=_EXAMPLES)
@click.option("--sizes", default="1000,10000,100000", show_default=True, callback=_sizes, help="Entries.")
@click.option("--dimension", default=512, show_default=True, help="Of random vectors.")
@click.option("--real", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Real templates; see above.")
@click.option("--images", type=click.Path(exists=True, path_type=Path), help="Labelled images to make them of.")
@click.option("--detector", help="For --images.  [default: the default model]")
@click.option("--embedder", help="For --images.  [default: the default model]")
@click.option("--probes", default=5000, show_default=True, help="Degraded copies of a measurement.")
@click.option("--threshold", default=0.45, show_default=True, help="The copies' lowest cosine to their entry.")
@click.option("--links", default=16, show_default=True, help="HNSW: M.")
@click.option("--width", default=200, show_default=True, help="HNSW: ef_construction.")
@click.option("--threads", default=1, show_default=True, help="HNSW: threads of the build.")
@click.option("--index/--no-index", default=True, show_default=True, help="Build an HNSW index.")
@click.option("--seconds", default=20.0, show_default=True, help="Seconds to time each kind of look-up for.")
def main(
    sizes: list[int],
    dimension: int,
    real: Path | None,
    images: Path | None,
    detector: str | None,
    embedder: str | None,
    probes: int,
    threshold: float,
    links: int,
    width: int,
    threads: int,
    index: bool,
    seconds: float,
) -> None:
    try:
        people = read(real) if real else from_images(images, detector, embedder) if images else None
    except (ValueError, KeyError, OSError, ModelError, CacheError) as error:
        raise click.ClickException(str(error)) from None
    if people is not None:
        dimension = people.enrolled.shape[1]
        _tell_agreement(people)
    click.echo(_HEADER)
    for entries in sizes:
        task = Task(entries, dimension, people, probes, threshold, links, width, threads, index, seconds)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as process:
            for line in process.submit(lines, task).result():
                click.echo(_row(task, line))
                sys.stdout.flush()


def _row(task: Task, line: Line) -> str:
    recall = f"{line.recall.found} of {line.recall.tried}" if line.recall else ""
    lower = f"{line.recall.lower:.4f}" if line.recall else ""
    memory, build = f"{line.memory_mb:.0f}", f"{line.build_s:.1f}"
    single, batched = (f"{p50:.2f} / {p99:.2f}" for p50, p99 in (line.single_ms, line.batched_ms))
    return (
        f"{task.entries:>9} {task.dimension:>4}  {line.answer:<15} {memory:>6} {build:>8}  {recall:>14}"
        f" {lower:>7} {line.mates:>13}  {single:>18}  {batched:>18}"
    )


def _tell_agreement(real: Real) -> None:
    click.echo(f"{len(real.enrolled)} people, {len(real.probes)} further images; cosines of pairs of different people:")
    for quantile, of_real, synthetic in agreement(real):
        click.echo(f"  quantile {quantile:<7g} real {of_real:.3f}, synthetic {synthetic:.3f}")


if __name__ == "__main__":
    main()
