import type { HaproxyStatus } from './outputstatus.ts';

/** Why HAProxy does not run what we want; null when it does, as far as we can see. */
export function haproxyTrouble(
  status: Pick<HaproxyStatus, 'sockets' | 'rejected' | 'generation' | 'wantedGeneration' | 'lastError'>,
): string | null {
  const { sockets, rejected, generation, wantedGeneration, lastError: failure } = status;
  if (rejected !== null) return `HAProxy refuses the new configuration: ${rejected}`;
  for (const { path, connected, lastError } of sockets) {
    if (!connected) return `HAProxy's runtime API at ${path} is not connected: ${lastError ?? 'not tried yet'}`;
  }
  if (generation !== wantedGeneration) {
    return `the new configuration of HAProxy has not been written yet${failure === null ? '' : `: ${failure}`}`;
  }
  for (const { path, generation: running } of sockets) {
    if (running !== wantedGeneration) return `HAProxy at ${path} has not loaded the new configuration yet`;
  }
  return null;
}
