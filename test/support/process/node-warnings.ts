import type { TestContext } from 'node:test';

/** What Node warns of from now on until the test is over: users would find it among the lines of the log. */
export function nodeWarnings(t: TestContext): readonly string[] {
  const warnings: string[] = [];
  const note = ({ name, message }: Error): void => void warnings.push(`${name}: ${message}`);
  process.on('warning', note);
  t.after(() => process.off('warning', note));
  return warnings;
}
