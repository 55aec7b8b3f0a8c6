#!/usr/bin/env python3
"""Parity of training: does modlab end where the paper's published code ends?

Trains the same small configs with both, five model seeds each: the published
model and data with the paper's training step, and modlab by a sweep. A cell is
an architecture, target and model type. Its final losses, each measured by the
side that trained, are compared by Welch's t test on their logarithms; the
p-values of all cells are corrected by Holm's method. A cell whose corrected
p-value is below 0.05 is a failure (exit code 1).

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

LEVEL = 0.05  # of the family of all cells
SEEDS = 5
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
# What modlab measures beside the losses, which is not compared here.
UNMEASURED = {"activation_batches": 1, "adaptation_draws": 1, "adaptation_batches": 1,
              "validation_batches": 0, "eval_batches": 1, "eval_interval": 100000}


def configs():
    """Every job."""
    return [{"architecture": architecture, "target": target, "model": model,
             "model_seed": seed, **settings}
            for architecture, settings in SETTINGS.items()
            for target in TARGETS for model in MODELS for seed in range(SEEDS)]


def cell_of(row):
    """What the jobs of a cell share."""
    return row["architecture"], row["target"], row["model"]


def train_published(root, config):
    """Loss before and after training with the published code."""
    published.use_cpu()
    published.seed_everything(config["model_seed"])
    subject = published.Published(root, config)
    sizes = config["final_batches"], config["final_batch_size"]
    first = subject.losses(10, config["final_batch_size"])[0].mean()
    subject.train(config["iterations"], config["batch_size"], config["learning_rate"])
    return {"first": float(first), "last": float(subject.losses(*sizes)[0].mean())}


def train_all_published(root, work, jobs):
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
    missing = [config for config in configs() if json.dumps(config) not in done]
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
    return [(config, done[json.dumps(config)]) for config in configs()]


def train_all_modlab(worker, work, jobs):
    """Rows of modlab's export, one a job."""
    grid = [{**config, **UNMEASURED} for config in configs()]
    rows = worker.run("training", grid, work, jobs)
    lost = [row["job"] for row in rows if row["state"] != "succeeded"]
    if lost:
        sys.exit(f"modlab did not finish its jobs {lost}")
    return rows


def compare(theirs, ours):
    """A row a cell, with the test of its log losses."""
    cells = []
    for cell in dict.fromkeys(cell_of(config) for config, _ in theirs):
        their = [losses for config, losses in theirs if cell_of(config) == cell]
        a = np.log([losses["last"] for losses in their])
        b = np.log([row["id_loss"] for row in ours if cell_of(row) == cell])
        cells.append({
            "cell": cell,
            "first": float(np.exp(np.mean(np.log([losses["first"] for losses in their])))),
            "published": float(np.exp(a.mean())), "modlab": float(np.exp(b.mean())),
            "ratio": float(np.exp(b.mean() - a.mean())),
            "sd_published": float(a.std(ddof=1)), "sd_modlab": float(b.std(ddof=1)),
            "squared_error": float(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)),
            "p": float(stats.ttest_ind(b, a, equal_var=False).pvalue),
        })
    largest = 0.0
    for rank, row in enumerate(sorted(cells, key=lambda cell: cell["p"])):
        largest = max(largest, min(1.0, (len(cells) - rank) * row["p"]))
        row["p_holm"] = largest
    return cells


def overall(cells):
    """What the cells say together."""
    mean = np.mean([math.log(row["ratio"]) for row in cells])
    error = math.sqrt(sum(row["squared_error"] for row in cells)) / len(cells)
    p_values = [row["p"] for row in cells]
    return {
        "ratio": math.exp(mean),
        "ratio_low": math.exp(mean - 1.96 * error), "ratio_high": math.exp(mean + 1.96 * error),
        "p_of_uniform_p_values": float(stats.kstest(p_values, "uniform").pvalue),
        "p_below_0.05": sum(p < 0.05 for p in p_values),
        "p_quartiles": [float(np.quantile(p_values, q)) for q in (0.25, 0.5, 0.75)],
    }


def show(cells, summary):
    """Prints both as Markdown."""
    print("| cell | before | published | modlab | ratio | sd of log, published | modlab | p "
          "| p, Holm |\n|---|---|---|---|---|---|---|---|---|")
    for row in cells:
        print(f"| {' '.join(row['cell'])} | {row['first']:.4f} | {row['published']:.4f} "
              f"| {row['modlab']:.4f} | {row['ratio']:.3f} | {row['sd_published']:.3f} "
              f"| {row['sd_modlab']:.3f} | {row['p']:.3f} | {row['p_holm']:.3f} |")
    quartiles = ", ".join(f"{p:.2f}" for p in summary["p_quartiles"])
    print(f"\n{len(cells)} cells of {SEEDS} + {SEEDS} jobs. Ratio of geometric means, modlab to "
          f"published, over all cells: {summary['ratio']:.4f}, 95% interval "
          f"{summary['ratio_low']:.4f} to {summary['ratio_high']:.4f}. p-values: quartiles "
          f"{quartiles}; {summary['p_below_0.05']} below 0.05; Kolmogorov-Smirnov test that they "
          f"are uniform: p = {summary['p_of_uniform_p_values']:.2f}.")


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
    parser.add_argument("--jobs", metavar="N", type=int, default=1,
                        help="processes, of one thread each; default %(default)s")
    parser.add_argument("--output", metavar="FILE", help="write the numbers here, as JSON")
    arguments = parser.parse_args()
    published.require_checkout(arguments.published)
    worker = programs.Programs(arguments.worker)
    work = pathlib.Path(arguments.work)
    work.mkdir(parents=True, exist_ok=True)
    os.nice(10)

    theirs = train_all_published(arguments.published, work, arguments.jobs)
    ours = train_all_modlab(worker, work, arguments.jobs)
    cells = compare(theirs, ours)
    summary = overall(cells)
    show(cells, summary)
    if arguments.output:
        result = {"versions": worker.versions(), "cells": cells, "overall": summary,
                  "published": theirs, "modlab": ours}
        pathlib.Path(arguments.output).write_text(json.dumps(result, indent=1) + "\n")
    different = [row for row in cells if row["p_holm"] < LEVEL]
    for row in different:
        print(f"FAILED: {' '.join(row['cell'])} differs, p = {row['p_holm']:.4f}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
