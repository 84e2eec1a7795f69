/** One thing that HAProxy found wrong, at a line of the file (counted from 1) where it names one. */
export interface Finding {
  readonly line: number | undefined;
  readonly message: string;
}

const longest = 2_000;

/** HAProxy's own words about what is wrong, without its warnings; all of the output when there are none. */
export function wrongIn(output: string): string {
  const lines = linesOf(output);
  const wrong = lines.filter(isWrong);
  return (wrong.length > 0 ? wrong : lines).map(words).join('; ').slice(0, longest);
}

/**
 * What is wrong with the file `name` one by one: `[ALERT] (12) : config : parsing [/etc/haproxy/haproxy.cfg:7] : …`.
 * Addresses have the same form, so the file's name counts.
 */
export function findingsIn(output: string, name: string): readonly Finding[] {
  return linesOf(output)
    .filter(isWrong)
    .map((text): Finding => {
      const places = [...text.matchAll(/\[([^\]\s]*):([0-9]+)\]/g)];
      const line = places.find(([, path = '']) => path === name || path.endsWith(`/${name}`))?.[2];
      return { line: line === undefined ? undefined : Number(line), message: words(text).slice(0, longest) };
    });
}

function linesOf(output: string): readonly string[] {
  return output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

function isWrong(line: string): boolean {
  return /^\[(ALERT|EMERG|CRIT)\]/.test(line);
}

function words(line: string): string {
  return line.replace(/^\[[A-Z]+\]\s*(\S+\s+)?\([0-9]+\)\s*:\s*/, '');
}
