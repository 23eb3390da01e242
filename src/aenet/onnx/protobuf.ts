/**
 * Writing protobuf's wire format: a message is a list of pieces, so that large fields are passed on and never copied.
 *
 * Format: https://protobuf.dev/programming-guides/encoding/
 */

export type Message = readonly Uint8Array[];

const utf8 = new TextEncoder();

/** The bytes of an integer, seven bits each; a negative one takes ten. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return bytes;
}

const tag = (field: number, wireType: number) => varint(field * 8 + wireType);

export function integer(field: number, value: number): Message {
  return [Uint8Array.from([...tag(field, 0), ...varint(value)])];
}

export function integers(field: number, values: readonly number[]): Message {
  return bytes(field, Uint8Array.from(values.flatMap(varint)));
}

export function float(field: number, value: number): Message {
  return [Uint8Array.from(tag(field, 5)), new Uint8Array(Float32Array.of(value).buffer)];
}

export function text(field: number, value: string): Message {
  return bytes(field, utf8.encode(value));
}

export function bytes(field: number, value: Uint8Array): Message {
  return message(field, [value]);
}

/** A message within a message. */
export function message(field: number, ...parts: readonly Message[]): Message {
  const pieces = parts.flat();
  return [Uint8Array.from([...tag(field, 2), ...varint(byteLength(pieces))]), ...pieces];
}

export function byteLength(pieces: Message): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}

/** The same bytes in fewer pieces: small ones are joined, those of `large` bytes or more stay as they are. */
export function* joinSmall(pieces: Message, large = 65_536): Generator<Uint8Array> {
  let small: Uint8Array[] = [];
  const joined = () => {
    const whole = new Uint8Array(byteLength(small));
    let at = 0;
    for (const piece of small) {
      whole.set(piece, at);
      at += piece.length;
    }
    small = [];
    return whole;
  };
  for (const piece of pieces) {
    if (piece.length < large) small.push(piece);
    else {
      yield joined();
      yield piece;
    }
  }
  yield joined();
}
