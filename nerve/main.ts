#!/usr/bin/env node
import { main } from '../common/cli/daemon.ts';
import { nerveProgram } from './program.ts';

await main(nerveProgram);
