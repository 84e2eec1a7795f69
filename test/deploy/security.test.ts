import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { root } from '../support/repository.ts';

const page = await readFile(join(root, 'deploy/security.md'), 'utf8');

/** The cells of the tables whose last column says which tests show a row. */
const rows: (readonly string[])[] = [];
let isShown = false;
for (const line of page.split('\n')) {
  const cells = line.startsWith('|') ? line.slice(1, -1).split(/(?<!\\)\|/) : [];
  if (cells.length === 0) isShown = false;
  else if (cells.at(-1)?.trim() === 'shown by') isShown = true;
  else if (isShown && !/^-+$/.test(cells[0] ?? '')) rows.push(cells.map((cell) => cell.trim()));
}

describe('the security model', () => {
  it('has a table in each section that promises something', () => {
    assert.ok(rows.length > 60, `${rows.length} rows`);
  });

  for (const cells of rows) {
    it(`names tests that are there: ${cells[0]}`, () => {
      const named = [...(cells.at(-1) ?? '').matchAll(/`([\w/-]+)`/g)].map(([, name = '']) => name);
      assert.ok(named.length > 0, 'no test is named');
      for (const name of named) {
        const found = ['.test.ts', '.fuzz.ts'].some((end) => existsSync(join(root, 'test', `${name}${end}`)));
        assert.ok(found, `there is no test/${name}.test.ts`);
      }
    });
  }
});

describe('code of packages', () => {
  for (const file of ['deploy/Dockerfile', 'deploy/setup', 'deploy/archive']) {
    it(`does not run while they are installed: ${file}`, async () => {
      const text = await readFile(join(root, file), 'utf8');
      const installs = [...text.matchAll(/\bnpm (?:ci|install|i)\b.*/g)].map(([line]) => line);
      if (file !== 'deploy/archive') assert.ok(installs.length > 0);
      for (const line of installs) assert.match(line, / --ignore-scripts /);
    });
  }
});
