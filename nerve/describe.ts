import { adminSchema } from '../common/admin/options.ts';
import { describeSchema, formatOptions, type OptionRow } from '../common/cli/describe.ts';
import { etcdSchema } from '../common/etcd/client/options.ts';
import { loadPlugin, pluginNames } from '../common/plugin.ts';
import { statsdSchema } from '../common/statsd/options.ts';
import { rateLimitSchema } from './announce/rate-limit.ts';
import { type CheckPlugin, checkFolder } from './check.ts';
import { checkSchema } from './config/check-config.ts';
import { defaultListen, nerveSchema, shutdownSchema, socketDefault } from './config/config.ts';
import { serviceSchema } from './config/service-config.ts';

/** Options that stand together. */
export interface Section {
  readonly title: string;
  readonly options: readonly OptionRow[];
}

/** All options but those of single checks; or those of one check. */
export async function describeOptions(check?: string): Promise<readonly Section[]> {
  if (check !== undefined) {
    const { description, schema } = await loadPlugin<CheckPlugin<Record<string, unknown>>>(checkFolder, check);
    return [
      { title: `${check}: ${description}`, options: describeSchema(schema) },
      { title: 'every check', options: describeSchema(checkSchema) },
    ];
  }
  const checks = await pluginNames(checkFolder);
  return [
    { title: 'top level', options: describeSchema(nerveSchema) },
    { title: 'etcd', options: describeSchema(etcdSchema) },
    { title: 'admin', options: describeSchema(adminSchema(defaultListen, socketDefault)) },
    { title: 'statsd', options: describeSchema(statsdSchema) },
    { title: 'shutdown', options: describeSchema(shutdownSchema) },
    { title: 'services.NAME', options: describeSchema(serviceSchema) },
    { title: 'services.NAME.rate_limiting', options: describeSchema(rateLimitSchema) },
    { title: `services.NAME.checks[] (types: ${checks.join(', ')})`, options: describeSchema(checkSchema) },
  ];
}

/** The same for people. */
export function formatSections(sections: readonly Section[]): string {
  return sections
    .map(
      ({ title, options }) => `${title}\n${options.length === 0 ? 'no options of its own\n' : formatOptions(options)}`,
    )
    .join('\n');
}
