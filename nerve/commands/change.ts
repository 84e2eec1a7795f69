import { type AdminTarget, control } from '../../common/admin/client.ts';
import { durationOption } from '../../common/cli/duration-option.ts';
import { type Fields, field, type Shaped } from '../../common/cli/json-shape.ts';
import type { CommandContext } from '../../common/cli/program.ts';
import { progressShape } from '../../common/fleet/progress.ts';
import type { DrainAnswer } from '../control.ts';
import type { FleetWaitOptions } from '../fleet-wait.ts';
import { type ProxyWaitResult, provenLines, waitForProxies } from './proxies.ts';

/** What the proxies have of one instance. */
const instanceShape = {
  fields: {
    instance: field('text', 'id of the instance'),
    progress: field({ orNull: progressShape }, 'what the proxies said; null without --wait'),
  },
} satisfies Fields;

/** What a command that changes instances prints with `--json`. */
export const changeShape = {
  fields: {
    service: field('text', 'name of the service'),
    instances: field({ list: instanceShape }, 'each instance that was changed'),
    proven: field('boolean', 'every proxy that takes part has acknowledged the change'),
    warning: field({ orNull: 'text' }, 'why nerve will forget the change at a restart; null when it remembers it'),
  },
} satisfies Fields;

/** What a command that changes instances prints with `--json`. */
export type ChangeReport = Shaped<typeof changeShape>;

/** The option of commands that wait for proxies. */
export const timeout = {
  timeout: { type: 'string', placeholder: 'TIME', isTime: true, doc: 'how long to wait for the proxies, default 60s' },
} as const;

/** Exit codes of a command that waits for proxies. */
export const exits = { 4: 'with --wait: proxies are missing, and named; the change itself is made' } as const;

/** A change of the instances of a service. */
export interface Change {
  /** Where the running nerve takes it, such as `/api/v1/drain`, and the request. */
  readonly path: string;
  readonly body: { readonly service: string | undefined; readonly instance: string | undefined };
  /** What each instance does after it: `drains`. */
  readonly does: string;
  /** What `--wait` waits for. */
  readonly expect: FleetWaitOptions['expect'];
  /** What an instance is when all proxies have acknowledged: `is drained`. */
  readonly proven: string;
  /** What a proxy that has acknowledged has: `has it drained`. */
  readonly proxyHas: string;
  /** Which command takes the change back: `undrained`; undefined when none does. */
  readonly opposite?: string;
  /** Waits as well as can be done without proof. `text`: how, such as `for drain_time, 30s`. */
  readonly withoutProof: {
    readonly text: (answer: DrainAnswer) => string;
    readonly wait: (answer: DrainAnswer, admin: AdminTarget) => Promise<void>;
  };
}

/**
 * Asks the running nerve for a change, waits for the proxies with `--wait`, and prints both.
 * @returns the exit code
 * @throws when nerve refuses, or when another command reverses the change while this one waits
 */
export async function changeInstances(context: CommandContext, admin: AdminTarget, change: Change): Promise<number> {
  const { options, print, progress } = context;
  const { path, body, does, expect } = change;
  const timeoutMs = durationOption('timeout', options.timeout ?? '60s');
  const say = options.json ? () => {} : print;
  const answer = (await control(admin, path, body, { program: 'nerve' })) as DrainAnswer;
  const { service, warning } = answer;
  for (const id of answer.instances) say(`${service}: ${id} ${does}\n`);
  if (warning !== null) (await context.openLog()).warn(`nerve will forget this at a restart: ${warning}`);
  let result: ProxyWaitResult | undefined;
  if (options.wait) {
    const asked = { service, instance: body.instance, expect, timeoutMs };
    result = await waitForProxies(admin, asked, options.json ? () => {} : progress);
    const { verdict, reason } = result;
    if (verdict === 'changed') throw new Error(`${service}: ${change.opposite} while this command waited`);
    say(provenLines(result, change.proven));
    if (verdict === 'missing') say(`${service}: not every proxy ${change.proxyHas}: ${reason}\n`);
    if (verdict === 'unknown') {
      say(`${service}: ${reason}; waiting ${change.withoutProof.text(answer)}\n`);
      await change.withoutProof.wait(answer, admin);
    }
  }
  if (options.json) print(`${JSON.stringify(reportOf(answer, result), null, 2)}\n`);
  return result?.verdict === 'missing' ? 4 : 0;
}

/** The document of a change, with what the proxies said of it; undefined without `--wait`. */
function reportOf({ service, instances, warning }: DrainAnswer, result: ProxyWaitResult | undefined): ChangeReport {
  const progressOf = (id: string) => result?.instances.find((one) => one.instance === id)?.progress ?? null;
  const known = instances.map((instance) => ({ instance, progress: progressOf(instance) }));
  return { service, instances: known, proven: result?.verdict === 'proven', warning };
}
