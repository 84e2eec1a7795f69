import type { Program } from '../common/cli/program.ts';
import { wholeProgram } from '../common/cli/whole-program.ts';
import { nerveSource } from './program.ts';

/** nerve with all its commands: for the manuals, and for tests. */
export const nerveProgram: Program = await wholeProgram(nerveSource);
