import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Fields, field, misfits, optional, shapeRows } from '../../../common/cli/json-shape.ts';

const shape: Fields = {
  fields: {
    name: field('text', 'its name'),
    ports: field({ list: 'number' }, 'where it listens'),
    more: optional(
      { by: 'KEY', of: { orNull: { fields: { on: field('boolean', 'it is on') } } } },
      'what else there is',
    ),
    raw: optional('any', 'whatever'),
  },
};

describe('a shape', () => {
  it('fits what is as it says', () => {
    assert.deepEqual(misfits(shape, { name: 'a', ports: [1, 2], more: { x: null, y: { on: true } }, raw: [{}] }), []);
  });

  it('names every place where a value is not as it says', () => {
    assert.deepEqual(misfits(shape, { ports: [1, '2'], more: { y: { on: 1 } }, extra: 0 }), [
      'extra: is not documented',
      'name: is missing',
      'ports[1]: "2" is not number',
      'more.y.on: 1 is not boolean',
    ]);
    assert.deepEqual(misfits(shape, []), ['the whole: not an object']);
  });

  it('documents every key', () => {
    assert.deepEqual(
      shapeRows(shape).map(({ path, type }) => [path, type]),
      [
        ['name', 'text'],
        ['ports', 'list of numbers'],
        ['more', 'object by KEY, optional'],
        ['more.KEY.on', 'boolean'],
        ['raw', 'any, optional'],
      ],
    );
  });
});
