/** What is folded away, and charts side by side. Pure. */
import { element, type fragment, type Markup } from "../markup.ts";

export function charts(drawn: readonly Markup[]): Markup {
  return element("div", { class: "charts" }, drawn);
}

/** Content that is shown when its summary is clicked. */
export function disclosure(summary: string, ...content: Parameters<typeof fragment>): Markup {
  return element("details", {}, element("summary", {}, summary), ...content);
}
