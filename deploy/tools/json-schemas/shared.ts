import { sectionSchema } from '../../../common/config/json-schema.ts';
import type { JsonSchema } from '../../../common/config/json-values.ts';
import { etcdSchema } from '../../../common/etcd/client/options.ts';

/** The section `etcd`. */
export function etcdSection(): JsonSchema {
  return sectionSchema(etcdSchema, { allOf: [userNeedsPassword] });
}

const userNeedsPassword: JsonSchema = {
  if: { properties: { username: { type: 'string' } }, required: ['username'] },
  // biome-ignore lint/suspicious/noThenProperty: the key of JSON Schema
  then: { anyOf: [{ required: ['password'] }, { required: ['password_file'] }] },
};

/** A section that false turns off. */
export function orOff(section: JsonSchema): JsonSchema {
  return { anyOf: [section, { type: 'null' }, { enum: [false, 'false'] }] };
}
