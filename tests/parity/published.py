"""The paper's published code, spoken to in modlab's words.

Nothing of that code is in this repository: it is imported, per architecture and
target, from a checkout of github.com/sarthmit/Mod_Arch. A config is a dict of
modlab's job fields ("rules", "model_dim", ...), as `modlab-worker eval` reads it.
"""

import ast
import contextlib
import importlib.util
import io
import math
import os
import pathlib
import sys
import tempfile

import numpy as np
import torch

FOLDERS = {"mlp": "MLP", "mha": "MHA", "rnn": "RNN",
           "regression": "Regression", "classification": "Classification"}
# A bias of the RNN's scorer that the code makes, saves, and never uses.
UNUSED = "rnn.scorer.1.b"
CLIP = 1.0  # largest norm of an RNN's gradient


def seed_everything(seed):
    """Seeds both generators that the published code draws from."""
    torch.manual_seed(seed)
    np.random.seed(seed)


def use_cpu():
    """Lets the published code, which asks for CUDA, run on one thread of the CPU."""
    torch.set_num_threads(1)
    torch.Tensor.cuda = lambda self, *_, **__: self


def require_checkout(root):
    """Ends the program unless `root` looks like a checkout of the published code."""
    if not (pathlib.Path(root) / "RNN" / "Regression" / "model.py").is_file():
        sys.exit(f"{root}: no checkout of github.com/sarthmit/Mod_Arch")


