import { NotRunning, readState } from '../../common/admin/client.ts';
import type { Command, CommandContext } from '../../common/command/program.ts';
import { configInstead } from '../../common/config/configinstead.ts';
import { loadConfig } from '../config.ts';
import { statusShape } from '../shapes.ts';
import type { NerveState } from '../state.ts';
import type { NerveStatus } from '../status.ts';
import { formatStatus } from '../statustable.ts';
import { adminTarget, json, source } from './context.ts';

export const status: Command = {
  summary: 'Show what nerve thinks of each service, and whether it is announced.',
  options: json,
  notes: [
    'Asks the running nerve. When it is down, nothing checks these services: what etcd still has of them, and what is ' +
      'left of its leases, is read directly then. Nothing is changed, and the first line says so.',
  ],
  exits: {
    3: 'nerve is not running: what is shown was read from etcd',
    4: 'nerve runs and is not ready, and the first line says why',
  },
  json: statusShape,
  async run(context) {
    const { options, print, style } = context;
    const found = await findStatus(context);
    print(options.json ? `${JSON.stringify(found, null, 2)}\n` : formatStatus(found, style));
    if (!found.daemon.running) return 3;
    return found.ready ? 0 : 4;
  },
};

async function findStatus(context: CommandContext): Promise<NerveStatus> {
  try {
    const state = (await readState(await adminTarget(context), { program: 'nerve' })) as NerveState;
    if (!Array.isArray(state.services) || !Array.isArray(state.leases))
      throw new Error('what answers there is not nerve');
    return { ...state, daemon: { running: true, reason: null } };
  } catch (error) {
    if (!(error instanceof NotRunning)) throw error;
    return readStatus(context, error);
  }
}

/** @throws what was wrong with the daemon, when there is no configuration that says where to look instead */
async function readStatus(context: CommandContext, why: NotRunning): Promise<NerveStatus> {
  if (context.config === undefined && !context.env.NERVE_SERVICE) {
    throw new Error(`${why.message}; with -c FILE, etcd is read directly`);
  }
  const config = await configInstead(why, () => loadConfig(source(context), context.log));
  const { readRegistry } = await import('../direct.ts');
  return {
    version: context.version,
    ready: false,
    reason: why.message,
    daemon: { running: false, reason: why.message },
    services: [],
    leases: [],
    registry: await readRegistry(config),
  };
}
