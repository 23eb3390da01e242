/**
 * Merges recorded dispatches: what maps a tensor elementwise becomes the epilogue of the kernel that writes it, where
 * nobody else reads that tensor, which then never comes to memory; what only looks at a tensor becomes an observer of that
 * kernel, for a pass over memory less; and what nobody reads any more is not computed. So it is what a program needs that
 * decides: the same batch norm of an evaluation is merged into its convolution when the network is only run, and is not
 * where a gradient reads the convolution's output.
 */
import type { RecordedDispatch } from "./tape.ts";
import type { Storage, Tensor } from "./tensor.ts";

const storagesOf = (dispatch: RecordedDispatch, names: object): Storage[] =>
  Object.keys(names).map((name) => dispatch.bindings[name]!.storage);
const readsOf = (dispatch: RecordedDispatch) => storagesOf(dispatch, dispatch.kernel.inputs);
const writesOf = (dispatch: RecordedDispatch) => storagesOf(dispatch, dispatch.kernel.outputs);

/** Whether the adapter can take a dispatch. */
type Fits = (dispatch: RecordedDispatch) => boolean;

/** The dispatches that leave the same in `results` and in persistent storage. What would not fit is not merged. Pure. */
export function mergeDispatches(
  recorded: readonly RecordedDispatch[],
  results: readonly Tensor[],
  fits: Fits = () => true,
): readonly RecordedDispatch[] {
  const kept = new Set(results.map(({ storage }) => storage));
  return withoutUnread(withObservers(withEpilogues(recorded, kept, fits), fits), kept);
}

/** When each storage is written. */
function writersOf(dispatches: readonly RecordedDispatch[]): Map<Storage, number[]> {
  const writers = new Map<Storage, number[]>();
  for (const [time, dispatch] of dispatches.entries()) {
    for (const storage of writesOf(dispatch)) writers.set(storage, [...(writers.get(storage) ?? []), time]);
  }
  return writers;
}

function withEpilogues(
  recorded: readonly RecordedDispatch[],
  kept: ReadonlySet<Storage>,
  fits: Fits,
): RecordedDispatch[] {
  const readers = new Map<Storage, number>();
  for (const storage of recorded.flatMap(readsOf)) readers.set(storage, (readers.get(storage) ?? 0) + 1);
  const writers = writersOf(recorded);
  const merged: (RecordedDispatch | null)[] = [...recorded];
  for (const [time, { asEpilogue, operation }] of recorded.entries()) {
    if (!asEpilogue) continue;
    const { storage } = asEpilogue.x;
    const [writer, ...others] = writers.get(storage) ?? [];
    const product = writer === undefined ? null : merged[writer];
    if (!product?.withEpilogue || others.length > 0 || writer! > time) continue;
    if (storage.persistent || kept.has(storage) || readers.get(storage) !== 1) continue;
    // The product moves to where its epilogue stands; nothing between may change what it reads.
    const changed = readsOf(product).some((read) => writers.get(read)?.some((at) => at > writer! && at < time));
    if (changed) continue;
    const both = { ...product.withEpilogue(asEpilogue), operation: `${product.operation}, ${operation}` };
    if (!fits(both)) continue;
    merged[writer!] = null;
    merged[time] = both;
  }
  return merged.filter((dispatch) => dispatch !== null);
}

/**
 * An observer looks at the tensor when it is written, earlier than before: so until then nobody may touch what it finds, or
 * change what else it reads.
 */
function withObservers(dispatches: readonly RecordedDispatch[], fits: Fits): RecordedDispatch[] {
  const writers = writersOf(dispatches);
  const merged: (RecordedDispatch | null)[] = [...dispatches];
  for (const [time, dispatch] of dispatches.entries()) {
    const { asObserver, kernel, bindings, operation } = dispatch;
    // What is stored in f16 is not what is looked at.
    if (asObserver?.x.dtype !== "f32") continue;
    const [writer, ...others] = writers.get(asObserver.x.storage) ?? [];
    const product = writer === undefined ? null : merged[writer];
    if (!product || others.length > 0 || writer! > time) continue;
    const finds = Object.keys(kernel.outputs).map((name) => bindings[name]!);
    const between = dispatches.slice(writer, time);
    const [touched, changed] = [between.flatMap((one) => storagesOf(one, one.bindings)), between.flatMap(writesOf)];
    if (finds.some(({ storage }) => touched.includes(storage))) continue;
    if (readsOf(dispatch).some((read) => read !== asObserver.x.storage && changed.includes(read))) continue;
    const observed = product.withObserver?.(asObserver);
    if (!observed) continue;
    const both = { ...observed, operation: product.operation, observed: { operation, finds } };
    if (!fits(both)) continue;
    merged[writer!] = both;
    merged[time] = null;
  }
  return merged.filter((dispatch) => dispatch !== null);
}

/** Without what writes only planned tensors that nothing reads after it. */
function withoutUnread(dispatches: readonly RecordedDispatch[], kept: ReadonlySet<Storage>): RecordedDispatch[] {
  const needed = new Set(kept);
  return dispatches
    .toReversed()
    .filter((dispatch) => {
      const isNeeded = writesOf(dispatch).some((storage) => storage.persistent || needed.has(storage));
      if (isNeeded) for (const storage of readsOf(dispatch)) needed.add(storage);
      return isNeeded;
    })
    .reverse();
}
