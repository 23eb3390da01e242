import { describe, expect, it } from "vitest";
import { planMemory, Tape, type Tensor } from "../../src/autograd/index.ts";
import type { PlannedDispatch, PlannedTensor } from "../../src/autograd/planner.ts";
import { add, reluForward } from "../../src/kernels/elementwise.ts";
import { Random } from "../../src/random.ts";
import { testDevice } from "../support/device.ts";

/** What is wrong with a plan: tensors that overlap while both are needed, or share a bank in one dispatch. */
function faultsOf(dispatches: readonly PlannedDispatch[], outputs: ReadonlySet<PlannedTensor>): string[] {
  const { places, banks } = planMemory(dispatches, outputs);
  const spans = new Map<PlannedTensor, [number, number]>();
  dispatches.forEach(({ reads, writes }, time) => {
    for (const tensor of [...reads, ...writes]) spans.set(tensor, [spans.get(tensor)?.[0] ?? time, time]);
  });
  for (const tensor of outputs) spans.get(tensor)![1] = dispatches.length;
  const faults: string[] = [];
  const tensors = [...spans.keys()];
  const place = (tensor: PlannedTensor) => places.get(tensor)!;
  for (const [i, a] of tensors.entries()) {
    if (place(a).offset % 256 !== 0 || place(a).offset + a.byteLength > banks[place(a).bank]!)
      faults.push(`${i} lies ill`);
    for (const [j, b] of tensors.slice(0, i).entries()) {
      const [[a0, a1], [b0, b1]] = [spans.get(a)!, spans.get(b)!];
      const meet = a0 <= b1 && b0 <= a1 && place(a).bank === place(b).bank;
      const overlap =
        place(a).offset < place(b).offset + b.byteLength && place(b).offset < place(a).offset + a.byteLength;
      if (meet && overlap) faults.push(`${i} and ${j} overlap`);
    }
  }
  dispatches.forEach(({ reads, writes }, time) => {
    const read = new Set(reads.map((tensor) => place(tensor).bank));
    if (writes.some((tensor) => read.has(place(tensor).bank)))
      faults.push(`dispatch ${time} reads and writes one bank`);
  });
  return faults;
}

describe("the memory plan", () => {
  it("keeps what is needed apart, and what a dispatch reads from what it writes: 200 random programs", () => {
    let shared = 0;
    for (let seed = 0; seed < 200; seed++) {
      const random = new Random(seed, "programs");
      const made: PlannedTensor[] = [];
      const outputs = new Set<PlannedTensor>();
      const dispatches = Array.from({ length: 5 + random.integer(40) }, (): PlannedDispatch => {
        const reads = [
          ...new Set(Array.from({ length: random.integer(4) }, () => made[random.integer(made.length || 1)])),
        ];
        const known = reads.filter((tensor) => tensor !== undefined);
        // A tensor may be written again, by a dispatch that reads others than the first.
        const again = made.filter((tensor) => !known.includes(tensor) && random.uniform(0, 1) < 0.05);
        const fresh = Array.from({ length: 1 + random.integer(2) }, () => ({ byteLength: 4 + random.integer(5000) }));
        made.push(...fresh);
        if (random.integer(8) === 0) outputs.add(fresh[0]!);
        return { reads: known, writes: [...again.slice(0, 2), ...fresh] };
      });
      expect(faultsOf(dispatches, outputs), `seed ${seed}`).toEqual([]);
      const total = made.reduce((sum, { byteLength }) => sum + 256 * Math.ceil(byteLength / 256), 0);
      const { banks } = planMemory(dispatches, outputs);
      if (banks.reduce((a, b) => a + b, 0) < total) shared++;
    }
    expect(shared).toBeGreaterThan(150);
  });

  it("keeps a tensor that two dispatches write from what either of them reads", () => {
    const [a, b, c, d] = Array.from({ length: 4 }, () => ({ byteLength: 256 }));
    // What d leaves beside c would be the best place for b.
    const dispatches = [
      { reads: [], writes: [a!] },
      { reads: [a!], writes: [c!, d!] },
      { reads: [], writes: [b!] },
      { reads: [b!], writes: [c!] },
    ];
    expect(faultsOf(dispatches, new Set([a!, c!]))).toEqual([]);
  });
});

