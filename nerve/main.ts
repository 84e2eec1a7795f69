#!/usr/bin/env node
import { main } from '../common/command/daemon.ts';
import { nerveProgram } from './program.ts';

await main(nerveProgram);
