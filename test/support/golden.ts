import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from './repository.ts';

const folder = join(root, 'test/golden/');

/** Compares a text with `test/golden/NAME`; with `UPDATE_GOLDEN=1` the text becomes that file, to be read before it is committed. */
export function assertGolden(name: string, text: string): void {
  const path = join(folder, name);
  if (process.env.UPDATE_GOLDEN) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  assert.equal(text, readFileSync(path, 'utf8'), `differs from test/golden/${name}; UPDATE_GOLDEN=1 takes it over`);
}

/** Replaces what differs from one run to the next; runs of spaces become two, since columns are as wide as what is in them. */
export function masked(text: string, names: ReadonlyMap<string, string>): string {
  let result = text;
  for (const [value, name] of names) result = result.replaceAll(value, name);
  return result
    .replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\.\d{3}Z?/g, 'TIME')
    .replace(/\b(synapse|nerve) \d+\.\d+\.\d+/g, '$1 RELEASE')
    .replace(/\b\d+(\.\d+)? ms\b/g, 'N ms')
    .replace(/\b\d+ of (\d+) s left/g, 'N of $1 s left')
    .replace(/\b\d+(\.\d+)? (s|min|h)\b(?! left)/g, 'AGE')
    .replace(/\blease [0-9a-f]{6,}/g, 'lease LEASE')
    .replace(/held \([0-9a-f]+\)/g, 'held (LEASE)')
    .replace(/\b(worker|pid) \d+/g, '$1 PID')
    .replace(/\b(revision|at) \d+(?![.\d])/g, '$1 REVISION')
    .replace(/\b\d+ bytes/g, 'N bytes')
    .replace(/ {2,}/g, '  ')
    .replace(/(?<= {2})\d+(?= {2}|$)/gm, 'N');
}
