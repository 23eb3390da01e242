import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatReport } from "../../src/aenet/cli/commands/experiment-report.ts";
import { parseCsv } from "../../src/aenet/data/csv.ts";
import { analyse, type Report } from "../../src/aenet/experiment/report/analysis.ts";
import { reportTables } from "../../src/aenet/experiment/report/csv.ts";
import { reportPage } from "../../src/aenet/experiment/report/page/page.ts";
import type { Cell, Experiment, RunResult } from "../../src/aenet/experiment/results.ts";
import { writeExperiment, writeRunResult } from "../../src/aenet/experiment/results.ts";
import { holm } from "../../src/aenet/experiment/statistics/family.ts";
import { signFlipTest } from "../../src/aenet/experiment/statistics/sign-flip.ts";
import { runCommand } from "../cli/run.ts";
import { makeRun } from "./fixture.ts";
import { elements, type Node, parseMarkup, textOf } from "./well-formed.ts";

const folder = mkdtempSync(join(tmpdir(), "aenet-report-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const hostile = `<img src=x onerror="alert(1)">&amp;'`;
const primaryCell = { rho: 0.5, size: 512 };
const seeds = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const skills = { "aenet-fl": 0.2, aenet: 0.95, csnet: 0.94, resnet50: 0.3 } as const;

const experiment: Experiment = {
  format: "aenet-experiment/1",
  title: `Report of ${hostile}`,
  protocol: "docs/experiment.md",
  methods: [
    { name: "resnet50", title: "ResNet50", role: "paper", paper_row: "resnet50" },
    { name: "csnet", title: `CSNet ${hostile}`, role: "paper", paper_row: "csnet" },
    { name: "aenet-fl", title: "AENet-FL", role: "paper", paper_row: "aenet-fl" },
    { name: "aenet", title: "AENet", role: "paper", paper_row: "aenet" },
  ],
  cells: [
    { cell: primaryCell, title: "primary", kind: "primary", seeds, folds: null },
    { cell: "photographs", title: "photographs", kind: "descriptive", seeds: [0], folds: 3 },
    { cell: "iae", title: "IAE", kind: "paired", seeds: [0], folds: null },
  ],
  primary: (["aes", "emo"] as const).flatMap((task) =>
    ["aenet-fl", "csnet"].map((against) => ({ method: "aenet", against, task, cell: primaryCell })),
  ),
  alpha: 0.05,
  pilot: [{ method: "aenet", against: "csnet", task: "aes", cell: primaryCell, differences: [0.01, 0.03] }],
};

const classes = ["calm", hostile, "tense"];
const results: RunResult[] = Object.entries(skills).flatMap(([method, skill]) => [
  ...seeds.slice(0, method === "resnet50" ? 4 : 10).map((seed) => makeRun(method, seed, { skill, cell: primaryCell })),
  ...[0, 1, 2].map((fold) =>
    makeRun(method, 0, { skill, cell: "photographs", fold, groups: true, classes, images: 40 }),
  ),
  ...(method === "resnet50"
    ? (["aes", "emo"] as const).map((task) => makeRun(method, 0, { skill, cell: "iae", tasks: [task] }))
    : [makeRun(method, 0, { skill, cell: "iae", readings: 2, paperProtocol: method === "aenet" })]),
]);

const precision = { seed: 0, resamples: 100 };
let report: Report;
let page: string;
let root: Node;
beforeAll(() => {
  report = analyse(experiment, results, precision);
  page = reportPage(report, experiment);
  root = parseMarkup(page);
});

const row = (cell: string, method: string) =>
  report.cells.find(({ name }) => name === cell)!.rows.find((found) => found.method === method)!;

/** Counted from the runs themselves. */
function accuracyIn(runs: readonly RunResult[], task: "aes" | "emo"): number {
  let [n, right] = [0, 0];
  for (const { predictions: p, classes } of runs)
    p.image.forEach((_, i) => {
      const k = classes.length;
      n++;
      if (task === "aes") right += Number(p.aes_prob![i]! >= 0.5) === p.aes_true[i] ? 1 : 0;
      else {
        const probabilities = p.emo_probs!.slice(i * k, (i + 1) * k);
        right += probabilities.indexOf(Math.max(...probabilities)) === p.emotion_true[i] ? 1 : 0;
      }
    });
  return right / n;
}

const runsOf = (method: string, cell: unknown, seed?: number) =>
  results.filter((run) => run.method === method && run.cell === cell && (seed === undefined || run.seed === seed));

describe("the report's numbers", () => {
  it("are each seed's accuracy, and their mean", () => {
    const { ours } = row("rho0.5-n512", "csnet").tasks.emo!;
    const bySeed = seeds.map((seed) => accuracyIn(runsOf("csnet", primaryCell, seed), "emo"));
    expect(ours.accuracy.by_seed).toEqual(bySeed);
    expect(ours.accuracy.value).toBeCloseTo(bySeed.reduce((a, b) => a + b, 0) / 10, 12);
    expect(ours.accuracy.interval_kind).toBe("student over seeds");
    expect(ours.images).toBe(600);
  });

  it("join the folds of a seed and draw whole groups", () => {
    const { ours } = row("photographs", "aenet").tasks.aes!;
    expect(ours.accuracy.value).toBe(accuracyIn(runsOf("aenet", "photographs"), "aes"));
    expect(ours.accuracy.interval_kind).toBe("bootstrap over groups");
    expect(ours.confusion.flat().reduce((a, b) => a + b, 0)).toBe(120);
    expect(ours.srcc!.value).toBeGreaterThan(0.5);
  });

  it("have an AUC of emotions: each class against the rest, by pairs of images, and the classes' mean", () => {
    const [run] = runsOf("csnet", "iae");
    const { emo_probs, emotion_true } = run!.predictions;
    const areas = run!.classes.map((_, k) => {
      const of = (isClass: boolean) =>
        emotion_true.flatMap((truth, i) =>
          (truth === k) === isClass ? [emo_probs![i * run!.classes.length + k]!] : [],
        );
      const pairs = of(true).flatMap((own) =>
        of(false).map((other): number => (own > other ? 1 : own === other ? 0.5 : 0)),
      );
      return pairs.reduce((a, b) => a + b, 0) / pairs.length;
    });
    const auc = row("iae", "csnet").tasks.emo!.ours.auc!;
    expect(auc.value).toBeCloseTo(areas.reduce((a, b) => a + b, 0) / areas.length, 12);
    expect(auc.interval!.low).toBeLessThan(auc.value);
  });

  it("of one seed of independent images have Wilson's interval, and single tasks make one row of two networks", () => {
    const found = row("iae", "resnet50");
    expect(found.tasks.aes!.ours.accuracy.interval_kind).toBe("wilson");
    expect(found.parameters).toHaveLength(2);
    expect(found.tasks.emo!.paper).toBe(0.6109);
    expect(found.tasks.emo!.paper_gain!.absolute).toBeCloseTo(0.6623 - 0.6109, 12);
  });

  it("compare in pairs: AENet's gain is over the seeds that both have", () => {
    const gain = row("rho0.5-n512", "resnet50").tasks.aes!.gain!;
    const shared = (method: string) =>
      [0, 1, 2, 3].map((seed) => accuracyIn(runsOf(method, primaryCell, seed), "aes")).reduce((a, b) => a + b, 0) / 4;
    expect(gain.absolute).toBeCloseTo(shared("aenet") - shared("resnet50"), 12);
    expect(gain.relative).toBeCloseTo(shared("aenet") / shared("resnet50") - 1, 12);
  });

  it("test the primary family by sign flips and Holm, and only so name a winner", () => {
    const differences = experiment.primary.map(({ against, task }) =>
      seeds.map(
        (seed) =>
          accuracyIn(runsOf("aenet", primaryCell, seed), task) - accuracyIn(runsOf(against, primaryCell, seed), task),
      ),
    );
    const p = differences.map(signFlipTest);
    expect(report.primary.map((test) => test.p)).toEqual(p);
    expect(report.primary.map((test) => test.holm)).toEqual(holm(p));
    for (const test of report.primary)
      expect(test.verdict).toBe(
        test.holm! > 0.05 ? "no difference shown" : `${test.mean! > 0 ? test.method : test.against} wins`,
      );
    expect(report.primary.map(({ verdict }) => verdict)).toEqual(
      expect.arrayContaining(["aenet wins", "no difference shown"]),
    );
    expect(report.primary.map(({ detectable }) => detectable !== null)).toEqual([false, true, false, false]);
  });

  it("decide nothing while a pair is missing", () => {
    const cut = results.filter((run) => !(run.method === "csnet" && run.cell === primaryCell && run.seed === 9));
    const early = analyse(experiment, cut, precision);
    expect(early.primary.every(({ verdict, p }) => verdict === "incomplete" && p === null)).toBe(true);
    expect(early.remarks.join()).toContain("9 of 10 pairs");
    expect(textOf(parseMarkup(reportPage(early, experiment)))).toContain("not decided");
  });

  it("are refused where pairs are no pairs", () => {
    const other = { ...makeRun("aenet", 0, { cell: primaryCell, images: 61 }) };
    const swapped = results.map((run) =>
      run.method === "aenet" && run.cell === primaryCell && run.seed === 0 ? other : run,
    );
    expect(() => analyse(experiment, swapped, precision)).toThrow("were not tested on the same images");
    expect(() => analyse(experiment, [...results, results[0]!], precision)).toThrow(
      "two runs of aenet-fl in rho0.5-n512, seed 0",
    );
  });
});

describe("paired cells", () => {
  /** AENet and CSNet on IAE, right on the images of the masks, one a seed. */
  const run = (method: string, seed: number, right: string): RunResult => ({
    ...makeRun(method, seed, { cell: "iae", tasks: ["aes"] }),
    predictions: {
      ...{ image: [...right].map((_, i) => i), groups: null, emo_probs: null },
      aes_prob: [...right].map((mark) => (mark === "+" ? 0.9 : 0.1)),
      aes_true: [...right].map(() => 1),
      aes_score: [...right].map(() => null),
      emotion_true: [...right].map(() => null),
    },
  });
  const methods = experiment.methods.filter(({ name }) => ["aenet", "csnet", "resnet50"].includes(name));
  const found = (seeds: readonly number[], runs: readonly RunResult[]) => {
    const cells = [{ cell: "iae", title: "IAE", kind: "paired", seeds, folds: null }] as const;
    const report = analyse({ ...experiment, methods, cells, primary: [] }, runs, precision);
    return report.cells[0]!.differences.map(({ against, test }) => ({ against, test }));
  };
  const one = [
    run("aenet", 0, "++++++--++"), //
    run("csnet", 0, "+-----+-++"), // AENet better on 5, worse on 1
    run("resnet50", 0, "-----+--++"), // better on 5, worse on none
  ];

  it("have McNemar's exact test of one seed, and Holm's over the rows", () => {
    expect(found([0], one)).toEqual([
      { against: "resnet50", test: { better: 5, worse: 0, p: expect.closeTo(2 / 32), holm: expect.closeTo(4 / 32) } },
      { against: "csnet", test: { better: 5, worse: 1, p: expect.closeTo(14 / 64), holm: expect.closeTo(14 / 64) } },
    ]);
  });

  it("have the images of several seeds as units, so that trainings that answer alike say no more than one", () => {
    const again = one.map((run) => ({ ...run, seed: 1 }));
    const [single, both] = [found([0], one), found([0, 1], [...one, ...again])];
    for (const [i, { test }] of both.entries()) expect(test!.p).toBeCloseTo(single[i]!.test!.p, 12);
  });

  it("are not tested before all runs of a task are there", () => {
    expect(found([0, 1], one).map(({ test }) => test)).toEqual([null, null]);
    expect(found([0], one.slice(0, 2)).map(({ test }) => test)).toEqual([null]);
  });

  it("show their tests on the page and in the table; other cells have none", () => {
    const section = (id: string) => [...elements(root, "section")].find(({ attributes }) => attributes.id === id)!;
    expect(textOf(section("cell-iae"))).toContain("p by Holm");
    expect(textOf(section("cell-photographs"))).not.toContain("p by Holm");
    const { header, rows } = parseCsv(reportTables(report)["differences.csv"]!, "differences.csv");
    for (const { values } of rows)
      expect(values[header.indexOf("p_holm")] !== "").toBe(values[header.indexOf("cell")] === "iae");
  });
});

describe("seeds", () => {
  it("that rows do not share are kept from the means that compare", () => {
    const cell = report.cells.find(({ name }) => name === "rho0.5-n512")!;
    expect(cell.shared_seeds).toEqual({ aes: [0, 1, 2, 3], emo: [0, 1, 2, 3] });
    const { ours, accuracy_on_shared } = row("rho0.5-n512", "aenet").tasks.aes!;
    expect(ours.seeds).toHaveLength(10);
    expect(accuracy_on_shared).toBeCloseTo(ours.accuracy.by_seed.slice(0, 4).reduce((a, b) => a + b, 0) / 4, 12);
    const section = [...elements(root, "section")].find(({ attributes }) => attributes.id === "cell-rho0.5-n512")!;
    expect(textOf(section)).toContain("accuracy on seeds 0–3, %");
    const even = [...elements(root, "section")].find(({ attributes }) => attributes.id === "cell-iae")!;
    expect(textOf(even)).not.toContain("accuracy on seeds");
  });

  it("of one test split draw its images together; those with scenes of their own have Student's interval", () => {
    const at = (cell: Cell, seeds: readonly number[]) => {
      const answers = ["aenet", "csnet"].flatMap((method) =>
        seeds.map((seed): RunResult => ({ ...makeRun(method, 0, { skill: 0.5, cell }), seed })),
      );
      const planned = { cell, title: "", kind: "descriptive", seeds, folds: null } as const;
      const report = analyse({ ...experiment, cells: [planned], primary: [] }, answers, precision);
      const [only] = report.cells;
      const text = textOf(parseMarkup(reportPage(report, experiment)));
      expect(text.includes("tested on the same photographs")).toBe(cell === "iae" && seeds.length > 1);
      return {
        scores: only!.rows.find(({ method }) => method === "aenet")!.tasks.aes!.ours,
        differences: only!.differences,
      };
    };
    // Trainings that answer alike say no more than one of them: neither less than that (Student's interval over seeds
    // would have no width), nor more (two images drawn by themselves would).
    const [one, three] = [at("iae", [0]), at("iae", [0, 1, 2])];
    expect(three.scores.accuracy.interval_kind).toBe("bootstrap over images");
    for (const name of ["balanced_accuracy", "auc", "srcc", "plcc"] as const) {
      expect(three.scores[name]!.interval!.low).toBeCloseTo(one.scores[name]!.interval!.low, 12);
      expect(three.scores[name]!.interval!.high).toBeCloseTo(one.scores[name]!.interval!.high, 12);
    }
    expect(three.scores.auc!.interval!.high - three.scores.auc!.interval!.low).toBeGreaterThan(0.05);
    for (const [i, { interval, interval_kind }] of three.differences.entries()) {
      expect(interval_kind).toBe("bootstrap over images");
      expect(interval!.low).toBeCloseTo(one.differences[i]!.interval!.low, 12);
    }
    const { accuracy } = at({ rho: 0.5, size: 512 }, [0, 1, 2]).scores;
    expect(accuracy.interval_kind).toBe("student over seeds");
    expect(accuracy.interval!.high - accuracy.interval!.low).toBeCloseTo(0, 12);
  });

  it("are told where one of them carries a mean, and the mean without it", () => {
    for (const test of report.primary) {
      const farthest = test.by_seed.map((value) => Math.abs(value - test.mean!));
      const extreme = farthest.indexOf(Math.max(...farthest));
      expect(test.extreme_seed).toBe(test.seeds[extreme]);
      const others = test.by_seed.filter((_, i) => i !== extreme);
      expect(test.mean_without_extreme).toBeCloseTo(others.reduce((a, b) => a + b, 0) / others.length, 12);
    }
  });
});

describe("the checks of the design", () => {
  const reference = (name: string) => ({ name, title: name, role: "reference", paper_row: null }) as const;
  const registered: Experiment = {
    ...experiment,
    methods: [...experiment.methods, reference("histogram"), reference("oracle")],
    cells: experiment.cells.slice(0, 1),
  };
  // The histogram is better than ResNet50 in the seeds that ResNet50 has, and far worse in the others.
  const references = seeds.flatMap((seed) => [
    makeRun("histogram", seed, { skill: seed < 4 ? 0.9 : 0, cell: primaryCell }),
    makeRun("oracle", seed, { skill: 1, cell: primaryCell }),
  ]);
  const own = [...results.filter(({ cell }) => cell === primaryCell), ...references];

  it("compare means over the seeds that both have", () => {
    const { checks } = analyse(registered, own, precision);
    expect(checks.map(({ task, against, expected }) => `${task} ${expected} than ${against}`)).toEqual(
      ["aes", "emo"].flatMap((task) => [
        `${task} better than majority`,
        `${task} better than histogram`,
        `${task} worse than oracle`,
      ]),
    );
    const over = (method: string, task: "aes" | "emo") =>
      [0, 1, 2, 3]
        .map((seed) =>
          accuracyIn(
            own.filter((run) => run.method === method && run.seed === seed),
            task,
          ),
        )
        .reduce((a, b) => a + b, 0) / 4;
    for (const { task, against, seeds, left, right, holds } of checks) {
      expect(seeds).toEqual([0, 1, 2, 3]);
      expect(left).toBeCloseTo(over("resnet50", task), 12);
      if (against !== "majority") expect(right).toBeCloseTo(over(against, task), 12);
      else {
        const { ours } = report.cells[0]!.rows.find(({ method }) => method === "resnet50")!.tasks[task]!;
        expect(right).toBeCloseTo(ours.majority, 12);
      }
      expect(holds).toBe(against !== "histogram");
    }
  });

  it("are said as they are, on the page and in the terminal", () => {
    const found = analyse(registered, own, precision);
    const text = textOf(parseMarkup(reportPage(found, registered)));
    expect(text).toContain("Of 6 checks of the design 2 do not hold");
    const failure = "The design fails 2 of its 6 checks: whatever the primary tests say, no claim is made from them";
    const [heading] = [...elements(parseMarkup(reportPage(found, registered)), "strong")].map(textOf);
    expect([heading, formatReport(found).includes(failure)]).toEqual([failure, true]);
    expect(formatReport(found)).toMatch(/aenet minus aenet-fl, aes, rho0.5-n512 +10\/10 +[+−][\d.]+ +[\d.]+ /);
    // The verdicts below stay, but none is said as a claim.
    expect(text).toContain("No claim: by the test AENet is better");
    expect(text.replaceAll("by the test AENet is better", "")).not.toContain("AENet is better");
    expect(textOf(root)).not.toContain("No claim");
    expect(text).toMatch(
      /does not hold: ResNet50 better than histogram on emotion: [\d.]+ against [\d.]+ % \(seeds 0–3\)/,
    );
    expect(formatReport(found)).toMatch(/resnet50 better than histogram, emo +0–3 .* does not hold/);
    const { header, rows } = parseCsv(reportTables(found)["checks.csv"]!, "checks.csv");
    expect(rows.map(({ values }) => values[header.indexOf("holds")])).toEqual([
      "true",
      "false",
      "true",
      "true",
      "false",
      "true",
    ]);
    // Exploratory, the histogram stands among what AENet is compared with; the oracle cannot be beaten.
    const against = new Set(found.cells[0]!.differences.map((difference) => difference.against));
    expect([against.has("histogram"), against.has("oracle")]).toEqual([true, false]);
  });

  it("are open without results, and none where none are registered", () => {
    const early = analyse(registered, references, precision);
    expect(early.checks.map(({ holds, left }) => [holds, left])).toEqual(Array(6).fill([null, null]));
    expect(textOf(parseMarkup(reportPage(early, registered)))).toContain("6 cannot be told yet");
    expect(analyse({ ...registered, cells: experiment.cells.slice(1), primary: [] }, [], precision).checks).toEqual([]);
  });
});

describe("settings", () => {
  it("stand in every row, and where two of the primary family differ it is said", () => {
    const section = [...elements(root, "section")].find(({ attributes }) => attributes.id === "cell-iae")!;
    expect(textOf(section)).toContain("rate 0.01, λ 0.25");
    expect(textOf(root)).not.toContain("different settings");
    const tuned = results.map((run) =>
      run.method === "csnet" && run.cell === primaryCell
        ? { ...run, settings: { ...run.settings, lr: 0.02, halvings: run.seed === 3 ? 2 : 0 } }
        : run,
    );
    const found = analyse(experiment, tuned, precision);
    const told =
      "csnet rate 0.02, λ 0.25 (seeds 0–2, 4–9); rate 0.02, λ 0.25 (seed 3), rates halved 2 times as it diverged";
    expect(found.remarks).toEqual([
      `aenet and csnet were tuned to different settings: aenet rate 0.01, λ 0.25; ${told}`,
    ]);
    const primary = [...elements(parseMarkup(reportPage(found, experiment)), "section")].find(
      ({ attributes }) => attributes.id === "primary",
    )!;
    expect(textOf(primary)).toContain("trained with different settings");
    expect(textOf(primary)).toContain("AENet: rate 0.01, λ 0.25");
  });

  it("of the pilot: what is detectable is told for the deviation that so few seeds allow, too", () => {
    const test = report.primary.find(({ detectable }) => detectable !== null)!;
    expect(test.pilot_seeds).toBe(2);
    expect(test.detectable_at_limit! / test.detectable!).toBeCloseTo(1 / Math.sqrt(0.003932140000019522), 6);
  });
});

describe("the page", () => {
  it("is well formed and needs nothing else", () => {
    for (const { name, attributes } of elements(root)) {
      expect(name).not.toMatch(/^(script|link|img|iframe|object|embed)$/);
      for (const [key, value] of Object.entries(attributes)) {
        expect(key).not.toMatch(/^on/);
        if (/^(src|href|data|action)$/.test(key)) expect(value).toMatch(/^#/);
        if (key !== "aria-label") expect(value).not.toMatch(/NaN|undefined|Infinity/);
      }
    }
    expect(page).not.toMatch(/url\(|@import|https?:/);
    const ids = [...elements(root)].map(({ attributes }) => attributes.id).filter(Boolean);
    for (const { attributes } of elements(root, "a")) expect(ids).toContain(attributes.href!.slice(1));
  });

  it("shows names that would be markup as names", () => {
    expect(textOf(root)).toContain(`CSNet ${hostile}`);
    expect(page).toContain("&lt;img src=x");
  });

  it("its charts are well formed by themselves", async () => {
    const charts = [...page.matchAll(/<svg .*?<\/svg>/gs)].map(([chart]) =>
      chart.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" '),
    );
    expect(charts.length).toBeGreaterThan(30);
    for (const chart of charts) expect((await sharp(Buffer.from(chart)).metadata()).format).toBe("svg");
  });

  it("has the numbers of the JSON, rounded", () => {
    const minus = (text: string) => text.replace("-", "−");
    const percent = (value: number) => minus((100 * value).toFixed(1));
    const tables = [...elements(root, "section")].find(({ attributes }) => attributes.id === "cell-rho0.5-n512")!;
    const rows = [...elements(tables, "tr")].map((found) =>
      [...elements(found)].filter(({ name }) => name === "td" || name === "th").map(textOf),
    );
    const aesthetics = rows.find((cells) => cells[0]!.startsWith("AENet-FL") && cells.length > 8)!;
    const { ours } = row("rho0.5-n512", "aenet-fl").tasks.aes!;
    expect(aesthetics[2]).toBe(
      `${percent(ours.accuracy.value)} ± ${percent(ours.accuracy.deviation!)}` +
        `${percent(ours.accuracy.interval!.low)} to ${percent(ours.accuracy.interval!.high)}`,
    );
    expect(aesthetics[3]).toBe(percent(row("rho0.5-n512", "aenet-fl").tasks.aes!.accuracy_on_shared!));
    expect(aesthetics[4]).toBe(percent(ours.majority));
    expect(aesthetics[6]).toContain(`${ours.auc!.value.toFixed(3)} ± `);
    const primary = [...elements(root, "section")].find(({ attributes }) => attributes.id === "primary")!;
    for (const test of report.primary) {
      expect(textOf(primary)).toContain(minus((100 * test.mean!).toFixed(2)));
      expect(textOf(primary)).toContain(
        `without seed ${test.extreme_seed}: ${minus(`${test.mean_without_extreme! > 0 ? "+" : ""}${(100 * test.mean_without_extreme!).toFixed(2)}`)}`,
      );
    }
    expect(textOf(primary)).toContain("from 2 pilot seeds");
  });

  it("says where curves of accuracy are wanting", () => {
    const old = results.map((run) => ({
      ...run,
      history: run.history.map((history) => ({
        ...history,
        epochs: history.epochs
          .filter(({ split }) => split === "train")
          .map((curve) => ({ ...curve, acc_aes: [null, null, null], acc_emo: [null, null, null] })),
      })),
    }));
    const text = textOf(parseMarkup(reportPage(analyse(experiment, old, precision), experiment)));
    const told = "The runs recorded no accuracies by epoch";
    expect([text.includes(told), textOf(root).includes(told)]).toEqual([true, false]);
  });

  it("marks the paper's protocol and second readings, and every row's pre-training", () => {
    const section = [...elements(root, "section")].find(({ attributes }) => attributes.id === "cell-iae")!;
    const heads = [...elements(section, "th")].map(textOf);
    expect(heads.find((head) => head.startsWith("AENet †"))).toContain("--paper-protocol");
    expect(heads.find((head) => head.startsWith("AENet-FL ‡"))).toContain("read 2 times");
    expect(heads.find((head) => head.startsWith("ResNet50"))).toContain("generated, disjoint seeds");
  });

  it("marks our numbers beside the paper's in the same way", () => {
    const section = [...elements(root, "section")].find(({ attributes }) => attributes.id === "paper")!;
    const rows = [...elements(section, "tr")].map((found) =>
      [...elements(found)].filter(({ name }) => name === "td" || name === "th").map(textOf),
    );
    const [iae, others] = ["81.05", "72.83"].map((accuracy) => rows.find((cells) => cells.includes(accuracy))!);
    expect(iae![0]).toMatch(/^AENetA, E: generated, disjoint seeds.*† pre-training saw .*‡ the test split was read 2/);
    expect(iae![4]).toMatch(/^[\d.]+ † ‡/);
    expect(others!.slice(0, 1).concat(others!.slice(4, 5))).toEqual(["AENet", "–"]);
  });

  it("tells the size of our networks where it is not the paper's", () => {
    const heads = (ours: readonly RunResult[]) => {
      const found = parseMarkup(reportPage(analyse(experiment, ours, precision), experiment));
      const section = [...elements(found, "section")].find(({ attributes }) => attributes.id === "paper")!;
      const row = [...elements(section, "tr")].find((found) => textOf(found).includes("66.23"))!;
      return [...elements(row, "td")].map(textOf);
    };
    const small = heads(results);
    expect([small[0], small[3]]).toEqual(["70.56 M§ ours: 6000", expect.stringMatching(/^[\d.]+ † ‡ §/)]);
    const full = results.map((run) =>
      run.method === "aenet" ? { ...run, networks: [{ ...run.networks[0]!, parameters: 70560989 }] } : run,
    );
    expect([heads(full)[0], heads(full)[3]]).toEqual(["70.56 M", expect.not.stringContaining("§")]);
  });

  it("says of a cross-stitched network's curves that they are the other stream's", () => {
    const stitched = results.map((run) =>
      run.method === "csnet" ? { ...run, fusion: results.find(({ method }) => method === "aenet")!.fusion } : run,
    );
    const titles = [...elements(parseMarkup(reportPage(analyse(experiment, stitched, precision), experiment)), "title")]
      .map(textOf)
      .filter((title) => title.includes(": share of the"));
    expect(titles.length).toBeGreaterThan(0);
    for (const title of titles)
      expect(title.includes("share of the other stream")).toBe(title.startsWith(`CSNet ${hostile}`));
  });

  it("says that ranks of folds are of several networks' probabilities", () => {
    const note = "AUC and correlations are of the probabilities of all 3 folds together";
    const other = "It is of the probabilities of all 3 folds together";
    const section = (cell: string) =>
      textOf([...elements(root, "section")].find(({ attributes }) => attributes.id === `cell-${cell}`)!);
    for (const told of [note, other])
      expect([section("photographs").includes(told), section("iae").includes(told)]).toEqual([true, false]);
  });

  it("says what was not reproduced", () => {
    const without = { ...experiment, cells: experiment.cells.slice(0, 1) };
    const own = results.filter(({ cell }) => cell === primaryCell);
    const text = textOf(parseMarkup(reportPage(analyse(without, own, precision), without)));
    expect(text).toContain("None of the paper's accuracies has been reproduced");
    expect(text).toContain("81.05");
  });
});

it("the tables for programs hold the same numbers, exactly", () => {
  const tables = reportTables(report);
  const { header, rows } = parseCsv(tables["results.csv"]!, "results.csv");
  for (const { values } of rows) {
    const cell = (name: string) => values[header.indexOf(name)]!;
    const { ours } = row(cell("cell"), cell("method")).tasks[cell("task") as "aes" | "emo"]!;
    expect(Number(cell("accuracy"))).toBe(ours.accuracy.value);
    expect(cell("auc")).toBe(ours.auc === null ? "" : String(ours.auc.value));
  }
  for (const { values } of rows.filter(({ values }) => values[header.indexOf("cell")] === "rho0.5-n512"))
    expect(values[header.indexOf("shared_seeds")]).toBe("4");
  expect(rows).toHaveLength(24);
  expect(parseCsv(tables["tests.csv"]!, "tests.csv").rows).toHaveLength(4);
  expect(parseCsv(tables["seeds.csv"]!, "seeds.csv").rows).toHaveLength(2 * (3 * 10 + 4 + 4 + 4));
  expect(parseCsv(tables["classes.csv"]!, "classes.csv").rows.map(({ values }) => values[3])).toContain(hostile);
});

it("aenet experiment report writes it from a folder of results", async () => {
  const small = { ...experiment, cells: experiment.cells.slice(1), primary: [], pilot: null };
  await writeExperiment(folder, small);
  for (const run of results.filter(({ cell }) => cell !== primaryCell)) await writeRunResult(folder, run);
  const args = ["experiment", "report", folder, "--resamples", "50"];
  const { code, out } = await runCommand([...args, "--json"]);
  expect(code).toBe(0);
  const printed = JSON.parse(out);
  expect(JSON.parse(readFileSync(join(folder, "report", "report.json"), "utf8")).cells).toEqual(printed.cells);
  for (const name of [
    "report.html",
    "results.csv",
    "tests.csv",
    "checks.csv",
    "differences.csv",
    "seeds.csv",
    "classes.csv",
  ])
    expect(existsSync(join(folder, "report", name))).toBe(true);
  expect((await runCommand(args)).out).toMatch(/AENet +\d/);
  // Tables that are published without their results stay as they are.
  const published = readFileSync(join(folder, "report", "results.csv"), "utf8");
  rmSync(join(folder, "results"), { recursive: true });
  const empty = await runCommand(args);
  expect([empty.code, empty.err]).toEqual([1, expect.stringContaining("has no result to report")]);
  expect(readFileSync(join(folder, "report", "results.csv"), "utf8")).toBe(published);
  const missing = await runCommand(["experiment", "report", join(folder, "none")]);
  expect([missing.code, missing.err]).toEqual([1, expect.stringContaining("experiment.json")]);
});
