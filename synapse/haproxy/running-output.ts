import type { HaproxyConfig } from './config.ts';
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
  let backends: readonly (readonly [service: string, backend: string])[] = [];
  return {
    apply(snapshot, dirty) {
      backends = [...snapshot].map(([name, state]) => [name, state.config.backend_name ?? name]);
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
      const own = backends.find(([name]) => name === service)?.[1];
      const seen = await view(own);
      const services = backends.flatMap(([name, backend]) => {
        const counters = seen.backends.get(backend);
        return counters === undefined ? [] : [[name, counters] as const];
      });
      return { services: Object.fromEntries(services), servers: seen.servers ?? null };
    },
  };
}
