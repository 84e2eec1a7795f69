import { join } from 'node:path';
import { describeSchema } from '../../../common/cli/describe.ts';
import type { Problem } from '../../../common/config/problem.ts';
import { type Schema, validate } from '../../../common/config/schema.ts';

/**
 * The least that a schema accepts: for each required option the first of these values that it takes. `folder` has a
 * `check.mjs` with a check that never ends. Tests can so try checks that they know nothing of.
 */
export function requiredOptions<Options>(schema: Schema<Options>, folder: string): Record<string, unknown> {
  const values = [join(folder, 'check.mjs'), 'name', ['sleep', '600'], 1, true, {}];
  const options: Record<string, unknown> = {};
  for (const { name } of describeSchema(schema).filter((row) => row.required)) {
    options[name] = values.find((value) => {
      const problems: Problem[] = [];
      validate(schema, { ...options, [name]: value }, { path: '', problems });
      return !problems.some((problem) => problem.path.endsWith(name));
    });
  }
  return options;
}
