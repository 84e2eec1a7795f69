import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { references } from '../../../deploy/tools/reference.ts';
import { root } from '../../support/repository.ts';

describe('the reference of the configuration', async () => {
  for (const [path, text] of await references()) {
    it(`is current in ${path}`, async () => {
      const there = await readFile(join(root, path), 'utf8');
      assert.ok(there === text, `${path} is not what the schemas say: npm run reference`);
    });

    // The page of problems has a heading for each, and no table; the JSON Schemas are no pages.
    if (path === 'synapse/problems.md' || path.endsWith('.json')) continue;

    it(`has many keys in ${path}, each with a meaning`, () => {
      const rows = text.split('\n').filter((line) => line.startsWith('| `'));
      assert.ok(rows.length > 60, `${rows.length}`);
      for (const row of rows) assert.match(row, /\S \|$/, row);
    });
  }
});
