/**
 * A pickle machine that cannot execute anything: it knows plain data, and asks its caller what a name, a call of a name and
 * a persistent id stand for. Protocol 2, which is what torch.save writes.
 *
 * It is a loop over opcodes with a stack of its own, so nesting costs no recursion; the number of objects, the depth of the
 * stack and the memo are bound by the pickle's length.
 *
 * Opcodes: Python's Lib/pickletools.py.
 */
import { quote } from "../safetensors-header.ts";
import { PthError } from "./fault.ts";

export type Value = null | boolean | number | bigint | string | Sequence | Dict | object;

/** A list or a tuple. */
export class Sequence {
  readonly kind: "list" | "tuple";
  readonly items: Value[];

  constructor(kind: "list" | "tuple", items: Value[]) {
    this.kind = kind;
    this.items = items;
  }
}

type Key = string | number | bigint | boolean | null;

/** A dict or an OrderedDict, in its order. */
export class Dict {
  readonly isOrdered: boolean;
  #entries: Map<Key, Value> | undefined;

  constructor(isOrdered: boolean) {
    this.isOrdered = isOrdered;
  }

  get entries(): ReadonlyMap<Key, Value> {
    return this.#entries ?? new Map();
  }

  /** @throws PthError for a key that is there already, or can be none. */
  set(key: Value, value: Value): void {
    if (typeof key === "object" && key !== null)
      throw new PthError("wrong type", "a dict has a key that is no plain value");
    this.#entries ??= new Map();
    if (this.#entries.has(key)) throw new PthError("duplicate key", `a dict has two ${quote(String(key))}`);
    this.#entries.set(key, value);
  }
}

/** What a pickle's own names stand for. Each throws a PthError for what it does not allow. */
export interface Meanings {
  /** A name such as `collections.OrderedDict`; the value is only good for being called or given to a call. */
  global(name: string): object;
  call(callee: Value, args: readonly Value[]): Value;
  persistent(id: Value): object;
}

/** Marks within marks: Python itself cannot pickle deeper than its recursion limit of 1000. */
const maxMarks = 1000;
const maxStack = 100_000;

/**
 * Reads the pickle that begins at byte `at`.
 *
 * @returns Its value, and where it ends.
 * @throws PthError naming the fault, and whatever `meanings` does not allow.
 */
export function readPickle(bytes: Uint8Array, meanings: Meanings, at = 0): { value: Value; end: number } {
  const machine = new Machine(bytes, meanings, at);
  return { value: machine.run(), end: machine.at };
}

class Machine {
  at: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #meanings: Meanings;
  readonly #stack: Value[] = [];
  /** Heights of the stack. */
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, Value>();
  #objectsLeft: number;

  constructor(bytes: Uint8Array, meanings: Meanings, at: number) {
    this.at = at;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#meanings = meanings;
    // A tensor's record takes some 80 bytes for its five objects.
    this.#objectsLeft = 1000 + (bytes.length - at) / 4;
  }

