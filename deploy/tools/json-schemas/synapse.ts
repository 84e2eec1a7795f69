import { adminSchema } from '../../../common/admin/options.ts';
import { orNull, sectionSchema } from '../../../common/config/json-schema.ts';
import { anyText, type JsonSchema } from '../../../common/config/json-values.ts';
import { fleetMemberSchema } from '../../../common/fleet/options.ts';
import { loadPlugin, pluginNames } from '../../../common/plugin.ts';
import { statsdSchema } from '../../../common/statsd/options.ts';
import { dnsSchema } from '../../../synapse/addresses/dns-options.ts';
import { preferSchema } from '../../../synapse/catalog/preference.ts';
import { topSchema } from '../../../synapse/config/config.ts';
import { filterSchema } from '../../../synapse/config/filters.ts';
import { defaultListen } from '../../../synapse/config/listen.ts';
import { acceptedOfServices, serviceSchema } from '../../../synapse/config/service-config.ts';
import type { ResolverPlugin } from '../../../synapse/discovery/multi/resolver.ts';
import { resolverFolder } from '../../../synapse/discovery/multi/resolver-folder.ts';
import { fileOutputSchema, serviceFileOutputSchema } from '../../../synapse/file-output.ts';
import { haproxySchema } from '../../../synapse/haproxy/options/config.ts';
import { serviceHaproxySchema } from '../../../synapse/haproxy/options/service-config.ts';
import { type SourcePlugin, sourceFolder } from '../../../synapse/source.ts';
import { type Definitions, fileSchema, schemaDocument, when } from './document.ts';
import { etcdSection, orOff } from './shared.ts';

/** The schemas of synapse's configuration: of its main file, and of a file of its `service_conf_dir`. */
export async function synapseSchemas(): Promise<{ readonly main: string; readonly service: string }> {
  const definitions: Definitions = {
    ...(await discoveryDefinitions()),
    ...(await resolverDefinition()),
    service: serviceDefinition(),
    filter: filterDefinition(),
  };
  const main = sectionSchema(topSchema, {
    properties: {
      services: orNull({
        type: 'object',
        propertyNames: { pattern: '^[A-Za-z0-9_.:-]{1,128}$' },
        additionalProperties: { $ref: '#/definitions/service' },
      }),
      service_conf_dir: { description: 'Folder with one more service per file.', type: ['string', 'null'] },
      etcd: orNull(etcdSection()),
      admin: orNull(sectionSchema(adminSchema(defaultListen))),
      haproxy: sectionSchema(haproxySchema, { required: ['global', 'defaults'], allOf: haproxyRules }),
      dns: orNull(sectionSchema(dnsSchema)),
      file_output: orNull(sectionSchema(fileOutputSchema)),
      statsd: orOff(sectionSchema(statsdSchema)),
      fleet: orOff(sectionSchema(fleetMemberSchema)),
    },
    required: ['haproxy'],
  });
  return {
    main: schemaDocument("synapse's configuration", fileSchema(main), definitions),
    service: schemaDocument(
      'A service of synapse, in a file of service_conf_dir',
      fileSchema(serviceDefinition()),
      definitions,
    ),
  };
}

const hasAny = (...keys: readonly string[]): JsonSchema => ({
  anyOf: keys.map((key) => ({ required: [key], properties: { [key]: { not: { enum: [null, false] } } } })),
});

/** What is needed while an option is on, which it is by default. */
const unlessOff = (option: string, needed: JsonSchema): JsonSchema => ({
  if: { required: [option], properties: { [option]: { $ref: '#/definitions/off' } } },
  else: needed,
});

const haproxyRules: readonly JsonSchema[] = [
  unlessOff('do_writes', hasAny('config_file_path')),
  unlessOff('do_socket', hasAny('socket_file_path')),
  unlessOff('do_reloads', hasAny('reload_command', 'master_socket_path', 'watched')),
];

const discovery: JsonSchema = { $ref: '#/definitions/discovery' };
const fallback: JsonSchema = {
  description: 'The source that is used while this one has no instances.',
  anyOf: [{ $ref: '#/definitions/fallback' }, { type: 'null' }],
};
const filters: Definitions = {
  label_filter: {
    description: "SmartStack's older form of label_filters.",
    anyOf: [{ $ref: '#/definitions/filter' }, { type: 'null' }],
  },
  label_filters: {
    description: 'Uses only instances whose labels meet all of these.',
    type: ['array', 'null'],
    items: { $ref: '#/definitions/filter' },
  },
};
const watchers: JsonSchema = { description: 'Sources by name.', type: 'object', additionalProperties: discovery };
const resolver: JsonSchema = { $ref: '#/definitions/resolver' };

