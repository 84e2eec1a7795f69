import { pathToFileURL } from 'node:url';
import { abortable } from '../../common/async/abort.ts';
import { type Problem, validate } from '../../common/config/config.ts';
import { textLike } from '../../common/config/json-values.ts';
import { failure, oneLine } from '../../common/reason.ts';
import type { Check, CheckPlugin, CheckTarget, UserCheck } from '../check.ts';

/** The options of the check `module`. */
export interface ModuleCheckOptions {
  readonly file: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** `module` */
export const check: CheckPlugin<ModuleCheckOptions> = {
  description: 'A check of your own: a JavaScript file that exports one.',
  schema: {
    file: {
      doc: 'absolute path of the file (.js or .mjs)',
      format: readPath,
      json: textLike(String.raw`^/.*\.m?js$`),
      names: 'file',
      default: null,
    },
    options: { doc: 'options for that check', format: 'object', default: {} },
  },
  create({ file, options }, target) {
    let loading: Promise<Check> | undefined;
    return async (signal) => {
      signal.throwIfAborted();
      // Loaded once. When that takes longer than the deadline of one probe, the next probe has it.
      loading ??= load(file, options, target);
      const probe = await abortable(loading, signal);
      await abortable(run(probe, signal), signal);
    };
  },
};

/** An async function, so that a check that throws at once has failed too. */
async function run(probe: Check, signal: AbortSignal): Promise<void> {
  await probe(signal);
}

async function load(file: string, options: Readonly<Record<string, unknown>>, target: CheckTarget): Promise<Check> {
  let module: { readonly check?: Partial<UserCheck> };
  try {
    module = await import(pathToFileURL(file).href);
  } catch (error) {
    throw failure(`cannot load ${file}`, error);
  }
  const { schema, create } = module.check ?? {};
  if (typeof create !== 'function') throw new Error(`${file} exports no 'check' with a function 'create'`);
  const problems: Problem[] = [];
  const read = schema === undefined ? options : validate(schema, options, { path: 'options', problems });
  if (problems.length > 0) {
    throw new Error(oneLine(problems.map(({ path, message }) => `${path}: ${message}`).join('; ')));
  }
  const probe = create.call(module.check, read, target);
  if (typeof probe !== 'function') throw new Error(`${file}: create returned no function`);
  return probe;
}

function readPath(value: unknown): void {
  if (typeof value !== 'string' || !/^\/.*\.m?js$/.test(value)) {
    throw new Error('must be an absolute path that ends in .js or .mjs');
  }
}
