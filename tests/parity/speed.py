#!/usr/bin/env python3
"""Speed: how much sooner does modlab finish a training step than the published code?

For each kind of job, in turns: as many processes side by side as the machine has
cores take steps of the published code, one thread each; then as many of `./x bench
train` take modlab's. Times are processor time, so that what else runs on the machine
disturbs less; both draw their samples, and both make the losses. Milliseconds a step
and job of the whole machine: those of a process divided by the processes. Of modlab the
better of a gang of 1 and of 8 counts, as a worker would find. A round's ratio is that
of its two times; printed is the median of all rounds.
"""

import argparse
import concurrent.futures
import multiprocessing
import os
import pathlib
import statistics
import subprocess
import sys
import time

import published

DEFAULT_BENCH = "build/release/bench/train_bench"
BATCH_SIZE = 256
SMALL = {"rules": 8, "encoder_dim": 32, "model_dim": 128}
LARGE = {"rules": 32, "encoder_dim": 128, "model_dim": 512}
MHA = {**SMALL, "search_version": 1}
RNN = {**SMALL, "input_dim": 32, "order": 1}
# Names as `./x bench train` has them, and the steps that take a second or some.
KINDS = [
    ("mlp", "modular", SMALL, 200),
    ("mlp", "gt_modular", SMALL, 200),
    ("mlp", "monolithic", SMALL, 300),
    ("mlp", "modular", LARGE, 20),
    ("mha", "modular", MHA, 15),
    ("rnn", "modular", RNN, 10),
]


def name_of(architecture, model, sizes):
    """What `./x bench train` calls it."""
    return (f"{architecture}/{model}/r{sizes['rules']}-e{sizes['encoder_dim']}"
            f"-d{sizes['model_dim']}")


def step_published(root, config, steps):
    """Milliseconds a step."""
    published.use_cpu()
    published.seed_everything(0)
    subject = published.Published(root, config)
    subject.train(3, BATCH_SIZE, 1e-4)
    start = time.process_time()
    subject.train(steps, BATCH_SIZE, 1e-4)
    return 1e3 * (time.process_time() - start) / steps


def step_modlab(bench, name):
    """Milliseconds a step and job, by the gang that takes fewest."""
    output = subprocess.run(
        [bench, "--no-oracle", "--rounds", "3", "--gangs", "1,8", "--filter", f"^{name}$"],
        check=True, stdout=subprocess.PIPE, text=True).stdout
    rows = [line.split("|") for line in output.splitlines() if line.startswith(f"| {name} ")]
    return min(float(row[3]) for row in rows)


def side_by_side(pool, processes, function, *arguments):
    """Milliseconds of the whole machine."""
    futures = [pool.submit(function, *arguments) for _ in range(processes)]
    return statistics.mean(future.result() for future in futures) / processes


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", metavar="DIR", required=True,
                        help="checkout of github.com/sarthmit/Mod_Arch")
    parser.add_argument("--bench", metavar="PATH", default=DEFAULT_BENCH,
                        help="what `./x bench train` runs; default %(default)s")
    parser.add_argument("--filter", metavar="TEXT", default="",
                        help="only kinds whose name has it, as mlp/modular")
    parser.add_argument("--rounds", metavar="N", type=int, default=5, help="default %(default)s")
    parser.add_argument("--processes", metavar="N", type=int, default=os.cpu_count(),
                        help="default: one a core, %(default)s here")
    arguments = parser.parse_args()
    published.require_checkout(arguments.published)
    bench = pathlib.Path(arguments.bench).resolve()
    if not bench.is_file():
        sys.exit(f"{bench}: no such program; build it by `./x bench`")

    print("| job | published, ms | modlab, ms | published / modlab | of the rounds |\n"
          "|---|---|---|---|---|")
    context = multiprocessing.get_context("spawn")
    for architecture, model, sizes, steps in KINDS:
        name = name_of(architecture, model, sizes)
        if arguments.filter not in name:
            continue
        config = {"architecture": architecture, "model": model, "target": "regression",
                  "data_seed": 0, **sizes}
        theirs, ours, ratios = [], [], []
        with concurrent.futures.ProcessPoolExecutor(arguments.processes,
                                                    mp_context=context) as pool:
            for _ in range(arguments.rounds):
                theirs.append(side_by_side(pool, arguments.processes, step_published,
                                           arguments.published, config, steps))
                ours.append(side_by_side(pool, arguments.processes, step_modlab, bench, name))
                ratios.append(theirs[-1] / ours[-1])
        print(f"| {name} | {statistics.median(theirs):.2f} | {statistics.median(ours):.3f} "
              f"| {statistics.median(ratios):.1f} | {min(ratios):.1f} to {max(ratios):.1f} |",
              flush=True)


if __name__ == "__main__":
    main()
