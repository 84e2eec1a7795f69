import type { AdminTarget } from '../../common/admin/client.ts';
import { sleep } from '../../common/async/sleep.ts';
import { type Command, UsageError } from '../../common/cli/program.ts';
import type { DrainAnswer } from '../control.ts';
import { changeInstances, changeShape, exits, timeout } from './change.ts';
import { adminTarget, json } from './context.ts';
import { changedInstances, pollMs } from './instances.ts';

/** `nerve weight` */
export const weight: Command = {
  summary: 'Give a service another share of the traffic.',
  usage: 'SERVICE [INSTANCE] WEIGHT',
  arguments: ['service', 'server'],
  options: {
    wait: { type: 'boolean', doc: 'return when every HAProxy has the weight' },
    ...timeout,
    ...json,
  },
  notes: [
    'WEIGHT is a whole number from 0 to 256: relative to the weights of the other instances; one that has none counts as 1. With 0 the ' +
      'service gets no new connections. With - it has the weight of its configuration again.',
    'Asks the running nerve over its control socket. nerve remembers the weight, also after a restart, until another one is given.',
  ],
  exits,
  json: changeShape,
  examples: [
    ['nerve weight api 3', 'three times the traffic of an instance without a weight'],
    ['nerve weight api -', 'the weight of the configuration again'],
  ],
  async run(context) {
    const [service, second = '', third] = context.args;
    const [instance, text] = third === undefined ? [undefined, second] : [second, third];
    const has = text === '-' ? 'has the weight of its configuration' : `has weight ${text}`;
    const body = { service, instance, weight: readWeight(text) };
    return await changeInstances(context, await adminTarget(context), {
      ...{ path: '/api/v1/weight', body, does: has, expect: 'applied', proven: has, proxyHas: 'has the weight' },
      withoutProof: { text: () => 'only until etcd shows it', wait: untilSettled },
    });
  },
};

/** Null for the weight of the configuration. @throws {UsageError} */
function readWeight(text: string): number | null {
  if (text === '-') return null;
  const weight = /^\d{1,3}$/.test(text) ? Number(text) : Number.NaN;
  if (weight >= 0 && weight <= 256) return weight;
  throw new UsageError(`weight ${text}: must be a whole number from 0 to 256, or - for that of the configuration`);
}

/** Waits until the registry has what nerve wants it to have of these instances. */
async function untilSettled(answer: DrainAnswer, admin: AdminTarget): Promise<void> {
  for (;;) {
    const own = await changedInstances(admin, answer);
    if (own.every((item) => item.settled)) return;
    await sleep(pollMs);
  }
}
