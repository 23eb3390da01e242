let last: Promise<unknown> = Promise.resolve();

/**
 * Runs `body` with environment variables set (or unset, where undefined), as native code sees them, then restores
 * them. Calls run one after another, since there is only one environment.
 */
export function withEnvironment<T>(
  variables: Readonly<Record<string, string | undefined>>,
  body: () => Promise<T>,
): Promise<T> {
  const run = async () => {
    const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
    const assign = (name: string, value: string | undefined) => {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    };
    for (const [name, value] of Object.entries(variables)) assign(name, value);
    try {
      return await body();
    } finally {
      for (const [name, value] of before) assign(name, value);
    }
  };
  const result = last.then(run, run);
  last = result.catch(() => {});
  return result;
}
