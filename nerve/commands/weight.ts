import { type AdminTarget, control } from '../../common/admin/client.ts';
import { sleep } from '../../common/async/sleep.ts';
import { durationOption } from '../../common/cli/duration-option.ts';
import { type Command, UsageError } from '../../common/cli/program.ts';
import type { DrainAnswer } from '../control.ts';
import { adminTarget, json } from './context.ts';
import { instancesOf, pollMs } from './instances.ts';
import { changeOf, changeShape, exits, type ProxyWaitResult, provenLines, timeout, waitForProxies } from './proxies.ts';

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
    const { args, options, print, progress } = context;
    const [service = '', second = '', third] = args;
    const [instance, text] = third === undefined ? [undefined, second] : [second, third];
    const timeoutMs = durationOption('timeout', options.timeout ?? '60s');
    const body = { service, instance, weight: readWeight(text) };
    const say = options.json ? () => {} : print;
    const admin = await adminTarget(context);
    const answer = (await control(admin, '/api/v1/weight', body, { program: 'nerve' })) as DrainAnswer;
    const what = text === '-' ? 'has the weight of its configuration' : `has weight ${text}`;
    for (const id of answer.instances) say(`${answer.service}: ${id} ${what}\n`);
    if (answer.warning !== null)
      (await context.openLog()).warn(`nerve will forget this at a restart: ${answer.warning}`);
    let result: ProxyWaitResult | undefined;
    if (options.wait) {
      const asked = { service: answer.service, instance, expect: 'applied', timeoutMs } as const;
      result = await waitForProxies(admin, asked, options.json ? () => {} : progress);
      say(provenLines(result, what));
      if (result.verdict === 'missing') say(`${answer.service}: not every proxy has the weight: ${result.reason}\n`);
      if (result.verdict === 'unknown') {
        say(`${answer.service}: ${result.reason}; waiting only until etcd shows it\n`);
        await untilSettled(answer, admin);
      }
    }
    if (options.json) print(`${JSON.stringify(changeOf(answer, result), null, 2)}\n`);
    return result?.verdict === 'missing' ? 4 : 0;
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
async function untilSettled({ service, instances }: DrainAnswer, admin: AdminTarget): Promise<void> {
  for (;;) {
    const own = (await instancesOf(admin, service)).filter((item) => instances.includes(item.instance));
    if (own.every((item) => item.settled)) return;
    await sleep(pollMs);
  }
}
