import { join } from 'node:path';
import { type Child, type ChildOptions, startChild } from './child.ts';

/** All processes of one stack; their logs are files in the folder. */
export class Processes {
  readonly folder: string;
  readonly #children: Child[] = [];

  readonly #options: Pick<ChildOptions, 'onSlow' | 'signal'>;

  constructor(folder: string, options: Pick<ChildOptions, 'onSlow' | 'signal'> = {}) {
    this.folder = folder;
    this.#options = options;
  }

  /** @throws when the process cannot be started */
  async start(name: string, argv: readonly [string, ...string[]]): Promise<Child> {
    const logFile = join(this.folder, `${name.replaceAll(' ', '-')}.log`);
    const child = await startChild(argv, { name, logFile, ...this.#options });
    this.#children.push(child);
    return child;
  }

  /** Kills them without waiting, for a process that ends at once. */
  kill(): void {
    for (const child of this.#children) child.signal('SIGKILL');
  }

  /** Ends them in reverse order of their start: the nerves withdraw their instances while etcd still runs. */
  async stop(): Promise<void> {
    for (const child of this.#children.reverse()) await child.stop();
  }
}
