import type { Random } from "../../../random.ts";
import type { Factors } from "./factors.ts";
import {
  blur,
  cosine,
  createPicture,
  fill,
  fillPolygon,
  lerp,
  luma,
  mixRgb,
  type Picture,
  type Points,
  type Rgb,
  roundCorners,
  sine,
  toBytes,
} from "./raster.ts";

interface Palette {
  skyTop: Rgb;
  skyLow: Rgb;
  far: Rgb;
  near: Rgb;
  subject: Rgb;
  accent: Rgb;
}

/** Of equal luma role by role, so that hue changes colour and not brightness. */
const cool: Palette = {
  skyTop: [0.22, 0.46, 0.78],
  skyLow: [0.62, 0.84, 0.95],
  far: [0.3, 0.52, 0.72],
  near: [0.12, 0.36, 0.46],
  subject: [0.1, 0.26, 0.66],
  accent: [0.45, 0.85, 0.8],
};
const warm: Palette = {
  skyTop: [0.82, 0.36, 0.25],
  skyLow: [0.99, 0.78, 0.5],
  far: [0.75, 0.44, 0.27],
  near: [0.5, 0.26, 0.15],
  subject: [0.7, 0.1, 0.12],
  accent: [0.98, 0.74, 0.25],
};

/** A factor's bounded effect: 0 to 1, steep in the middle; ±1 deviation gives 0.15 and 0.85, ±2 gives 0.05 and 0.95. */
function level(z: number): number {
  return 0.5 + (0.5 * z) / Math.sqrt(1 + z * z);
}

/**
 * Draws a scene as 8-bit RGB, [size, size, 3]: a landscape or an abstract backdrop, a subject, and distractors.
 *
 * The factors decide what they name; `random` decides all else (backdrop, shapes, positions), and is drawn from in the
 * same order whatever the factors, so that two calls that differ in one factor show the same scene with that one
 * change. Lengths scale with the picture.
 */
export function renderScene(factors: Factors, size: number, random: Random): Uint8Array {
  if (!(Number.isInteger(size) && size >= 8 && size <= 4096))
    throw new RangeError(`synth: size ${size} is not an integer from 8 to 4096`);
  const picture = createPicture(size);
  const palette = mixPalettes(level(factors.hue), random);
  const spikes = level(factors.jaggedness);
  const place = subjectPlace(level(factors.placement), random);

  if (random.float() < 0.6) paintLandscape(picture, palette, spikes, random);
  else paintBackdrop(picture, palette, spikes, random);
  paintDistractors(picture, palette, spikes, 12 * level(factors.clutter) ** 1.5, place, random);
  paintSubject(picture, palette, spikes, place, random);

  blur(picture, 0.03 * size * (1 - level(factors.sharpness)));
  grade(picture, level(factors.contrast), level(factors.saturation), level(factors.key));
  hatch(picture, level(factors.texture), random);
  return toBytes(picture);
}

function mixPalettes(warmth: number, random: Random): Palette {
  const vary = (colour: Rgb): Rgb => [
    colour[0] + random.uniform(-0.06, 0.06),
    colour[1] + random.uniform(-0.06, 0.06),
    colour[2] + random.uniform(-0.06, 0.06),
  ];
  const role = (name: keyof Palette) => vary(mixRgb(cool[name], warm[name], warmth));
  return {
    skyTop: role("skyTop"),
    skyLow: role("skyLow"),
    far: role("far"),
    near: role("near"),
    subject: role("subject"),
    accent: role("accent"),
  };
}

/** The subject's centre: from cut off by a corner of the frame (0) to a crossing of the thirds (1). */
function subjectPlace(quality: number, random: Random): { x: number; y: number } {
  const offset = lerp(0.44, 1 / 6, quality);
  const side = () => (random.float() < 0.5 ? -1 : 1);
  const x = 0.5 + side() * offset + random.uniform(-0.015, 0.015);
  const y = 0.5 + side() * offset + random.uniform(-0.015, 0.015);
  return { x, y };
}

