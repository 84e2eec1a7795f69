import { timeoutSignal } from '../../common/async/timeout.ts';
import type { Command } from '../../common/cli/program.ts';
import { ConfigError, type Problem } from '../../common/config/problem.ts';
import { thisHost } from '../../common/host.ts';
import { counted } from '../../common/wording.ts';
import { sampleSnapshot, withTemporaryFile } from '../config/sample.ts';
import { checkCandidate } from '../haproxy/configfile/check.ts';
import type { HaproxyConfig } from '../haproxy/options/config.ts';
import { preview } from '../haproxy/preview.ts';
import { load } from './context.ts';

/** `synapse check` */
export const check: Command = {
  summary: 'Validate the configuration, and the haproxy.cfg that follows from it; start nothing.',
  async run(context) {
    const config = await load(context);
    const { text, problems, explain } = await preview(config.haproxy, sampleSnapshot(config));
    const found: Problem[] = [...problems].map(([service, message]) => ({
      path: `services.${service}.haproxy`,
      message,
    }));
    const checked = await checkText(text, config.haproxy);
    if (checked.result === 'refused') {
      const errors = explain(checked.findings);
      if (errors.length === 0) found.push({ path: 'haproxy', message: `HAProxy refuses it: ${checked.message}` });
      for (const { origin = 'haproxy', said } of errors)
        found.push({ path: origin, message: `HAProxy refuses it: ${said}` });
    }
    if (found.length > 0) throw new ConfigError(found.map((problem) => ({ file: context.needConfig(), ...problem })));
    const how = checked.result === 'unchecked' ? `HAProxy did not check it: ${checked.reason}` : 'HAProxy accepts it';
    context.print(`the configuration is valid: ${counted(config.services.size, 'service')}; ${how}\n`);
  },
};

function checkText(text: string, config: HaproxyConfig) {
  // The user's own check_command reads the path of the real candidate file, which this command must not write.
  const own = { ...config, do_checks: config.do_checks === false ? null : config.do_checks, check_command: null };
  return withTemporaryFile(text, (path) =>
    checkCandidate(path, { config: own, host: thisHost }, timeoutSignal(config.check_timeout)),
  );
}
