import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { sleep } from '../../../../common/async/sleep.ts';
import { createEtcdClient, type EtcdClient } from '../../../../common/etcd/client/client.ts';
import { createLeasedKeys, type LeasedKeys } from '../../../../common/etcd/keys/leased-keys.ts';
import { createReflector } from '../../../../common/etcd/watch/reflector.ts';
import type { LocalCluster } from '../../../../etcd-cluster/members/local-cluster.ts';
import { enableAuth } from '../../../support/etcd/auth.ts';
import { dump, etcdVersions, portOf, put, remove, testCluster, testLog } from '../../../support/etcd/etcd.ts';
import { assertSound, createRecorder } from '../../../support/etcd/watch-recorder.ts';
import { eventually } from '../../../support/eventually.ts';
import { recordingLog } from '../../../support/process/recording-log.ts';
import { type FaultProxy, startFaultProxy } from '../../../support/servers/fault-proxy.ts';

/** How long a token is valid. */
const tokenTtlSeconds = 2;

for (const version of etcdVersions) {
  describe(`users and passwords on etcd ${version}`, () => {
    let folder: string;
    let cluster: LocalCluster;
    let proxy: FaultProxy;
    let root: EtcdClient;
    const all = new AbortController();
    let one = new AbortController();

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'etcd-auth-'));
      const { publicKey, privateKey } = generateKeyPairSync('rsa', {
        modulusLength: 2048,
        publicKeyEncoding: { type: 'spki', format: 'pem' },
        privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
      });
      assert.ok(createPrivateKey(privateKey));
      const [pub, priv] = [join(folder, 'pub.pem'), join(folder, 'priv.pem')];
      await writeFile(pub, publicKey);
      await writeFile(priv, privateKey);
      // Signed tokens expire at their time even while they are used: the harder case. bcrypt at its lowest cost.
      const token = `--auth-token=jwt,pub-key=${pub},priv-key=${priv},sign-method=RS256,ttl=${tokenTtlSeconds}s`;
      cluster = await testCluster(version, { size: 1, flags: [token, '--bcrypt-cost=4'] });
      proxy = await startFaultProxy(portOf(cluster.urls[0] as string));
      await enableAuth(cluster, '/mine/');
      root = client('root', 'root-secret', cluster.urls);
    });

    afterEach(async () => {
      one.abort();
      one = new AbortController();
      await proxy.heal();
    });

    after(async () => {
      all.abort();
      await proxy?.close();
      await cluster?.stopAll();
      await rm(folder, { recursive: true, force: true });
    });

    const client = (username: string, password: string, hosts?: readonly string[]): EtcdClient =>
      createEtcdClient(
        { hosts: hosts ?? [`127.0.0.1:${proxy.port}`], username, password },
        { log: testLog() },
        hosts ? all.signal : one.signal,
      );

    it('keeps watching and writing after its token expired and its connection was cut', async () => {
      const prefix = '/mine/expiry/';
      const user = client('nerve', 'secret');
      const reflector = createReflector(user, { log: testLog() }, one.signal);
      const recorder = createRecorder();
      void reflector.follow(prefix, recorder.onChange, one.signal);
      const keys = createLeasedKeys(user, { ttlSeconds: 10 }, { log: testLog() }, one.signal);
      keys.set(`${prefix}a`, '1');
      await keys.settled(AbortSignal.timeout(20_000));
      await eventually(() => assert.deepEqual(recorder.puts, ['1']));
      await sleep(tokenTtlSeconds * 1_000 + 1_000);
      proxy.cut();
      await put(root, `${prefix}b`, '2');
      await eventually(() => assert.deepEqual(recorder.puts, ['1', '2']));
      keys.set(`${prefix}a`, '3');
      await keys.settled(AbortSignal.timeout(20_000));
      await eventually(() => assert.deepEqual(recorder.puts, ['1', '2', '3']));
      assertSound(recorder);
    });

    it('follows another prefix after the token of its stream has expired', async () => {
      const reflector = createReflector(client('nerve', 'secret'), { log: testLog() }, one.signal);
      const [first, second] = [createRecorder(), createRecorder()];
      void reflector.follow('/mine/early/', first.onChange, one.signal);
      await eventually(() => assert.notEqual(reflector.status.member, null));
      await sleep(tokenTtlSeconds * 1_000 + 1_000);
      void reflector.follow('/mine/late/', second.onChange, one.signal);
      await eventually(() => assert.equal(second.changes.length, 1));
      await put(root, '/mine/early/a', '1');
      await put(root, '/mine/late/a', '2');
      await eventually(() => assert.deepEqual([first.puts, second.puts], [['1'], ['2']]));
    });

    it('keeps writing after users and roles were changed', async () => {
      const prefix = '/mine/change/';
      const user = client('nerve', 'secret');
      await put(user, `${prefix}a`, '1');
      await root.call((rpc) => rpc.auth.userAdd({ name: `another-${Date.now()}`, password: 'x' }));
      await put(user, `${prefix}a`, '2');
      assert.deepEqual(await dump(user, prefix), { [`${prefix}a`]: '2' });
    });

    it('keeps watching and writing while authentication is turned on, off and on again', async () => {
      const prefix = '/mine/switch/';
      await root.call((rpc) => rpc.auth.authDisable({}));
      const user = client('nerve', 'secret');
      const reflector = createReflector(user, { log: testLog() }, one.signal);
      const [recorder, second] = [createRecorder(), createRecorder()];
      void reflector.follow(prefix, recorder.onChange, one.signal);
      const keys = createLeasedKeys(user, { ttlSeconds: 10 }, { log: testLog() }, one.signal);
      keys.set(`${prefix}a`, '1');
      await eventually(() => assert.deepEqual(recorder.puts, ['1']));
      await root.call((rpc) => rpc.auth.authEnable({}));
      keys.set(`${prefix}a`, '2');
      await eventually(() => assert.deepEqual(recorder.puts, ['1', '2']));
      void reflector.follow('/mine/switched/', second.onChange, one.signal);
      await put(user, '/mine/switched/a', '1');
      await eventually(() => assert.deepEqual(second.puts, ['1']));
      proxy.cut();
      keys.set(`${prefix}a`, '3');
      await eventually(() => assert.deepEqual(recorder.puts, ['1', '2', '3']));
      await root.call((rpc) => rpc.auth.authDisable({}));
      keys.set(`${prefix}a`, '4');
      await eventually(() => assert.deepEqual(recorder.puts, ['1', '2', '3', '4']));
      await root.call((rpc) => rpc.auth.authEnable({}));
      assert.equal(keys.status.held, true);
      assertSound(recorder);
    });

    it('keeps following other prefixes beside one that it may not read', async () => {
      const reflector = createReflector(client('nerve', 'secret'), { log: testLog() }, one.signal);
      const [mine, theirs] = [createRecorder(), createRecorder()];
      void reflector.follow('/theirs/', theirs.onChange, one.signal);
      void reflector.follow('/mine/beside/', mine.onChange, one.signal);
      await eventually(() => assert.match(reflector.status.denied['/theirs/'] ?? '', /permission denied/));
      await put(root, '/mine/beside/a', '1');
      await eventually(() => assert.deepEqual(mine.puts, ['1']));
      assert.deepEqual(theirs.changes, []);
      assert.equal(reflector.status.synced, false);
    });

    it('keeps and repairs its other keys beside one that it may not write', async () => {
      const user = client('nerve', 'secret');
      const keys = createLeasedKeys(user, { ttlSeconds: 10, verifyEveryMs: 200 }, { log: testLog() }, one.signal);
      for (const key of ['/mine/own/a', '/theirs/own/b', '/mine/own/c']) keys.set(key, '1');
      const own = { '/mine/own/a': '1', '/mine/own/c': '1' };
      await eventually(async () => assert.deepEqual(await dump(root, '/mine/own/'), own));
      await eventually(() => assert.match(keys.keyStatus('/theirs/own/b')?.reason ?? '', /permission denied/));
      // Others see a key before its writer has the answer.
      await eventually(() => assert.equal(keys.keyStatus('/mine/own/a')?.settled, true));
      assert.equal(keys.status.held, true);
      await remove(root, '/mine/own/c');
      await eventually(async () => assert.deepEqual(await dump(root, '/mine/own/'), own));
      assert.deepEqual(await dump(root, '/theirs/'), {});
    });

    describe('a user whose password is in a file', () => {
      const prefix = '/mine/rotation/';
      let file: string;
      let logged: ReturnType<typeof recordingLog>;

      beforeEach(async () => {
        file = join(folder, 'password');
        logged = recordingLog();
        await root.call((rpc) => rpc.auth.userAdd({ name: 'rotating', password: 'first-word' }));
        await root.call((rpc) => rpc.auth.userGrantRole({ user: 'rotating', role: 'nerve' }));
        await writeFile(file, 'first-word\n');
      });

      afterEach(async () => {
        await root.call((rpc) => rpc.auth.userDelete({ name: 'rotating' }));
        assert.doesNotMatch(JSON.stringify(logged.lines), /first-word|second-word/, 'no password is logged');
      });

      const fileClient = () => {
        const options = { hosts: [`127.0.0.1:${proxy.port}`], username: 'rotating', password_file: file };
        return createEtcdClient(options, { log: logged.log }, one.signal);
      };

      const changePassword = () =>
        root.call((rpc) => rpc.auth.userChangePassword({ name: 'rotating', password: 'second-word' }));

      const orders = [
        ['in the file first', () => writeFile(file, 'second-word\n'), changePassword],
        ['in etcd first', changePassword, () => writeFile(file, 'second-word\n')],
      ] as const;
      for (const [order, first, second] of orders) {
        it(`keeps its lease while the password is changed ${order}`, async () => {
          const keys = createLeasedKeys(fileClient(), { ttlSeconds: 10 }, { log: logged.log }, one.signal);
          keys.set(`${prefix}a`, '1');
          await keys.settled(AbortSignal.timeout(20_000));
          const { leaseId } = keys.status;
          await first();
          // The token expires, and the connection is new: both passwords are needed.
          proxy.cut();
          await sleep(tokenTtlSeconds * 1_000 + 1_000);
          await second();
          await sleep(11_000);
          keys.set(`${prefix}a`, '2');
          await keys.settled(AbortSignal.timeout(20_000));
          assert.deepEqual([keys.status.leaseId, keys.status.held], [leaseId, true]);
        });
      }

      it('names a file that is missing or empty as the reason, and uses it as soon as it is right', async () => {
        const user = fileClient();
        const list = () => user.call((rpc) => rpc.kv.range({ key: Buffer.from(prefix) }), { totalMs: 1_000 });
        await rm(file);
        await assert.rejects(list, /cannot read the password file .*password: it does not exist/);
        await writeFile(file, '\n');
        await assert.rejects(list, /the password file .*password is empty/);
        await writeFile(file, 'first-word\n');
        await list();
      });
    });

    it('keeps its keys while another user of the same role takes its place', async () => {
      const prefix = '/mine/successor/';
      await root.call((rpc) => rpc.auth.userAdd({ name: 'successor', password: 'second-word' }));
      await root.call((rpc) => rpc.auth.userGrantRole({ user: 'successor', role: 'nerve' }));
      const recorder = createRecorder();
      const reflector = createReflector(root, { log: testLog() }, one.signal);
      void reflector.follow(prefix, recorder.onChange, one.signal);
      const [older, newer] = ['nerve', 'successor'].map((name) =>
        createLeasedKeys(
          client(name, name === 'nerve' ? 'secret' : 'second-word'),
          { ttlSeconds: 10 },
          { log: testLog() },
          one.signal,
        ),
      ) as [LeasedKeys, LeasedKeys];
      older.set(`${prefix}a`, '1');
      await older.settled(AbortSignal.timeout(20_000));
      newer.set(`${prefix}a`, '1');
      await newer.settled(AbortSignal.timeout(20_000));
      older.unset(`${prefix}a`, 'down', { forget: true });
      await older.settled(AbortSignal.timeout(20_000));
      await older.close({ timeoutMs: 5_000, tombstone: () => 'down' });
      await put(root, `${prefix}end`, 'end');
      await eventually(() => assert.deepEqual(recorder.puts, ['1', '1', 'end']));
      assert.deepEqual(recorder.deletes, []);
      await newer.close({ timeoutMs: 5_000 });
      await root.call((rpc) => rpc.auth.userDelete({ name: 'successor' }));
    });

    it('names a wrong password as the reason', async () => {
      const user = client('nerve', 'wrong');
      await assert.rejects(put(user, '/mine/x', '1'), /authentication failed, invalid user ID or password/);
    });
  });
}