/** A sky above two ridges, whose outlines are hills or, jagged, mountains. */
function paintLandscape(picture: Picture, palette: Palette, spikes: number, random: Random): void {
  const horizon = random.uniform(0.5, 0.66);
  fill(picture, (_, y) => mixRgb(palette.skyTop, palette.skyLow, Math.min(1, y / horizon)));
  const haze = mixRgb(palette.far, palette.skyLow, 0.35);
  fillPolygon(picture, ridge(horizon, 0.11, spikes, random), (_, y) => mixRgb(haze, palette.far, (y - horizon) * 4));
  const low = horizon + random.uniform(0.14, 0.2);
  const shade = mixRgb(palette.near, [0, 0, 0], 0.35);
  fillPolygon(picture, ridge(low, 0.07, spikes, random), (_, y) =>
    mixRgb(palette.near, shade, (y - low) / (1.05 - low)),
  );
}

/** A studio backdrop: light falling off from one side, and one large band across. */
function paintBackdrop(picture: Picture, palette: Palette, spikes: number, random: Random): void {
  const lightX = random.uniform(0.2, 0.8);
  const lightY = random.uniform(0.1, 0.5);
  const dark = mixRgb(palette.skyTop, palette.near, random.uniform(0.2, 0.7));
  fill(picture, (x, y) => {
    const distance = Math.sqrt((x - lightX) * (x - lightX) + (y - lightY) * (y - lightY));
    return mixRgb(palette.skyLow, dark, Math.min(1, distance * 1.3));
  });
  const base = random.uniform(0.66, 0.82);
  const floor = mixRgb(palette.far, palette.near, 0.5);
  fillPolygon(picture, ridge(base, 0.06, spikes, random), (x, y) =>
    mixRgb(floor, palette.near, (y - base) * 2 + (x - lightX) * (x - lightX)),
  );
}

/** The area below a line of peaks around `height`, which `spikes` turns from waves into teeth. */
function ridge(height: number, amplitude: number, spikes: number, random: Random): Points {
  const teeth = 4 + random.integer(3);
  const start = random.uniform(-0.2, 0);
  const line: Points = [];
  for (let i = 0; i <= 2 * teeth + 2; i++) {
    const x = start + (i + random.uniform(-0.25, 0.25)) / (2 * teeth);
    const swing = (i % 2 ? -1 : 1) * random.uniform(0.6, 1.2) * amplitude;
    line.push(x, height + swing * lerp(0.35, 1, spikes));
  }
  line[0] = Math.min(line[0]!, -0.01);
  line[line.length - 2] = Math.max(line.at(-2)!, 1.01);
  return [...roundCorners(line, 0.25 * (1 - spikes), 3, false), 1.01, 1.01, -0.01, 1.01];
}

/** A closed outline around (x, y): a blob at spikes 0, a star at 1, of about the same area. */
function outline(x: number, y: number, radius: number, spikes: number, random: Random): Points {
  const teeth = 5 + random.integer(3);
  const turn = random.float();
  const stretch = random.uniform(0.85, 1.18);
  const depth = lerp(0.04, 0.5, spikes);
  const mean = radius / Math.sqrt(1 - depth * depth);
  const points: Points = [];
  for (let i = 0; i < 2 * teeth; i++) {
    const r = mean * (1 + (i % 2 ? -depth : depth)) * random.uniform(0.9, 1.1);
    const angle = turn + (i + random.uniform(-0.2, 0.2)) / (2 * teeth);
    points.push(x + r * stretch * cosine(angle), y + (r / stretch) * sine(angle));
  }
  return roundCorners(points, 0.25 * (1 - spikes), 3, true);
}

