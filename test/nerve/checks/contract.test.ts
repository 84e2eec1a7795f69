import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { isRequired, type SchemaProperty, validate } from '../../../common/config/schema.ts';
import { isSecretKey } from '../../../common/config/secrets.ts';
import { pluginNames } from '../../../common/plugin.ts';
import { checkFolder, ownCheckTypes } from '../../../nerve/check.ts';
import { checkSchema } from '../../../nerve/config/check-config.ts';
import { checkDeps } from '../../support/daemons/check.ts';
import { requiredOptions } from '../../support/daemons/required-options.ts';
import { eventually } from '../../support/eventually.ts';
import { assertNothingMore, openResources } from '../../support/process/resources.ts';
import { type Peer, peers, startPeer } from '../../support/servers/bad-peers.ts';

/** Options that nerve itself reads in each check, now or perhaps later. */
const reserved = [
  ...['type', 'name', 'module', 'host', 'port', 'timeout', 'rise', 'fall'],
  ...['check_interval', 'interval', 'fast_interval', 'jitter', 'enabled'],
];

const names = await pluginNames(checkFolder);

describe('every check', () => {
  let folder = '';
  let mute: Peer;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'smartstack-contract-'));
    await writeFile(join(folder, 'check.mjs'), 'export const check = { create: () => () => new Promise(() => {}) };');
    mute = await startPeer(peers['a mute peer'] ?? assert.fail());
  });
  after(async () => {
    await mute.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('is found in its folder', () => {
    assert.ok(names.length >= 9, names.join());
    for (const name of ['http', 'noop', 'tcp']) assert.ok(names.includes(name), name);
  });

  for (const name of names) {
    describe(name, () => {
      const load = () => ownCheckTypes.load(name);
      const options = async () => validate((await load()).schema, await minimum(), { path: name, problems: [] });
      const minimum = async () => requiredOptions((await load()).schema, folder);
      const target = () => ({ service: 'api', host: '127.0.0.1', port: mute.port });

      it('describes itself and its options', async () => {
        const { description, schema } = await load();
        assert.match(description, /^[A-Z].{7,}\.$/);
        for (const [key, property] of Object.entries<SchemaProperty<unknown>>(schema)) {
          assert.match(key, /^[a-z][a-z0-9_]*$/);
          assert.ok(!reserved.includes(key), `${key} is nerve's own`);
          assert.ok(!Object.hasOwn(checkSchema, key), `${key} is an option of every check`);
          assert.doesNotThrow(() => isRequired(property), key);
          assert.match(property.doc, /^\S.{7,}[^.]$/, `${key}: ${property.doc}`);
          assert.ok('default' in property && property.format !== undefined, key);
          if (isSecretKey(key)) assert.equal(property.sensitive, true, key);
        }
      });

      it('accepts its required options, and no unknown one', async () => {
        const { schema } = await load();
        for (const [extra, message] of [
          [{}, undefined],
          [{ no_such_option: 1 }, /unknown key/],
        ] as const) {
          const problems: { path: string; message: string }[] = [];
          validate(schema, { ...(await minimum()), ...extra }, { path: name, problems });
          if (message === undefined) assert.deepEqual(problems, []);
          else assert.ok(problems.length === 1 && message.test(problems[0]?.message ?? ''), JSON.stringify(problems));
        }
      });

      it('opens nothing before its first probe', async () => {
        const [plugin, read] = [await load(), await options()];
        const before = await openResources();
        const accepted = mute.accepted;
        plugin.create(read, target(), checkDeps);
        await new Promise(setImmediate);
        await assertNothingMore(before);
        assert.equal(mute.accepted, accepted);
      });

      it('opens nothing for a signal that has aborted', async () => {
        const check = (await load()).create(await options(), target(), checkDeps);
        const accepted = mute.accepted;
        await check(AbortSignal.abort(new Error('too late'))).catch(() => {});
        await new Promise((resolve) => setTimeout(resolve, 20));
        assert.equal(mute.accepted, accepted);
      });

      it('settles when its signal aborts, and leaves nothing open', async () => {
        const check = (await load()).create(await options(), target(), checkDeps);
        const before = await openResources();
        const controller = new AbortController();
        const timer = setTimeout(() => controller.abort(new Error('over')), 50);
        const found = await check(controller.signal).then(
          () => null,
          (error) => error,
        );
        clearTimeout(timer);
        // A check that settled earlier has passed or failed; after the abort it rejects with the reason of the signal.
        if (controller.signal.aborted) assert.equal(found?.message, 'over');
        else assert.ok(found === null || found instanceof Error);
        await eventually(async () => {
          await assertNothingMore(before);
          assert.equal(mute.open, 0);
        });
      });
    });
  }
});
