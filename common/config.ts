import type { SchemaObj } from 'convict';

/** One thing wrong with a configuration. */
export interface Problem {
  /** As users write it: `services.api.checks[0].uri`. */
  readonly path: string;
  /** What is wrong, and what is allowed. */
  readonly message: string;
  /** A warning does not stop anything; default is error. */
  readonly severity?: 'error' | 'warning';
}

/** The options of one section, in convict's form: doc, format, default and, for secrets, `sensitive`. */
export type Schema<Options> = { readonly [Key in keyof Options]-?: SchemaObj<Options[Key]> };
