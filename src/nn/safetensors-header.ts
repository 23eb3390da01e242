/**
 * The JSON header of a safetensors file, read by a scanner that accepts nothing but its fixed grammar.
 *
 * `JSON.parse` keeps the last of two equal keys and builds whatever is nested in the text; a header that lies has to be
 * refused by name instead, without allocating more than a small multiple of its own length.
 *
 * Format: https://github.com/huggingface/safetensors#format
 */

/** What can be wrong with a safetensors file; the message of a {@link SafetensorsError} starts with it. */
export type SafetensorsFault =
  | "truncated file"
  | "header too large"
  | "header beyond the file"
  | "header not UTF-8"
  | "header not JSON"
  | "duplicate key"
  | "unknown field"
  | "missing field"
  | "wrong type"
  | "bad name"
  | "unknown dtype"
  | "unsupported dtype"
  | "too many dimensions"
  | "negative number"
  | "non-integer number"
  | "huge number"
  | "misordered offsets"
  | "wrong byte length"
  | "overlap"
  | "hole"
  | "data beyond the file"
  | "trailing bytes";

/** A safetensors file that is refused; `fault` names the rule it breaks. */
export class SafetensorsError extends Error {
  readonly fault: SafetensorsFault;

  constructor(fault: SafetensorsFault, detail: string) {
    super(`safetensors: ${fault}: ${detail}`);
    this.name = "SafetensorsError";
    this.fault = fault;
  }
}

/** One tensor as the header describes it, byte offsets counted from the end of the header. */
export interface HeaderTensor {
  dtype: string;
  shape: number[];
  begin: number;
  end: number;
}

export interface Header {
  metadata: Record<string, string>;
  tensors: Map<string, HeaderTensor>;
}

const maxRank = 32;

/**
 * Reads `{"__metadata__": {string: string, …}, NAME: {"dtype": …, "shape": […], "data_offsets": [begin, end]}, …}`.
 * Offsets and shapes are checked for being integers in range, not against each other.
 *
 * @throws SafetensorsError where the text is anything else.
 */
export function readHeader(text: string): Header {
  const scanner = new Scanner(text);
  let metadata: Record<string, string> | undefined;
  const tensors = new Map<string, HeaderTensor>();
  scanner.object("the header", (name) => {
    if (name === "__metadata__") {
      if (metadata) throw new SafetensorsError("duplicate key", "the header has two __metadata__");
      metadata = readMetadata(scanner);
    } else {
      if (tensors.has(name)) throw new SafetensorsError("duplicate key", `the header has two tensors ${quote(name)}`);
      tensors.set(name, readTensor(scanner, name));
    }
  });
  scanner.end();
  return { metadata: metadata ?? {}, tensors };
}

function readMetadata(scanner: Scanner): Record<string, string> {
  const entries = new Map<string, string>();
  scanner.object("__metadata__", (key) => {
    if (entries.has(key)) throw new SafetensorsError("duplicate key", `__metadata__ has two ${quote(key)}`);
    entries.set(key, scanner.string(`__metadata__ ${quote(key)}`));
  });
  return Object.fromEntries(entries); // defines "__proto__" as a plain property, where an assignment would not
}

function readTensor(scanner: Scanner, name: string): HeaderTensor {
  const what = `tensor ${quote(name)}`;
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  scanner.object(what, (field) => {
    if (field === "dtype" && dtype === undefined) dtype = scanner.string(`dtype of ${what}`);
    else if (field === "shape" && !shape) shape = scanner.integers(`shape of ${what}`, maxRank);
    else if (field === "data_offsets" && !offsets) offsets = scanner.integers(`data_offsets of ${what}`, 2);
    else if (field === "dtype" || field === "shape" || field === "data_offsets")
      throw new SafetensorsError("duplicate key", `${what} has two ${field}`);
    else throw new SafetensorsError("unknown field", `${what} has ${quote(field)}`);
  });
  if (dtype === undefined) throw new SafetensorsError("missing field", `${what} has no dtype`);
  if (!shape) throw new SafetensorsError("missing field", `${what} has no shape`);
  if (!offsets) throw new SafetensorsError("missing field", `${what} has no data_offsets`);
  if (offsets.length !== 2) throw new SafetensorsError("wrong type", `data_offsets of ${what} are not two numbers`);
  return { dtype, shape, begin: offsets[0]!, end: offsets[1]! };
}

