import type { Instance } from './instance.ts';

/** Equal in every field. */
export function sameInstance(a: Instance | undefined, b: Instance): boolean {
  if (a === b) return true;
  return (
    a !== undefined &&
    a.id === b.id &&
    a.name === b.name &&
    a.host === b.host &&
    a.port === b.port &&
    a.state === b.state &&
    a.backup === b.backup &&
    a.weight === b.weight &&
    a.serverOptions === b.serverOptions &&
    sameLabels(a.labels, b.labels)
  );
}

function sameLabels(a: Instance['labels'] = {}, b: Instance['labels'] = {}): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key]);
}
