import type { Command } from '../../common/cli/program.ts';
import { checkTlsFiles } from '../../common/etcd/client/tls.ts';
import { loadConfig } from '../config/config.ts';
import { source } from './context.ts';

export const check: Command = {
  summary: 'Validate the configuration and start nothing.',
  async run(context) {
    const { services, etcd } = await loadConfig(source(context), context.log);
    checkTlsFiles(etcd, context.config ?? 'environment');
    context.print(`the configuration is valid: ${services.size} services\n`);
  },
};
