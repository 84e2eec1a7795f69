import { timeoutSignal } from '../../common/async/timeout.ts';
import type { Command } from '../../common/cli/program.ts';
import { readConfig } from '../../common/config/config.ts';
import { pathProblems } from '../../common/config/named-paths.ts';
import { ConfigError, isError, logWarnings, type Problem } from '../../common/config/problem.ts';
import { tlsFileProblems } from '../../common/config/tls-files.ts';
import { reasonOf } from '../../common/daemon/log.ts';
import { thisHost } from '../../common/host.ts';
import { visibleLine } from '../../common/visible.ts';
import { counted, firstOf } from '../../common/wording.ts';
import type { SynapseConfig } from '../config/config.ts';
import { pathsOfSynapse } from '../config/paths.ts';
import { sampleSnapshot, withTemporaryFile } from '../config/sample.ts';
import { etcdPlaces } from '../discovery/discoverer.ts';
import { checkCandidate } from '../haproxy/configfile/check.ts';
import type { HaproxyConfig } from '../haproxy/options/config.ts';
import { haproxySection } from '../haproxy/options/section.ts';
import { preview } from '../haproxy/preview.ts';
import { load } from './context.ts';

/** The most services whose folders are listed. */
const mostPaths = 100;

/** `synapse check` */
export const check: Command = {
  summary:
    'Validate the configuration, the haproxy.cfg that follows from it, and the files and folders that it names; start nothing.',
  async run(context) {
    const config = await load(context);
    const file = context.needConfig();
    const { value, fileOf } = await readConfig(file, { env: context.env, raw: haproxySection.raw });
    const surroundings = [
      ...(await tlsFileProblems(value, thisHost.files)),
      ...(await pathProblems(await pathsOfSynapse(value, config.haproxy), thisHost.files)),
    ];
    logWarnings(surroundings, { fileOf }, await context.openLog());
    const found: Problem[] = surroundings.filter(isError);
    // The present haproxy.cfg has the numbers of its servers.
    if (found.some(({ path }) => path === 'haproxy.config_file_path')) throw placed(found, fileOf);
    const { text, problems, explain } = await preview(config.haproxy, sampleSnapshot(config)).catch((error) => {
      throw placed([...found, { path: 'haproxy', message: reasonOf(error) }], fileOf);
    });
    for (const [service, message] of problems) found.push({ path: `services.${service}.haproxy`, message });
    const checked = await checkText(text, config.haproxy);
    if (checked.result === 'refused') {
      const errors = explain(checked.findings);
      if (errors.length === 0) found.push({ path: 'haproxy', message: `HAProxy refuses it: ${checked.message}` });
      for (const { origin = 'haproxy', said } of errors)
        found.push({ path: origin, message: `HAProxy refuses it: ${said}` });
    }
    if (found.length > 0) throw placed(found, fileOf);
    const how = checked.result === 'unchecked' ? `HAProxy did not check it: ${checked.reason}` : 'HAProxy accepts it';
    context.print(`the configuration is valid: ${counted(config.services.size, 'service')}; ${how}\n`);
    context.print(
      firstOf(pathLines(config), mostPaths)
        .map((line) => `${visibleLine(line)}\n`)
        .join(''),
    );
  },
};

function placed(problems: readonly Problem[], fileOf: (path: string) => string): ConfigError {
  return new ConfigError(problems.map((problem) => ({ file: fileOf(problem.path), ...problem })));
}

function checkText(text: string, config: HaproxyConfig) {
  // The user's own check_command reads the path of the real candidate file, which this command must not write.
  const own = { ...config, do_checks: config.do_checks === false ? null : config.do_checks, check_command: null };
  return withTemporaryFile(text, (path) =>
    checkCandidate(path, { config: own, host: thisHost }, timeoutSignal(config.check_timeout)),
  );
}

/** The folder of keys that each service follows in etcd, as it is there: with or without a slash in front. */
function pathLines({ services, etcd }: SynapseConfig): readonly string[] {
  return [...services].flatMap(([service, { discovery }]) => {
    const paths = etcdPlaces(discovery, service, etcd).map(({ path }) => path);
    return paths.length === 0 ? [] : [`${service}: reads ${paths.join(', ')} in etcd`];
  });
}
