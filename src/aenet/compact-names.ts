/**
 * Says in few words which of many dotted names are meant: `a.layer1.*` stands for every name of `all` below it.
 * The result is exact and in the order of `all`; names that are not in `all` follow as they are.
 */
export function compactNames(names: Iterable<string>, all: Iterable<string>): string[] {
  const chosen = new Set(names);
  const root: Node = { children: new Map(), total: 0, chosen: 0 };
  for (const name of new Set(all)) {
    const isChosen = chosen.delete(name);
    let node = root;
    for (const part of name.split(".")) {
      const child: Node = node.children.get(part) ?? { children: new Map(), total: 0, chosen: 0 };
      node.children.set(part, child);
      child.total++;
      if (isChosen) child.chosen++;
      node = child;
    }
  }
  return [...list(root, []), ...chosen];
}

interface Node {
  children: Map<string, Node>;
  /** Names at and below this node, and those of them that were chosen. */
  total: number;
  chosen: number;
}

function list(node: Node, path: readonly string[]): string[] {
  return [...node.children].flatMap(([part, child]) => {
    const here = [...path, part];
    if (child.chosen === 0) return [];
    if (child.children.size === 0) return [here.join(".")];
    if (child.chosen < child.total || child.total === 1) return list(child, here);
    return [`${here.join(".")}.* (${child.total})`];
  });
}
