#!/usr/bin/env node
import { main } from '../common/command/daemon.ts';
import { synapseProgram } from './program.ts';

await main(synapseProgram);
