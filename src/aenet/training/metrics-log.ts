/** `metrics.jsonl`: one record a line, appended as training goes on, cut back on resume. Node only. */
import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";

/** A training step; losses are those before its update, null where no sample of the batch carries the label. */
export interface StepRecord {
  readonly type: "step";
  /** From 1. */
  readonly step: number;
  readonly epoch: number;
  readonly loss: number | null;
  readonly loss_aes: number | null;
  readonly loss_emo: number | null;
  readonly lr: number;
  readonly images_per_s: number;
  /** Only in f16: the loss scale as this step left it, and how many steps were left out so far. */
  readonly loss_scale?: number;
  readonly skipped_steps?: number;
}

/** A split as a whole after an epoch; accuracies and the largest classes' shares are fractions, null without labels. */
export interface EpochRecord {
  readonly type: "epoch";
  readonly epoch: number;
  readonly split: "train" | "val" | "test";
  readonly loss: number | null;
  readonly acc_aes: number | null;
  readonly acc_emo: number | null;
  readonly majority_aes: number | null;
  readonly majority_emo: number | null;
}

export type MetricsRecord = StepRecord | EpochRecord;

const keys: { [K in MetricsRecord["type"]]: readonly (keyof Extract<MetricsRecord, { type: K }>)[] } = {
  step: ["type", "step", "epoch", "loss", "loss_aes", "loss_emo", "lr", "images_per_s", "loss_scale", "skipped_steps"],
  epoch: ["type", "epoch", "split", "loss", "acc_aes", "acc_emo", "majority_aes", "majority_emo"],
};

/** A record's line: keys in a fixed order, every float64 printed so that it parses back exactly, NaN and Infinity null. */
export function formatRecord(record: MetricsRecord): string {
  return `${JSON.stringify(record, keys[record.type] as string[])}\n`;
}

export class MetricsLog {
  readonly #file: number;
  /** Where each line ends, in bytes from the file's start. */
  readonly #ends: number[];

  /** Opens or makes the file. A last line without its end, from a process that was killed, is removed. */
  constructor(path: string) {
    this.#file = openSync(path, "a+");
    const bytes = readFileSync(this.#file);
    this.#ends = [];
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, end + 1)) this.#ends.push(end + 1);
    ftruncateSync(this.#file, this.#ends.at(-1) ?? 0);
  }

  /** Complete lines in the file. */
  get lines(): number {
    return this.#ends.length;
  }

  append(...records: readonly MetricsRecord[]): void {
    for (const record of records) {
      const line = Buffer.from(formatRecord(record));
      for (let at = 0; at < line.length; ) at += writeSync(this.#file, line, at);
      this.#ends.push((this.#ends.at(-1) ?? 0) + line.length);
    }
  }

  /** Keeps the first `lines` lines; fewer stay as they are. */
  cutBack(lines: number): void {
    if (lines >= this.#ends.length) return;
    this.#ends.length = lines;
    ftruncateSync(this.#file, this.#ends.at(-1) ?? 0);
    this.flush();
  }

  /** Returns when everything appended is on disk. */
  flush(): void {
    fsyncSync(this.#file);
  }

  close(): void {
    this.flush();
    closeSync(this.#file);
  }
}
