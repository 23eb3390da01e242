/** What can be wrong with a torch file; the message of a {@link PthError} starts with it. */
export type PthFault =
  // the file
  | "not a torch file"
  | "truncated file"
  | "trailing bytes"
  | "big-endian"
  | "TorchScript archive"
  // zip
  | "bad zip record"
  | "lying zip directory"
  | "encrypted entry"
  | "unknown compression"
  | "duplicate entry"
  | "missing entry"
  | "overlap"
  | "hole"
  | "zip bomb"
  | "damaged deflate stream"
  | "wrong checksum"
  // pickle
  | "truncated pickle"
  | "unsupported pickle"
  | "malformed pickle"
  | "pickle bomb"
  | "refuses"
  | "duplicate key"
  | "not UTF-8"
  // tensors
  | "wrong type"
  | "negative number"
  | "huge number"
  | "wrong byte length"
  | "contradicting storages"
  | "missing storage"
  | "beyond its storage"
  | "too many numbers"
  | "bad name"
  | "no tensors";

/** A torch file that is refused; `fault` names the rule it breaks. */
export class PthError extends Error {
  readonly fault: PthFault;

  constructor(fault: PthFault, detail: string) {
    super(fault === "refuses" ? `pth: refuses ${detail}` : `pth: ${fault}: ${detail}`);
    this.name = "PthError";
    this.fault = fault;
  }
}
