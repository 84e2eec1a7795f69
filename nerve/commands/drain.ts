import { type AdminTarget, control, readState } from '../../common/admin/client.ts';
import { clock } from '../../common/async/clock.ts';
import { sleep } from '../../common/async/supervise.ts';
import type { Command, CommandContext } from '../../common/cli/program.ts';
import type { DrainAnswer } from '../control.ts';
import type { CheckStatus } from '../health/checker.ts';
import type { NerveState } from '../state.ts';
import { adminTarget } from './context.ts';

export const drain: Command = {
  summary: 'Let a service finish what it has, without new connections.',
  usage: 'SERVICE [INSTANCE]',
  arguments: ['service', 'server'],
  options: { wait: { type: 'boolean', doc: 'return when the drain time (drain_time) is over' } },
  notes: ['Asks the running nerve, over its control socket. It stays drained, over restarts too, until undrain.'],
  run: (context) => drainOrUndrain(context, 'drain'),
};

export const undrain: Command = {
  summary: 'Give a drained service new connections again.',
  usage: 'SERVICE [INSTANCE]',
  arguments: ['service', 'server'],
  options: { wait: { type: 'boolean', doc: 'first wait until its checks pass, and in the end until etcd shows it' } },
  run: (context) => drainOrUndrain(context, 'undrain'),
};

async function drainOrUndrain(context: CommandContext, action: 'drain' | 'undrain'): Promise<void> {
  const { args, options, print, log } = context;
  const [service, instance] = args;
  const to = { admin: await adminTarget(context), print, warn: (text: string) => log.warn(text) };
  await changeDrain(action, { service, instance, wait: options.wait === true }, to);
}

export interface DrainRequest {
  readonly service: string | undefined;
  readonly instance: string | undefined;
  /** Of a drain: return when the drain time is over. Of its end: begin when the checks pass, return when etcd shows it. */
  readonly wait: boolean;
}

/** A probe may have begun before we were asked, but not two of them: a check makes one at a time. */
const freshResults = 2;

/** How often the running nerve is asked while waiting. Milliseconds. */
const interval = 500;

/**
 * Asks the running nerve to drain, or to stop that, and says what it did.
 * @throws when it refuses, and when somebody takes the drain back while it is waited for
 */
export async function changeDrain(
  action: 'drain' | 'undrain',
  request: DrainRequest,
  to: { readonly admin: AdminTarget; readonly print: (text: string) => void; readonly warn: (text: string) => void },
): Promise<void> {
  const { service, instance, wait } = request;
  const body = { service, instance };
  if (action === 'undrain' && wait) await healthy(request, to.admin);
  const answer = (await control(to.admin, `/api/v1/${action}`, body, { program: 'nerve' })) as DrainAnswer;
  for (const id of answer.instances) {
    to.print(`${answer.service}: ${id} ${action === 'drain' ? 'drains' : 'no longer drains'}\n`);
  }
  if (answer.warning !== null) to.warn(`this will not outlive a restart of nerve: ${answer.warning}`);
  if (wait) await (action === 'drain' ? drained : settled)(answer, to.admin);
}

/** Waits until all checks pass, by results that are newer than this call: for what has just been started. */
async function healthy({ service, instance }: DrainRequest, admin: AdminTarget): Promise<void> {
  const asked = clock.date().toISOString();
  for (;;) {
    const own = (await chosen(admin, service)).filter((item) => instance === undefined || item.instance === instance);
    // The running nerve says what is wrong with the name.
    if (own.length === 0) return;
    const passes = ({ recent }: CheckStatus): boolean =>
      recent.filter(({ at, outcome }, i) => i < freshResults && outcome === 'pass' && at > asked).length ===
      freshResults;
    if (own.every(({ health, checks }) => health === 'up' && checks.every(passes))) return;
    await sleep(interval);
  }
}

/** Waits until the registry shows all of them, and not as draining. */
async function settled({ service, instances }: DrainAnswer, admin: AdminTarget): Promise<void> {
  for (;;) {
    const own = (await chosen(admin, service)).filter((item) => instances.includes(item.instance));
    if (own.some((item) => item.drained)) throw new Error(`${service}: drained again while it was waited for`);
    if (own.length === instances.length && own.every((item) => item.announced && item.settled)) return;
    await sleep(interval);
  }
}

/** Waits until the registry shows all of them as draining, and from then the drain time. */
async function drained({ service, instances, drainTime }: DrainAnswer, admin: AdminTarget): Promise<void> {
  let shownAt: number | undefined;
  for (;;) {
    const own = (await chosen(admin, service)).filter((item) => instances.includes(item.instance));
    if (own.length < instances.length || own.some((item) => !item.drained)) {
      throw new Error(`${service}: the drain was taken back while it was waited for`);
    }
    if (own.every((item) => item.settled)) shownAt ??= clock.now();
    else shownAt = undefined;
    const left = shownAt === undefined ? interval : shownAt + drainTime - clock.now();
    if (left <= 0) return;
    await sleep(Math.min(left, interval));
  }
}

/** What the running nerve says of a service, by either of its names. */
async function chosen(admin: AdminTarget, service: string | undefined): Promise<NerveState['services']> {
  const { services } = (await readState(admin, { program: 'nerve' })) as NerveState;
  return services.filter((item) => item.service === service || item.name === service);
}
