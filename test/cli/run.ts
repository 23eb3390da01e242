import { runProgram } from "../../src/aenet/cli/program.ts";

/** What a command line prints and the code it ends with; of the environment it sees AENET_ADAPTER and what is given. */
export async function runCommand(
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<{ code: number; out: string; err: string }> {
  const [out, err]: [string[], string[]] = [[], []];
  const code = await runProgram(args, {
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    interactive: false,
    columns: 80,
    environment: { ...(process.env.AENET_ADAPTER ? { AENET_ADAPTER: process.env.AENET_ADAPTER } : {}), ...environment },
  });
  return { code, out: out.join(""), err: err.join("") };
}
