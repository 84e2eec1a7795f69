import { dirname } from 'node:path';
import type { Command } from '../../common/cli/program.ts';
import { readConfig } from '../../common/config/config.ts';
import { ConfigError, isError } from '../../common/config/problem.ts';
import { folderProblems, logWarnings, type TargetFolder } from '../../common/config/target-folders.ts';
import { tlsFileProblems } from '../../common/config/tls-files.ts';
import { thisHost } from '../../common/host.ts';
import { visibleLine } from '../../common/visible.ts';
import { counted, firstOf } from '../../common/wording.ts';
import { loadConfig, type NerveConfig } from '../config/config.ts';
import { environmentDocument } from '../config/environment.ts';
import { configSource } from './context.ts';

/** The most keys that are listed. */
const mostKeys = 100;

/** `nerve check` */
export const check: Command = {
  summary: 'Validate the configuration, the TLS files and the folders that it names; start nothing.',
  async run(context) {
    const { config: file = 'environment', env } = context;
    const log = await context.openLog();
    const config = await loadConfig(configSource(context), { log });
    const { value, fileOf } = context.config === undefined ? environmentDocument(env) : await readConfig(file, { env });
    const problems = [
      ...(await tlsFileProblems(value, thisHost.files)),
      ...(await folderProblems(targetsOf(config), thisHost.files)),
    ];
    logWarnings(problems, file, log);
    const errors = problems.filter(isError);
    if (errors.length > 0) throw new ConfigError(errors.map((problem) => ({ file: fileOf(problem.path), ...problem })));
    context.print(`the configuration is valid: ${counted(config.services.size, 'service')}\n`);
    const keys = [...config.services.values()].map(({ name, key }) => `${name}: announces ${key}`);
    context.print(
      firstOf(keys, mostKeys)
        .map((line) => `${visibleLine(line)}\n`)
        .join(''),
    );
  },
};

/** Defaults are not among them: nerve looks for a folder that it may use. */
function targetsOf({ stateFile, heartbeatPath, admin }: NerveConfig): readonly TargetFolder[] {
  const target = (path: string, file: string | false | null, what: string): readonly TargetFolder[] =>
    file === false || file === null ? [] : [{ path, folder: dirname(file), what }];
  return [
    ...target('state_file_path', stateFile, 'the state file'),
    ...target('heartbeat_path', heartbeatPath, 'the heartbeat file'),
    ...target('admin.control_socket', admin.control_socket, 'the control socket'),
  ];
}
