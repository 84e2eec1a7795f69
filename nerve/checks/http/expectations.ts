import { isObject } from '../../../common/config/formats.ts';
import { show } from '../../../common/config/secrets.ts';
import type { HttpCheckOptions } from './options.ts';

/** @throws saying what the answer has, and what it should have */
export function judge(
  { status, body }: { readonly status: number; readonly body: string },
  { statuses, expect, matches, json }: HttpCheckOptions,
): void {
  if (!statuses.some((range) => isIn(status, range))) {
    throw new Error(`status ${status}, not ${statuses.join(', ').replaceAll('-', ' to ')}`);
  }
  if (expect !== null && !body.includes(expect)) {
    throw new Error(`the body does not contain ${JSON.stringify(expect)}`);
  }
  if (matches !== null && !new RegExp(matches).test(body)) throw new Error(`the body does not match ${matches}`);
  if (Object.keys(json).length === 0) return;
  const value = parseJson(body);
  for (const [path, wanted] of Object.entries(json)) {
    const found = valueAt(value, path);
    if (JSON.stringify(found) !== JSON.stringify(wanted)) {
      throw new Error(`${path} of the body is ${show(found)}, not ${show(wanted)}`);
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('the body is no JSON');
  }
}

/** `db.replicas` of `{"db": {"replicas": 2}}`; numbers count the items of lists from 0. */
function valueAt(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((at, key) => {
    const inside = (isObject(at) || Array.isArray(at)) && Object.hasOwn(at, key);
    return inside ? (at as Record<string, unknown>)[key] : undefined;
  }, value);
}

function isIn(status: number, range: string): boolean {
  const [from = 0, to = from] = range.split('-').map(Number);
  return status >= from && status <= to;
}