function serviceDefinition(): JsonSchema {
  return sectionSchema(serviceSchema, {
    properties: {
      discovery,
      discovery_multi: orNull({
        description: 'More sources beside discovery, which is the source primary.',
        type: 'object',
        properties: { method: { enum: ['multi'] }, watchers, resolver, ...filters },
        required: ['resolver'],
        additionalProperties: false,
      }),
      prefer: orNull(sectionSchema(preferSchema)),
      file_output: orNull(sectionSchema(serviceFileOutputSchema)),
      haproxy: orNull(sectionSchema(serviceHaproxySchema)),
      ...Object.fromEntries(acceptedOfServices.map((key) => [key, { description: 'Ignored.' }])),
    },
    required: ['discovery'],
  });
}

/** A filter, with what each condition takes as its value. */
function filterDefinition(): JsonSchema {
  const text = { required: ['value'], properties: { value: anyText } };
  const list = { required: ['value'], properties: { value: { type: 'array', minItems: 1 } } };
  return sectionSchema(filterSchema, {
    allOf: [
      when('condition', ['exists'], { not: { required: ['value'], properties: { value: { not: { type: 'null' } } } } }),
      when('condition', ['in', 'not-in'], list),
      when('condition', ['equals', 'not-equals', 'matches'], text),
    ],
  });
}

async function discoveryDefinitions(): Promise<Definitions> {
  const definitions: Record<string, JsonSchema> = {};
  const methods = [...(await pluginNames(sourceFolder)), 'multi'];
  for (const method of methods) {
    definitions[`discovery-${method}`] = await discoveryOf(method, { fallback });
    definitions[`fallback-${method}`] = await discoveryOf(method, {
      fallback,
      after: {
        description: 'How long the first source may have no instances.',
        anyOf: [{ $ref: '#/definitions/duration' }],
      },
    });
  }
  const aliases = sourceFolder.aliases ?? {};
  for (const kind of ['discovery', 'fallback']) definitions[kind] = choice('method', methods, aliases, `${kind}-`);
  return definitions;
}

/** One of several plugins by name; with `module`, one of the user's own, whose options are not known here. */
function choice(
  key: string,
  names: readonly string[],
  aliases: Readonly<Record<string, string>>,
  prefix: string,
): JsonSchema {
  const namesOf = (name: string): readonly string[] => [
    name,
    ...Object.entries(aliases).flatMap(([alias, target]) => (target === name ? [alias] : [])),
  ];
  const all = names.flatMap(namesOf);
  return {
    type: 'object',
    properties: { [key]: anyText, module: { description: "The user's own plugin, a file.", ...moduleFile } },
    required: [key],
    if: { required: ['module'] },
    else: {
      properties: { [key]: { anyOf: [{ enum: all }, { $ref: '#/definitions/variable' }] } },
      allOf: names.map((name) => when(key, namesOf(name), { $ref: `#/definitions/${prefix}${name}` })),
    },
  };
}

const moduleFile = { type: 'string', pattern: String.raw`^/.*\.m?js$|\$\{[A-Za-z_]|<%=` };

async function discoveryOf(method: string, more: Definitions): Promise<JsonSchema> {
  const common = { method: anyText, ...filters, ...more };
  if (method === 'multi') {
    return {
      type: 'object',
      properties: { ...common, watchers: { ...watchers, minProperties: 1 }, resolver },
      required: ['method', 'watchers', 'resolver'],
      additionalProperties: false,
    };
  }
  const plugin = await loadPlugin<SourcePlugin<Record<string, unknown>>>(sourceFolder, method);
  const section = sectionSchema(plugin.schema, {
    properties: common,
    required: ['method'],
    ...(plugin.json && { allOf: plugin.json }),
  });
  return { description: plugin.description, ...section };
}

async function resolverDefinition(): Promise<Definitions> {
  const definitions: Record<string, JsonSchema> = {};
  const names = await pluginNames(resolverFolder);
  for (const name of names) {
    const plugin = await loadPlugin<ResolverPlugin<Record<string, unknown>>>(resolverFolder, name);
    const section = sectionSchema(plugin.schema, { properties: { method: anyText }, required: ['method'] });
    definitions[`resolver-${name}`] = { description: plugin.description, ...section };
  }
  definitions.resolver = choice('method', names, resolverFolder.aliases ?? {}, 'resolver-');
  return definitions;
}
