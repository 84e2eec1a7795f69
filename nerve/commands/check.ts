import type { Command } from '../../common/cli/program.ts';
import { checkTlsFiles } from '../../common/etcd/client/tls.ts';
import { counted } from '../../common/wording.ts';
import { loadConfig } from '../config/config.ts';
import { configSource } from './context.ts';

/** `nerve check` */
export const check: Command = {
  summary: 'Validate the configuration and start nothing.',
  async run(context) {
    const { services, etcd } = await loadConfig(configSource(context), { log: context.log });
    checkTlsFiles(etcd, context.config ?? 'environment');
    context.print(`the configuration is valid: ${counted(services.size, 'service')}\n`);
  },
};
