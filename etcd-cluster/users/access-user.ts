import type { SchemaProperty } from '../../common/config/config.ts';
import type { UserRights } from './access-plan.ts';

/** A user as configured. */
export interface AccessUser extends UserRights {
  /** Null: the user proves itself with a certificate that has its name. */
  readonly password: string | null;
}

/** Why root is no user of the configuration. */
export const rootMessage = 'root has all rights; its password is etcd.password';

/** The option `password` of a user. */
export const passwordProperty: SchemaProperty<string | null> = {
  doc: 'Password; default none: the user has a certificate.',
  format: readPassword,
  default: null,
  sensitive: true,
  nullable: true,
};

function readPassword(value: unknown): string | null {
  if (value === null) return null;
  if (typeof value !== 'string' || value === '') throw new Error('must be a non-empty string');
  return value;
}
