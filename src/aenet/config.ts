/** A configuration's fingerprint: the same for runs that compute the same. Node only (node:crypto). */
import { createHash } from "node:crypto";

/** What changes where, how long or on what a run computes, but not what. */
const unhashed = new Set(["out", "resume", "overwrite", "epochs", "maxSteps", "adapter", "workers"]);

/**
 * JSON with keys sorted by code point, without spaces, members that are undefined left out: equal values give equal text.
 *
 * @throws Error where a number is not finite, or a value is none of JSON's (a function, a bigint, a Map).
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === "boolean" || typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new Error(`canonical JSON: ${value} is not a finite number`);
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value === "object" && isPlain(value)) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    members.sort(([x], [y]) => Buffer.compare(Buffer.from(x), Buffer.from(y))); // UTF-8 sorts as code points do
    return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`).join(",")}}`;
  }
  throw new Error(`canonical JSON: ${typeof value === "object" ? value.constructor.name : typeof value} is not JSON`);
}

/**
 * SHA-256, hexadecimal, of the configuration's canonical JSON without out, resume, overwrite, epochs, max-steps, adapter
 * and workers. Keys may be written as flags (`max-steps`) or as properties (`maxSteps`); both give the same digest.
 */
export function configSha256(config: Readonly<Record<string, unknown>>): string {
  const hashed = Object.entries(config)
    .map(([key, value]) => [key.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase()), value] as const)
    .filter(([key]) => !unhashed.has(key));
  return createHash("sha256")
    .update(canonicalJson(Object.fromEntries(hashed)))
    .digest("hex");
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
