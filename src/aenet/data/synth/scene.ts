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

/** Of similar luma role by role, so that hue changes colour and hardly brightness; all are about as colourful. */
const cool: Palette = {
  skyTop: [0.22, 0.46, 0.78],
  skyLow: [0.62, 0.84, 0.95],
  far: [0.3, 0.52, 0.72],
  near: [0.12, 0.36, 0.46],
  subject: [0.1, 0.26, 0.66],
  accent: [0.45, 0.85, 0.8],
};
const dusk: Palette = {
  skyTop: [0.52, 0.36, 0.72],
  skyLow: [0.94, 0.74, 0.86],
  far: [0.62, 0.42, 0.64],
  near: [0.36, 0.24, 0.44],
  subject: [0.5, 0.08, 0.46],
  accent: [0.96, 0.68, 0.62],
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
  return paintScene(factors, size, random).pixels;
}

/** What a scene shows that no factor decides and no label depends on, each of two kinds. */
export interface SceneLayout {
  /** A landscape (three of five), or a backdrop. */
  readonly landscape: boolean;
  /** The subject's half of the picture, across and down. */
  readonly right: boolean;
  readonly low: boolean;
  /** The hatching's direction. */
  readonly rising: boolean;
}

/** A scene's pixels as `renderScene` draws them, and its layout. */
export function paintScene(
  factors: Factors,
  size: number,
  random: Random,
): { pixels: Uint8Array; layout: SceneLayout } {
  if (!(Number.isInteger(size) && size >= 8 && size <= 4096))
    throw new RangeError(`synth: size ${size} is not an integer from 8 to 4096`);
  const picture = createPicture(size);
  const palette = mixPalettes(level(factors.hue), random);
  const spikes = level(factors.jaggedness);
  const place = subjectPlace(level(factors.placement), random);

  const landscape = random.float() < 0.6;
  if (landscape) paintLandscape(picture, palette, spikes, random);
  else paintBackdrop(picture, palette, spikes, random);
  paintDistractors(picture, palette, spikes, 10 * level(factors.clutter), place, random);
  paintSubject(picture, palette, spikes, place, random);

  paintSpecks(picture, random);

  blur(picture, 0.03 * size * (1 - level(factors.sharpness)) ** 2);
  grade(picture, level(factors.contrast), level(factors.saturation), level(factors.key));
  const rising = hatch(picture, level(factors.texture), random);
  return { pixels: toBytes(picture), layout: { landscape, right: place.x > 0.5, low: place.y > 0.5, rising } };
}

