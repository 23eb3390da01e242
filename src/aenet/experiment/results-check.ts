/** The rules of results' files, said by the field that breaks one. Pure. */
import type { Cell, Experiment, StoredRunResult } from "./results.ts";

/** @throws Error naming `file`, the field, its value and the rule. */
export function checkRunResult(value: unknown, file: string): asserts value is StoredRunResult {
  const run = new Field(value, `results ${file}: `).object();
  run.at("format").equals("aenet-run-result/1");
  run.at("method").text();
  checkCell(run.at("cell"));
  run.at("seed").integer(0);
  run.at("fold").nullOr((fold) => fold.integer(0));
  const tasks = run.at("tasks").list(1, checkTask);
  run.at("networks").list(0, (network) => {
    network.object().at("arch").text();
    network.at("parameters").integer(0);
    network.at("config_sha256").sha256();
    network.at("checkpoint_sha256").nullOr((hash) => hash.sha256());
  });
  run.at("pretraining").string();
  run.at("paper_protocol").oneOf([true, false]);
  run.at("readings").integer(1);
  run.at("settings").object();
  const classes = run.at("classes").list(0, (name) => name.text()).length;
  checkPredictions(run.at("predictions").object(), classes, tasks as string[]);
  run.at("history").nullOr((history) => {
    if (!Array.isArray(history.value)) return checkHistory(history);
    history.list(0, (network) => {
      network.object().at("tasks").list(1, checkTask);
      checkHistory(network);
    });
  });
  run.at("fusion").nullOr(checkFusion);
}

/** @throws Error naming `file`, the field, its value and the rule. */
export function checkExperiment(value: unknown, file: string): asserts value is Experiment {
  const experiment = new Field(value, `results ${file}: `).object();
  experiment.at("format").equals("aenet-experiment/1");
  experiment.at("title").text();
  experiment.at("protocol").string();
  const methods = experiment.at("methods").list(1, (method) => {
    method.object().at("name").text();
    method.at("title").text();
    method.at("role").oneOf(["paper", "control", "reference"]);
    method.at("paper_row").nullOr((row) => row.oneOf(["resnet50", "wrn", "ssnet", "csnet", "aenet-fl", "aenet"]));
  });
  const names = methods.map((method) => (method as { name: string }).name);
  experiment.at("methods").distinct(names);
  const cells = experiment.at("cells").list(1, (cell) => {
    checkCell(cell.object().at("cell"));
    cell.at("title").text();
    const isOneSet = typeof cell.at("cell").value === "string" && cell.at("folds").value === null;
    cell.at("kind").oneOf(["primary", "exploratory", "descriptive", ...(isOneSet ? ["paired"] : [])]);
    cell.at("seeds").distinct(cell.at("seeds").list(1, (seed) => seed.integer(0)));
    cell.at("folds").nullOr((folds) => folds.integer(2));
  });
  const cellKeys = cells.map((cell) => JSON.stringify((cell as { cell: Cell }).cell));
  experiment.at("cells").distinct(cellKeys);
  const checkComparison = (comparison: Field) => {
    comparison.object().at("method").oneOf(names);
    comparison.at("against").oneOf(names);
    comparison.at("task").oneOf(["aes", "emo"]);
    checkCell(comparison.at("cell"));
  };
  experiment.at("primary").list(0, checkComparison);
  experiment.at("alpha").number(0, 1);
  experiment.at("pilot").nullOr((pilot) => {
    pilot.list(0, (entry) => {
      checkComparison(entry);
      entry.at("differences").list(2, (difference) => difference.number(-1, 1));
    });
  });
}

function checkTask(task: Field): void {
  task.oneOf(["aes", "emo"]);
}

function checkCell(cell: Field): void {
  if (typeof cell.value === "string") cell.text();
  else {
    cell.object().at("rho").number(0, 1);
    cell.at("size").integer(1);
  }
}

function checkPredictions(columns: Field, classes: number, tasks: readonly string[]): void {
  const n = columns.at("image").list(1, (image) => {
    if (typeof image.value === "string") image.text();
    else image.integer(0);
  }).length;
  columns.at("image").distinct(columns.at("image").value as unknown[]);
  columns.at("groups").nullOr((groups) => {
    const names = groups
      .object()
      .at("names")
      .list(1, (name) => name.string()).length;
    groups.at("of").list(n, (group) => group.integer(0, names - 1), n);
  });
  const probability = (field: Field) => field.number(0, 1);
  columns.at("aes_true").list(n, (label) => label.oneOf([0, 1, null]), n);
  columns.at("aes_score").list(n, (score) => score.nullOr((given) => given.number(1, 10)), n);
  columns.at("emotion_true").list(n, (label) => label.nullOr((given) => given.integer(0, classes - 1)), n);
  columns.at("aes_prob").givenIf(tasks.includes("aes"), (column) => column.list(n, probability, n));
  columns.at("emo_probs").givenIf(tasks.includes("emo"), (column) => {
    const values = column.list(n * classes, probability, n * classes) as number[];
    for (let i = 0; i < n; i++) {
      const sum = values.slice(i * classes, (i + 1) * classes).reduce((a, b) => a + b, 0);
      if (Math.abs(sum - 1) > 5e-3) column.fail(`image ${i}'s probabilities sum to ${sum} instead of 1`);
    }
  });
}

