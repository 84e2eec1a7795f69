import { formatDefinitions } from '../../../common/config/json-schema.ts';
import type { JsonSchema } from '../../../common/config/json-values.ts';

/** Definitions by name. */
export type Definitions = Readonly<Record<string, JsonSchema>>;

/** `if` the object has `key` with one of these values, it must also be as `then` says. */
export function when(key: string, values: readonly unknown[], then: JsonSchema): JsonSchema {
  return { if: { properties: { [key]: { enum: values } }, required: [key] }, then };
}

/** A whole schema that stands alone: with the definitions that it uses, and no others. */
export function schemaDocument(title: string, root: JsonSchema, definitions: Definitions): string {
  const all: Definitions = { ...formatDefinitions, ...definitions };
  const used = new Set<string>();
  const follow = (value: unknown): void => {
    if (value === null || typeof value !== 'object') return;
    for (const [key, item] of Object.entries(value)) {
      const name = key === '$ref' && typeof item === 'string' ? item.replace('#/definitions/', '') : undefined;
      if (name === undefined) follow(item);
      else if (!used.has(name)) {
        used.add(name);
        if (all[name] === undefined) throw new Error(`no definition ${name}`);
        follow(all[name]);
      }
    }
  };
  follow(root);
  const document = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title,
    $comment: 'Made from the schemas of the options by `npm run reference`; a test compares them.',
    ...root,
    definitions: Object.fromEntries([...used].toSorted().map((name) => [name, all[name]])),
  };
  return `${JSON.stringify(document, null, 1)}\n`;
}

/** A file, in which the key `$schema` may name its schema. */
export function fileSchema(section: JsonSchema): JsonSchema {
  const schema = { description: 'The JSON Schema of this file, for editors. The daemon ignores it.', type: 'string' };
  return { ...section, properties: { $schema: schema, ...(section.properties as Definitions) } };
}
