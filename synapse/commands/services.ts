import type { Command, CommandContext } from '../../common/cli/program.ts';
import { reasonOf } from '../../common/daemon/log.ts';
import { thisHost } from '../../common/host.ts';
import { inspectStateFile, type SavedServices } from '../catalog/state-file.ts';
import type { SynapseConfig } from '../config/config.ts';
import { interrupted, json, load, wait, waitOf } from './context.ts';
import { type ListedChange, type RegistryList, servicesShape } from './registry-list.ts';

/** `synapse services` */
export const services: Command = {
  summary: 'Show every service and instance in the registry.',
  options: {
    watch: { type: 'boolean', short: 'w', doc: 'then print one line for each change' },
    prefix: { type: 'string', placeholder: 'PATH', doc: 'path of the services in etcd, default /nerve/services' },
    wait: { ...wait.wait, doc: 'seconds to wait for etcd, default 5' },
    ...json,
  },
  notes: [
    'Reads etcd itself, not synapse. When etcd does not answer, shows the state file instead, and says so in the first ' +
      'line. With --watch and --json, each change is one line of JSON: a record of the list, with time, service and gone.',
  ],
  exits: { 3: 'etcd did not answer: the output is from the state file' },
  json: servicesShape,
  async run(context) {
    const config = await load(context);
    // Loaded here, because the etcd client is large and no other command needs it.
    const { followRegistry, formatChange, formatList, listOfCache } = await import('./registry-list.ts');
    const { options, print, style } = context;
    const log = await context.openLog();
    const prefix = `${String(options.prefix ?? '/nerve/services').replace(/\/+$/, '')}/`;
    const show = (list: RegistryList): void =>
      print(options.json ? `${JSON.stringify(list, null, options.watch ? undefined : 2)}\n` : formatList(list, style));
    const onChange = (change: ListedChange): void =>
      print(options.json ? `${JSON.stringify(change)}\n` : formatChange(change, style));
    let answered = false;
    const onList = (list: RegistryList): void => {
      answered = true;
      show(list);
    };
    try {
      const signal = options.watch ? interrupted() : undefined;
      await followRegistry(
        config.etcd,
        { prefix, timeoutMs: waitOf(context), log, onList, ...(options.watch && { onChange }) },
        signal,
      );
      return 0;
    } catch (error) {
      if (answered) throw error;
      show(listOfCache(prefix, reasonOf(error), await remembered(config, error, context)));
      return 3;
    }
  },
};

/** The services in the state file. @throws {Error} the error of etcd, when there is no such file */
async function remembered(
  { stateFile }: SynapseConfig,
  error: unknown,
  { openLog }: CommandContext,
): Promise<SavedServices> {
  if (stateFile === undefined) throw error;
  const { services, missing, unreadable, damaged } = await inspectStateFile(stateFile, thisHost.files);
  if (missing) throw error;
  const problem = unreadable ?? damaged;
  if (problem !== undefined) {
    const log = await openLog();
    log.error('the state file cannot be read either', { path: stateFile.path, reason: problem });
    throw error;
  }
  return services;
}
