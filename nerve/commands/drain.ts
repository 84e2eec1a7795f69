import type { AdminTarget } from '../../common/admin/client.ts';
import { clock } from '../../common/async/clock.ts';
import { sleep } from '../../common/async/sleep.ts';
import type { Command } from '../../common/cli/program.ts';
import { formatDuration } from '../../common/wording.ts';
import type { DrainAnswer } from '../control.ts';
import type { CheckStatus } from '../status-shape.ts';
import { changeInstances, changeShape, exits, timeout } from './change.ts';
import { adminTarget, json } from './context.ts';
import { changedInstances, instancesOf, pollMs } from './instances.ts';

/** `nerve drain` */
export const drain: Command = {
  summary: 'Let a service finish its connections, and give it no new ones.',
  usage: 'SERVICE [INSTANCE]',
  arguments: ['service', 'server'],
  options: {
    wait: {
      type: 'boolean',
      doc: 'return when no HAProxy sends new requests to it and the last connection to it has ended',
    },
    ...timeout,
    ...json,
  },
  notes: [
    'Asks the running nerve over its control socket. The service stays drained, also after a restart, until undrain.',
    'With --wait, nerve asks every synapse that takes part in the fleet. When none does, or etcd does not allow the question, ' +
      'the command waits until drain_time is over instead, and says so.',
  ],
  exits,
  json: changeShape,
  async run(context) {
    const [service, instance] = context.args;
    return await changeInstances(context, await adminTarget(context), {
      ...{ path: '/api/v1/drain', body: { service, instance }, does: 'drains', opposite: 'undrained' },
      ...{ expect: 'drained', proven: 'is drained', proxyHas: 'has it drained' },
      withoutProof: {
        text: ({ drainTime }) => `for drain_time, ${formatDuration(drainTime)}`,
        wait: untilDrained,
      },
    });
  },
};

/** `nerve undrain` */
export const undrain: Command = {
  summary: 'Give a drained service new connections again.',
  usage: 'SERVICE [INSTANCE]',
  arguments: ['service', 'server'],
  options: {
    wait: {
      type: 'boolean',
      doc: 'wait first until its checks pass, then until every HAProxy has it in rotation',
    },
    ...timeout,
    ...json,
  },
  exits,
  json: changeShape,
  async run(context) {
    const [service, instance] = context.args;
    const admin = await adminTarget(context);
    if (context.options.wait) await untilHealthy({ service, instance }, admin);
    return await changeInstances(context, admin, {
      ...{ path: '/api/v1/undrain', body: { service, instance }, does: 'no longer drains', opposite: 'drained again' },
      ...{ expect: 'up', proven: 'is in rotation', proxyHas: 'has it in rotation' },
      withoutProof: { text: () => 'only until etcd shows it', wait: untilShown },
    });
  },
};

/** The first result may belong to a probe that began before the command; the second cannot. */
const freshResults = 2;

/** Waits until all checks pass by results newer than this call, for a service that was started a moment ago. */
async function untilHealthy(
  { service, instance }: { readonly service: string | undefined; readonly instance: string | undefined },
  admin: AdminTarget,
): Promise<void> {
  const askedAt = clock.date().toISOString();
  for (;;) {
    const own = (await instancesOf(admin, service)).filter(
      (item) => instance === undefined || item.instance === instance,
    );
    // An unknown name: the running nerve explains that at the request.
    if (own.length === 0) return;
    const passes = ({ recent }: CheckStatus): boolean =>
      recent.filter(({ at, outcome }, i) => i < freshResults && outcome === 'pass' && at > askedAt).length ===
      freshResults;
    if (own.every(({ health, checks }) => health === 'up' && checks.every(passes))) return;
    await sleep(pollMs);
  }
}

/** Waits until the registry shows all instances, and not as draining. */
async function untilShown(answer: DrainAnswer, admin: AdminTarget): Promise<void> {
  const { service, instances } = answer;
  for (;;) {
    const own = await changedInstances(admin, answer);
    if (own.some((item) => item.drained)) throw new Error(`${service}: drained again while this command waited`);
    if (own.length === instances.length && own.every((item) => item.announced && item.settled)) return;
    await sleep(pollMs);
  }
}

/** Waits until the registry shows all instances as draining, and then for the drain time. */
async function untilDrained(answer: DrainAnswer, admin: AdminTarget): Promise<void> {
  const { service, instances, drainTime } = answer;
  let shownAt: number | undefined;
  for (;;) {
    const own = await changedInstances(admin, answer);
    if (own.length < instances.length || own.some((item) => !item.drained)) {
      throw new Error(`${service}: undrained while this command waited`);
    }
    if (own.every((item) => item.settled)) shownAt ??= clock.now();
    else shownAt = undefined;
    const leftMs = shownAt === undefined ? pollMs : shownAt + drainTime - clock.now();
    if (leftMs <= 0) return;
    await sleep(Math.min(leftMs, pollMs));
  }
}
