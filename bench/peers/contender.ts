/** A process that holds one task ready and runs it on demand, so that contenders can take turns. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

export interface Ready {
  /** The library's version. */
  readonly version: string;
  /** Milliseconds to prepare and run once. */
  readonly firstMs: number;
}

type Answer = Readonly<Record<string, unknown>>;

export class Contender {
  readonly #process: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  #complaint = "";

  private constructor(child: ChildProcess) {
    this.#process = child;
    this.#answers = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    child.stderr!.on("data", (text: Buffer) => {
      const lines = text.toString().trim().split("\n");
      const telling = lines.find((line) => /error/i.test(line)) ?? lines.at(-1);
      if (!/error/i.test(this.#complaint)) this.#complaint = telling || this.#complaint;
    });
    child.on("error", (error) => {
      this.#complaint = error.message;
    });
    child.stdin!.on("error", () => {}); // it ended; the missing answer tells
  }

  /** @throws Error with the reason where it does not get ready within `seconds`. */
  static async start(
    command: readonly string[],
    options: { folder: URL; environment: Readonly<Record<string, string | undefined>>; seconds: number },
  ): Promise<{ contender: Contender; ready: Ready }> {
    const [program, ...rest] = command;
    const child = spawn(program!, rest, { cwd: options.folder, env: { ...process.env, ...options.environment } });
    const contender = new Contender(child);
    try {
      const { ready, first_ms } = await contender.#answer(options.seconds);
      return { contender, ready: { version: String(ready), firstMs: Number(first_ms) } };
    } catch (error) {
      contender.stop();
      throw error;
    }
  }

  /** Milliseconds of one run. */
  async run(seconds: number): Promise<number> {
    this.#process.stdin!.write("run\n");
    return Number((await this.#answer(seconds)).ms);
  }

  async ask(question: string, seconds: number): Promise<Answer> {
    this.#process.stdin!.write(`${question}\n`);
    return this.#answer(seconds);
  }

  async #answer(seconds: number): Promise<Answer> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`took more than ${seconds} s`)), 1000 * seconds);
    });
    try {
      for (;;) {
        const { value, done } = await Promise.race([this.#answers.next(), late]);
        if (done) throw new Error(this.#complaint || "it ended without an answer");
        if (!value.startsWith("@")) continue;
        const answer = JSON.parse(value.slice(1)) as Answer;
        if (typeof answer.error === "string") throw new Error(answer.error);
        return answer;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  stop(): void {
    this.#process.kill("SIGKILL");
  }
}
