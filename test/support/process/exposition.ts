/** A metric as `/metrics` shows it. */
export interface Exposed {
  readonly type: string;
  readonly help: string;
  /** The names of its labels, without `le`; empty also while it has no value yet. */
  readonly labels: readonly string[];
  readonly samples: number;
}

/** Reads Prometheus' text format, as far as our own daemons write it. */
export function parseExposition(text: string): ReadonlyMap<string, Exposed> {
  const found = new Map<string, { type: string; help: string; labels: Set<string>; samples: number }>();
  const of = (name: string) => {
    const known = found.get(name) ?? { type: '', help: '', labels: new Set<string>(), samples: 0 };
    found.set(name, known);
    return known;
  };
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const head = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
    if (head !== null) {
      const [, kind, name = '', rest = ''] = head;
      of(name)[kind === 'HELP' ? 'help' : 'type'] = rest;
      continue;
    }
    const sample = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (sample === null) throw new Error(`not in Prometheus' text format: ${line}`);
    const [, name = '', labels = ''] = sample;
    const metric = of(found.has(name) ? name : name.replace(/_(bucket|sum|count)$/, ''));
    metric.samples += 1;
    for (const [, label = ''] of labels.matchAll(/(\w+)="(?:[^"\\]|\\.)*"/g))
      if (label !== 'le') metric.labels.add(label);
  }
  return new Map([...found].map(([name, { labels, ...rest }]) => [name, { ...rest, labels: [...labels] }]));
}
