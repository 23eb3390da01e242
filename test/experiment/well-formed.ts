/** A strict reader of markup, so that a test can say what is in a page: it refuses whatever XML would. */

export interface Node {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: (Node | string)[];
}

/** @throws Error where a tag is not closed, an attribute stands twice, or a bare < or & is found. */
export function parseMarkup(source: string): Node {
  const root: Node = { name: "", attributes: {}, children: [] };
  const open: Node[] = [root];
  const token = /<!DOCTYPE html>|<\?xml [^?]*\?>|<\/([\w-]+)>|<([\w-]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>|([^<]+)/gy;
  let at = 0;
  for (let match = token.exec(source); match; match = token.exec(source)) {
    at = token.lastIndex;
    const [, closed, opened, attributes = "", empty, text] = match;
    const parent = open.at(-1)!;
    if (text !== undefined) parent.children.push(decode(text));
    else if (closed !== undefined) {
      if (parent.name !== closed) throw new Error(`</${closed}> closes <${parent.name}> at ${at}`);
      open.pop();
    } else if (opened !== undefined) {
      const node: Node = { name: opened, attributes: readAttributes(attributes), children: [] };
      parent.children.push(node);
      if (empty !== "/") open.push(node);
    }
  }
  if (at !== source.length) throw new Error(`no markup at ${at}: ${source.slice(at, at + 40)}`);
  if (open.length !== 1) throw new Error(`<${open.at(-1)!.name}> is not closed`);
  return root;
}

/** All elements below, in the document's order. */
export function* elements(node: Node, name?: string): Generator<Node> {
  for (const child of node.children) {
    if (typeof child === "string") continue;
    if (name === undefined || child.name === name) yield child;
    yield* elements(child, name);
  }
}

export function textOf(node: Node): string {
  return node.children.map((child) => (typeof child === "string" ? child : textOf(child))).join("");
}

function readAttributes(source: string): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const [, name, value] of source.matchAll(/([\w:-]+)="([^"]*)"/g)) {
    if (name! in attributes) throw new Error(`attribute ${name} stands twice`);
    attributes[name!] = decode(value!);
  }
  return attributes;
}

function decode(text: string): string {
  const characters: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" };
  return text.replace(/&([^;]*;?)/g, (_, name: string) => {
    const found = characters[name.slice(0, -1)];
    if (found === undefined || !name.endsWith(";")) throw new Error(`bare & before ${name}`);
    return found;
  });
}
