/** The report as one page that needs nothing else. Pure. */
import type { Experiment } from "../../results.ts";
import type { Report } from "../analysis.ts";
import { element, fragment, verbatim } from "../markup.ts";
import { cellSection } from "./cell.ts";
import { paperSection } from "./paper.ts";
import { primarySection, verdicts } from "./primary.ts";
import { style } from "./style.ts";
import { titlesOf } from "./titles.ts";

export function reportPage(report: Report, experiment: Experiment): string {
  const titles = titlesOf(experiment);
  const page = element(
    "html",
    { lang: "en" },
    element(
      "head",
      {},
      element("meta", { charset: "utf-8" }),
      element("meta", { name: "viewport", content: "width=device-width, initial-scale=1" }),
      element("title", {}, report.title),
      element("style", {}, verbatim(style)),
    ),
    element(
      "body",
      {},
      element("h1", {}, report.title),
      report.protocol === "" ? null : element("p", { class: "muted" }, `Protocol: ${report.protocol}`),
      element(
        "nav",
        { "aria-label": "Sections" },
        report.primary.length > 0 ? element("a", { href: "#primary" }, "Primary tests") : null,
        report.cells.map(({ name, title }) => element("a", { href: `#cell-${name}` }, title)),
        element("a", { href: "#paper" }, "The paper's tables"),
      ),
      verdicts(report, titles),
      report.remarks.length > 0
        ? fragment(
            element("h3", {}, "Remarks"),
            element(
              "ul",
              {},
              report.remarks.map((remark) => element("li", {}, remark)),
            ),
          )
        : null,
      primarySection(report, titles),
      report.cells.map((cell) => cellSection(cell, titles)),
      paperSection(report),
    ),
  );
  return `<!DOCTYPE html>\n${page.source}\n`;
}
