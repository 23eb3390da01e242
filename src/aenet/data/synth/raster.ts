/**
 * A small deterministic rasteriser. It uses only +, −, ·, /, √ and rounding, which IEEE 754 fixes to the last bit, and
 * no library sine or exponential, so the same scene has the same pixels on every machine.
 */

export type Rgb = readonly [number, number, number];
/** Flat x, y pairs in units of the picture's side. */
export type Points = number[];

/** [size, size, 3] colours as real numbers, 0 black and 1 white. */
export interface Picture {
  readonly size: number;
  readonly data: Float64Array;
}

export function createPicture(size: number): Picture {
  return { size, data: new Float64Array(size * size * 3) };
}

/** sin(2π·turns) to about 1e-7, by its Taylor series on a quarter turn. */
export function sine(turns: number): number {
  let t = turns - Math.floor(turns); // [0, 1)
  const sign = t >= 0.5 ? -1 : 1;
  if (t >= 0.5) t -= 0.5;
  if (t > 0.25) t = 0.5 - t;
  const x = 2 * Math.PI * t;
  const x2 = x * x;
  const terms = 1 - (x2 / 72) * (1 - (x2 / 110) * (1 - x2 / 156));
  return sign * x * (1 - (x2 / 6) * (1 - (x2 / 20) * (1 - (x2 / 42) * terms)));
}

export function cosine(turns: number): number {
  return sine(turns + 0.25);
}

export function lerp(a: number, b: number, t: number): number {
  return a + (b - a) * t;
}

export function mixRgb(a: Rgb, b: Rgb, t: number): Rgb {
  return [lerp(a[0], b[0], t), lerp(a[1], b[1], t), lerp(a[2], b[2], t)];
}

/** Fills the picture from a function of the pixel's centre, x and y in [0, 1]. */
export function fill(picture: Picture, colour: (x: number, y: number) => Rgb): void {
  const { size, data } = picture;
  for (let y = 0, p = 0; y < size; y++) {
    for (let x = 0; x < size; x++, p += 3) {
      [data[p], data[p + 1], data[p + 2]] = colour((x + 0.5) / size, (y + 0.5) / size);
    }
  }
}

const subScanlines = 4;

/** Paints a polygon (even-odd rule) with exact horizontal coverage on `subScanlines` lines a row. */
export function fillPolygon(
  picture: Picture,
  points: Points,
  colour: (x: number, y: number) => Rgb,
  opacity: number = 1,
): void {
  const { size, data } = picture;
  const coverage = new Float64Array(size);
  const [from, to] = range(points, 0, size);
  const [top, bottom] = range(points, 1, size);
  for (let y = top; y < bottom; y++) {
    coverage.fill(0, from, to);
    for (let k = 0; k < subScanlines; k++) {
      const crossings = crossingsAt(points, size, y + (k + 0.5) / subScanlines);
      for (let i = 0; i + 1 < crossings.length; i += 2) cover(coverage, crossings[i]!, crossings[i + 1]!);
    }
    for (let x = from; x < to; x++) {
      const alpha = (opacity * coverage[x]!) / subScanlines;
      if (alpha === 0) continue;
      const over = colour((x + 0.5) / size, (y + 0.5) / size);
      const p = (y * size + x) * 3;
      for (let c = 0; c < 3; c++) data[p + c] = lerp(data[p + c]!, over[c]!, alpha);
    }
  }
}

/** The pixels [from, to) that the outline spans along an axis, 0 for x and 1 for y. */
function range(points: Points, axis: 0 | 1, size: number): [number, number] {
  let low = size;
  let high = 0;
  for (let i = axis; i < points.length; i += 2) {
    low = Math.min(low, points[i]! * size);
    high = Math.max(high, points[i]! * size);
  }
  return [Math.max(0, Math.floor(low)), Math.min(size, Math.ceil(high))];
}

/** The sorted x, in pixels, at which the outline crosses the horizontal line y. */
function crossingsAt(points: Points, size: number, y: number): number[] {
  const crossings: number[] = [];
  for (let i = 0; i < points.length; i += 2) {
    const j = (i + 2) % points.length;
    const y0 = points[i + 1]! * size;
    const y1 = points[j + 1]! * size;
    if (y0 <= y === y1 <= y) continue;
    crossings.push(lerp(points[i]! * size, points[j]! * size, (y - y0) / (y1 - y0)));
  }
  return crossings.sort((a, b) => a - b);
}

/** Adds the share of every pixel that [from, to] covers. */
function cover(coverage: Float64Array, from: number, to: number): void {
  from = Math.max(0, from);
  to = Math.min(coverage.length, to);
  for (let x = Math.floor(from); x < to; x++) coverage[x]! += Math.min(to, x + 1) - Math.max(from, x);
}

/** Chaikin's corner cutting: each corner gives way to two, `cut` of the way along its edges (0 keeps it, ¼ rounds it). */
export function roundCorners(points: Points, cut: number, rounds: number, closed: boolean): Points {
  for (let round = 0; round < rounds; round++) {
    const next: Points = closed ? [] : points.slice(0, 2);
    for (let i = 0; i < points.length - (closed ? 0 : 2); i += 2) {
      const j = (i + 2) % points.length;
      for (const t of [cut, 1 - cut])
        next.push(lerp(points[i]!, points[j]!, t), lerp(points[i + 1]!, points[j + 1]!, t));
    }
    if (!closed) next.push(...points.slice(-2));
    points = next;
  }
  return points;
}

/** Three box blurs of `radius` pixels (a fraction weighs the outermost samples), edges repeated: nearly a Gaussian. */
export function blur(picture: Picture, radius: number): void {
  if (radius <= 0) return;
  const { size, data } = picture;
  const whole = Math.floor(radius);
  const rest = radius - whole;
  const scale = 1 / (2 * radius + 1);
  const margin = whole + 1;
  const line = new Float64Array(size + 2 * margin);
  const blurLine = (start: number, stride: number) => {
    for (let i = 0; i < size; i++) line[margin + i] = data[start + i * stride]!;
    line.fill(line[margin]!, 0, margin);
    line.fill(line[margin + size - 1]!, margin + size);
    for (let i = 0; i < size; i++) {
      let sum = rest * (line[i]! + line[i + 2 * margin]!);
      for (let j = i + 1; j < i + 2 * margin; j++) sum += line[j]!;
      data[start + i * stride] = sum * scale;
    }
  };
  for (let pass = 0; pass < 3; pass++) {
    for (let i = 0; i < size; i++) {
      for (let c = 0; c < 3; c++) {
        blurLine(i * size * 3 + c, 3);
        blurLine(i * 3 + c, size * 3);
      }
    }
  }
}

/** Luma of Rec. 601. */
export function luma(r: number, g: number, b: number): number {
  return 0.299 * r + 0.587 * g + 0.114 * b;
}

/** 8-bit RGB, [size, size, 3]. */
export function toBytes({ data }: Picture): Uint8Array {
  const bytes = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) bytes[i] = Math.min(255, Math.max(0, Math.round(data[i]! * 255)));
  return bytes;
}
