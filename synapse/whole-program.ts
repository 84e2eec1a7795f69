import type { Program } from '../common/cli/program.ts';
import { wholeProgram } from '../common/cli/whole-program.ts';
import { synapseSource } from './program.ts';

/** synapse with all its commands: for the manuals, and for tests. */
export const synapseProgram: Program = await wholeProgram(synapseSource);
