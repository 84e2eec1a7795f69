import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Fields, field, optional, type Shaped, shapeRows } from '../../../common/cli/json-shape.ts';
import { mismatches } from '../../support/json-shape.ts';

const shape = {
  fields: {
    name: field('text', 'its name'),
    ports: field({ list: 'number' }, 'where it listens'),
    more: optional(
      { by: 'KEY', of: { orNull: { fields: { on: field('boolean', 'it is on') } } } },
      'what else there is',
    ),
    raw: optional('any', 'whatever'),
    level: optional({ oneOf: ['info', 'warn'] }, 'how serious it is'),
  },
} satisfies Fields;

interface Document {
  readonly name: string;
  readonly ports: readonly number[];
  readonly more?: Readonly<Record<string, { readonly on: boolean } | null>>;
  readonly raw?: unknown;
  readonly level?: 'info' | 'warn';
}

/** True when both types are the same, modifiers included. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

describe('a JSON shape', () => {
  it('gives its document the same type as an interface written by hand', () => {
    const same: Same<Shaped<typeof shape>, { [Key in keyof Document]: Document[Key] }> = true;
    assert.ok(same);
  });

  it('accepts a document that fits it', () => {
    assert.deepEqual(
      mismatches(shape, { name: 'a', ports: [1, 2], more: { x: null, y: { on: true } }, raw: [{}], level: 'info' }),
      [],
    );
  });

  it('names every place where a document differs from it', () => {
    assert.deepEqual(mismatches(shape, { ports: [1, '2'], more: { y: { on: 1 } }, extra: 0, level: 'bad' }), [
      'extra: is not documented',
      'name: is missing',
      'ports[1]: "2" is not number',
      'more.y.on: 1 is not boolean',
      'level: "bad" is not one of info, warn',
    ]);
    assert.deepEqual(mismatches(shape, []), ['the document: not an object']);
  });

  it('lists every key with its type for the manual', () => {
    assert.deepEqual(
      shapeRows(shape).map(({ path, type }) => [path, type]),
      [
        ['name', 'text'],
        ['ports', 'list of numbers'],
        ['more', 'object by KEY, optional'],
        ['more.KEY.on', 'boolean'],
        ['raw', 'any, optional'],
        ['level', 'text, optional'],
      ],
    );
  });
});
