#!/usr/bin/env node
import { main } from '../common/cli/daemon.ts';
import { synapseProgram } from './program.ts';

await main(synapseProgram);
