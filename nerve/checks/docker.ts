import { isObject } from '../../common/config/formats.ts';
import { textLike } from '../../common/config/json-values.ts';
import { DockerClient, DockerRefusal } from '../../common/net/docker.ts';
import { oneLine, plainReason } from '../../common/reason.ts';
import type { CheckPlugin } from '../check.ts';

/** The options of the check `docker`. */
export interface DockerCheckOptions {
  readonly container: string;
  readonly socket: string;
  readonly require_health: boolean;
}

/** `docker` */
export const check: CheckPlugin<DockerCheckOptions> = {
  description: 'Passes while a container runs and its own health check, if it has one, reports healthy.',
  schema: {
    container: {
      doc: 'name or id of the container',
      format: readContainer,
      json: textLike('^[a-zA-Z0-9][a-zA-Z0-9_.-]*$'),
      type: 'string',
      default: null,
    },
    socket: {
      doc: "unix socket of the container engine's API",
      format: 'string',
      names: 'socket',
      default: '/var/run/docker.sock',
    },
    require_health: { doc: 'fail a container that has no health check', format: 'boolean', default: false },
  },
  create(options) {
    return (signal) => probe(options, signal);
  },
};

/** The part of the answer that the check reads (Docker Engine API, ContainerInspect). */
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
  const engine = new DockerClient({ socketPath: socket });
  try {
    const path = `/containers/${encodeURIComponent(container)}/json`;
    const answer = await engine.json({ path }, { maxBytes: maxAnswer }, signal);
    assertRunning((isObject(answer) && isObject(answer.State) ? answer.State : {}) as ContainerState, options);
  } catch (error) {
    signal.throwIfAborted();
    throw new Error(`container ${container}: ${reasonFor(error, engine)}`);
  }
}

function reasonFor(error: unknown, engine: DockerClient): string {
  if (error instanceof DockerRefusal) {
    if (error.status === 404) return 'there is no such container';
    return `HTTP ${error.status} from the engine: ${error.explanation}`;
  }
  const where =
    (error as { code?: unknown }).code === undefined ? '' : `no answer from the engine at ${engine.where}: `;
  return `${where}${plainReason(error)}`;
}

function assertRunning(state: ContainerState, { require_health }: DockerCheckOptions): void {
  // The engine reports a paused or restarting container as running too.
  if (!state.Running || state.Paused || state.Restarting) {
    const code = state.Running ? '' : ` (exit code ${state.ExitCode})`;
    throw new Error(`state is ${state.Status ?? 'unknown'}${code}, expected running`);
  }
  const health = state.Health?.Status;
  if (health === undefined || health === 'none') {
    if (require_health) throw new Error('the container has no health check');
    return;
  }
  if (health === 'healthy') return;
  const output = oneLine(state.Health?.Log?.at(-1)?.Output ?? '');
  throw new Error(`health is ${health}${output === '' ? '' : `: ${output}`}`);
}

function readContainer(value: unknown): void {
  // Docker's own rule for names; ids are a part of it.
  if (typeof value !== 'string' || !/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(value)) {
    throw new Error('must be the name or id of a container');
  }
}
