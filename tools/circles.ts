// Circles in a graph of files.

/** What each file imports. */
export type Graph = ReadonlyMap<string, readonly string[]>;

/** Returns a shortest circle for each group of files that reach each other, in the order of its imports. */
export function circles(graph: Graph): string[][] {
  const found: string[][] = [];
  const seen = new Set<string>();
  for (const start of graph.keys()) {
    if (seen.has(start)) continue;
    const circle = wayBack(graph, start);
    if (!circle) continue;
    found.push(circle);
    for (const file of knot(graph, start)) seen.add(file);
  }
  return found;
}

/** The shortest way from a file back to itself, if there is one. */
function wayBack(graph: Graph, start: string): string[] | undefined {
  const queue: string[][] = [[start]];
  const visited = new Set<string>();
  for (let way = queue.shift(); way; way = queue.shift()) {
    for (const next of graph.get(way.at(-1) as string) ?? []) {
      if (next === start) return way;
      if (visited.has(next)) continue;
      visited.add(next);
      queue.push([...way, next]);
    }
  }
  return undefined;
}

/** Every file that `start` reaches and that reaches it. */
function knot(graph: Graph, start: string): string[] {
  return reached(graph, start).filter((file) => reached(graph, file).includes(start));
}

function reached(graph: Graph, start: string): string[] {
  const found = new Set<string>();
  const queue = [start];
  for (let file = queue.pop(); file !== undefined; file = queue.pop())
    for (const next of graph.get(file) ?? []) {
      if (found.has(next)) continue;
      found.add(next);
      queue.push(next);
    }
  return [...found];
}
