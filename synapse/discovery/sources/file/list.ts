import { formatProblem, isError, joinPath, type Problem } from '../../../../common/config/config.ts';
import { isObject } from '../../../../common/config/formats.ts';
import { parseText } from '../../../../common/config/parse.ts';
import { type Instance, takeInstance, takeRecord } from '../../../../common/instance.ts';
import { InstanceSetBuilder } from '../../instance-set-builder.ts';

/** Reads a list of instances; rejects single entries that are not valid. @throws when the text is not a list */
export function readList(text: string, file: string): InstanceSetBuilder {
  const problems: Problem[] = [];
  const value = parseText(text, file, problems);
  const problem = problems.find(isError);
  if (problem !== undefined) throw new Error(formatProblem({ file, ...problem }));
  if (!Array.isArray(value)) throw new Error(`${file}: must hold a list of instances`);
  const found = new InstanceSetBuilder();
  for (const [index, entry] of value.entries()) {
    const where = `${file}: ${joinPath('', index)}`;
    if (typeof entry === 'string') found.add(where, () => readTarget(entry));
    else if (isObject(entry) && Object.hasOwn(entry, 'targets')) addGroup(found, where, entry);
    else found.add(where, () => takeRecord(entry));
  }
  return found;
}

/** Adds an entry in the format of Prometheus' file_sd: `{targets: ["host:port"], labels: {}}`. */
function addGroup(
  found: InstanceSetBuilder,
  where: string,
  { targets, labels }: Readonly<Record<string, unknown>>,
): void {
  if (!Array.isArray(targets)) found.reject(where, 'targets: must be a list of "host:port"');
  for (const [index, target] of Array.isArray(targets) ? targets.entries() : []) {
    found.add(`${where}.${joinPath('targets', index)}`, () => readTarget(target, labels));
  }
}

function readTarget(target: unknown, labels?: unknown): Instance {
  const match = typeof target === 'string' ? /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(target) : null;
  if (match === null) throw new Error(`${JSON.stringify(target)}: must be "host:port", "[address]:port" for IPv6`);
  return takeInstance({ host: match[1] ?? match[2], port: Number(match[3]), labels });
}
