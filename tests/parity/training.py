#!/usr/bin/env python3
"""Parity of training: does modlab learn as the paper's published code does?

Trains the same small configs with both, some model seeds each: the published
model and data with the paper's training step, and modlab by a sweep. A cell is
an architecture, target and model type. Two figures of each job are compared: the
mean training loss of all its iterations, which varies little and so tells small
differences, and the final loss on many fresh samples, measured by the side that
trained. The test is Welch's t on their logarithms, seeds against seeds. A cell
fails (exit code 1) if its p-value is below 0.05 after Holm's correction over all
cells and figures; all cells together, if theirs is below 0.01.

What is done is kept in --work: an interrupted run goes on where it was. Remove
that folder to measure another build.
"""

import argparse
import concurrent.futures
import json
import math
import multiprocessing
import os
import pathlib
import sys

import numpy as np
from scipy import stats

import programs
import published

LEVEL = 0.05  # of the family of all cells' tests
LEVEL_TOGETHER = 0.01  # of the test of all cells together, for each figure
FIGURES = {"mean": "Mean training loss of all iterations", "final": "Final loss"}
TARGETS = ("regression", "classification")
MODELS = ("monolithic", "modular", "modular_op", "gt_modular")
# Small enough for minutes, long enough for the loss to fall clearly.
SETTINGS = {
    "mlp": {"rules": 4, "data_seed": 0, "encoder_dim": 16, "model_dim": 48,
            "iterations": 2000, "batch_size": 256, "learning_rate": 1e-3,
            "final_batches": 100, "final_batch_size": 1000},
    "mha": {"rules": 2, "data_seed": 0, "search_version": 2, "encoder_dim": 32, "model_dim": 64,
            "iterations": 900, "batch_size": 64, "learning_rate": 3e-3,
            "final_batches": 20, "final_batch_size": 250},
    "rnn": {"rules": 3, "data_seed": 1, "input_dim": 4, "order": 1, "encoder_dim": 16,
            "model_dim": 24, "iterations": 600, "batch_size": 64, "learning_rate": 3e-3,
            "final_batches": 20, "final_batch_size": 250},
}
# What modlab measures beside the losses, and is not compared here; and one point of
# its curves, at the end.
UNMEASURED = {"activation_batches": 1, "adaptation_draws": 1, "adaptation_batches": 1,
              "validation_batches": 0, "eval_batches": 1, "eval_interval": 100000}
JOB_FIELDS = ("architecture", "target", "model", "model_seed")


def configs(seeds, words):
    """Every job of the cells that have all the words."""
    cells = [(architecture, target, model)
             for architecture in SETTINGS for target in TARGETS for model in MODELS]
    return [{"architecture": cell[0], "target": cell[1], "model": cell[2], "model_seed": seed,
             **SETTINGS[cell[0]]}
            for cell in cells if set(words) <= set(cell) for seed in range(seeds)]


def cell_of(config):
    """What the jobs of a cell share."""
    return config["architecture"], config["target"], config["model"]


def train_published(root, config):
    """Losses of a job of the published code, the first one before it is trained."""
    published.use_cpu()
    published.seed_everything(config["model_seed"])
    subject = published.Published(root, config)
    sizes = config["final_batches"], config["final_batch_size"]
    first = subject.losses(10, config["final_batch_size"])[0].mean()
    mean = subject.train(config["iterations"], config["batch_size"], config["learning_rate"])
    return {"first": float(first), "mean": mean, "final": float(subject.losses(*sizes)[0].mean())}


def train_all_published(root, wanted, work, jobs):
    """A list of (config, what train_published() gave), from `work` where it is there."""
    path = work / "published.jsonl"
    done = {}
    if path.exists():
        # An interruption may have cut the last line short: it has no end.
        lines = [line for line in path.read_text().splitlines(keepends=True)
                 if line.endswith("\n")]
        path.write_text("".join(lines))
        for entry in map(json.loads, lines):
            done[json.dumps(entry["config"])] = entry["losses"]
    missing = [config for config in wanted if json.dumps(config) not in done]
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(jobs, mp_context=context) as pool, \
            path.open("a") as file:
        running = {pool.submit(train_published, root, config): config for config in missing}
        for i, future in enumerate(concurrent.futures.as_completed(running)):
            config = running[future]
            done[json.dumps(config)] = future.result()
            entry = {"config": config, "losses": future.result()}
            file.write(json.dumps(entry) + "\n")
            file.flush()
            print(f"\rpublished code: {i + 1} of {len(missing)} jobs", end="", file=sys.stderr)
    if missing:
        print(file=sys.stderr)
    return [(config, done[json.dumps(config)]) for config in wanted]


def train_all_modlab(worker, wanted, work, jobs):
    """A list as that of train_all_published(), without the first losses."""
    rows = worker.run("training", [{**config, **UNMEASURED} for config in wanted], work, jobs)
    lost = [row["job"] for row in rows if row["state"] != "succeeded"]
    if lost:
        sys.exit(f"modlab did not finish its jobs {lost}")
    final = {job_of(row): row["id_loss"] for row in rows}
    means = {job_of(row): row["mean"]
             for row in worker.curve("training", "train_loss", JOB_FIELDS, work)
             if row["metric"] == "train_loss" and row["mean"] is not None}
    return [(config, {"mean": means[job_of(config)], "final": final[job_of(config)]})
            for config in wanted]


