import { adminSchema } from '../common/admin/options.ts';
import { describeSchema, type OptionSection } from '../common/cli/describe.ts';
import { etcdSchema } from '../common/etcd/client/options.ts';
import { fleetSchema } from '../common/fleet/options.ts';
import { statsdSchema } from '../common/statsd/options.ts';
import { ownCheckTypes } from './check.ts';
import { checkSchema } from './config/check-config.ts';
import { nerveSchema, shutdownSchema, socketDefault } from './config/config.ts';
import { defaultListen } from './config/listen.ts';
import { rateLimitSchema } from './config/rate-limit.ts';
import { serviceSchema } from './config/service-config.ts';

/** All options except those of single check types; or the options of one check type. */
export async function describeOptions(check?: string): Promise<readonly OptionSection[]> {
  if (check !== undefined) {
    const { description, schema } = await ownCheckTypes.load(check);
    return [
      { title: `${check}: ${description}`, options: describeSchema(schema) },
      { title: 'every check', options: describeSchema(checkSchema) },
    ];
  }
  const checks = await ownCheckTypes.names();
  return [
    { title: 'top level', options: describeSchema(nerveSchema) },
    { title: 'etcd', options: describeSchema(etcdSchema) },
    { title: 'admin', options: describeSchema(adminSchema(defaultListen, socketDefault)) },
    { title: 'statsd', options: describeSchema(statsdSchema) },
    { title: 'shutdown', options: describeSchema(shutdownSchema) },
    { title: 'fleet', options: describeSchema(fleetSchema) },
    { title: 'services.NAME', options: describeSchema(serviceSchema) },
    { title: 'services.NAME.rate_limiting', options: describeSchema(rateLimitSchema) },
    { title: `services.NAME.checks[] (types: ${checks.join(', ')})`, options: describeSchema(checkSchema) },
  ];
}
