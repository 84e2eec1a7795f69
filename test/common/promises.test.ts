import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { shapeRows } from '../../common/cli/json-shape.ts';
import { parseInstance } from '../../common/instance.ts';
import { nerveProgram } from '../../nerve/whole-program.ts';
import { synapseProgram } from '../../synapse/whole-program.ts';
import { root } from '../support/repository.ts';

/** One promise on each line. `UPDATE_GOLDEN=1` adds new ones; it removes none, so that a removal is seen in the diff of a file. */
function promised(name: string, now: readonly string[]): readonly string[] {
  const path = join(root, 'test/golden/promises', name);
  const known = (): string[] => readFileSync(path, { encoding: 'utf8', flag: 'a+' }).split('\n').filter(Boolean);
  if (process.env.UPDATE_GOLDEN) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, [...new Set([...known(), ...now])].map((line) => `${line}\n`).join(''));
  }
  return known();
}

describe('what common/versions.md promises', () => {
  const documents = [nerveProgram, synapseProgram].flatMap(({ name, commands }) =>
    Object.entries(commands).flatMap(([command, { json }]) =>
      json === undefined ? [] : shapeRows(json).map(({ path, type }) => `${name} ${command}: ${path}: ${type}`),
    ),
  );
  it('keeps every key of every document, with its type', () => {
    const gone = promised('documents.txt', documents).filter((line) => !documents.includes(line));
    assert.deepEqual(gone, [], 'v1 only grows: add another key, or make /api/v2 beside it');
  });

  it('has every key of every document among the promises', () => {
    const known = promised('documents.txt', documents);
    assert.deepEqual(
      documents.filter((line) => !known.includes(line)),
      [],
      'UPDATE_GOLDEN=1 adds what is new',
    );
  });

  const records = readFileSync(join(root, 'test/golden/promises/records.jsonl'), 'utf8').split('\n').filter(Boolean);
  it('reads every record that a release has written', () => {
    assert.ok(records.length > 5);
    for (const line of records) {
      const { release, record, instance } = JSON.parse(line);
      const { labels, ...read } = parseInstance(JSON.stringify(record));
      assert.deepEqual(
        JSON.parse(JSON.stringify({ ...read, labels: Object.fromEntries(Object.entries(labels ?? {})) })),
        instance,
        `${release}: ${JSON.stringify(record)}`,
      );
    }
  });

  it('reads a record with fields of a later release as one without them', () => {
    for (const line of records) {
      const { record } = JSON.parse(line);
      const later = { ...record, zone_of_2030: { deep: [1] }, flag_of_2030: true };
      assert.deepEqual(parseInstance(JSON.stringify(later)), parseInstance(JSON.stringify(record)));
    }
  });
});
