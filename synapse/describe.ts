import { adminSchema } from '../common/admin/options.ts';
import { describeSchema, type OptionSection } from '../common/cli/describe.ts';
import { etcdSchema } from '../common/etcd/client/options.ts';
import { fleetMemberSchema } from '../common/fleet/options.ts';
import { loadPlugin, pluginNames } from '../common/plugin.ts';
import { statsdSchema } from '../common/statsd/options.ts';
import { dnsSchema } from './addresses/dns-options.ts';
import { preferSchema } from './catalog/preference.ts';
import { topSchema } from './config/config.ts';
import { filterSchema } from './config/filters.ts';
import { defaultListen } from './config/listen.ts';
import { serviceSchema } from './config/service-config.ts';
import type { ResolverPlugin } from './discovery/multi/resolver.ts';
import { resolverFolder } from './discovery/multi/resolver-folder.ts';
import { fileOutputSchema, serviceFileOutputSchema } from './file-output.ts';
import { type SourcePlugin, sourceFolder } from './source.ts';

/** The options of the configuration, with HAProxy's in `output`; or those of one source. @throws when there is no such source */
export async function describeOptions(
  source: string | undefined,
  output: readonly OptionSection[],
): Promise<readonly OptionSection[]> {
  const filters = { title: 'discovery.label_filters[], of every source', options: describeSchema(filterSchema) };
  if (source === 'multi') return [...(await describeResolvers()), filters];
  if (source !== undefined) {
    const { description, schema } = await loadPlugin<SourcePlugin<Record<string, unknown>>>(sourceFolder, source);
    return [{ title: `${source}: ${description}`, options: describeSchema(schema) }, filters];
  }
  const sources = await pluginNames(sourceFolder);
  return [
    { title: 'top level', options: describeSchema(topSchema) },
    { title: 'etcd', options: describeSchema(etcdSchema) },
    { title: 'admin', options: describeSchema(adminSchema(defaultListen)) },
    { title: 'dns', options: describeSchema(dnsSchema) },
    { title: 'statsd', options: describeSchema(statsdSchema) },
    { title: 'fleet', options: describeSchema(fleetMemberSchema) },
    { title: 'services.NAME', options: describeSchema(serviceSchema) },
    { title: 'file_output', options: describeSchema(fileOutputSchema) },
    { title: 'services.NAME.file_output', options: describeSchema(serviceFileOutputSchema) },
    { title: 'services.NAME.prefer', options: describeSchema(preferSchema) },
    { ...filters, title: `services.NAME.discovery.label_filters[] (methods: ${[...sources, 'multi'].join(', ')})` },
    ...output,
  ];
}

/** The options of each resolver, which decides between several sources. */
async function describeResolvers(): Promise<readonly OptionSection[]> {
  const sections: OptionSection[] = [];
  for (const name of await pluginNames(resolverFolder)) {
    const plugin = await loadPlugin<ResolverPlugin<Record<string, unknown>>>(resolverFolder, name);
    sections.push({ title: `resolver ${name}: ${plugin.description}`, options: describeSchema(plugin.schema) });
  }
  return sections;
}
