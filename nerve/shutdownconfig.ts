import { type Problem, type Schema, validate } from '../common/config/config.ts';

/** What happens to the announcements at the end. */
export interface ShutdownConfig {
  /** Milliseconds between showing them as draining and withdrawing them. */
  readonly drain: number;
  /** Leave them to the next process. */
  readonly keep: boolean;
}

/** `shutdown`. */
export const shutdownSchema: Schema<ShutdownConfig> = {
  drain: {
    doc: 'show the instances as draining for so long before they are withdrawn',
    format: 'duration',
    default: 0,
  },
  keep: {
    doc: 'withdraw nothing: the next nerve, started within the ttl, takes over',
    format: 'boolean',
    default: false,
  },
};

export function readShutdown(value: unknown, problems: Problem[]): ShutdownConfig {
  const shutdown = validate(shutdownSchema, value, { path: 'shutdown', problems });
  if (shutdown.keep && shutdown.drain > 0) {
    const message = 'keep and drain exclude each other: what is kept goes on taking traffic';
    problems.push({ path: 'shutdown', message });
  }
  return shutdown;
}
