import { type AdminTarget, control, readState } from '../../common/admin/client.ts';
import { clock } from '../../common/async/clock.ts';
import { sleep } from '../../common/async/sleep.ts';
import type { Command, CommandContext } from '../../common/cli/program.ts';
import type { DrainAnswer } from '../control.ts';
import type { CheckStatus, NerveState } from '../status-shape.ts';
import { adminTarget } from './context.ts';

/** `nerve drain` */
export const drain: Command = {
  summary: 'Let a service finish its connections, and give it no new ones.',
  usage: 'SERVICE [INSTANCE]',
  arguments: ['service', 'server'],
  options: { wait: { type: 'boolean', doc: 'return when drain_time is over' } },
  notes: [
    'Asks the running nerve over its control socket. The service stays drained, also after a restart, until undrain.',
  ],
  run: (context) => drainOrUndrain(context, 'drain'),
};

/** `nerve undrain` */
export const undrain: Command = {
  summary: 'Give a drained service new connections again.',
  usage: 'SERVICE [INSTANCE]',
  arguments: ['service', 'server'],
  options: { wait: { type: 'boolean', doc: 'wait first until its checks pass, then until etcd shows it' } },
  run: (context) => drainOrUndrain(context, 'undrain'),
};

async function drainOrUndrain(context: CommandContext, action: 'drain' | 'undrain'): Promise<void> {
  const { args, options, print, log } = context;
  const [service, instance] = args;
  const to = { admin: await adminTarget(context), print, warn: (text: string) => log.warn(text) };
  await changeDrain(action, { service, instance, wait: options.wait === true }, to);
}

/** What to drain or undrain. */
export interface DrainRequest {
  readonly service: string | undefined;
  readonly instance: string | undefined;
  /** Drain: return when the drain time is over. Undrain: begin when the checks pass, return when etcd shows the service. */
  readonly wait: boolean;
}

/** The first result may belong to a probe that began before the command; the second cannot. */
const freshResults = 2;

/** The command asks the running nerve this often while it waits. */
const pollMs = 500;

/**
 * Asks the running nerve to drain or undrain a service, and prints what it did.
 * @throws when nerve refuses, or when another command reverses the change while this one waits
 */
export async function changeDrain(
  action: 'drain' | 'undrain',
  request: DrainRequest,
  to: { readonly admin: AdminTarget; readonly print: (text: string) => void; readonly warn: (text: string) => void },
): Promise<void> {
  const { service, instance, wait } = request;
  const body = { service, instance };
  if (action === 'undrain' && wait) await untilHealthy(request, to.admin);
  const answer = (await control(to.admin, `/api/v1/${action}`, body, { program: 'nerve' })) as DrainAnswer;
  for (const id of answer.instances) {
    to.print(`${answer.service}: ${id} ${action === 'drain' ? 'drains' : 'no longer drains'}\n`);
  }
  if (answer.warning !== null) to.warn(`nerve will forget this at a restart: ${answer.warning}`);
  if (wait) await (action === 'drain' ? untilDrained : untilShown)(answer, to.admin);
}

/** Waits until all checks pass by results newer than this call, for a service that was started a moment ago. */
async function untilHealthy({ service, instance }: DrainRequest, admin: AdminTarget): Promise<void> {
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

/** The instances of a service in the running nerve, by the name of the service or of one instance. */
async function instancesOf(admin: AdminTarget, service: string | undefined): Promise<NerveState['services']> {
  const { services } = (await readState(admin, { program: 'nerve' })) as NerveState;
  return services.filter((item) => item.service === service || item.name === service);
}
