import { type AdminTarget, control } from '../../common/admin/client.ts';
import { clock } from '../../common/async/clock.ts';
import { sleep } from '../../common/async/sleep.ts';
import { durationOption } from '../../common/cli/duration-option.ts';
import type { Command, CommandContext } from '../../common/cli/program.ts';
import { formatDuration } from '../../common/wording.ts';
import type { DrainAnswer } from '../control.ts';
import type { CheckStatus } from '../status-shape.ts';
import { adminTarget, json } from './context.ts';
import { instancesOf, pollMs } from './instances.ts';
import { changeOf, changeShape, exits, type ProxyWaitResult, provenLines, timeout, waitForProxies } from './proxies.ts';

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
  run: (context) => drainOrUndrain(context, 'drain'),
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
  run: (context) => drainOrUndrain(context, 'undrain'),
};

/** The first result may belong to a probe that began before the command; the second cannot. */
const freshResults = 2;

async function drainOrUndrain(context: CommandContext, action: 'drain' | 'undrain'): Promise<number> {
  const { args, options, print, progress } = context;
  const [service, instance] = args;
  const timeoutMs = durationOption('timeout', options.timeout ?? '60s');
  const say = options.json ? () => {} : print;
  const admin = await adminTarget(context);
  if (action === 'undrain' && options.wait) await untilHealthy({ service, instance }, admin);
  const answer = (await control(
    admin,
    `/api/v1/${action}`,
    { service, instance },
    { program: 'nerve' },
  )) as DrainAnswer;
  for (const id of answer.instances) {
    say(`${answer.service}: ${id} ${action === 'drain' ? 'drains' : 'no longer drains'}\n`);
  }
  if (answer.warning !== null) (await context.openLog()).warn(`nerve will forget this at a restart: ${answer.warning}`);
  let result: ProxyWaitResult | undefined;
  if (options.wait) {
    const expect = action === 'drain' ? 'drained' : 'up';
    const asked = { service: answer.service, instance, expect, timeoutMs } as const;
    result = await waitForProxies(admin, asked, options.json ? () => {} : progress);
    await finish(result, answer, { action, admin, say });
  }
  if (options.json) print(`${JSON.stringify(changeOf(answer, result), null, 2)}\n`);
  return result?.verdict === 'missing' ? 4 : 0;
}

/** Says what the proxies said; without proof, waits as well as can be done without. */
async function finish(
  result: ProxyWaitResult,
  answer: DrainAnswer,
  {
    action,
    admin,
    say,
  }: { readonly action: string; readonly admin: AdminTarget; readonly say: (text: string) => void },
): Promise<void> {
  if (result.verdict === 'changed') {
    throw new Error(
      action === 'drain'
        ? `${answer.service}: undrained while this command waited`
        : `${answer.service}: drained again while this command waited`,
    );
  }
  const what = action === 'drain' ? 'drained' : 'in rotation';
  say(provenLines(result, `is ${what}`));
  if (result.verdict === 'missing') say(`${answer.service}: not every proxy has it ${what}: ${result.reason}\n`);
  if (result.verdict !== 'unknown') return;
  const instead =
    action === 'drain' ? `for drain_time, ${formatDuration(answer.drainTime)}` : 'only until etcd shows it';
  say(`${answer.service}: ${result.reason}; waiting ${instead}\n`);
  await (action === 'drain' ? untilDrained : untilShown)(answer, admin);
}

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
async function untilShown({ service, instances }: DrainAnswer, admin: AdminTarget): Promise<void> {
  for (;;) {
    const own = (await instancesOf(admin, service)).filter((item) => instances.includes(item.instance));
    if (own.some((item) => item.drained)) throw new Error(`${service}: drained again while this command waited`);
    if (own.length === instances.length && own.every((item) => item.announced && item.settled)) return;
    await sleep(pollMs);
  }
}

/** Waits until the registry shows all instances as draining, and then for the drain time. */
async function untilDrained({ service, instances, drainTime }: DrainAnswer, admin: AdminTarget): Promise<void> {
  let shownAt: number | undefined;
  for (;;) {
    const own = (await instancesOf(admin, service)).filter((item) => instances.includes(item.instance));
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
