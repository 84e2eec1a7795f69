import type { Command } from '../../common/cli/program.ts';
import { readConfig } from '../../common/config/config.ts';
import { pathProblems } from '../../common/config/named-paths.ts';
import { ConfigError, isError, logWarnings } from '../../common/config/problem.ts';
import { tlsFileProblems } from '../../common/config/tls-files.ts';
import { thisHost } from '../../common/host.ts';
import { visibleLine } from '../../common/visible.ts';
import { counted, firstOf } from '../../common/wording.ts';
import { loadConfig } from '../config/config.ts';
import { environmentDocument } from '../config/environment.ts';
import { pathsOfNerve } from '../config/paths.ts';
import { configSource } from './context.ts';

/** The most keys that are listed. */
const mostKeys = 100;

/** `nerve check` */
export const check: Command = {
  summary: 'Validate the configuration, and the files and folders that it names; start nothing.',
  async run(context) {
    const { config: file = 'environment', env } = context;
    const log = await context.openLog();
    const config = await loadConfig(configSource(context), { log });
    const { value, fileOf } = context.config === undefined ? environmentDocument(env) : await readConfig(file, { env });
    const problems = [
      ...(await tlsFileProblems(value, thisHost.files)),
      ...(await pathProblems(await pathsOfNerve(value), thisHost.files)),
    ];
    logWarnings(problems, { fileOf }, log);
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
