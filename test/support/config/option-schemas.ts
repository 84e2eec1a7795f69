import { adminSchema } from '../../../common/admin/options.ts';
import type { Schema } from '../../../common/config/schema.ts';
import { etcdSchema } from '../../../common/etcd/client/options.ts';
import { fleetMemberSchema } from '../../../common/fleet/options.ts';
import { loadPlugin, pluginNames } from '../../../common/plugin.ts';
import { statsdSchema } from '../../../common/statsd/options.ts';
import { ownCheckTypes } from '../../../nerve/check.ts';
import { checkSchema } from '../../../nerve/config/check-config.ts';
import { nerveSchema, shutdownSchema } from '../../../nerve/config/config.ts';
import { rateLimitSchema } from '../../../nerve/config/rate-limit.ts';
import { serviceSchema as nerveServiceSchema } from '../../../nerve/config/service-config.ts';
import { dnsSchema } from '../../../synapse/addresses/dns-options.ts';
import { preferSchema } from '../../../synapse/catalog/preference.ts';
import { topSchema } from '../../../synapse/config/config.ts';
import { filterSchema } from '../../../synapse/config/filters.ts';
import { serviceSchema } from '../../../synapse/config/service-config.ts';
import type { ResolverPlugin } from '../../../synapse/discovery/multi/resolver.ts';
import { resolverFolder } from '../../../synapse/discovery/multi/resolver-folder.ts';
import { fileOutputSchema, serviceFileOutputSchema } from '../../../synapse/file-output.ts';
import { haproxySchema } from '../../../synapse/haproxy/options/config.ts';
import { reloadFreeSchema } from '../../../synapse/haproxy/options/reload-free.ts';
import { serviceHaproxySchema } from '../../../synapse/haproxy/options/service-config.ts';
import { type SourcePlugin, sourceFolder } from '../../../synapse/source.ts';

/** A schema of options that is known by its name only. */
export type AnySchema = Schema<Record<string, unknown>>;

/** All schemas of options of both daemons, by a name for people. */
export async function optionSchemas(): Promise<ReadonlyMap<string, AnySchema>> {
  const own = {
    ...{ etcdSchema, fleetMemberSchema, statsdSchema, checkSchema, nerveSchema, shutdownSchema, rateLimitSchema },
    ...{ nerveServiceSchema, dnsSchema, preferSchema, topSchema, filterSchema, serviceSchema, fileOutputSchema },
    ...{ serviceFileOutputSchema, haproxySchema, reloadFreeSchema, serviceHaproxySchema },
    adminSchema: adminSchema('127.0.0.1:1'),
  };
  const all = new Map<string, AnySchema>(Object.entries(own) as unknown as [string, AnySchema][]);
  for (const name of await ownCheckTypes.names()) all.set(`check ${name}`, (await ownCheckTypes.load(name)).schema);
  for (const [folder, names] of [
    [sourceFolder, await pluginNames(sourceFolder)],
    [resolverFolder, await pluginNames(resolverFolder)],
  ] as const) {
    for (const name of names) {
      const plugin = await loadPlugin<SourcePlugin<Record<string, unknown>> | ResolverPlugin<Record<string, unknown>>>(
        folder,
        name,
      );
      all.set(`${folder.kind} ${name}`, plugin.schema);
    }
  }
  return all;
}
