#!/usr/bin/env python3
"""Parity of function: are modlab's models the functions that the published ones are?

Weights of the paper's published code, random and trained there, and weights
trained by modlab are evaluated by both: loss in distribution and out of it at
every length, error of classifiers, activation matrix, adaptation, and number of
parameters. Weights go through files in both directions; those of modlab are
loaded with strict=True. The metrics that modlab takes from its activation matrix
are compared with what the published formulas make of the same matrix.

Prints a row for each set of weights and exits 1 if any of them differs.
"""

import argparse
import json
import math
import os
import pathlib
import sys
import tempfile

import numpy as np
import torch

import programs
import published

# Largest difference of two losses, over its standard error. Of 1000 pairs of equal
# losses one differs by more with a probability of about 2% (t, 99 degrees).
Z_MAX = 4.5
# Largest difference of an entry of the activation matrix, and of adaptation.
ACTIVATION_MAX = 0.005
# Largest difference of metrics of the same matrix, which is printed as floats.
METRIC_MAX = 1e-6

BATCHES = 100
BATCH_SIZE = {"mlp": 1000, "mha": 50, "rnn": 50}
ADAPTATION = {"adaptation_draws": 100, "adaptation_batches": 4}
# How weights are trained that are trained.
TRAINING = {"mlp": {"iterations": 600, "batch_size": 256, "learning_rate": 1e-3},
            "mha": {"iterations": 300, "batch_size": 64, "learning_rate": 3e-3},
            "rnn": {"iterations": 300, "batch_size": 64, "learning_rate": 3e-3}}
# Of weights as they are drawn, and of those that are trained.
DRAWN = {"mlp": {"rules": 8, "data_seed": 1, "encoder_dim": 32, "model_dim": 128},
         "mha": {"rules": 4, "data_seed": 2, "search_version": 1, "encoder_dim": 32,
                 "model_dim": 128},
         "rnn": {"rules": 4, "data_seed": 1, "input_dim": 6, "order": 1, "encoder_dim": 24,
                 "model_dim": 48}}
TRAINED = {"mlp": {"rules": 5, "data_seed": 7, "encoder_dim": 24, "model_dim": 40},
           "mha": {"rules": 2, "data_seed": 5, "search_version": 2, "encoder_dim": 32,
                   "model_dim": 64, "heads": 4},
           "rnn": {"rules": 3, "data_seed": 5, "input_dim": 4, "order": 2, "encoder_dim": 16,
                   "model_dim": 24}}
MODELS = {"mlp": ("monolithic", "modular", "modular separate", "modular_op", "gt_modular"),
          "mha": ("monolithic", "modular", "modular_op", "gt_modular"),
          "rnn": ("monolithic", "modular", "modular_op", "gt_modular")}
ORIGINS = ("drawn", "trained", "modlab")


def make_config(seed, origin, architecture, target, model):
    """A config of modlab, with everything that its evaluation depends on."""
    model, *scorer = model.split()
    config = {"architecture": architecture, "target": target, "model": model,
              **(DRAWN if origin == "drawn" else TRAINED)[architecture],
              "model_seed": seed, "final_batches": BATCHES,
              "final_batch_size": BATCH_SIZE[architecture], "activation_batches": BATCHES,
              "activation_batch_size": BATCH_SIZE[architecture], **ADAPTATION,
              "validation_batches": 0, "eval_batches": 1, **TRAINING[architecture]}
    if scorer:
        config["scorer"] = scorer[0]
    return config


def configs(words):
    """(name, origin, config) of every set of weights whose name has all the words."""
    everything = [(origin, architecture, target, model)
                  for architecture, models in MODELS.items()
                  for target in ("regression", "classification")
                  for model in models for origin in ORIGINS]
    for seed, (origin, architecture, target, model) in enumerate(everything):
        name = f"{architecture} {target} {model} {origin}"
        if set(words) <= set(name.split()):
            yield name, origin, make_config(seed, origin, architecture, target, model)


class Check:
    """What is found of one set of weights."""

    def __init__(self, name):
        self.row = {"name": name, "losses": [], "failures": []}

    def expect(self, holds, what):
        """Notes a failure unless it holds."""
        if not holds:
            self.row["failures"].append(what)

    def loss(self, what, theirs, ours):
        """Compares their batches' means with our mean of as many samples."""
        # Both sides draw alike, so their batches tell the variance of our mean too.
        error = math.sqrt(2 * theirs.var(ddof=1) / len(theirs))
        z = (ours - theirs.mean()) / error
        self.row["losses"].append({"what": what, "published": theirs.mean(), "modlab": ours,
                                   "error": error, "z": z})
        self.expect(abs(z) <= Z_MAX, f"{what}: {theirs.mean():.6g} there, {ours:.6g} here, "
                    f"z = {z:.1f}")

    def largest(self, what, difference, bound):
        """Compares a difference with its bound."""
        self.row[what] = difference
        self.expect(difference <= bound, f"{what} differs by {difference:.3g}")


def check_losses(check, subject, answer):
    """Losses at every length, in distribution and out of it, and errors of classifiers."""
    sizes = subject.config["final_batches"], subject.config["final_batch_size"]
    for length in subject.lengths():
        figures = answer["metrics"] if length is None else next(
            entry for entry in answer["lengths"] if entry["length"] == length)
        for word in ("id", "ood"):
            losses, errors = subject.losses(*sizes, length, word == "ood")
            place = word if length is None else f"{word} at {length}"
            check.loss(f"{place}, loss", losses, figures[word + "_loss"])
            if errors is not None:
                check.loss(f"{place}, error", errors, figures[word])