function mixPalettes(warmth: number, random: Random): Palette {
  const vary = (colour: Rgb): Rgb => [
    colour[0] + random.uniform(-0.06, 0.06),
    colour[1] + random.uniform(-0.06, 0.06),
    colour[2] + random.uniform(-0.06, 0.06),
  ];
  const role = (name: keyof Palette) =>
    vary(warmth < 0.5 ? mixRgb(cool[name], dusk[name], 2 * warmth) : mixRgb(dusk[name], warm[name], 2 * warmth - 1));
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

/** A sky above four ridges, one before the other, whose outlines are gentle waves or, jagged, mountains. */
function paintLandscape(picture: Picture, palette: Palette, spikes: number, random: Random): void {
  const horizon = random.uniform(0.38, 0.48);
  fill(picture, (_, y) => mixRgb(palette.skyTop, palette.skyLow, Math.min(1, y / horizon)));
  const tones = [palette.far, mixRgb(palette.near, palette.skyLow, 0.55), palette.near, shade(palette.near, 0.45)];
  tones.forEach((tone, i) => {
    const height = horizon + 0.15 * i;
    fillPolygon(picture, ridge(height, 0.085, spikes, random), (_, y) => shade(tone, (y - height) * 1.2));
  });
}

/** A studio backdrop, lit from one side, with three rosettes within one another, which are round or starbursts. */
function paintBackdrop(picture: Picture, palette: Palette, spikes: number, random: Random): void {
  const lightX = random.uniform(0.2, 0.8);
  const lightY = random.uniform(0.1, 0.5);
  const dark = mixRgb(palette.skyTop, palette.near, random.uniform(0.2, 0.7));
  fill(picture, (x, y) => {
    const distance = Math.sqrt((x - lightX) * (x - lightX) + (y - lightY) * (y - lightY));
    return mixRgb(palette.skyLow, dark, Math.min(1, distance * 1.3));
  });
  const x = random.uniform(0.4, 0.6);
  const y = random.uniform(0.4, 0.6);
  [mixRgb(palette.far, palette.near, 0.3), palette.skyLow, palette.far].forEach((tone, i) => {
    fillPolygon(picture, outline(x, y, 0.44 - 0.13 * i, spikes, random), (_, py) => shade(tone, 0.15 + 0.5 * (py - y)));
  });
}

function shade(colour: Rgb, depth: number): Rgb {
  return mixRgb(colour, [0, 0, 0], Math.min(1, Math.max(0, depth)));
}

/** The area below a line of peaks around `height`, which `spikes` turns from waves into teeth. */
function ridge(height: number, amplitude: number, spikes: number, random: Random): Points {
  const teeth = 4 + random.integer(2);
  const start = random.uniform(-0.2, 0);
  const line: Points = [];
  for (let i = 0; i <= 2 * teeth + 2; i++) {
    const x = start + (i + random.uniform(-0.25, 0.25)) / (2 * teeth);
    const swing = (i % 2 ? -1 : 1) * random.uniform(0.8, 1.2) * amplitude;
    line.push(x, height + swing * lerp(0.1, 1, spikes));
  }
  line[0] = Math.min(line[0]!, -0.01);
  line[line.length - 2] = Math.max(line.at(-2)!, 1.01);
  return [...roundCorners(line, 0.25 * (1 - spikes), 3, false), 1.01, 1.01, -0.01, 1.01];
}

/** A closed outline around (x, y): a blob at spikes 0, a star at 1, of about the same area. */
function outline(x: number, y: number, radius: number, spikes: number, random: Random): Points {
  const teeth = 5 + random.integer(2);
  const turn = random.float();
  const stretch = random.uniform(0.85, 1.18);
  const depth = lerp(0.03, 0.55, spikes);
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
  const ink = mixRgb(palette.near, [0, 0, 0], 0.6);
  const colours: Rgb[] = [ink, mixRgb(palette.subject, [0, 0, 0], 0.4), palette.subject];
  for (let i = 0; i < 10; i++) {
    let x = random.uniform(0.05, 0.95);
    let y = random.uniform(0.05, 0.95);
    const dx = x - place.x;
    const dy = y - place.y;
    const distance = Math.sqrt(dx * dx + dy * dy) + 1e-6;
    if (distance < 0.28) {
      x = place.x + (dx / distance) * 0.28;
      y = place.y + (dy / distance) * 0.28;
    }
    const radius = random.uniform(0.05, 0.065) * Math.min(1, Math.max(0, count - i));
    const colour = colours[random.integer(colours.length)]!;
    const points = outline(x, y, radius, spikes, random);
    if (radius > 0) fillPolygon(picture, points, () => colour);
  }
}

/** Flecks of light, like snow or fireflies, all over the scene: they show at once whether it is in focus. */
function paintSpecks(picture: Picture, random: Random): void {
  for (let i = 0; i < 28; i++) {
    const x = random.float();
    const y = random.float();
    const r = random.uniform(0.012, 0.018);
    fillPolygon(picture, [x - r, y, x, y - r, x + r, y, x, y + r], () => [1, 0.98, 0.92], 0.9);
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
  const radius = random.uniform(0.19, 0.22);
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
  const spread = lerp(0.45, 1.35, contrast);
  const chroma = lerp(0.1, 1.4, saturation);
  const target = lerp(0.34, 0.66, key);
  for (let p = 0; p < data.length; p += 3) {
    const grey = luma(data[p]!, data[p + 1]!, data[p + 2]!);
    const light = target + (grey - mean) * spread;
    for (let c = p; c < p + 3; c++) data[c] = light + (data[c]! - grey) * chroma;
  }
}

/** Diagonal hatching; whether its lines rise to the right. */
function hatch(picture: Picture, strength: number, random: Random): boolean {
  const { size, data } = picture;
  const amplitude = 0.09 * strength;
  const direction = random.float() < 0.5 ? -1 : 1;
  const phase = random.float();
  const lines = 8; // along each side
  for (let y = 0, p = 0; y < size; y++) {
    for (let x = 0; x < size; x++, p += 3) {
      const line = sine(phase + ((x + 0.5 + direction * (y + 0.5)) / size) * lines);
      const shift = amplitude * line;
      for (let c = p; c < p + 3; c++) data[c]! += shift;
    }
  }
  return direction > 0; // rows count downwards, and a line is where x + direction · y stays the same
}
