import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sleep } from '../../../common/async/sleep.ts';
import type { Instance } from '../../../common/instance.ts';
import { freePort } from '../../../etcd-cluster/members/ports.ts';
import { eventually } from '../../support/eventually.ts';
import { askSocket } from '../../support/haproxy/haproxy.ts';
import { instance, serviceConfig, type TestService } from '../../support/haproxy/haproxy-output.ts';
import { runningHaproxy } from '../../support/haproxy/running-haproxy.ts';
import { haproxyVersions } from '../../support/haproxy/versions.ts';
import { seededRandom } from '../../support/random.ts';

/** `SEED=7 npm test` repeats a run. */
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e6));
const steps = 60;

describe('random changes, faults and settings by hand', { concurrency: haproxyVersions.length }, () => {
  for (const version of haproxyVersions) {
    it(`leave HAProxy ${version} with the desired servers (seed ${seed})`, async (t) => {
      const random = seededRandom(seed);
      const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
      const top = { delete_servers_after: '300ms', drain_timeout: '500ms' };
      const names = ['api', 'web'];
      const services: Record<string, TestService> = {};
      for (const name of names) {
        services[name] = { config: serviceConfig({ port: await freePort() }), instances: [instance(9)] };
      }
      const choose = (): readonly Instance[] =>
        Array.from({ length: 8 }, (_, index) => index)
          .filter(() => random() < 0.6)
          .map((index) =>
            instance(2_000 + index, {
              host: '127.0.7.7',
              ...(random() < 0.2 && { state: 'drain' as const }),
              ...(random() < 0.3 && { weight: 1 + Math.floor(random() * 20) }),
            }),
          );
      /** Servers (`backend/server`) that were set by hand: they stay so, and are reported. */
      const byHand = new Set<string>();
      const running = await runningHaproxy(t, { version, top, services: { ...services } });
      const { haproxy } = running;

      const hand = async (): Promise<void> => {
        const target = pick([...(await haproxy.servers()).keys()]);
        byHand.add(target);
        const what = pick(['state maint', 'state drain', 'state ready', `weight ${1 + Math.floor(random() * 9)}`]);
        await haproxy.ask(`set server ${target} ${what}`);
      };
      const faults: Record<string, () => Promise<void>> = {
        members: async () => {
          const name = pick(names);
          const { config: options } = services[name] as TestService;
          services[name] = { config: options, instances: choose() };
          await running.synapse.apply({ ...services });
        },
        hand,
        reload: async () => void (await askSocket(haproxy.master, 'reload', 500).catch(() => {})),
        restart: async () => {
          await haproxy.kill();
          await haproxy.start();
        },
        pause: async () => {
          const pid = await haproxy.workerPid();
          process.kill(pid, 'SIGSTOP');
          await sleep(50);
          process.kill(pid, 'SIGCONT');
        },
        successor: async () => {
          await running.restart({ top });
          await running.synapse.apply({ ...services });
        },
      };
      const kinds = ['members', 'members', 'members', 'members', 'members', 'hand', 'hand', 'pause', 'reload'];
      const done: string[] = [];
      for (let step = 0; step < steps; step++) {
        const kind = step % 20 === 19 ? pick(['restart', 'successor']) : pick(kinds);
        done.push(kind);
        // HAProxy may be away for a moment after a reload or a restart. Settings by hand fail then.
        await (faults[kind] as () => Promise<void>)().catch((error) => {
          if (kind === 'members' || kind === 'successor') throw error;
        });
        if (random() < 0.3) await sleep(random() * 60);
      }
      // A server is as desired, or it was set by hand and is reported.
      await eventually(async () => {
        const rows = await haproxy.servers();
        const held = new Map(
          running.synapse.output.status.held.map(({ backend, name, held: what }) => [`${backend}/${name}`, what]),
        );
        const what = () => `seed ${seed}: ${done.join(' ')}`;
        for (const name of names) {
          const wanted = new Map((services[name]?.instances ?? []).map((one) => [`${name}/${one.id}`, one]));
          for (const [target, one] of wanted) {
            if (held.has(target)) {
              assert.ok(byHand.has(target), `${target}: ${held.get(target)} is reported as set by hand. ${what()}`);
              continue;
            }
            const row = rows.get(target);
            const weight = one.weight ?? 1;
            const drain = one.state === 'drain';
            assert.equal(row?.srv_admin_state, drain ? '8' : '0', `${target}. ${what()}`);
            if (!drain) assert.equal(row?.srv_uweight, String(weight), `weight of ${target}. ${what()}`);
          }
          for (const [target, row] of rows) {
            if (!target.startsWith(`${name}/`) || wanted.has(target)) continue;
            assert.ok((Number(row.srv_admin_state) & 1) === 1, `${target} is still in service. ${what()}`);
          }
        }
      });
      assert.deepEqual(running.synapse.output.status.pendingReload, []);
    });
  }
});
