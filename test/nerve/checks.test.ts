import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isRequired, type SchemaProperty } from '../../common/config/schema.ts';
import { loadPlugin, pluginNames } from '../../common/plugin.ts';
import { type CheckPlugin, checkFolder } from '../../nerve/check.ts';
import { checkSchema } from '../../nerve/config/check-config.ts';

type Plugin = CheckPlugin<Record<string, unknown>>;

const names = await pluginNames(checkFolder);

describe('every check', () => {
  it('is found', () => {
    for (const name of ['http', 'noop', 'tcp']) assert.ok(names.includes(name), name);
  });

  for (const name of names) {
    it(`${name} says what it is and what its options are`, async () => {
      const { description, schema } = await loadPlugin<Plugin>(checkFolder, name);
      assert.match(description, /^[A-Z].*\.$/);
      for (const [option, property] of Object.entries<SchemaProperty<unknown>>(schema)) {
        assert.ok(!Object.hasOwn(checkSchema, option), `${option} is an option of every check`);
        assert.ok(property.doc.length > 0, option);
        assert.doesNotThrow(() => isRequired(property), option);
      }
    });
  }
});
