import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Problem, validate } from '../../../common/config/config.ts';
import { silentLog } from '../../../common/daemon/log.ts';
import { createEtcdClient } from '../../../common/etcd/client/client.ts';
import { loadPlugin, pluginNames } from '../../../common/plugin.ts';
import { type InstanceSet, type SourceContext, type SourcePlugin, sourceFolder } from '../../../synapse/source.ts';

const names = await pluginNames(sourceFolder);

describe('the aliases of sources', () => {
  it('name sources that exist', () => {
    assert.ok(names.includes('etcd'));
    for (const name of Object.values(sourceFolder.aliases ?? {})) assert.ok(names.includes(name), name);
  });
});

for (const name of names) {
  describe(`the source ${name}`, async () => {
    const plugin = await loadPlugin<SourcePlugin<Record<string, unknown>>>(sourceFolder, name);

    it('describes itself and every option', () => {
      assert.match(plugin.description, /^[A-Z].*\.$/);
      for (const [option, { doc }] of Object.entries(plugin.schema)) assert.match(doc, /^[A-Z].*\.$/, option);
    });

    const problems: Problem[] = [];
    const options = validate(plugin.schema, plugin.example ?? {}, { path: 'discovery', problems });

    it('can be made with its example, or without options', () => {
      assert.deepEqual(problems, []);
    });

    it('refuses unknown options', () => {
      const found: Problem[] = [];
      validate(plugin.schema, { nobody_knows_this: 1 }, { path: 'discovery', problems: found });
      assert.ok(found.some(({ path, message }) => path === 'discovery.nobody_knows_this' && /unknown/.test(message)));
    });

    /** Runs the source with servers that do not answer; `started` is called once it runs. */
    const run = async (
      signal: AbortSignal,
      started: (status: () => string | null | undefined) => Promise<void> | void,
    ) => {
      const end = new AbortController();
      let running = false;
      const context: SourceContext = {
        service: 'api',
        log: silentLog,
        etcd: { hosts: ['http://127.0.0.1:1'] },
        openEtcd: createEtcdClient,
        rejected() {},
        dropped() {},
        gone() {},
        shared(_, make) {
          assert.ok(running, 'shared() was called before the source ran');
          return make(end.signal, silentLog);
        },
      };
      const source = plugin.create(options, context);
      running = true;
      const sets: InstanceSet[] = [];
      // It may give up with the reason, and its supervisor would start it again; it must not hang.
      const done = source((set) => sets.push(set), signal).catch(() => {});
      await started(() => source.status?.().reason);
      await done;
      end.abort();
      // Whatever it knew, it must not have made up an instance.
      assert.ok(sets.every(({ instances }) => instances.length === 0));
      return sets;
    };

    it('opens nothing before it runs, and ends when its signal aborts at once', async () => {
      const stop = new AbortController();
      await run(stop.signal, () => stop.abort());
    });

    it('does not start when its signal has aborted before', async () => {
      await run(AbortSignal.abort(), () => {});
    });

    it('publishes no empty set in an outage, and can be ended during one', async () => {
      const stop = new AbortController();
      let reason: string | null | undefined;
      const sets = await run(stop.signal, async (status) => {
        await delay(300);
        reason = status();
        stop.abort();
      });
      if (typeof reason === 'string') assert.deepEqual(sets, []);
    });
  });
}
