/** A JSON Schema of draft 07, the newest one that yaml-language-server knows: what a configuration file may hold. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** A time as text: `500ms`, `2s`, `1.5`. */
export const durationText = String.raw`^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?\s*$`;

/** Text without control characters, except for the tab. */
export const oneLine = String.raw`^[^\u0000-\u0008\u000a-\u001f\u007f-\u009f]*$`;

/** A string that matches. */
export function textLike(pattern: string): JsonSchema {
  return { type: 'string', pattern };
}

/** A number within `limits` (`minimum`, `exclusiveMinimum`, `maximum`), or a string of digits, as variables hold it. */
export function numeric(limits: JsonSchema = {}): JsonSchema {
  return { anyOf: [{ type: 'number', ...limits }, textLike(String.raw`^\s*-?\d{1,15}(\.\d{1,15})?\s*$`)] };
}

/** A whole number within `limits`, or a string of digits. */
export function wholeNumber(limits: JsonSchema = {}): JsonSchema {
  const isPositive = typeof limits.minimum === 'number' && limits.minimum > 0;
  const digits = isPositive ? String.raw`0*[1-9]\d*` : String.raw`-?\d{1,15}`;
  return { anyOf: [{ type: 'integer', ...limits }, textLike(String.raw`^\s*${digits}(\.0+)?\s*$`)] };
}

/** A share, or text that has a number. */
export const share: JsonSchema = { anyOf: [{ type: 'number', minimum: 0, maximum: 1 }, textLike(String.raw`\d`)] };

/** A list. */
export function listOf(items: JsonSchema, limits: JsonSchema = {}): JsonSchema {
  return { type: 'array', items, ...limits };
}

/** A list, or one of its items. */
export function oneOrList(items: JsonSchema, limits: JsonSchema = {}): JsonSchema {
  return { anyOf: [items, listOf(items, limits)] };
}

/** Values by name. */
export function mapOf(values: JsonSchema): JsonSchema {
  return { type: 'object', additionalProperties: values };
}

/** A string without a pattern of its own. */
export const anyText: JsonSchema = { type: 'string' };

/** A path of keys in etcd, with or without a slash in front. */
export const keyPath: JsonSchema = textLike('^/?[A-Za-z0-9_.:@%+=~-]+(/[A-Za-z0-9_.:@%+=~-]+)*/?$');

/** Lists of instances: `{host, port, …}`. Other fields are those of records in the registry. */
export const records: JsonSchema = listOf({
  type: 'object',
  properties: { host: { type: 'string', minLength: 1 }, port: wholeNumber({ minimum: 1, maximum: 65_535 }) },
  required: ['host', 'port'],
});

/** Addresses of name servers: a list, or one string with commas. */
export const nameServers: JsonSchema = oneOrList(textLike(String.raw`^[\[\]0-9A-Fa-f.:,\s]+$`));

/** Networks in CIDR notation. */
export const networks: JsonSchema = listOf(
  textLike(
    String.raw`^\s*(\d+\.\d+\.\d+\.\d+(/([0-9]|[12][0-9]|3[0-2]))?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(/[0-9]{1,3})?)\s*$`,
  ),
  { minItems: 1 },
);