  run(): Value {
    if (this.#byte() !== 0x80) throw new PthError("malformed pickle", "it does not begin with its protocol");
    const protocol = this.#byte();
    if (protocol !== 2)
      throw new PthError(
        "unsupported pickle",
        `protocol ${protocol}; torch.save writes 2 unless pickle_protocol is set`,
      );
    for (;;) {
      const opcode = this.#byte();
      if (opcode === 0x2e /* STOP */) break;
      this.#step(opcode);
      if (this.#stack.length > maxStack) throw new PthError("pickle bomb", `${maxStack} values wait on its stack`);
    }
    const value = this.#pop();
    if (this.#stack.length > 0 || this.#marks.length > 0)
      throw new PthError("malformed pickle", `${this.#stack.length} values are left behind its end`);
    return value;
  }

  #step(opcode: number): void {
    const stack = this.#stack;
    switch (String.fromCharCode(opcode)) {
      case "(": // MARK
        if (this.#marks.length === maxMarks) throw new PthError("pickle bomb", `${maxMarks} marks within each other`);
        this.#marks.push(stack.length);
        break;
      case "N":
        stack.push(null);
        break;
      case "\x88":
        stack.push(true);
        break;
      case "\x89":
        stack.push(false);
        break;
      case "K": // BININT1
        stack.push(this.#byte());
        break;
      case "M": // BININT2
        stack.push(this.#view.getUint16(this.#skip(2), true));
        break;
      case "J": // BININT
        stack.push(this.#view.getInt32(this.#skip(4), true));
        break;
      case "\x8a": // LONG1
        stack.push(this.#long(this.#byte()));
        break;
      case "G": // BINFLOAT
        stack.push(this.#view.getFloat64(this.#skip(8), false));
        break;
      case "X": // BINUNICODE
      case "T": // BINSTRING, as Python 2 wrote
        stack.push(this.#text(this.#view.getUint32(this.#skip(4), true)));
        break;
      case "U": // SHORT_BINSTRING
        stack.push(this.#text(this.#byte()));
        break;
      case ")":
        stack.push(this.#count(new Sequence("tuple", [])));
        break;
      case "]":
        stack.push(this.#count(new Sequence("list", [])));
        break;
      case "}":
        stack.push(this.#count(new Dict(false)));
        break;
      case "t": // TUPLE
        stack.push(this.#count(new Sequence("tuple", this.#popMark())));
        break;
      case "\x85": // TUPLE1 to TUPLE3
      case "\x86":
      case "\x87":
        stack.push(this.#count(new Sequence("tuple", this.#popMany(opcode - 0x84))));
        break;
      case "a": // APPEND
        this.#append([this.#pop()]);
        break;
      case "e": // APPENDS
        this.#append(this.#popMark());
        break;
      case "s": // SETITEM
        this.#setItems(this.#popMany(2));
        break;
      case "u": // SETITEMS
        this.#setItems(this.#popMark());
        break;
      case "q": // BINPUT
        this.#memo.set(this.#byte(), this.#top());
        break;
      case "r": // LONG_BINPUT
        this.#memo.set(this.#view.getUint32(this.#skip(4), true), this.#top());
        break;
      case "h": // BINGET
        stack.push(this.#recall(this.#byte()));
        break;
      case "j": // LONG_BINGET
        stack.push(this.#recall(this.#view.getUint32(this.#skip(4), true)));
        break;
      case "c": // GLOBAL
        stack.push(this.#meanings.global(`${this.#line()}.${this.#line()}`));
        break;
      case "Q": // BINPERSID
        stack.push(this.#count(this.#meanings.persistent(this.#pop())));
        break;
      case "R": // REDUCE
        this.#reduce();
        break;
      case "b": // BUILD
        this.#build();
        break;
      default:
        throw new PthError("unsupported pickle", `opcode 0x${opcode.toString(16)} at byte ${this.at - 1}`);
    }
  }

  #reduce(): void {
    const args = this.#pop();
    const callee = this.#pop();
    if (!(args instanceof Sequence)) throw new PthError("malformed pickle", "a call without arguments");
    this.#stack.push(this.#count(this.#meanings.call(callee, args.items)));
  }

  /** Attributes of an object: those of an OrderedDict (torch puts the modules' versions there) are passed over. */
  #build(): void {
    const state = this.#pop();
    const target = this.#top();
    if (!(target instanceof Dict && target.isOrdered && state instanceof Dict))
      throw new PthError("unsupported pickle", "attributes are given to something else than an OrderedDict");
  }

  #append(values: readonly Value[]): void {
    const target = this.#top();
    if (!(target instanceof Sequence && target.kind === "list"))
      throw new PthError("malformed pickle", "something is appended to what is no list");
    for (const value of values) target.items.push(value);
  }

  #setItems(values: readonly Value[]): void {
    const target = this.#top();
    if (!(target instanceof Dict)) throw new PthError("malformed pickle", "a key is set in what is no dict");
    if (values.length % 2 !== 0) throw new PthError("malformed pickle", "a key without a value");
    for (let i = 0; i < values.length; i += 2) target.set(values[i]!, values[i + 1]!);
  }

  #recall(index: number): Value {
    const value = this.#memo.get(index);
    if (value === undefined) throw new PthError("malformed pickle", `memo ${index} is empty`);
    return value;
  }

  #count<T extends Value>(value: T): T {
    if (--this.#objectsLeft < 0)
      throw new PthError("pickle bomb", `more objects than ${this.#bytes.length} bytes can honestly describe`);
    return value;
  }

  #top(): Value {
    const value = this.#stack.at(-1);
    if (value === undefined || this.#stack.length === this.#marks.at(-1))
      throw new PthError("malformed pickle", `the stack is empty at byte ${this.at}`);
    return value;
  }

  #pop(): Value {
    const value = this.#top();
    this.#stack.pop();
    return value;
  }

  #popMany(count: number): Value[] {
    if (this.#stack.length - (this.#marks.at(-1) ?? 0) < count)
      throw new PthError("malformed pickle", `the stack is empty at byte ${this.at}`);
    return this.#stack.splice(-count);
  }

  #popMark(): Value[] {
    const height = this.#marks.pop();
    if (height === undefined) throw new PthError("malformed pickle", `there is no mark at byte ${this.at}`);
    return this.#stack.splice(height);
  }

  /** Moves on by `count` bytes and returns where they begin. */
  #skip(count: number): number {
    const begin = this.at;
    if (count > this.#bytes.length - begin)
      throw new PthError("truncated pickle", `${count} bytes are due at byte ${begin} of ${this.#bytes.length}`);
    this.at += count;
    return begin;
  }

  #byte(): number {
    return this.#bytes[this.#skip(1)]!;
  }

  /** A little-endian integer in two's complement. */
  #long(count: number): number | bigint {
    const begin = this.#skip(count);
    let value = 0n;
    for (let i = count - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#bytes[begin + i]!);
    const signed = BigInt.asIntN(8 * count, value);
    return BigInt.asIntN(53, signed) === signed ? Number(signed) : signed;
  }

  #text(count: number): string {
    const begin = this.#skip(count);
    return decode(this.#bytes.subarray(begin, begin + count));
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.at);
    if (end < 0) throw new PthError("truncated pickle", `a name at byte ${this.at} has no end`);
    const text = decode(this.#bytes.subarray(this.at, end));
    this.at = end + 1;
    return text;
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new PthError("not UTF-8", "a string of the pickle");
  }
}
