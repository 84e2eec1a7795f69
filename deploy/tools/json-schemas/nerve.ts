import { adminSchema } from '../../../common/admin/options.ts';
import { orNull, sectionSchema } from '../../../common/config/json-schema.ts';
import type { JsonSchema } from '../../../common/config/json-values.ts';
import { fleetSchema } from '../../../common/fleet/options.ts';
import { statsdSchema } from '../../../common/statsd/options.ts';
import { ownCheckTypes } from '../../../nerve/check.ts';
import { acceptedOfChecks, checkSchema } from '../../../nerve/config/check-config.ts';
import { acceptedAtTop, nerveSchema, shutdownSchema, socketDefault } from '../../../nerve/config/config.ts';
import { defaultListen } from '../../../nerve/config/listen.ts';
import { rateLimitSchema } from '../../../nerve/config/rate-limit.ts';
import { acceptedOfServices, serviceSchema } from '../../../nerve/config/service-config.ts';
import { type Definitions, fileSchema, schemaDocument, when } from './document.ts';
import { etcdSection, orOff } from './shared.ts';

const ignored = (keys: readonly string[]): Definitions =>
  Object.fromEntries(keys.map((key) => [key, { description: 'Accepted from SmartStack and ignored.' }]));

/** The schemas of nerve's configuration: of its main file, and of a file of its `service_conf_dir`. */
export async function nerveSchemas(): Promise<{ readonly main: string; readonly service: string }> {
  const definitions: Definitions = { ...(await checkDefinitions()), service: serviceDefinition() };
  const main = sectionSchema(nerveSchema, {
    properties: {
      services: orNull({
        type: 'object',
        // A name that cannot be part of a key needs a path of its own.
        patternProperties: { '^[A-Za-z0-9_.:@%+=~-]+$': { $ref: '#/definitions/service' } },
        additionalProperties: { allOf: [{ $ref: '#/definitions/service' }, withPath] },
      }),
      service_conf_dir: { description: 'Folder with one more service per file.', type: ['string', 'null'] },
      etcd: orNull(etcdSection()),
      admin: orNull(sectionSchema(adminSchema(defaultListen, socketDefault))),
      shutdown: { ...orNull(sectionSchema(shutdownSchema)), not: keepAndDrain },
      fleet: orOff(sectionSchema(fleetSchema)),
      statsd: orOff(sectionSchema(statsdSchema)),
      ...ignored(acceptedAtTop),
    },
  });
  return {
    main: schemaDocument("nerve's configuration", fileSchema(main), definitions),
    service: schemaDocument(
      'A service of nerve, in a file of service_conf_dir',
      fileSchema(serviceDefinition()),
      definitions,
    ),
  };
}

const given = (key: string): JsonSchema => ({ properties: { [key]: { not: { type: 'null' } } }, required: [key] });

/** An option of the service itself, or of each of its instances. */
const hereOrInAll = (key: string): JsonSchema => ({
  anyOf: [given(key), { properties: { instances: { items: given(key) } }, required: ['instances'] }],
});

const withPath = hereOrInAll('etcd_path');

const keepAndDrain: JsonSchema = {
  properties: { keep: { enum: [true] }, drain: { type: 'number', exclusiveMinimum: 0 } },
  required: ['keep', 'drain'],
};

/** One instance: a service without `instances`. */
function instanceSection(more: Definitions = {}): JsonSchema {
  return sectionSchema(serviceSchema, {
    optional: ['host', 'port'],
    properties: {
      checks: {
        description: 'What nerve probes; without any, the service is always announced.',
        type: ['array', 'null'],
        items: { $ref: '#/definitions/check' },
      },
      rate_limiting: orNull(sectionSchema(rateLimitSchema)),
      zk_path: { description: 'Ignored: etcd_path names the folder of keys.' },
      ...ignored(acceptedOfServices),
      ...more,
    },
  });
}

function serviceDefinition(): JsonSchema {
  const section = instanceSection({
    instances: {
      description: 'Several instances; each overrides options of the service.',
      type: 'array',
      minItems: 1,
      items: instanceSection(),
    },
    load_test_concurrency: {
      description: 'Number of copies of each instance, to put load on a registry.',
      anyOf: [{ type: 'integer', minimum: 1, maximum: 10_000 }, { $ref: '#/definitions/positive-integer' }],
    },
  });
  return {
    ...section,
    if: { required: ['instances'] },
    // biome-ignore lint/suspicious/noThenProperty: the key of JSON Schema
    then: { allOf: [hereOrInAll('host'), hereOrInAll('port')] },
    else: { required: ['host', 'port'] },
  };
}

async function checkDefinitions(): Promise<Definitions> {
  const definitions: Record<string, JsonSchema> = {};
  const types = await ownCheckTypes.names();
  for (const type of types) {
    const plugin = await ownCheckTypes.load(type);
    const section = sectionSchema({ ...plugin.schema, ...checkSchema }, { properties: ignored(acceptedOfChecks) });
    definitions[`check-${type}`] = { description: plugin.description, ...section };
  }
  const type = { description: checkSchema.type.doc, anyOf: [{ enum: types }, { $ref: '#/definitions/variable' }] };
  definitions.check = {
    type: 'object',
    properties: { type },
    required: ['type'],
    allOf: types.map((name) => when('type', [name], { $ref: `#/definitions/check-${name}` })),
  };
  return definitions;
}
