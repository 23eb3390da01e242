/** HTML and SVG as values: what is a text is escaped, so that no name in a data set can become an element. Pure. */

/** Markup that is written as it is. Only `element`, `fragment` and `verbatim` make it. */
export class Markup {
  readonly source: string;
  constructor(source: string) {
    this.source = source;
  }
}

export type Child = Markup | string | number | null | readonly Child[];
export type Attributes = Readonly<Record<string, string | number | null>>;

/** HTML's elements that have no end tag, and SVG's shapes. */
const withoutContent = /^(meta|br|hr|img|col|rect|circle|line|path|polyline|polygon)$/;

/** `<name a="…">children</name>`. Texts and attributes are escaped; an attribute that is null is left out. */
export function element(name: string, attributes: Attributes, ...children: Child[]): Markup {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => ` ${key}="${escapeText(typeof value === "number" ? shortNumber(value) : value!)}"`);
  const start = `<${name}${written.join("")}`;
  if (withoutContent.test(name)) return new Markup(`${start}/>`);
  return new Markup(`${start}>${fragment(...children).source}</${name}>`);
}

export function fragment(...children: Child[]): Markup {
  return new Markup(children.map(sourceOf).join(""));
}

/** Text that has to stand unescaped (a style sheet of our own). */
export function verbatim(source: string): Markup {
  return new Markup(source);
}

function sourceOf(child: Child): string {
  if (child === null) return "";
  if (child instanceof Markup) return child.source;
  if (typeof child === "object") return child.map(sourceOf).join("");
  return escapeText(String(child));
}

/** Also characters that XML has no way to write are replaced. */
function escapeText(text: string): string {
  const names: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return (
    text
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/gu, "\ufffd")
      .replace(/[&<>"']/g, (character) => names[character]!)
  );
}

/** Coordinates to a hundredth of a pixel. */
function shortNumber(value: number): string {
  return String(Math.round(value * 100) / 100);
}
