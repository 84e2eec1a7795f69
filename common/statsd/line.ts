/** Tags in DogStatsD's form, which SmartStack uses: `name:1|c|#service_name:api`. */
export type Tags = Readonly<Record<string, string>>;

/** One line for so many steps of a counter; undefined when sampling leaves nothing of them. */
export function counterLine(
  name: string,
  tags: Tags,
  {
    steps,
    rate = 1,
    random = Math.random,
  }: { readonly steps: number; readonly rate?: number; readonly random?: () => number },
): string | undefined {
  const kept = rate >= 1 ? steps : sample(steps, rate, random);
  if (kept === 0) return undefined;
  const sampled = rate >= 1 ? '' : `|@${rate}`;
  const list = Object.entries(tags).map(([key, value]) => `${key}:${clean(value)}`);
  return `${name}:${kept}|c${sampled}${list.length === 0 ? '' : `|#${list.join(',')}`}`;
}

/** Lines in as few packets as possible: joined by line feeds, none above `limit` bytes unless one line alone is. */
export function packets(lines: Iterable<string>, limit: number): readonly string[] {
  const found: string[] = [];
  let packet = '';
  for (const line of lines) {
    const longer = packet === '' ? line : `${packet}\n${line}`;
    if (packet !== '' && Buffer.byteLength(longer) > limit) {
      found.push(packet);
      packet = line;
    } else packet = longer;
  }
  if (packet !== '') found.push(packet);
  return found;
}

/** How many of so many steps are kept, when each is with this probability. */
function sample(steps: number, rate: number, random: () => number): number {
  // Thousands at once: the mean says it well enough, and costs nothing.
  if (steps > 1_000) return Math.round(steps * rate);
  let kept = 0;
  for (let step = 0; step < steps; step++) if (random() < rate) kept += 1;
  return kept;
}

/** What separates tags and lines must not come from a value. */
function clean(value: string): string {
  return value.replace(/[|,\n#]/g, '_');
}
