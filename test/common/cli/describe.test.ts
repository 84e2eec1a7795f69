import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { execute } from '../../../common/cli/daemon.ts';
import { describeSchema, describeShape, formatOptions } from '../../../common/cli/describe.ts';
import type { Schema } from '../../../common/config/schema.ts';
import { nerveProgram } from '../../../nerve/whole-program.ts';
import { synapseProgram } from '../../../synapse/whole-program.ts';
import { mismatches } from '../../support/json-shape.ts';

const schema: Schema<Record<'host' | 'timeout' | 'mode' | 'own' | 'note' | 'list' | 'perm', unknown>> = {
  host: { doc: 'where', format: 'host', default: null },
  timeout: { doc: 'how long', format: 'optional-positive-duration', default: 500 },
  mode: { doc: 'how', format: ['http', 1], default: 'http' },
  own: { doc: 'special', format: (value) => value, type: 'duration', default: 60_000 },
  note: { doc: 'text', format: 'optional-string', default: null },
  list: { doc: 'many', format: Array, default: [] },
  perm: { doc: 'rights', format: 'file-mode', default: 0o600 },
};

describe('describeSchema', () => {
  it('shows name, type and default of each option, and whether it is required', () => {
    assert.equal(
      formatOptions(describeSchema(schema)),
      [
        'OPTION   TYPE               DEFAULT',
        'host     host               required  where',
        'timeout  positive-duration  500ms     how long',
        'mode     http | 1           http      how',
        'own      duration           1m        special',
        'note     string                       text',
        'list     array              []        many',
        'perm     file-mode          0600      rights',
        '',
      ].join('\n'),
    );
  });
});

describe('describe --json', () => {
  for (const program of [nerveProgram, synapseProgram]) {
    it(`of ${program.name} fits its documented shape`, async () => {
      let text = '';
      const print = (more: string): void => {
        text += more;
      };
      assert.equal(await execute(program, ['describe', '--json'], { env: {}, print, complain: print }), 0, text);
      assert.deepEqual(mismatches(describeShape, JSON.parse(text)), []);
    });
  }
});
