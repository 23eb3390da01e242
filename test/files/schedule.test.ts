import { describe, expect, it } from "vitest";
import {
  advanceSchedule,
  defaultSchedule,
  type ScheduleOptions,
  type ScheduleState,
  startSchedule,
} from "../../src/aenet/training/schedule.ts";

/** Feeds losses one by one, each state through JSON and back. */
function follow(losses: readonly (number | null)[], options: ScheduleOptions = defaultSchedule) {
  let state: ScheduleState = startSchedule(1e-4, 1e-2);
  return losses.map((loss, epoch) => {
    const verdict = advanceSchedule(state, { epoch, step: epoch * 10, loss, accAes: null, accEmo: null }, options);
    state = JSON.parse(JSON.stringify(verdict.state)) as ScheduleState;
    expect(state).toEqual(verdict.state);
    return verdict;
  });
}

describe("schedule", () => {
  // Each row: validation loss, then the rate that torch.optim.lr_scheduler.ReduceLROnPlateau(factor=0.5, patience=2)
  // leaves behind scheduler.step(loss), and its num_bad_epochs; by hand from its definition.
  it.each([
    {
      name: "falls after more than patience bad epochs, and counts anew",
      table: [
        [1.0, 1e-4, 0],
        [1.0, 1e-4, 1],
        [1.1, 1e-4, 2],
        [1.0, 5e-5, 0],
        [1.2, 5e-5, 1],
        [0.9, 5e-5, 0],
        [0.9, 5e-5, 1],
        [0.9, 5e-5, 2],
        [0.9, 2.5e-5, 0],
      ],
    },
    {
      name: "takes a gain of at most one in ten thousand for none",
      table: [
        [1.0, 1e-4, 0],
        [0.99995, 1e-4, 1],
        [0.9999, 1e-4, 2],
        [0.99989, 1e-4, 0],
        [0.9999, 1e-4, 1],
        [0.9998, 1e-4, 2],
        [0.9998, 5e-5, 0],
      ],
    },
    {
      name: "counts a loss that is not a number as bad",
      table: [
        [Number.NaN, 1e-4, 1],
        [Number.POSITIVE_INFINITY, 1e-4, 2],
        [Number.NaN, 5e-5, 0],
        [3, 5e-5, 0],
      ],
    },
  ])("$name", ({ table }) => {
    const verdicts = follow(
      table.map(([loss]) => loss!),
      { ...defaultSchedule, patience: 2 },
    );
    expect(verdicts.map(({ state }) => [state.lr, state.badEvaluations])).toEqual(
      table.map(([, lr, bad]) => [lr, bad]),
    );
    for (const { state } of verdicts) expect(state.fusionLr).toBeCloseTo(state.lr * 100, 12);
    expect(verdicts.map(({ reduced }) => reduced)).toEqual(
      table.map(([, lr], i) => lr !== (i === 0 ? 1e-4 : table[i - 1]![1])),
    );
  });

  it("falls at the tenth equal loss and every ninth after it by default", () => {
    const rates = follow(Array(30).fill(1)).map(({ state }) => state.lr);
    const falls = rates.flatMap((rate, i) => (i > 0 && rate !== rates[i - 1] ? [i + 1] : []));
    expect(falls).toEqual([10, 19, 28]);
  });

  it("leaves a rate alone that would fall by no more than 1e-8", () => {
    const last = follow(Array(200).fill(1)).at(-1)!.state;
    expect(last.lr).toBe(1e-4 / 2 ** 13);
    expect(last.fusionLr).toBe(1e-2 / 2 ** 19);
  });

  it("stops after 20 evaluations in a row without a new best", () => {
    const losses = [2, 1.9, ...Array(10).fill(2), 1.8, ...Array(20).fill(1.8), 1];
    const verdicts = follow(losses);
    expect(verdicts.findIndex(({ stop }) => stop)).toBe(32);
    expect(verdicts[32]!.state.evaluationsSinceBest).toBe(20);
    // A gain too small for the plateau is still a best.
    expect(follow([1, 0.99999]).at(-1)!.state).toMatchObject({ evaluationsSinceBest: 0, badEvaluations: 1 });
  });

  it("follows each best by its own measure, the first of equals", () => {
    const evaluations = [
      { loss: 2, accAes: 0.5, accEmo: 0.3, improved: ["best", "best-aes", "best-emo"] },
      { loss: 1.5, accAes: 0.5, accEmo: 0.4, improved: ["best", "best-emo"] },
      { loss: 1.5, accAes: 0.6, accEmo: null, improved: ["best-aes"] },
      { loss: null, accAes: null, accEmo: 0.5, improved: ["best-emo"] },
      { loss: Number.NaN, accAes: Number.NaN, accEmo: 0.5, improved: [] },
    ];
    let state = startSchedule(1, 1);
    for (const [epoch, { improved, ...measures }] of evaluations.entries()) {
      const verdict = advanceSchedule(state, { epoch, step: 10 * epoch, ...measures });
      expect(verdict.improved).toEqual(improved);
      state = verdict.state;
    }
    expect(state.best).toEqual({ epoch: 1, step: 10, value: 1.5 });
    expect(state.bestAes).toEqual({ epoch: 2, step: 20, value: 0.6 });
    expect(state.bestEmo).toEqual({ epoch: 3, step: 30, value: 0.5 });
    expect(state).toMatchObject({ badEvaluations: 2, evaluationsSinceBest: 2 });
  });
});
