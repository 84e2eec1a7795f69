import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { validate } from '../../../common/config/schema.ts';
import { pluginNames } from '../../../common/plugin.ts';
import { type Check, checkFolder, ownCheckTypes } from '../../../nerve/check.ts';
import { checkDeps } from '../../support/daemons/check.ts';
import { requiredOptions } from '../../support/daemons/required-options.ts';
import { eventually } from '../../support/eventually.ts';
import { assertNothingMore, openResources } from '../../support/process/resources.ts';
import { type Peer, peers, startPeer } from '../../support/servers/bad-peers.ts';

/** Number of probes of each check against each peer; as many again with TLS for checks that can speak it. */
const probes = 80;
const atOnce = 20;
/** The deadline of a probe, milliseconds. It ends most probes, each at another stage. */
const deadline = 25;

const names = await pluginNames(checkFolder);

/** Probes once with this deadline. @returns false when the probe has not settled long after it */
async function probe(check: Check): Promise<boolean> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new Error('too late')), Math.random() * 2 * deadline);
  let late: NodeJS.Timeout | undefined;
  const never = new Promise<boolean>((resolve) => {
    late = setTimeout(() => resolve(false), 10_000);
  });
  const settled = check(controller.signal).then(
    () => true,
    () => true,
  );
  try {
    return await Promise.race([settled, never]);
  } finally {
    clearTimeout(timer);
    clearTimeout(late);
  }
}

describe('thousands of probes', () => {
  let folder = '';
  let probed = 0;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'smartstack-leak-'));
    await writeFile(join(folder, 'check.mjs'), 'export const check = { create: () => () => new Promise(() => {}) };');
  });
  after(() => rm(folder, { recursive: true, force: true }));

  for (const [kind, behave] of Object.entries(peers)) {
    describe(kind, () => {
      let peer: Peer;
      let unixPeer: Peer;
      const path = () => join(folder, 'peer.sock');
      before(async () => {
        peer = await startPeer(behave);
        unixPeer = await startPeer(behave, path());
      });
      after(async () => {
        await peer.close();
        await unixPeer.close();
      });

      for (const name of names) {
        it(name, async () => {
          const { schema, create } = await ownCheckTypes.load(name);
          const least = requiredOptions(schema, folder);
          const variants = [
            {},
            ...('ssl' in schema ? [{ ssl: true, ssl_verify: false }] : []),
            ...('http2' in schema ? [{ http2: true }] : []),
            ...('socket' in schema ? [{ socket: path() }] : []),
          ];
          const checks = variants.map((extra) => {
            const options = validate(schema, { ...least, ...extra }, { path: name, problems: [] });
            return create(options, { service: 'api', host: '127.0.0.1', port: peer.port }, checkDeps);
          });
          const before = await openResources();
          for (const check of checks) {
            for (let done = 0; done < probes; done += atOnce) {
              const settled = await Promise.all(Array.from({ length: atOnce }, () => probe(check)));
              assert.ok(settled.every(Boolean), 'a probe did not settle');
              probed += settled.length;
            }
          }
          await eventually(() => assertNothingMore(before));
          // The peers notice the closed connections a moment later.
          await eventually(() => assert.equal(peer.open + unixPeer.open, 0));
        });
      }
    });
  }

  it('are at least ten thousand in this test', () => assert.ok(probed >= 10_000, `${probed}`));
});
