import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Problem, validate } from '../../common/config.ts';
import { silentLog } from '../../common/log.ts';
import { loadPlugin, pluginNames } from '../../common/plugin.ts';
import { type InstanceSet, type SourceContext, type SourcePlugin, sourceFolder } from '../../synapse/source.ts';

const names = await pluginNames(sourceFolder);

test('there are sources, and aliases lead to them', () => {
  assert.ok(names.includes('etcd'));
  for (const name of Object.values(sourceFolder.aliases ?? {})) assert.ok(names.includes(name), name);
});

for (const name of names) {
  describe(`source ${name}`, async () => {
    const plugin = await loadPlugin<SourcePlugin<Record<string, unknown>>>(sourceFolder, name);

    test('describes itself and every option', () => {
      assert.match(plugin.description, /^[A-Z].*\.$/);
      for (const [option, { doc }] of Object.entries(plugin.schema)) assert.match(doc, /^[A-Z].*\.$/, option);
    });

    test('refuses options it does not know', () => {
      const problems: Problem[] = [];
      validate(plugin.schema, { nobody_knows_this: 1 }, { path: 'discovery', problems });
      assert.ok(
        problems.some(({ path, message }) => path === 'discovery.nobody_knows_this' && /unknown/.test(message)),
      );
    });

    test('opens nothing before it runs, and ends when it is told to', async () => {
      const end = new AbortController();
      const options = validate(plugin.schema, {}, { path: 'discovery', problems: [] });
      let running = false;
      const context: SourceContext = {
        service: 'api',
        log: silentLog,
        etcd: { hosts: ['http://127.0.0.1:1'] },
        rejected() {},
        gone() {},
        shared(_, make) {
          assert.ok(running, 'shared() was called before the source ran');
          return make(end.signal, silentLog);
        },
      };
      const source = plugin.create(options, context);
      running = true;
      const sets: InstanceSet[] = [];
      const stop = new AbortController();
      const done = source((set) => sets.push(set), stop.signal);
      stop.abort();
      await done;
      end.abort();
      // Whatever it knew, it must not have made up an instance.
      assert.ok(sets.every(({ instances }) => instances.length === 0));
    });
  });
}
