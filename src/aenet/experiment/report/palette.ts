/** Colours that the colour-blind tell apart (Okabe and Ito 2008), for light and for dark pages. */

const light = ["#0072b2", "#d55e00", "#009e73", "#b8569a", "#b47c00", "#2a93d1", "#6b7178", "#7a4a2b"];
const dark = ["#56b4e9", "#ff8f4a", "#2fc69a", "#e39ac4", "#f0b93a", "#9ad7f7", "#aab1b8", "#cf9f7f"];

export const ink = { text: "#1b1f23", muted: "#59616a", grid: "#e1e4e8", paper: "#ffffff" } as const;
const darkInk = { text: "#e8eaed", muted: "#a3abb3", grid: "#3a4047", paper: "#15181b" } as const;

/** The colour of the i-th series, and the classes by which a dark page changes it. */
export function fill(series: number): { class: string; fill: string } {
  return { class: `f${series % light.length}`, fill: light[series % light.length]! };
}

export function stroke(series: number): { class: string; stroke: string } {
  return { class: `s${series % light.length}`, stroke: light[series % light.length]! };
}

/** Text and lines without a series. */
export const inkFill = (name: keyof typeof ink): { class: string; fill: string } => ({
  class: `i-${name}`,
  fill: ink[name],
});
export const inkStroke = (name: keyof typeof ink): { class: string; stroke: string } => ({
  class: `l-${name}`,
  stroke: ink[name],
});

/** Rules for pages and files that are looked at on a dark ground; they win over the charts' own attributes. */
export const darkRules: string = [
  ...dark.map((colour, i) => `.f${i}{fill:${colour}}.s${i}{stroke:${colour}}`),
  ...Object.entries(darkInk).map(([name, colour]) => `.i-${name}{fill:${colour}}.l-${name}{stroke:${colour}}`),
].join("");
