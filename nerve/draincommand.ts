import type { AdminTarget } from '../common/adminclient.ts';
import { control, readState } from '../common/adminclient.ts';
import { sleep } from '../common/supervise.ts';
import type { DrainAnswer } from './control.ts';
import type { NerveState } from './state.ts';

export interface DrainRequest {
  readonly service: string | undefined;
  readonly instance: string | undefined;
  /** Return when the drain time is over. */
  readonly wait: boolean;
}

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
  const answer = (await control(to.admin, `/api/v1/${action}`, body, { program: 'nerve' })) as DrainAnswer;
  for (const id of answer.instances) {
    to.print(`${answer.service}: ${id} ${action === 'drain' ? 'drains' : 'no longer drains'}\n`);
  }
  if (answer.warning !== null) to.warn(`this will not outlive a restart of nerve: ${answer.warning}`);
  if (action === 'drain' && wait) await drained(answer, to.admin);
}

/** Waits until the registry shows all of them as draining, and from then the drain time. */
async function drained({ service, instances, drainTime }: DrainAnswer, admin: AdminTarget): Promise<void> {
  let shownAt: number | undefined;
  for (;;) {
    const { services } = (await readState(admin, { program: 'nerve' })) as NerveState;
    const chosen = services.filter((item) => item.service === service || item.name === service);
    const own = chosen.filter((item) => instances.includes(item.instance));
    if (own.length < instances.length || own.some((item) => !item.drained)) {
      throw new Error(`${service}: the drain was taken back while it was waited for`);
    }
    if (own.every((item) => item.settled)) shownAt ??= performance.now();
    else shownAt = undefined;
    const left = shownAt === undefined ? interval : shownAt + drainTime - performance.now();
    if (left <= 0) return;
    await sleep(Math.min(left, interval));
  }
}
