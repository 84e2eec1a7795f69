import { Client } from 'undici';
import { oneLine, plainReason } from '../../common/reason.ts';
import type { CheckPlugin } from '../check.ts';

export interface DockerCheckOptions {
  readonly container: string;
  readonly socket: string;
  readonly require_health: boolean;
}

export const check: CheckPlugin<DockerCheckOptions> = {
  description: 'Passes while a container runs and, where it has a health check of its own, that one says healthy.',
  schema: {
    container: { doc: 'name or id of the container', format: readContainer, type: 'string', default: null },
    socket: { doc: "unix socket of the container engine's API", format: 'string', default: '/var/run/docker.sock' },
    require_health: { doc: 'fail a container that has no health check', format: 'boolean', default: false },
  },
  create(options) {
    return (signal) => probe(options, signal);
  },
};

/** What we read of the answer (Docker Engine API, ContainerInspect). */
interface ContainerState {
  readonly Status?: string;
  readonly Running?: boolean;
  readonly Paused?: boolean;
  readonly Restarting?: boolean;
  readonly ExitCode?: number;
  readonly Health?: { readonly Status?: string; readonly Log?: readonly { readonly Output?: string }[] | null };
}

/** More than any container's description has, bytes. */
const maxAnswer = 4 << 20;

async function probe(options: DockerCheckOptions, signal: AbortSignal): Promise<void> {
  const { container, socket } = options;
  const client = new Client('http://localhost', {
    connect: { socketPath: socket, timeout: 0 },
    headersTimeout: 0,
    bodyTimeout: 0,
    maxResponseSize: maxAnswer,
  });
  try {
    const path = `/containers/${encodeURIComponent(container)}/json`;
    const { statusCode, body } = await client.request({ method: 'GET', path, reset: true, signal });
    const text = await body.text();
    if (statusCode === 404) throw new Error('there is no such container');
    if (statusCode !== 200) throw new Error(`the engine answers with status ${statusCode}: ${message(text)}`);
    judge(readState(text), options);
  } catch (error) {
    signal.throwIfAborted();
    const where = (error as { code?: unknown }).code === undefined ? '' : `no answer from the engine at ${socket}: `;
    throw new Error(`container ${container}: ${where}${plainReason(error)}`);
  } finally {
    await client.destroy();
  }
}

function readState(text: string): ContainerState {
  try {
    return (JSON.parse(text) as { readonly State?: ContainerState } | null)?.State ?? {};
  } catch {
    throw new Error("the engine's answer is no JSON");
  }
}

function judge(state: ContainerState, { require_health }: DockerCheckOptions): void {
  // A paused container, and one that is being restarted over and over, count as running too.
  if (!state.Running || state.Paused || state.Restarting) {
    const code = state.Running ? '' : ` (exit code ${state.ExitCode})`;
    throw new Error(`is ${state.Status ?? 'in an unknown state'}${code}, not running`);
  }
  const health = state.Health?.Status;
  if (health === undefined || health === 'none') {
    if (require_health) throw new Error('has no health check');
    return;
  }
  if (health === 'healthy') return;
  const output = oneLine(state.Health?.Log?.at(-1)?.Output ?? '');
  throw new Error(`its health is ${health}${output === '' ? '' : `: ${output}`}`);
}

/** The engine explains itself in JSON; whatever else may answer there does not. */
function message(text: string): string {
  try {
    return oneLine(String((JSON.parse(text) as { message?: unknown }).message));
  } catch {
    return oneLine(text);
  }
}

function readContainer(value: unknown): void {
  // Docker's own rule for names; ids are a part of it.
  if (typeof value !== 'string' || !/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(value)) {
    throw new Error('must be the name or id of a container');
  }
}
