import { join } from 'node:path';
import { type Child, startChild } from './child.ts';

/** All processes of one stack; their logs are files in the folder. */
export class Processes {
  readonly folder: string;
  readonly #children: Child[] = [];

  constructor(folder: string) {
    this.folder = folder;
  }

  /** @throws when the process cannot be started */
  async start(name: string, argv: readonly [string, ...string[]]): Promise<Child> {
    const child = await startChild(argv, { name, logFile: join(this.folder, `${name.replaceAll(' ', '-')}.log`) });
    this.#children.push(child);
    return child;
  }

  /** Ends them in reverse order of their start: the nerves withdraw their instances while etcd still runs. */
  async stop(): Promise<void> {
    for (const child of this.#children.reverse()) await child.stop();
  }
}
