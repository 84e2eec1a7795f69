import { type Instance, readRecord } from '../instance.ts';
import { reasonOf } from '../log.ts';

/**
 * The format of options that list instances, such as `default_servers`.
 * @throws naming the entry that cannot be used
 */
export function readRecords(value: unknown): readonly Instance[] {
  if (!Array.isArray(value)) throw new Error('must be a list of {host, port, …}');
  return value.map((record, index) => {
    try {
      return readRecord(record);
    } catch (error) {
      throw new Error(`entry ${index}: ${reasonOf(error)}`, { cause: error });
    }
  });
}
