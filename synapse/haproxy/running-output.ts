import type { Snapshot } from '../output.ts';
import type { HaproxyConfig, ServiceHaproxyConfig } from './config.ts';
import { observeHaproxy } from './metrics.ts';
import { createHaproxyOutput, type HaproxyDeps, type HaproxyOutput } from './output.ts';
import { haproxyTrouble } from './trouble.ts';
import { type Counters, createView, type ServerView } from './view.ts';

/** HAProxy's own view, by our services. */
export interface ServicesView {
  /** Services that HAProxy has no backend of are not there. */
  readonly services: Readonly<Record<string, Counters>>;
  /** Of the service that was asked for; null when HAProxy does not have it. */
  readonly servers: readonly ServerView[] | null;
}

/** The output, whether it does its work, and what HAProxy itself says. */
export function haproxyOutput(
  config: HaproxyConfig,
  deps: HaproxyDeps,
  signal: AbortSignal,
): HaproxyOutput & { readonly trouble: string | null; view(service?: string): Promise<ServicesView> } {
  const output = createHaproxyOutput(config, deps, signal);
  const view = createView(config);
  observeHaproxy(() => output.status);
  let latest: Snapshot<ServiceHaproxyConfig> = new Map();
  return {
    apply(snapshot, dirty) {
      latest = snapshot;
      return output.apply(snapshot, dirty);
    },
    run: (end) => output.run(end),
    get status() {
      return output.status;
    },
    get trouble() {
      return haproxyTrouble(output.status);
    },
    async view(service) {
      const slots = output.status.reloadFree?.backends ?? {};
      const backendOf = (name: string): string | undefined =>
        Object.hasOwn(slots, name) ? slots[name] : (latest.get(name)?.config.backend_name ?? name);
      const seen = await view(service !== undefined && latest.has(service) ? backendOf(service) : undefined);
      const services = [...latest.keys()].flatMap((name) => {
        const counters = seen.backends.get(backendOf(name) ?? name);
        return counters === undefined ? [] : [[name, counters] as const];
      });
      return { services: Object.fromEntries(services), servers: seen.servers ?? null };
    },
  };
}