describe("a recorded program", () => {
  it("that reads what nothing has written yet is refused by the tensor's name", async () => {
    const tape = new Tape(await testDevice());
    const [x, y, z]: Tensor[] = ["x", "y", "z"].map((name) => tape.empty(name, [4]));
    tape.push(reluForward(1, { x: x!, y: y! }), reluForward(1, { x: z!, y: x! }));
    expect(() => tape.plan([y!])).toThrow("relu_forward: x [4] is read before anything writes it, and is no input");
  });

  it("that reads and writes one tensor in two bindings is refused by the tensor's name", async () => {
    const tape = new Tape(await testDevice());
    const x = tape.input("x", [4]);
    const y = tape.empty("y", [4]);
    tape.push(reluForward(1, { x, y }), add(1, 1, { a: x, b: y, sum: y }));
    expect(() => tape.plan([y])).toThrow("combine: y [4] is read and written by one dispatch, in two bindings");
  });

  it("does nothing more once it was destroyed", async () => {
    const tape = new Tape(await testDevice());
    const x = tape.input("x", [4]);
    const y = tape.empty("y", [4]);
    tape.push(reluForward(1, { x, y }));
    const program = await tape.compile([y]);
    program.write(x, [1, -1, 2, -2]);
    program.run();
    expect([...(await program.read(y))]).toEqual([1, 0, 2, 0]);
    program.destroy();
    program.destroy();
    expect(() => program.run()).toThrow("the program was destroyed");
    expect(() => program.write(x, [1, 2, 3, 4])).toThrow("the program was destroyed");
    await expect(program.read(y)).rejects.toThrow("the program was destroyed");
    (await testDevice()).check();
  });

  it.each([
    ["as they lie in memory", [2, 4], new Float32Array([0, 1, -2, 3, 4, 5, 6, 7, -8, 9]).subarray(1, 9)],
    ["with pads to come between", [2, 3], new Float32Array([0, 1, -2, 3, 4, 5, -8, 9]).subarray(1, 7)],
    ["of another type", [2, 4], new Float64Array([1, -2, 3, 4, 5, 6, 7, -8])],
    ["in memory that workers share", [4], new Float32Array(new SharedArrayBuffer(16)).fill(-3)],
  ])("is written values %s", async (_, shape, values) => {
    const tape = new Tape(await testDevice());
    const x = tape.input("x", shape);
    const y = tape.empty("y", shape);
    tape.push(reluForward(x.paddedSize / 4, { x, y }));
    const program = await tape.compile([y]);
    program.write(x, values);
    program.run();
    expect([...(await program.read(x))]).toEqual([...values]);
    expect([...(await program.read(y))]).toEqual([...values].map((value) => Math.max(value, 0)));
    program.destroy();
  });

  it("keeps the room that it was given for reads, however they overlap", async () => {
    const device = await testDevice();
    const tape = new Tape(device);
    const x = tape.input("x", [4]);
    const y = tape.empty("y", [4]);
    tape.push(reluForward(1, { x, y }));
    const program = await tape.compile([y], { readsInFlight: 2 });
    const bytes = device.allocatedBytes;
    program.write(x, [1, -1, 2, -2]);
    program.run();
    await program.read(y);
    await Promise.all([program.read(y), program.read(y)]);
    expect(device.allocatedBytes).toBe(bytes);
    await Promise.all([program.read(y), program.read(y), program.read(y)]);
    expect(device.allocatedBytes).toBeGreaterThan(bytes); // one more than was promised
    program.destroy();
  });
});
