import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { exec } from '../../../common/daemon/exec.ts';
import { must } from '../../../deploy/tools/debian/apt.ts';
import { patienceMs } from '../eventually.ts';
import { inNetworkOf, layCable } from '../machine/cable.ts';
import { builtFile } from '../repository.ts';
import type { InstanceHost, InstanceHostOptions } from './instance-host.ts';

/** What a host is told to do with its instances. */
export type HostCommand = { readonly do: 'serve'; readonly service: string } | { readonly do: 'refuse' | 'sicken' };

/** A host with a network of its own, at the other end of a cable. When it dies, it is a black hole: nothing comes back. */
class NetworkHost implements InstanceHost {
  readonly name: string;
  readonly address: string;
  readonly ports: readonly number[];
  readonly #child: ChildProcess;
  /** The address of this machine, as the host sees it. */
  readonly #peer: string;

  constructor(options: InstanceHostOptions, child: ChildProcess, peer: string) {
    this.name = options.name;
    this.address = options.address;
    this.ports = options.ports;
    this.#child = child;
    this.#peer = peer;
  }

  refuse(): Promise<void> {
    return tell(this.#child, { do: 'refuse' });
  }

  serve(service: string): Promise<void> {
    return tell(this.#child, { do: 'serve', service });
  }

  sicken(): Promise<void> {
    return tell(this.#child, { do: 'sicken' });
  }

  async die(): Promise<void> {
    // It goes on hearing, and its answers go nowhere: from here, that is what a host without power looks like.
    const argv = inNetworkOf(Number(this.#child.pid), 'ip', 'route', 'add', 'blackhole', `${this.#peer}/32`);
    must(await exec(argv, { timeoutMs: patienceMs }), argv.join(' '));
  }

  async close(): Promise<void> {
    await ended(this.#child);
  }
}

/** Starts a host in a network namespace. @throws when this is not root, or the kernel refuses */
export async function startNetworkHost(
  service: string,
  { name, ports }: Omit<InstanceHostOptions, 'address'>,
): Promise<InstanceHost> {
  if (process.getuid?.() !== 0) throw new Error('a host with a network of its own needs root: namespaces, a cable');
  const program = builtFile('test/support/lost-leases/host-program.js');
  const args = ['--net', process.execPath, program, service, name, ...ports.map(String)];
  const child = spawn('unshare', args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  try {
    await answer(child);
    const { here, there } = await layCable(Number(child.pid));
    return new NetworkHost({ name, address: there, ports }, child, here);
  } catch (error) {
    await ended(child);
    throw error;
  }
}

async function tell(child: ChildProcess, command: HostCommand): Promise<void> {
  const done = answer(child);
  child.send(command);
  await done;
}

async function answer(child: ChildProcess): Promise<void> {
  const end = new AbortController();
  const exited = once(child, 'exit', { signal: end.signal }).then(() =>
    Promise.reject(new Error('a host ended early')),
  );
  try {
    await Promise.race([once(child, 'message', { signal: end.signal }), exited]);
  } finally {
    exited.catch(() => {});
    end.abort();
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
