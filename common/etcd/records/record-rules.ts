import type { Instance } from '../../instance.ts';
import { InvalidRecord } from '../../instance-fields.ts';
import type { Entry } from '../client/key-value.ts';
import { type Decode, decodeValue } from './decode.ts';

/** Which records of a registry are taken, and how they are read. */
export interface RecordRules {
  readonly decode: Decode;
  /** Larger records are not read. */
  readonly maxBytes: number;
  /** Records without a lease are refused: they would stay for good when their announcer dies. */
  readonly requireLease: boolean;
}

/** The size of the largest record unless the service has another limit. nerve writes records of about 200 bytes. */
export const usualRecordBytes = 8 * 1024;

/** The rules of a service without options of its own. */
export const usualRules: RecordRules = { decode: { method: 'nerve' }, maxBytes: usualRecordBytes, requireLease: false };

/**
 * Reads one record. The limits are applied before its value is parsed.
 * @throws {InvalidRecord} when it cannot be used, saying why
 */
export function readEntry({ key, value, lease }: Entry, rules: RecordRules): Instance {
  const { decode, maxBytes, requireLease } = rules;
  if (requireLease && lease === '0') throw new InvalidRecord('has no lease, which the option require_lease demands');
  const instance = decodeValue(value, decode, maxBytes);
  if (decode.method === 'nerve' && decode.any_key !== true && !isUnderOwnName(key, instance)) {
    // A name that cannot be used is left out, and the id is another one then.
    const dropped = instance.dropped === undefined ? '' : ` (${instance.dropped.join('; ')})`;
    throw new InvalidRecord(
      `its key must end in /${instance.id}, because a record is taken only under its own name; ` +
        `other keys need decode: {method: nerve, any_key: true}${dropped}`,
    );
  }
  return instance;
}

/**
 * True for a key that nerve would use for this instance: it ends in the instance's id. SmartStack's nerve ended it in the
 * name and a number that etcd chose: `/nerve/services/api/services/i-1/00000000000000000007`.
 */
function isUnderOwnName(key: string, { id, name }: Instance): boolean {
  if (key.endsWith(`/${id}`)) return true;
  const [parent, last = ''] = key.split('/').slice(-2);
  return name !== '' && parent === name && /^\d{1,20}$/.test(last);
}
