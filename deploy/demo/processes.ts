import { join } from 'node:path';
import { type Child, startChild } from './child.ts';

/** All processes of one stack. */
export interface Nursery {
  readonly folder: string;
  start(name: string, argv: readonly [string, ...string[]]): Promise<Child>;
  stop(): Promise<void>;
}

/** Their logs are kept in `folder`. */
export function createNursery(folder: string): Nursery {
  const children: Child[] = [];
  return {
    folder,
    async start(name, argv) {
      const child = await startChild(argv, { name, logFile: join(folder, `${name.replaceAll(' ', '-')}.log`) });
      children.push(child);
      return child;
    },
    // Last started, first ended: the nerves withdraw while etcd still runs.
    async stop() {
      for (const child of children.reverse()) await child.stop();
    },
  };
}