/** A name or text from the file, quoted and cut short for an error message. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

/** Walks over the header's text. Every method leaves the position behind what it read. */
class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** An object: `member` is called behind every `"key":` and has to read the value. */
  object(what: string, member: (key: string) => void): void {
    this.#open("{", "an object", what);
    if (this.#accept("}")) return;
    do {
      const key = this.string(`a key in ${what}`);
      this.#need(":", what);
      member(key);
    } while (this.#accept(","));
    this.#need("}", what);
  }

  /** An array of at most `limit` integers from 0 to 2^53 − 1. */
  integers(what: string, limit: number): number[] {
    this.#open("[", "an array", what);
    const values: number[] = [];
    if (this.#accept("]")) return values;
    do {
      if (values.length === limit)
        throw new SafetensorsError("too many dimensions", `${what} has more than ${limit} numbers`);
      values.push(this.#integer(what));
    } while (this.#accept(","));
    this.#need("]", what);
    return values;
  }

  string(what: string): string {
    this.#open('"', "a string", what);
    const begin = this.#at - 1;
    for (;;) {
      const end = this.#text.indexOf('"', this.#at);
      if (end < 0) throw new SafetensorsError("header not JSON", `${what} is a string without an end`);
      this.#at = end + 1;
      let backslashes = 0;
      while (this.#text[end - 1 - backslashes] === "\\") backslashes++;
      if (backslashes % 2 === 0) break;
    }
    let value: string;
    try {
      value = JSON.parse(this.#text.slice(begin, this.#at)) as string;
    } catch {
      throw new SafetensorsError("header not JSON", `${what} is not a JSON string`);
    }
    // Encoded as UTF-8, a lone surrogate would come back as another name.
    if (/\p{Surrogate}/u.test(value)) throw new SafetensorsError("bad name", `${what} has half a surrogate pair`);
    return value;
  }

  /** Only the padding may follow. */
  end(): void {
    this.#space();
    if (this.#at < this.#text.length) throw new SafetensorsError("header not JSON", `text behind the closing brace`);
  }

  #integer(what: string): number {
    this.#space();
    const begin = this.#at;
    while (this.#at - begin < 32 && "+-.eE0123456789".includes(this.#text[this.#at] ?? " ")) this.#at++;
    const digits = this.#text.slice(begin, this.#at);
    if (/^-\d+$/.test(digits)) throw new SafetensorsError("negative number", `${what} has ${digits}`);
    if (/^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(digits) && !/^\d+$/.test(digits))
      throw new SafetensorsError("non-integer number", `${what} has ${digits}`);
    if (digits === "") throw new SafetensorsError("wrong type", `${what} has something that is no number`);
    if (!/^(0|[1-9]\d*)$/.test(digits)) throw new SafetensorsError("header not JSON", `${what} has ${digits}`);
    const value = Number(digits);
    if (!Number.isSafeInteger(value)) throw new SafetensorsError("huge number", `${what} has ${digits}`);
    return value;
  }

  #space(): void {
    while (" \t\n\r".includes(this.#text[this.#at] ?? "x")) this.#at++;
  }

  #accept(token: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== token) return false;
    this.#at++;
    return true;
  }

  #need(token: string, what: string): void {
    if (!this.#accept(token))
      throw new SafetensorsError("header not JSON", `${what} lacks ${token} at character ${this.#at}`);
  }

  /** The token that opens a value: where another kind of value stands, that is its fault, else the text is no JSON. */
  #open(token: string, kind: string, what: string): void {
    if (this.#accept(token)) return;
    const found = this.#text[this.#at];
    if (found !== undefined && /["{[\d\-tfn]/.test(found))
      throw new SafetensorsError("wrong type", `${what} is not ${kind}`);
    throw new SafetensorsError("header not JSON", `${what} is missing at character ${this.#at}`);
  }
}
