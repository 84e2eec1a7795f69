import type { HaproxyConfig } from './config.ts';
import { createHaproxyOutput, type HaproxyDeps, type HaproxyOutput } from './output.ts';
import { haproxyTrouble } from './trouble.ts';

/** The output, and whether it does its work. */
export function haproxyOutput(
  config: HaproxyConfig,
  deps: HaproxyDeps,
  signal: AbortSignal,
): HaproxyOutput & { readonly trouble: string | null } {
  const output = createHaproxyOutput(config, deps, signal);
  return {
    apply: (snapshot, dirty) => output.apply(snapshot, dirty),
    run: (end) => output.run(end),
    get status() {
      return output.status;
    },
    get trouble() {
      return haproxyTrouble(output.status);
    },
  };
}
