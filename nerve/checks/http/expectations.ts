import { isObject } from '../../../common/config/formats.ts';
import { show } from '../../../common/config/secrets.ts';
import type { HttpCheckOptions } from './options.ts';

/** @throws with what the answer has and what it should have; `request` names the request: `GET /health` */
export function assertExpected(
  { status, body }: { readonly status: number; readonly body: string },
  request: string,
  { statuses, expect, matches, json }: HttpCheckOptions,
): void {
  if (!statuses.some((range) => isIn(status, range))) {
    throw new Error(`HTTP ${status} from ${request}, expected ${statuses.join(', ').replaceAll('-', ' to ')}`);
  }
  if (expect !== null && !body.includes(expect)) {
    throw new Error(`the body of ${request} does not contain ${JSON.stringify(expect)}`);
  }
  if (matches !== null && !new RegExp(matches).test(body)) {
    throw new Error(`the body of ${request} does not match ${matches}`);
  }
  if (Object.keys(json).length === 0) return;
  const value = parseJson(body, request);
  for (const [path, expected] of Object.entries(json)) {
    const found = valueAt(value, path);
    if (JSON.stringify(found) !== JSON.stringify(expected)) {
      throw new Error(`${path} in the body of ${request} is ${show(found)}, expected ${show(expected)}`);
    }
  }
}

function parseJson(text: string, request: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message repeats the body.
    throw new Error(`the body of ${request} is not JSON`);
  }
}

/** The value at a path: `db.replicas` of `{"db": {"replicas": 2}}`; numbers are indexes of lists, from 0. */
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
