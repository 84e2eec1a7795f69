import { clock } from '../async/clock.ts';

/** Tags by name, written in DogStatsD's form as SmartStack does: `name:1|c|#service_name:api`. */
export type Tags = Readonly<Record<string, string>>;

/** One line for `steps` steps of a counter; undefined when sampling keeps none of them. */
export function counterLine(
  name: string,
  tags: Tags,
  {
    steps,
    rate = 1,
    random = clock.random,
  }: { readonly steps: number; readonly rate?: number; readonly random?: () => number },
): string | undefined {
  const kept = rate >= 1 ? steps : sample(steps, rate, random);
  if (kept === 0) return undefined;
  const sampled = rate >= 1 ? '' : `|@${rate}`;
  const list = Object.entries(tags).map(([key, value]) => `${key}:${clean(value)}`);
  return `${name}:${kept}|c${sampled}${list.length === 0 ? '' : `|#${list.join(',')}`}`;
}

/** Joins lines by line feeds into packets of at most `maxBytes`; a longer line is a packet of its own. */
export function packets(lines: Iterable<string>, maxBytes: number): readonly string[] {
  const found: string[] = [];
  let packet = '';
  for (const line of lines) {
    const longer = packet === '' ? line : `${packet}\n${line}`;
    if (packet !== '' && Buffer.byteLength(longer) > maxBytes) {
      found.push(packet);
      packet = line;
    } else packet = longer;
  }
  if (packet !== '') found.push(packet);
  return found;
}

/** How many steps are kept when each one is kept with the probability `rate`. */
function sample(steps: number, rate: number, random: () => number): number {
  // Of thousands of steps the mean is close enough, and costs nothing.
  if (steps > 1_000) return Math.round(steps * rate);
  let kept = 0;
  for (let step = 0; step < steps; step++) if (random() < rate) kept += 1;
  return kept;
}

/** Replaces the characters that separate tags and lines. */
function clean(value: string): string {
  return value.replace(/[|,\n#]/g, '_');
}