def job_of(row):
    """What tells the jobs apart."""
    return tuple(row[field] for field in JOB_FIELDS)


def losses_of(jobs, cell, figure):
    """The figure's logarithms in a cell, in the order of seeds."""
    return np.log([losses[figure] for config, losses in jobs if cell_of(config) == cell])


def compare(cell, figure, a, b):
    """Welch's test of logarithms of published and our losses, with what tells its size."""
    ratio = b.mean() - a.mean()
    shares = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    freedom = sum(shares) ** 2 / sum(share ** 2 / (len(a) - 1) for share in shares)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(sum(shares))
    return {
        "cell": cell, "figure": figure, "jobs": [len(a), len(b)],
        "published": math.exp(a.mean()), "modlab": math.exp(b.mean()),
        "ratio": math.exp(ratio), "interval": [math.exp(ratio - half), math.exp(ratio + half)],
        "sd_published": float(a.std(ddof=1)), "sd_modlab": float(b.std(ddof=1)),
        "p": float(stats.ttest_ind(b, a, equal_var=False).pvalue),
    }


def compare_all(theirs, ours):
    """A row for each figure of each cell, and of all cells together.

    Jobs of a seed see the same samples in all cells of an architecture, and so are
    alike: together, a seed counts as one number, the mean over the cells.
    """
    cells = list(dict.fromkeys(cell_of(config) for config, _ in theirs))
    apart, together = [], []
    for figure in FIGURES:
        a, b = ([losses_of(jobs, cell, figure) for cell in cells] for jobs in (theirs, ours))
        apart += [compare(" ".join(cell), figure, of_theirs, of_ours)
                  for cell, of_theirs, of_ours in zip(cells, a, b)]
        if len(cells) > 1:
            together.append(
                compare("all together", figure, np.mean(a, axis=0), np.mean(b, axis=0)))
    largest = 0.0
    for rank, row in enumerate(sorted(apart, key=lambda row: row["p"])):
        largest = max(largest, min(1.0, (len(apart) - rank) * row["p"]))
        row.update(p_holm=largest, failed=largest < LEVEL)
    for row in together:
        row.update(failed=row["p"] < LEVEL_TOGETHER)
    return apart + together


def show(rows):
    """Prints them as Markdown, a table a figure."""
    for figure, title in FIGURES.items():
        of_figure = [row for row in rows if row["figure"] == figure]
        print(f"{title}\n\n| cell | published | modlab | ratio | its 95% interval "
              "| sd of log, published | modlab | p | p, Holm |\n"
              "|---|---|---|---|---|---|---|---|---|")
        for row in of_figure:
            print(f"| {row['cell']} | {row['published']:.4f} | {row['modlab']:.4f} "
                  f"| {row['ratio']:.3f} | {row['interval'][0]:.3f} to {row['interval'][1]:.3f} "
                  f"| {row['sd_published']:.3f} | {row['sd_modlab']:.3f} | {row['p']:.3f} "
                  f"| {format(row['p_holm'], '.3f') if 'p_holm' in row else '-'} |")
        p_values = [row["p"] for row in of_figure if "p_holm" in row]
        quartiles = ", ".join(f"{p:.2f}" for p in np.quantile(p_values, (0.25, 0.5, 0.75)))
        print(f"\nCells: {len(p_values)}. Quartiles of their p-values: {quartiles}; "
              f"{sum(p < 0.05 for p in p_values)} below 0.05.\n")


def main():
    """Trains, compares, tells."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", metavar="DIR", required=True,
                        help="checkout of github.com/sarthmit/Mod_Arch")
    parser.add_argument("--worker", metavar="PATH", default=programs.DEFAULT_WORKER,
                        help="with modlab and modlabd beside it; default %(default)s")
    parser.add_argument("--work", metavar="DIR", default="build/parity/training",
                        help="where results are kept; default %(default)s")
    parser.add_argument("--seeds", metavar="N", type=int, default=5,
                        help="jobs a cell and side; default %(default)s")
    parser.add_argument("--only", metavar="WORD", nargs="+", default=[],
                        help="only cells of these words, as in: --only rnn modular")
    parser.add_argument("--jobs", metavar="N", type=int, default=1,
                        help="processes, of one thread each; default %(default)s")
    parser.add_argument("--output", metavar="FILE", help="write the numbers here, as JSON")
    arguments = parser.parse_args()
    wanted = configs(arguments.seeds, arguments.only)
    if arguments.seeds < 2 or not wanted:
        parser.error("there have to be two seeds and one cell at least")
    published.require_checkout(arguments.published)
    worker = programs.Programs(arguments.worker)
    work = pathlib.Path(arguments.work)
    work.mkdir(parents=True, exist_ok=True)
    os.nice(10)

    theirs = train_all_published(arguments.published, wanted, work, arguments.jobs)
    ours = train_all_modlab(worker, wanted, work, arguments.jobs)
    rows = compare_all(theirs, ours)
    show(rows)
    if arguments.output:
        result = {"versions": worker.versions(), "tests": rows, "published": theirs,
                  "modlab": ours}
        pathlib.Path(arguments.output).write_text(json.dumps(result, indent=1) + "\n")
    different = [row for row in rows if row["failed"]]
    for row in different:
        print(f"FAILED: {row['figure']} loss, {row['cell']}: ratio {row['ratio']:.3f}, "
              f"p = {row['p']:.2g}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
