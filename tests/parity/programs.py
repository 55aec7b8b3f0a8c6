"""modlab's programs, run as their users run them."""

import json
import pathlib
import platform
import subprocess
import sys

import numpy as np
import scipy
import torch

DEFAULT_WORKER = "build/release/bin/modlab-worker"


class Programs:
    """`modlab-worker` and the `modlab` beside it."""

    def __init__(self, worker):
        self._worker = pathlib.Path(worker).resolve()
        self._modlab = self._worker.parent / "modlab"
        for program in (self._worker, self._modlab):
            if not program.is_file():
                sys.exit(f"{program}: no such program; build it, or say --worker PATH")

    def versions(self):
        """Of everything that numbers depend on."""
        return {"modlab": _output([self._worker, "--version"]).split()[-1],
                "python": platform.python_version(), "torch": torch.__version__,
                "numpy": np.__version__, "scipy": scipy.__version__}

    def evaluate(self, config, state_dict, scratch):
        """What `modlab-worker eval` says of weights; `scratch` is a folder to write to."""
        path = pathlib.Path(scratch) / "config.yaml"
        path.write_text(json.dumps(config))
        return json.loads(_output([self._worker, "eval", "--device", "cpu", "--format", "json",
                                   "--config", path, "--state-dict", state_dict]))

    def run(self, name, grid, folder, workers=1):
        """Trains a sweep in `folder`, or goes on with it; a row a job, as exported.

        `name` is new to the folder or the name of the same sweep.
        """
        folder = pathlib.Path(folder)
        path = folder / f"{name}.yaml"
        path.write_text(json.dumps({"name": name, "grid": grid}, indent=1))  # JSON is YAML
        store = ["--data-dir", folder / "store"]
        _output([self._modlab, "run", path, *store, "--workers", str(workers), "--device", "cpu"])
        return json.loads(_output([self._modlab, "export", name, *store, "--format", "json"]))

    def curve(self, name, metric, fields, folder):
        """Points of a curve of a sweep of run(), a row for each iteration and group."""
        return json.loads(_output([self._modlab, "curves", name, "--metric", metric,
                                   "--group-by", ",".join(fields), "--format", "json",
                                   "--data-dir", pathlib.Path(folder) / "store"]))

    def weights(self, job, folder, path):
        """Writes the state_dict of a job of run() to `path`."""
        _output([self._modlab, "artifacts", "get", str(job), "--weights", path,
                 "--data-dir", pathlib.Path(folder) / "store"])


def _output(command):
    """What a command prints; ends this program if it fails. Its errors go where ours go."""
    command = [str(word) for word in command]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}")
    return done.stdout
