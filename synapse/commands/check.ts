import { dirname } from 'node:path';
import { timeoutSignal } from '../../common/async/timeout.ts';
import type { Command } from '../../common/cli/program.ts';
import { readConfig } from '../../common/config/config.ts';
import { ConfigError, isError, type Problem } from '../../common/config/problem.ts';
import { folderProblems, logWarnings, type TargetFolder } from '../../common/config/target-folders.ts';
import { tlsFileProblems } from '../../common/config/tls-files.ts';
import { thisHost } from '../../common/host.ts';
import { visibleLine } from '../../common/visible.ts';
import { counted, firstOf } from '../../common/wording.ts';
import type { SynapseConfig } from '../config/config.ts';
import { sampleSnapshot, withTemporaryFile } from '../config/sample.ts';
import { etcdPlaces } from '../discovery/discoverer.ts';
import { checkCandidate } from '../haproxy/configfile/check.ts';
import { type HaproxyConfig, socketPaths } from '../haproxy/options/config.ts';
import { haproxySection } from '../haproxy/options/section.ts';
import { preview } from '../haproxy/preview.ts';
import { load } from './context.ts';

/** The most services whose folders are listed. */
const mostPaths = 100;

/** `synapse check` */
export const check: Command = {
  summary:
    'Validate the configuration, the haproxy.cfg that follows from it, and the TLS files and folders that it names; start nothing.',
  async run(context) {
    const config = await load(context);
    const { text, problems, explain } = await preview(config.haproxy, sampleSnapshot(config));
    const file = context.needConfig();
    const { value, fileOf } = await readConfig(file, { env: context.env, raw: haproxySection.raw });
    const surroundings = [
      ...(await tlsFileProblems(value, thisHost.files)),
      ...(await folderProblems(targetsOf(config), thisHost.files)),
    ];
    logWarnings(surroundings, file, await context.openLog());
    const found: Problem[] = [...problems].map(([service, message]) => ({
      path: `services.${service}.haproxy`,
      message,
    }));
    found.push(...surroundings.filter(isError));
    const checked = await checkText(text, config.haproxy);
    if (checked.result === 'refused') {
      const errors = explain(checked.findings);
      if (errors.length === 0) found.push({ path: 'haproxy', message: `HAProxy refuses it: ${checked.message}` });
      for (const { origin = 'haproxy', said } of errors)
        found.push({ path: origin, message: `HAProxy refuses it: ${said}` });
    }
    if (found.length > 0) throw new ConfigError(found.map((problem) => ({ file: fileOf(problem.path), ...problem })));
    const how = checked.result === 'unchecked' ? `HAProxy did not check it: ${checked.reason}` : 'HAProxy accepts it';
    context.print(`the configuration is valid: ${counted(config.services.size, 'service')}; ${how}\n`);
    context.print(
      firstOf(pathLines(config), mostPaths)
        .map((line) => `${visibleLine(line)}\n`)
        .join(''),
    );
  },
};

function checkText(text: string, config: HaproxyConfig) {
  // The user's own check_command reads the path of the real candidate file, which this command must not write.
  const own = { ...config, do_checks: config.do_checks === false ? null : config.do_checks, check_command: null };
  return withTemporaryFile(text, (path) =>
    checkCandidate(path, { config: own, host: thisHost }, timeoutSignal(config.check_timeout)),
  );
}

/** Folders that synapse, or HAProxy for synapse, is to write to. `file_output` makes its own. */
function targetsOf({ haproxy, stateFile, admin }: SynapseConfig): readonly TargetFolder[] {
  const { do_writes, do_socket, config_file_path, candidate_config_file_path } = haproxy;
  const target = (path: string, file: string | false | null | undefined, what: string): readonly TargetFolder[] =>
    typeof file === 'string' ? [{ path, folder: dirname(file), what }] : [];
  const socket = (path: string, file: string | null, what: string): readonly TargetFolder[] =>
    target(path, file, what).map((folder) => ({ ...folder, byOthers: true }));
  return [
    ...(do_writes ? target('haproxy.config_file_path', config_file_path, 'haproxy.cfg') : []),
    ...(do_writes ? target('haproxy.candidate_config_file_path', candidate_config_file_path, 'a new haproxy.cfg') : []),
    ...(do_socket ? socketPaths(haproxy) : []).flatMap((path) =>
      socket('haproxy.socket_file_path', path, "the socket of HAProxy's runtime API"),
    ),
    ...socket('haproxy.master_socket_path', haproxy.master_socket_path, "the socket of HAProxy's master"),
    ...target('state_file_path', stateFile?.path, 'the state file'),
    ...target('admin.control_socket', admin.control_socket, 'the control socket'),
  ];
}

/** The folder of keys that each service follows in etcd, as it is there: with or without a slash in front. */
function pathLines({ services, etcd }: SynapseConfig): readonly string[] {
  return [...services].flatMap(([service, { discovery }]) => {
    const paths = etcdPlaces(discovery, service, etcd).map(({ path }) => path);
    return paths.length === 0 ? [] : [`${service}: reads ${paths.join(', ')} in etcd`];
  });
}