class Published:
    """One config's model and data, by the published code."""

    def __init__(self, root, config):
        self.config = config
        folder = (pathlib.Path(root) / FOLDERS[config["architecture"]] /
                  FOLDERS[config["target"]])
        self._folder = folder
        self._data = _import(folder / "data.py")
        self._classes = _import(folder / "model.py")
        self.labels = config["target"] == "classification"
        self.criterion = torch.nn.BCEWithLogitsLoss() if self.labels else torch.nn.L1Loss()
        self.model = getattr(self, "_make_" + config["architecture"])()

    def _make_mlp(self):
        config = self.config
        rules, widths = config["rules"], (config["encoder_dim"], config["model_dim"])
        if config["model"] == "monolithic":
            return self._classes.Monolithic(rules, *widths)
        if config["model"] == "gt_modular":
            return self._classes.GT_Modular(rules, *widths, rules)
        op = config["model"] == "modular_op"
        joint = not op and config.get("scorer", "joint") == "joint"
        return self._classes.Modular(rules, *widths, rules, op=op, joint=joint)

    def _make_mha(self):
        config = self.config
        rules = config["rules"]
        return self._classes.Model(
            dim=config["encoder_dim"], att_dim=config["model_dim"], num_heads=self._heads(),
            in_dim=rules * (5 if config["search_version"] == 1 else 7), model=self._type(),
            num_rules=rules, op=config["model"] == "modular_op")

    def _make_rnn(self):
        config = self.config
        rules, width = config["rules"], config["input_dim"]
        return self._classes.Model(
            in_dim=width + rules, enc_dim=config["encoder_dim"], hid_dim=config["model_dim"],
            out_dim=1 if self.labels else width, num_rules=rules, model=self._type(),
            op=config["model"] == "modular_op")

    def _heads(self):
        monolithic = self.config["model"] == "monolithic"
        return self.config.get("heads", 2 * self.config["rules"] if monolithic else 2)

    def _type(self):
        return {"monolithic": "Monolithic", "gt_modular": "GT_Modular"}.get(
            self.config["model"], "Modular")

    def lengths(self):
        """Sequence lengths of the final evaluation; [None] where there are no sequences."""
        if self.config["architecture"] == "mlp":
            return [None]
        return [3, 5, 10, 20, 30] if self._train_length() == 10 else [10, 20, 30, 40, 50]

    def _train_length(self):
        return self.config.get("sequence_length", 10)

    def sample(self, count, length=None, ood=False, prob=None):
        """Fresh inputs, labels and one-hot rules, as tensors; `prob`: of each rule."""
        config = self.config
        rules, seed = config["rules"], config["data_seed"]
        if config["architecture"] == "mlp":
            inputs, labels = self._data.data_v2(count, rules, seed, ood, prob)
            return torch.Tensor(inputs), torch.Tensor(labels), torch.Tensor(inputs[:, 2:])
        length = length or self._train_length()
        if config["architecture"] == "mha":
            arguments = (2, config["search_version"])
        else:
            arguments = (config["order"], config["input_dim"])
        drawn = self._data.rules(count, length, rules, *arguments, seed, ood, prob)
        return tuple(torch.Tensor(values) for values in drawn)

    def forward(self, inputs, rule):
        """Predictions, and the scores of the modules (None for monolithic models)."""
        return self.model(inputs) if self.config["architecture"] == "mlp" else self.model(
            inputs, rule)

    def parameters(self):
        """Trained numbers, without the vector that is never used."""
        return sum(value.numel() for name, value in self.model.named_parameters()
                   if name != UNUSED)

    def train(self, iterations, batch_size, learning_rate):
        """Trains as the paper does: Adam on fresh batches; clipping for RNNs.

        Returns the mean of the losses of all iterations.
        """
        optimizer = torch.optim.Adam(self.model.parameters(), lr=learning_rate)
        self.model.train()
        total = 0.0
        for _ in range(iterations):
            inputs, labels, rule = self.sample(batch_size)
            optimizer.zero_grad()
            loss = self.criterion(self.forward(inputs, rule)[0], labels)
            total += loss.item()
            loss.backward()
            if self.config["architecture"] == "rnn":
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
            optimizer.step()
        return total / iterations

    @torch.no_grad()
    def losses(self, batches, batch_size, length=None, ood=False):
        """Mean loss, and error in percent or None, of each of so many fresh batches."""
        self.model.eval()
        losses, errors = [], []
        for _ in range(batches):
            inputs, labels, rule = self.sample(batch_size, length, ood)
            out = self.forward(inputs, rule)[0]
            losses.append(self.criterion(out, labels).item())
            if self.labels:
                wrong = (out >= 0) != labels.bool()
                errors.append(100.0 * wrong.double().mean().item())
        return np.array(losses), np.array(errors) if self.labels else None

    @torch.no_grad()
    def activation(self, batches, batch_size):
        """The activation matrix: mean scores by rule, divided by the number of rules."""
        self.model.eval()
        rules = self.config["rules"]
        sums, counts = np.zeros((rules, rules)), np.zeros((rules, 1))
        for _ in range(batches):
            inputs, _, rule = self.sample(batch_size)
            scores = self.forward(inputs, rule)[1]
            rule = rule.reshape(-1, rules).double().numpy()
            sums += rule.T @ scores.reshape(-1, rules).double().numpy()
            counts += rule.sum(axis=0)[:, None]
        return sums / counts / rules

    @torch.no_grad()
    def adaptation(self, draws, batches, batch_size):
        """How far the use of modules is from the rules' frequencies, as these change."""
        self.model.eval()
        rules = self.config["rules"]
        distances = []
        for draw in range(draws):
            prob = np.random.RandomState(draw).dirichlet(np.ones(rules))
            use = np.zeros(rules)
            for _ in range(batches):
                inputs, _, rule = self.sample(batch_size, prob=prob)
                scores = self.forward(inputs, rule)[1].reshape(-1, rules)
                use += scores.double().mean(dim=0).numpy() / batches
            distances.append(np.abs(np.sort(prob) - np.sort(use)).sum() / 2)
        return float(np.mean(distances))

    def figures_of(self, activation):
        """The published metrics of an activation matrix, whose sum is 1."""
        rules = self.config["rules"]
        functions = _functions(self._folder / "metrics.py")
        information = functions["mutual_info"](activation)
        words = {"rules": rules, "model": "Modular", "enc_dim": 1, "dim": 1, "seed": 0}
        if self.config["architecture"] == "mha":
            words["sv"] = self.config["search_version"]
        return {
            "collapse_avg": functions["collapse_metric"](activation, rules),
            "collapse_worst": functions["collapse_metric_worse"](activation, rules),
            "alignment": _alignment(self._folder / "hungarian.py", activation, words),
            "inverse_mi": (math.log(rules) - information) / math.log(rules),
        }


_imported = {}


def _import(path):
    """The module of a file, under a name of its own: all are called model and data."""
    if path not in _imported:
        spec = importlib.util.spec_from_file_location("_".join(path.with_suffix("").parts), path)
        _imported[path] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(_imported[path])
    return _imported[path]


def _functions(path):
    """The functions and constants of a script that, imported, would go through all results."""
    kept = (ast.Import, ast.ImportFrom, ast.FunctionDef)
    tree = ast.parse(path.read_text())
    tree.body = [node for node in tree.body if isinstance(node, kept) or (
        isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant))]
    names = {}
    exec(compile(tree, str(path), "exec"), names)  # pylint: disable=exec-used
    return names


def _alignment(path, activation, words):
    """Has the published script read the matrix from where it looks, and reads its answer."""
    functions = _functions(path)
    folder = pathlib.Path(functions["get_name"](**words))
    with tempfile.TemporaryDirectory() as root, _working_in(root):
        folder.mkdir(parents=True)
        (folder / "loss.png").touch()
        np.save(folder / "prob_last.npy", activation)
        with contextlib.redirect_stdout(io.StringIO()):
            functions["metrics"](**words)
        return float((folder / "hung_last.txt").read_text().split(":")[-1])


@contextlib.contextmanager
def _working_in(folder):
    """Changes the working directory for a while."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