def check_activation(check, subject, answer):
    """Activation matrix, adaptation, and the metrics of our matrix by their formulas."""
    config = subject.config
    ours = np.array(answer["activation"])
    theirs = subject.activation(config["activation_batches"], config["activation_batch_size"])
    check.largest("activation", float(np.abs(ours - theirs).max()), ACTIVATION_MAX)
    adaptation = subject.adaptation(config["adaptation_draws"], config["adaptation_batches"],
                                    config["final_batch_size"])
    check.largest("adaptation", abs(answer["metrics"]["adaptation"] - adaptation), ACTIVATION_MAX)
    metrics = subject.figures_of(ours / ours.sum())
    check.largest("metrics", max(abs(answer["metrics"][name] - value)
                                 for name, value in metrics.items()), METRIC_MAX)
    check.row["matrix"] = {"published": theirs.tolist(), "modlab": ours.tolist()}


def check_weights(check, subject, weights, worker, scratch):
    """Evaluates a file of weights that `subject` has, too. Returns modlab's answer."""
    answer = worker.evaluate(subject.config, weights, scratch)
    check.row["parameters"] = subject.parameters()
    check.expect(answer["metrics"]["parameters"] == subject.parameters(),
                 f"{answer['metrics']['parameters']:.0f} parameters here, "
                 f"{subject.parameters()} there")
    published.seed_everything(1000 + subject.config["model_seed"])
    check_losses(check, subject, answer)
    if subject.config["model"] != "monolithic":
        check_activation(check, subject, answer)
    return answer


def check_published(root, name, origin, config, worker, scratch):
    """Weights from there."""
    check = Check(name)
    published.seed_everything(config["model_seed"])
    subject = published.Published(root, config)
    if origin == "trained":
        subject.train(**TRAINING[config["architecture"]])
    weights = pathlib.Path(scratch) / "weights.pt"
    torch.save(subject.model.state_dict(), weights)
    check_weights(check, subject, weights, worker, scratch)
    return check.row


def check_ours(root, name, config, job, worker, scratch):
    """Weights from here; `job` is the exported row of the job that trained them."""
    check = Check(name)
    subject = published.Published(root, config)
    weights = pathlib.Path(scratch) / "weights.pt"
    worker.weights(job["job"], scratch, weights)
    subject.model.load_state_dict(torch.load(weights), strict=True)
    answer = check_weights(check, subject, weights, worker, scratch)
    for metric, value in answer["metrics"].items():
        check.expect(job[metric] == value, f"{metric}: {job[metric]} of the job, {value} of eval")
    return check.row


def run(root, worker, words):
    """A row for each set of weights."""
    wanted = list(configs(words))
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        ours = [config for _, origin, config in wanted if origin == "modlab"]
        jobs = iter(worker.run("function", ours, scratch) if ours else [])
        for name, origin, config in wanted:
            if origin == "modlab":
                row = check_ours(root, name, config, next(jobs), worker, scratch)
            else:
                row = check_published(root, name, origin, config, worker, scratch)
            rows.append(row)
            print(format_row(row), flush=True)
            for failure in row["failures"]:
                print(f"FAILED: {failure}", flush=True)
    return rows


HEADER = ("| weights | parameters | id: published | modlab | ood: published | modlab | largest z "
          "| activation | adaptation | metrics |\n|---|---|---|---|---|---|---|---|---|---|")


def format_row(row):
    """As Markdown: headline losses, then the largest differences."""
    headline = [loss for loss in row["losses"]
                if loss["what"] in ("id, loss", "ood, loss", "id at 10, loss", "ood at 30, loss")]
    cells = [row["name"], f"{row['parameters']}"]
    cells += [f"{loss[side]:.4f}" for loss in headline for side in ("published", "modlab")]
    cells.append(f"{max(abs(loss['z']) for loss in row['losses']):.1f}")
    cells += [f"{row[what]:.{digits}}" if what in row else "-"
              for what, digits in (("activation", "4f"), ("adaptation", "4f"), ("metrics", "0e"))]
    return f"| {' | '.join(cells)} |"


def format_summary(rows):
    """What all comparisons of losses say together."""
    losses = [loss for row in rows for loss in row["losses"]]
    z = np.array([loss["z"] for loss in losses])
    errors = [loss["error"] / loss["published"] for loss in losses]
    return (f"{len(rows)} sets of weights, {sum(bool(row['failures']) for row in rows)} differ. "
            f"{len(losses)} losses and errors: largest |z| {np.abs(z).max():.1f}, mean "
            f"{z.mean():+.2f}, root mean square {math.sqrt((z ** 2).mean()):.2f}; median standard "
            f"error of a difference {100 * np.median(errors):.2f}%.")


def main():
    """Checks all, tells."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", metavar="DIR", required=True,
                        help="checkout of github.com/sarthmit/Mod_Arch")
    parser.add_argument("--worker", metavar="PATH", default=programs.DEFAULT_WORKER,
                        help="with modlab and modlabd beside it; default %(default)s")
    parser.add_argument("--only", metavar="WORD", nargs="+", default=[],
                        help="only weights of these words, as in: --only rnn modular trained")
    parser.add_argument("--output", metavar="FILE", help="write the numbers here, as JSON")
    arguments = parser.parse_args()
    published.require_checkout(arguments.published)
    worker = programs.Programs(arguments.worker)
    published.use_cpu()
    os.nice(10)

    print(HEADER)
    rows = run(arguments.published, worker, arguments.only)
    if not rows:
        sys.exit(f"no weights have all the words of --only {' '.join(arguments.only)}")
    print(f"\n{format_summary(rows)}")
    if arguments.output:
        result = {"versions": worker.versions(), "weights": rows}
        pathlib.Path(arguments.output).write_text(json.dumps(result, indent=1) + "\n")
    return 1 if any(row["failures"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