function checkHistory(history: Field): void {
  history
    .object()
    .at("steps")
    .nullOr((steps) => {
      const n = steps
        .object()
        .at("step")
        .list(0, (step) => step.integer(0)).length;
      for (const name of ["loss", "loss_aes", "loss_emo"])
        steps.at(name).list(n, (value) => value.nullOr((given) => given.number()), n);
    });
  history.at("epochs").list(0, (curve) => {
    curve.object().at("split").oneOf(["train", "val", "test"]);
    const n = curve.at("epoch").list(0, (epoch) => epoch.integer(0)).length;
    for (const name of ["loss", "acc_aes", "acc_emo"])
      curve.at(name).list(n, (value) => value.nullOr((given) => given.number()), n);
  });
}

function checkFusion(fusion: Field): void {
  const epochs = fusion
    .object()
    .at("epoch")
    .list(1, (epoch) => epoch.integer(0)).length;
  const points = fusion.at("points").list(1, (point) => point.integer(0, 4)).length;
  for (const name of ["alpha_p", "alpha_s", "beta_p", "beta_s"])
    fusion.at(name).list(epochs, (row) => void row.list(points, (weight) => weight.number(), points), epochs);
}

/** A value with the words that lead to it. */
class Field {
  readonly value: unknown;
  readonly #path: string;

  constructor(value: unknown, path: string) {
    this.value = value;
    this.#path = path;
  }

  fail(rule: string): never {
    const shown = JSON.stringify(this.value) ?? "missing";
    throw new Error(`${this.#path} ${shown.length > 60 ? `${shown.slice(0, 60)}…` : shown}: ${rule}`);
  }

  at(name: string): Field {
    const separator = this.#path.endsWith(": ") ? "" : ".";
    return new Field((this.value as Record<string, unknown>)[name], `${this.#path}${separator}${name}`);
  }

  object(): this {
    if (typeof this.value !== "object" || this.value === null || Array.isArray(this.value))
      this.fail("needs an object");
    return this;
  }

  /** Every element checked; between `least` and `most` of them. */
  list(least: number, check: (element: Field) => void, most: number = Number.POSITIVE_INFINITY): readonly unknown[] {
    if (!Array.isArray(this.value)) this.fail("needs a list");
    const { length } = this.value;
    if (length < least || length > most)
      this.fail(`has ${length} elements, but ${least === most ? least : `at least ${least}`} are needed`);
    this.value.forEach((element, i) => {
      check(new Field(element, `${this.#path}[${i}]`));
    });
    return this.value;
  }

  distinct(keys: readonly unknown[]): void {
    if (new Set(keys).size < keys.length)
      this.fail(`${JSON.stringify(keys.find((key, i) => keys.indexOf(key) !== i))} stands there twice`);
  }

  nullOr(check: (field: Field) => void): void {
    if (this.value !== null) check(this);
  }

  givenIf(needed: boolean, check: (field: Field) => void): void {
    if (needed) check(this);
    else if (this.value !== null) this.fail("has to be null: the method does not answer this task");
  }

  equals(value: string): void {
    if (this.value !== value) this.fail(`needs ${JSON.stringify(value)}`);
  }

  oneOf(values: readonly unknown[]): void {
    if (!values.includes(this.value))
      this.fail(`needs one of ${values.map((value) => JSON.stringify(value)).join(", ")}`);
  }

  string(): void {
    if (typeof this.value !== "string") this.fail("needs a text");
  }

  text(): void {
    if (typeof this.value !== "string" || this.value === "") this.fail("needs a text that is not empty");
  }

  sha256(): void {
    if (typeof this.value !== "string" || !/^[0-9a-f]{64}$/.test(this.value))
      this.fail("needs a SHA-256 in hexadecimal");
  }

  number(least: number = Number.NEGATIVE_INFINITY, most: number = Number.POSITIVE_INFINITY): void {
    if (typeof this.value !== "number" || !Number.isFinite(this.value)) this.fail("needs a finite number");
    if (this.value < least || this.value > most) this.fail(`needs a number from ${least} to ${most}`);
  }

  integer(least: number, most: number = Number.MAX_SAFE_INTEGER): void {
    if (!Number.isSafeInteger(this.value)) this.fail("needs an integer");
    this.number(least, most);
  }
}