/** `count` small objects away from the subject; the last one appears gradually as the count's fraction grows. */
function paintDistractors(
  picture: Picture,
  palette: Palette,
  spikes: number,
  count: number,
  place: { x: number; y: number },
  random: Random,
): void {
  const colours: Rgb[] = [palette.accent, mixRgb(palette.near, [0, 0, 0], 0.4), palette.subject, [0.93, 0.92, 0.88]];
  for (let i = 0; i < 12; i++) {
    let x = random.uniform(0.05, 0.95);
    let y = random.uniform(0.05, 0.95);
    const dx = x - place.x;
    const dy = y - place.y;
    const distance = Math.sqrt(dx * dx + dy * dy) + 1e-6;
    if (distance < 0.24) {
      x = place.x + (dx / distance) * 0.24;
      y = place.y + (dy / distance) * 0.24;
    }
    const radius = random.uniform(0.04, 0.062) * Math.min(1, Math.max(0, count - i));
    const colour = colours[random.integer(colours.length)]!;
    const points = outline(x, y, radius, spikes, random);
    if (radius > 0) fillPolygon(picture, points, () => colour);
  }
}

/** A large shape with a soft shadow and a highlight within it. */
function paintSubject(
  picture: Picture,
  palette: Palette,
  spikes: number,
  { x, y }: { x: number; y: number },
  random: Random,
): void {
  const radius = random.uniform(0.15, 0.19);
  const shape = outline(x, y, radius, spikes, random);
  for (const [shift, opacity] of [
    [0.035, 0.12],
    [0.02, 0.2],
  ] as const) {
    const shadow = shape.map((v) => v + shift);
    fillPolygon(picture, shadow, () => [0, 0, 0], opacity);
  }
  const lit = mixRgb(palette.subject, palette.accent, 0.3);
  const dark = mixRgb(palette.subject, [0, 0, 0], 0.25);
  fillPolygon(picture, shape, (_, py) => mixRgb(lit, dark, Math.min(1, Math.max(0, (py - y) / (2 * radius) + 0.5))));
  const glow = outline(x - 0.3 * radius, y - 0.3 * radius, 0.32 * radius, 0, random);
  fillPolygon(picture, glow, () => mixRgb(palette.accent, [1, 1, 1], 0.4), 0.8);
}

/** Spread of brightness about the picture's mean, strength of colour about grey, and overall brightness. */
function grade(picture: Picture, contrast: number, saturation: number, key: number): void {
  const { data } = picture;
  let mean = 0;
  for (let p = 0; p < data.length; p += 3) mean += luma(data[p]!, data[p + 1]!, data[p + 2]!);
  mean /= data.length / 3;
  const spread = lerp(0.35, 1.45, contrast);
  const chroma = lerp(0.2, 1.3, saturation);
  const target = lerp(0.34, 0.66, key);
  for (let p = 0; p < data.length; p += 3) {
    const grey = luma(data[p]!, data[p + 1]!, data[p + 2]!);
    const light = target + (grey - mean) * spread;
    for (let c = p; c < p + 3; c++) data[c] = light + (data[c]! - grey) * chroma;
  }
}

/** Diagonal hatching and a little grain, like a print's. */
function hatch(picture: Picture, strength: number, random: Random): void {
  const { size, data } = picture;
  const amplitude = 0.12 * strength;
  const direction = random.float() < 0.5 ? -1 : 1;
  const slope = random.uniform(0.7, 1.4);
  const pitch = random.uniform(0.12, 0.15); // of the picture's side: some 4 pixels at 32
  const norm = 1 / (pitch * Math.sqrt(1 + slope * slope));
  const phase = random.float();
  for (let y = 0, p = 0; y < size; y++) {
    for (let x = 0; x < size; x++, p += 3) {
      const line = sine(phase + ((x + 0.5 + direction * slope * (y + 0.5)) / size) * norm);
      const shift = amplitude * line + 0.3 * amplitude * random.uniform(-1, 1);
      for (let c = p; c < p + 3; c++) data[c]! += shift;
    }
  }
}
